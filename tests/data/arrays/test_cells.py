"""A user's tables: groups of columns as modalities."""

import numpy as np
import pytest
from own_values import N

from mmtf.data import from_arrays, from_dataframe
from mmtf.errors import UserError


class NAType:
    """As pandas' NA: neither equal to itself nor true or false."""

    def __eq__(self, other):
        return self

    def __bool__(self):
        raise TypeError("boolean value of NA is ambiguous")

    __hash__ = None


class Series:
    """As much of pandas' Series as is needed; `categories` makes it one of the category dtype."""

    def __init__(self, values, categories=None):
        self.values = np.array(values, object) if categories or any(v is None for v in values) else np.array(values)
        self.shape = self.values.shape
        self.dtype = type("Dtype", (), {"categories": categories})() if categories else self.values.dtype

    def to_numpy(self):
        return self.values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype)


TABLE = {
    "height": Series(np.linspace(1, 2, N).tolist()),
    "weight": Series([60, 70, NAType(), 80] * (N // 4)),
    "colour": Series(["red", "blue", None, "red"] * (N // 4)),
    "size": Series(["s", "l", "m", None] * (N // 4), categories=["s", "m", "l", "xl"]),
    "kind": Series(["b", "a"] * (N // 2), categories=["b", "a"]),
    "left": Series([True, False] * (N // 2)),
    "odd": Series([0, 1] * (N // 2)),
    "high": Series([0, 0, 0, 1] * (N // 4)),
    "short": [1.0, 2.0, 3.0],
    "mixed": ["a", 1.0] * (N // 2),
    "day": Series([np.datetime64("2020-01-01")] * N),
}


def test_groups_of_columns_are_modalities():
    groups = {"body": ["height", "weight"], "look": ["colour", "size"], "left": "left"}
    data = from_dataframe(TABLE, groups, "kind", test=[N - 1])
    body, look, left = data.modalities
    assert (body.likelihood, body.missing_cells, body.event_shape) == ("normal", True, (2,))
    assert (look.likelihood, look.missing_cells, look.num_classes) == ("categorical", True, 4)
    assert left.likelihood == "bernoulli"
    np.testing.assert_array_equal(data.train.pools["body"][:3, 1], [60, 70, np.nan])
    np.testing.assert_array_equal(data.train.pools["look"][:4], [[1, 0], [0, 2], [-1, 1], [1, -1]])
    assert data.show["look"](np.array([[1, 0], [-1, 3]])) == ["colour red, size s", "colour -, size xl"]
    assert data.show["body"](np.array([[1.5, np.nan]])) == ["height 1.5, weight -"]
    assert data.sources["look"].endswith("; colour: blue, red; size: s, m, l, xl")
    assert data.class_names == ("b", "a")
    assert data.train.label[:2].tolist() == [0, 1]


def test_several_label_columns_are_attributes():
    data = from_dataframe(TABLE, {"a": "height", "b": "weight"}, ["odd", "high"], test=[N - 1])
    assert data.class_names == ("odd", "high")
    assert data.train.label[:4].tolist() == [[0, 0], [1, 0], [0, 0], [1, 1]]


def test_a_structured_array_is_a_table():
    table = np.zeros(N, [("a", float), ("b", int)])
    table["a"], table["b"] = np.arange(N) / 7, np.arange(N) % 4
    data = from_dataframe(table, {"x": ["a"], "y": ["a"]}, "b")
    assert data.class_names == ("0", "1", "2", "3")


@pytest.mark.parametrize(
    ("columns", "labels", "message"),
    [
        ({"a": ["height", "colour"], "b": "odd"}, None, "a: column 'colour' holds names and column 'height' numbers"),
        ({"a": ["heigth"], "b": "odd"}, None, "no column 'heigth'; it has: height, weight,"),
        ({"a": "height", "b": "odd"}, "kinds", "no column 'kinds'"),
        ({"a": "height", "b": "day"}, None, r"b, column 'day': wanted numbers or names, not datetime64.*dates to days"),
        ({"a": "height", "b": []}, None, "columns: wanted, by modality"),
        (["height", "odd"], None, "columns: wanted, by modality"),
        ({"a": ["height", "short"], "b": "odd"}, None, "a: its columns differ in length: height has 40, short has 3"),
        ({"a": "mixed", "b": "odd"}, None, "a, column 'mixed': strings such as 'a' among numbers"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(columns, labels, message):
    with pytest.raises(UserError, match=message):
        from_dataframe(TABLE, columns, labels)


def test_a_column_of_nearly_as_many_names_as_examples_is_no_class():
    table = {"id": np.array([f"cell{i}" for i in range(200)]), "x": np.arange(200) / 7}
    with pytest.raises(UserError, match="id: a column of 200 different names.*'categorical'"):
        from_dataframe(table, {"id": "id", "x": "x"})
    said = from_dataframe(table, {"id": "id", "x": "x"}, likelihoods={"id": "categorical"})
    assert said.modalities[0].num_classes == 200


def test_tables_of_pandas():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed; the other tests use a stand-in")
    frame = pandas.DataFrame({name: pandas.Series(TABLE[name].values) for name in ("height", "left", "odd")})
    frame["weight"] = pandas.array([60, 70, None, 80] * (N // 4), dtype="Int64")
    frame["colour"] = ["red", "blue", None, "red"] * (N // 4)
    frame["size"] = pandas.Categorical(["s", "l", "m", None] * (N // 4), categories=["s", "m", "l", "xl"], ordered=True)
    groups = {"body": ["height", "weight"], "look": ["colour", "size"], "left": "left"}
    data = from_dataframe(frame, groups, "odd", test=[N - 1])
    np.testing.assert_array_equal(data.train.pools["body"][:3, 1], [60, 70, np.nan])
    np.testing.assert_array_equal(data.train.pools["look"][:4], [[1, 0], [0, 2], [-1, 1], [1, -1]])
    assert data.modalities[2].likelihood == "bernoulli"
    whole = from_arrays({"x": frame[["height", "odd"]], "y": frame["height"]})
    assert whole.modalities[0].event_shape == (2,)
