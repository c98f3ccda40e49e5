"""Rule: what was learned of a column is asked of the column of that name; what from_arrays accepts, every verb accepts."""

import dataclasses
import types

import numpy as np
import pandas
import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from named_values import NAMES, RNG, ROWS, TABLES, N, X, Y, codes, model_of

import mmtf
from mmtf import text
from mmtf.errors import UserError
from mmtf.modality import Modality
from mmtf.runs import RunDirectory


@pytest.fixture(scope="module")
def model():
    frame = pandas.DataFrame(X, columns=NAMES)
    data = mmtf.from_dataframe(frame.assign(a=Y[:, 0], b=Y[:, 1]), {"x": NAMES, "y": ["a", "b"]})
    assert data.modalities[0].columns == tuple(NAMES)
    return model_of(data)


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(4)), st.sampled_from(sorted(TABLES)))
def test_columns_are_found_by_name_in_any_order_and_table(model, order, kind):
    table = TABLES[kind](X[:, order], [NAMES[k] for k in order])
    np.testing.assert_array_equal(codes(model, table), codes(model, X))


@pytest.mark.parametrize("kind", sorted(TABLES))
def test_missing_and_unknown_columns_are_named(model, kind):
    with pytest.raises(UserError, match=r"x: the table lacks 'dose'\. The model was trained on 4 columns: 'year', 'height', "):
        model.encode({"x": TABLES[kind](X[:, :3], NAMES[:3])})
    with pytest.raises(UserError, match="lacks 'dose' and has 'age', which the model does not know"):
        model.encode({"x": TABLES[kind](X, [*NAMES[:3], "age"])})
    more = np.concatenate([X, X[:, :1]], axis=1)
    with pytest.raises(UserError, match="has 'age', which the model does not know"):
        model.encode({"x": TABLES[kind](more, [*NAMES, "age"])})


@pytest.mark.parametrize("kind", sorted(TABLES))
def test_what_stands_in_a_table_is_checked_as_in_an_array(model, kind):
    broken = X.copy()
    broken[3, 1] = np.nan
    with pytest.raises(UserError, match="x: wanted finite values, but there is NaN"):
        model.encode({"x": TABLES[kind](broken, NAMES)})


def test_columns_without_names_go_by_place(model):
    for x in (pandas.DataFrame(X), polars.DataFrame(X), X.tolist()):
        np.testing.assert_array_equal(codes(model, x), codes(model, X))


@pytest.mark.parametrize("kind", sorted(set(TABLES) - {"dict"}))
def test_from_arrays_keeps_the_names_of_every_table(kind):
    data = mmtf.from_arrays({"x": TABLES[kind](X, NAMES), "y": Y})
    assert data.modalities[0].columns == tuple(NAMES)
    assert data.modalities[1].columns == ()
    np.testing.assert_array_equal(codes(model_of(data), TABLES[kind](X[:, ::-1], NAMES[::-1])), codes(model_of(data), X))


def test_two_columns_of_one_name_are_refused_at_the_door(model):
    table = pandas.DataFrame(X, columns=["year", "height", "year", "dose"])
    for ask in (lambda: mmtf.from_arrays({"x": table, "y": Y}), lambda: model.encode({"x": table})):
        with pytest.raises(UserError, match="x: two columns are called 'year'"):
            ask()


def test_names_are_kept_with_a_run_and_with_an_exported_model(tmp_path):
    frame = pandas.DataFrame(X, columns=NAMES)
    data = mmtf.from_arrays({"x": frame, "y": Y})
    run = mmtf.train(data, run_dir=tmp_path / "run", steps=2, batch_size=8, shared_dim=2)
    exported = mmtf.export(run, tmp_path / "served")
    for place in (run, exported):
        loaded = mmtf.load(place)
        np.testing.assert_array_equal(codes(loaded, frame[NAMES[::-1]]), codes(loaded, X))
    assert RunDirectory.open(run.path).modalities()[0].columns == tuple(NAMES)


