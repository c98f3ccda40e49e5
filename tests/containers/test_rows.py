"""Rule: an order that names disambiguate is never trusted. Tables, labels, masks and test rows, in any combination."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mmtf
from mmtf.containers import rows
from mmtf.errors import UserError

N = 30
INDEXES = {
    "names": [f"cell{k}" for k in range(N)],
    "numbers": list(range(100, 100 + N)),
    "dates": pd.date_range("2020-01-01", periods=N),
    "counted": list(range(N)),
}
RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(N, 2)), RNG.normal(size=(N, 3))
LABEL, MASK, TEST = np.arange(N) % 3, np.arange(N) % 4 > 0, np.arange(N) % 5 == 0


def parts(index):
    """A table for each modality, and series of labels, of a mask and of test rows."""
    return {
        "a": pd.DataFrame(A, index=index),
        "b": pd.DataFrame(B, index=index),
        "labels": pd.Series(LABEL, index=index),
        "mask": pd.Series(MASK, index=index),
        "test": pd.Series(TEST, index=index),
    }


def built(a, b, labels, mask, test):
    return mmtf.from_arrays({"a": a, "b": b}, labels, {"b": mask}, test=test)


def everything(data):
    """Every example as one row, in an order that does not depend on that of the rows."""
    rows = []
    for split in (data.train, data.test):
        values = split.take(np.arange(len(split)))
        has = split.has(["b"])
        for k in range(len(split)):
            b = values["b"][k] if has[k] else np.zeros(3)
            rows.append([*values["a"][k], *b, has[k], split.label[k], split is data.test])
    return np.array(sorted(rows), float)


@given(st.sampled_from(sorted(INDEXES)), st.dictionaries(st.sampled_from(["b", "labels", "mask", "test"]), st.integers(0, 9)))
def test_the_same_rows_in_another_order_are_the_same_data(kind, shuffled):
    wanted = everything(built(A, B, LABEL, MASK, TEST))
    given_parts = parts(pd.Index(INDEXES[kind]))
    for name, seed in shuffled.items():
        given_parts[name] = given_parts[name].sample(frac=1, random_state=seed)
    np.testing.assert_allclose(everything(built(**given_parts)), wanted, rtol=1e-6)


def test_tables_and_what_has_no_names_go_by_place():
    named = pd.DataFrame(A, index=INDEXES["names"])
    counted = pd.DataFrame(B)
    data = mmtf.from_arrays({"a": named, "b": counted}, LABEL, {"b": MASK}, test=TEST)
    np.testing.assert_allclose(everything(data), everything(built(A, B, LABEL, MASK, TEST)), rtol=1e-6)


def test_a_table_goes_before_the_rows_that_nobody_named():
    """A shuffled table beside one in the order of its numbers."""
    first, second = pd.DataFrame(A).sample(frac=1, random_state=1), pd.DataFrame(B)
    data = mmtf.from_arrays({"a": first, "b": second}, pd.Series(LABEL), {"b": pd.Series(MASK)}, test=pd.Series(TEST))
    np.testing.assert_allclose(everything(data), everything(built(A, B, LABEL, MASK, TEST)), rtol=1e-6)


def test_a_table_of_columns_is_aligned_with_masks_and_test_rows():
    table = pd.DataFrame(np.concatenate([A, B], 1), columns=list("vwxyz"), index=INDEXES["names"]).assign(kind=LABEL)
    mask, test = (pd.Series(x, index=INDEXES["names"]).sample(frac=1, random_state=2) for x in (MASK, TEST))
    groups = {"a": ["v", "w"], "b": ["x", "y", "z"]}
    data = mmtf.from_dataframe(table, groups, "kind", {"b": mask}, test=test)
    np.testing.assert_allclose(everything(data), everything(built(A, B, LABEL, MASK, TEST)), rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda p: p | {"b": p["b"].rename({"cell3": "other"})},
            r"values\['b'\].*different names: 'cell3', 'other' are in one",
        ),
        (lambda p: p | {"labels": p["labels"].rename(lambda name: "x" + name)}, "labels and of values.*and others"),
        (lambda p: p | {"mask": p["mask"].iloc[:-1]}, r"masks\['b'\].*'cell29' is in one of them alone"),
        (lambda p: p | {"b": p["b"].rename({"cell3": "cell4"})}, "'cell4' stands twice"),
    ],
)
def test_rows_of_other_names_are_refused(change, message):
    with pytest.raises(UserError, match=message):
        built(**change(parts(pd.Index(INDEXES["names"]))))


def test_names_that_stand_twice_in_the_same_order_are_no_question():
    index = pd.Index(["x", "y"] * (N // 2))
    np.testing.assert_allclose(everything(built(**parts(index))), everything(built(A, B, LABEL, MASK, TEST)), rtol=1e-6)


def test_what_is_no_table_of_pandas_stays_as_it_is():
    given_parts = {"a": np.ones(3), "b": [1, 2, 3], "c": None}
    assert rows.aligned(given_parts) == given_parts


@pytest.mark.parametrize(
    ("test", "message"),
    [
        (np.array([1] * 10 + [0] * 20), r"30 integers of 0 and 1 may say .*test.astype\(bool\)"),
        (pd.Series([0] * 30), "30 integers of 0 and 1"),
        ([3, 4, 3], "row 3 stands 2 times"),
    ],
)
def test_rows_that_could_be_two_things_are_asked_about(test, message):
    with pytest.raises(UserError, match=message):
        mmtf.from_arrays({"a": A, "b": B}, test=test)


@pytest.mark.parametrize("kind", ["bool", "object", "boolean"])
def test_booleans_of_every_kind_choose_test_examples(kind):
    data = mmtf.from_arrays({"a": A, "b": B}, test=pd.Series(TEST).astype(kind))
    assert len(data.test) == TEST.sum()
