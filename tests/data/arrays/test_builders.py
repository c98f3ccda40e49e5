"""A user's own arrays as a data set: what is missing, what does not fit together, and how values are shown."""

import numpy as np
import pytest
from own_values import LABELS, REAL, N, both, put_together
from sklearn.datasets import load_wine

import mmtf.data
from mmtf.data import from_arrays
from mmtf.errors import UserError
from mmtf.models.checks import check_values

RNG = np.random.default_rng(1)


def test_none_in_a_list_is_a_missing_example():
    data = both([None if i % 3 == 0 else REAL[i] for i in range(N)], test=[1])
    there = np.arange(N) % 3 != 0
    np.testing.assert_array_equal(data.train.mask["x"], np.delete(there, 1))
    kept = np.delete(np.arange(N), 1)
    np.testing.assert_array_equal(data.train.pools["x"][kept % 3 != 0], REAL[kept[kept % 3 != 0]].astype(np.float32))
    assert data.train.mask["other"].all()
    assert not data.modalities[0].missing_cells


def test_a_row_of_nan_is_a_missing_example_and_a_single_one_a_missing_cell():
    x = REAL.copy()
    x[5] = np.nan
    x[7, 2] = np.nan
    data = both(x, test=[0])
    assert np.flatnonzero(~data.train.mask["x"]).tolist() == [4]
    assert np.argwhere(np.isnan(data.train.pools["x"])).tolist() == [[6, 2]]
    assert data.modalities[0].missing_cells


@pytest.mark.parametrize(
    "values",
    [
        ["ab", None, "c"],
        [1, None, 3],
        [[1.5, 2], None, [3, 4]],
        [np.zeros((4, 4), np.uint8), None, np.ones((4, 4), np.uint8)],
    ],
)
def test_any_kind_of_value_can_be_missing(values):
    data = both(values * 4, test=[0])
    assert np.flatnonzero(~data.train.mask["x"]).tolist() == [0, 3, 6, 9]


def test_none_within_a_row_is_a_missing_cell():
    data = both([[1.5, None], [2, 3]] * (N // 2))
    np.testing.assert_array_equal(put_together(data)[:2], [[1.5, np.nan], [2, 3]])


def test_minus_1_is_a_missing_class_where_that_is_said():
    x = np.tile([[0, -1], [2, 1], [-1, -1]], (20, 1))
    data = from_arrays({"x": x, "other": np.arange(60) / 7}, likelihoods={"x": "categorical"}, test=[0])
    assert data.modalities[0].missing_cells
    assert data.train.mask["x"].tolist() == ([True, True, False] * 20)[1:]


def test_what_a_mask_hides_changes_nothing():
    mask = np.arange(N) % 5 > 0
    fills = []
    for fill in (0.0, np.nan, np.inf, -1e30):
        x = REAL.copy()
        x[~mask] = fill
        fills.append(both(x, masks={"x": mask}))
    for other in fills[1:]:
        assert other.modalities == fills[0].modalities
        np.testing.assert_array_equal(other.train.pools["x"], fills[0].train.pools["x"])
        np.testing.assert_array_equal(other.train.mask["x"], fills[0].train.mask["x"])
    texts = ["é" if hidden else "e" for hidden in ~mask]
    assert both(texts, masks={"x": mask}).modalities[0].event_shape == (1,)


def test_nothing_missing_needs_no_mask():
    assert both(REAL).train.mask is None


def test_sets_that_do_not_fit_together_are_refused():
    other = REAL[:, :2]
    for values, options, message in (
        ({"x": REAL}, {}, "two modalities or more, not 1"),
        ({"x": REAL, "y": other[:-1]}, {}, "y has 39 examples, but x has 40"),
        ({"x": REAL, "my data": other}, {}, "such as 'digit'.*not 'my data'"),
        (
            {"x": REAL, "y": other},
            {"masks": {"z": np.ones(N, bool)}},
            "masks: unknown modality 'z'; the modalities are: x, y",
        ),
        ({"x": REAL, "y": other}, {"masks": {"y": np.ones(3, bool)}}, "masks: y needs 40 booleans"),
        ({"x": REAL, "y": other}, {"masks": {"y": np.ones(N)}}, "masks: y needs 40 booleans, not float64"),
        ({"x": REAL, "y": other}, {"likelihoods": {"z": "normal"}}, "likelihoods: unknown modality 'z'"),
        ({"x": REAL, "y": other}, {"likelihoods": "normal"}, "likelihoods: wanted a dict by modality"),
        ([REAL, other], {}, "values: wanted a dict by modality"),
        (
            {"x": REAL, "y": other},
            {"masks": dict.fromkeys("xy", LABELS != 3)},
            r"Example 3 has none of the modalities \(10 such",
        ),
        (
            {"x": REAL, "y": other},
            {"masks": {"y": LABELS == 3}, "test": LABELS == 3},
            "y is missing in every training example",
        ),
        (
            {"x": np.where(np.arange(N)[:, None] < 9, REAL, [1, np.nan, 1, 1, 1]), "y": other},
            {"test": np.arange(N) < 9},
            "x: column 1 has no value in any training example",
        ),
    ):
        with pytest.raises(UserError, match=message):
            from_arrays(values, **options)


def test_numbers_are_shown_as_lists():
    data = from_arrays({"x": REAL, "many": np.tile(REAL, 2)})
    assert data.show["x"](np.array([[1.2345, np.nan, 1000, 0, -2]])) == ["1.23, -, 1e+03, 0, -2"]
    assert data.show["many"](np.ones((1, 10))) == ["1, 1, 1, 1, 1, 1, ..."]


def test_series_are_shown_as_pictures_between_their_extremes():
    series = np.arange(N * 6, dtype=float).reshape(N, 3, 2) / 7
    shown = both(series, test=[3]).show["x"](series[[0, -1]])
    assert shown.shape == (2, 3, 2, 1)
    assert shown.min() == 0.0
    assert shown.max() == 1.0


def test_images_and_texts_show_themselves():
    data = from_arrays(
        {"x": RNG.integers(0, 9, (N, 4, 4, 3)).astype(np.uint8), "y": ["a"] * N, "z": RNG.uniform(size=(N, 4, 4, 1))}
    )
    assert data.show == {}
    data = both(RNG.integers(0, 9, (N, 4, 4, 2)).astype(np.uint8))
    np.testing.assert_allclose(data.show["x"](np.full((1, 4, 4, 2), 51, np.uint8)), np.full((1, 4, 4, 1), 0.2))
    np.testing.assert_allclose(data.show["x"](np.full((1, 4, 4, 2), 0.2)), np.full((1, 4, 4, 1), 0.2))  # generated


def test_real_data_wine():
    x, y = load_wine(return_X_y=True)
    data = mmtf.data.from_arrays({"acids": x[:, :6], "rest": x[:, 6:]}, y)
    assert (len(data.train), len(data.test)) == (142, 36)
    np.testing.assert_allclose(np.bincount(data.test.label), np.bincount(y) * 0.2, atol=1)
    standardised = (data.train.pools["rest"] - data.modalities[1].location) / data.modalities[1].spread
    np.testing.assert_allclose(standardised.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(standardised.std(axis=0), 1, rtol=1e-5)
    check_values(data.train.pools, data.modalities)