def test_verbs_bring_tables_into_one_order_of_rows():
    named = {"x": pandas.DataFrame(X, index=ROWS), "y": pandas.DataFrame(Y, index=ROWS)}
    model = model_of(mmtf.from_arrays(named))
    order = RNG.permutation(N)
    mask = pandas.Series(np.arange(N) % 3 > 0, index=ROWS)
    expected = model.posterior({"x": X, "y": Y}, mask={"y": mask.to_numpy()}).mean()
    found = model.posterior({"x": named["x"], "y": named["y"].iloc[order]}, mask={"y": mask[::-1]}).mean()
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(UserError, match="have different names"):
        model.encode({"x": named["x"].iloc[:5], "y": named["y"].iloc[5:10]})


CLASSES = np.array([["red", "big"], ["blue", "small"], ["red", "small"], ["green", "big"]] * 10, object)
TEXTS = np.array(["one", "Two", "a b", ""] * 10, object)


@pytest.fixture(scope="module")
def named():
    return mmtf.from_arrays({"k": CLASSES, "t": TEXTS, "x": X})


@pytest.mark.parametrize("form", [lambda x: x, lambda x: x.tolist(), lambda x: x.astype(str), lambda x: pandas.DataFrame(x)])
def test_verbs_take_names_of_classes_as_from_arrays_does(named, form):
    whole = np.array([["red", "big"], ["green", "small"]], object)
    expected = [[named.modalities[0].categories[k].index(row[k]) for k in range(2)] for row in whole]
    np.testing.assert_array_equal(codes(model_of(named), form(whole), "k"), codes(model_of(named), np.array(expected), "k"))


def as_bytes(x):
    return np.char.encode(x.astype(str))


@pytest.mark.parametrize("form", [np.asarray, list, lambda x: x.astype(str), as_bytes, pandas.Series, polars.Series])
def test_verbs_take_texts_as_from_arrays_does(named, form):
    pool = named.train.pools["t"]
    spelled = np.array([each.rstrip().upper() for each in text.decode(pool)], object)
    np.testing.assert_array_equal(codes(model_of(named), form(spelled), "t"), codes(model_of(named), pool, "t"))


def test_names_that_the_model_does_not_know_are_refused(named):
    with pytest.raises(UserError, match="k: 'pink' is no class that the model knows; it knows: blue, green, red"):
        model_of(named).encode({"k": [["pink", "big"]]})
    with pytest.raises(UserError, match="t: 'four' has 4 characters"):
        model_of(named).encode({"t": ["four"]})
    with pytest.raises(UserError, match=r"k: wanted an array of shape \[N, 2\], not \(1,\)"):
        model_of(named).encode({"k": ["red"]})


def test_shorter_texts_are_filled_as_the_model_was_trained():
    star = Modality("t", (5,), "categorical", num_classes=len(text.ALPHABET), alphabet=text.ALPHABET, fill="*")
    model = model_of(types.SimpleNamespace(modalities=(star, dataclasses.replace(star, name="u", fill=" "))))
    np.testing.assert_array_equal(codes(model, ["ab"], "t"), codes(model, text.encode(["ab***"], 5), "t"))
    np.testing.assert_array_equal(codes(model, ["ab"], "u"), codes(model, text.encode(["ab   "], 5), "u"))


def test_what_is_no_dict_by_modality_is_refused(named):
    for verb in ("encode", "posterior", "posteriors", "reconstruct", "translate"):
        with pytest.raises(UserError, match="values: wanted a dict by modality"):
            getattr(model_of(named), verb)(X)
    with pytest.raises(UserError, match="x: a dict of columns, but the model knows no names"):
        model_of(named).encode({"x": {"a": [1.0]}})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"columns": ("a",)}, "1 names of columns, but there are 2"),
        ({"columns": ("a", "a")}, "two columns have one name"),
        ({"categories": (("a",), ("b",))}, "categories are for a categorical likelihood"),
        ({"fill": "ab"}, "fill must be one character"),
    ],
)
def test_a_modality_refuses_names_that_do_not_fit(fields, said):
    with pytest.raises(ValueError, match=said):
        Modality("x", (2,), **fields)
