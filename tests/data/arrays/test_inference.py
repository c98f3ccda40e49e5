"""Which likelihood a user's values get, in which unit the networks see them, and what is refused as ambiguous."""

import logging

import numpy as np
import pytest
import scipy.sparse
from own_values import LABELS, REAL, N, both, put_together

from mmtf import text
from mmtf.data import from_arrays
from mmtf.errors import UserError
from mmtf.models.checks import check_values

RNG = np.random.default_rng(1)


@pytest.mark.parametrize(
    ("values", "likelihood", "shape", "dtype"),
    [
        (REAL, "normal", (5,), np.float32),
        (REAL[:, 0], "normal", (1,), np.float32),
        (REAL.reshape(N, 1, 5), "normal", (1, 5), np.float32),
        (RNG.poisson(4, (N, 3)).astype(float), "negative_binomial", (3,), np.float32),
        (RNG.integers(0, 7, (N, 3)), "categorical", (3,), np.int32),
        (RNG.integers(0, 7, N).astype(np.uint8), "categorical", (1,), np.int32),
        (REAL > 3, "bernoulli", (5,), np.float32),
        ((REAL > 3).astype(float), "bernoulli", (5,), np.float32),
        (RNG.integers(0, 256, (N, 4, 6)).astype(np.uint8), "laplace", (4, 6, 1), np.uint8),
        (RNG.integers(0, 256, (N, 4, 6, 3)).astype(np.uint8), "laplace", (4, 6, 3), np.uint8),
        (RNG.uniform(size=(N, 4, 6, 3)), "laplace", (4, 6, 3), np.float32),
        (RNG.normal(size=(N, 4, 6, 2)), "normal", (4, 6, 2), np.float32),
        (RNG.uniform(size=(N, 4)), "normal", (4,), np.float32),
        (["Ab", "c d!"] * (N // 2), "categorical", (4,), np.int32),
        ([["red", "s"], ["blue", "m"]] * (N // 2), "categorical", (2,), np.int32),
        (scipy.sparse.csr_matrix(RNG.poisson(1, (N, 6)).astype(float)), "negative_binomial", (6,), np.float32),
    ],
)
def test_the_likelihood_is_inferred_from_the_values(values, likelihood, shape, dtype):
    data = from_arrays({"x": values, "other": np.linspace(-1, 1.5, N)})
    modality = data.modalities[0]
    assert (modality.likelihood, modality.event_shape) == (likelihood, shape)
    for part in (data.train, data.test):
        assert part.pools["x"].dtype == dtype
        assert part.pools["x"].shape == (len(part), *shape)
        check_values(part.pools, data.modalities)


def test_values_stay_as_they_are():
    np.testing.assert_array_equal(put_together(both(REAL)), REAL.astype(np.float32))
    given = REAL.astype(np.float32)
    put_together(both(given))[:] = 0
    np.testing.assert_array_equal(given, REAL.astype(np.float32))


def test_texts_are_lower_cased_and_filled_up_to_the_longest():
    data = both(["Ab", "c d!"] * (N // 2))
    assert text.decode(put_together(data)[:2]) == ["ab  ", "c d!"]
    assert (data.modalities[0].num_classes, data.modalities[0].alphabet) == (71, text.ALPHABET)


def test_names_are_numbered_in_alphabetical_order_by_column():
    data = both([["red", "s"], ["blue", None], ["green", "m"], ["red", "l"]] * (N // 4))
    np.testing.assert_array_equal(put_together(data)[:4], [[2, 2], [0, -1], [1, 1], [2, 0]])
    modality = data.modalities[0]
    assert (modality.num_classes, modality.missing_cells, modality.alphabet) == (3, True, None)
    assert data.show["x"](np.array([[2, 2], [0, -1]])) == ["red, s", "blue, -"]
    assert data.sources["x"].endswith("names: blue, green, red; names: l, m, s")


def test_a_likelihood_or_single_fields_can_be_said():
    counts = RNG.integers(0, 300, (N, 2))
    data = both(counts, likelihoods={"x": "negative_binomial"})
    assert data.modalities[0].likelihood == "negative_binomial"
    np.testing.assert_array_equal(put_together(data), counts)
    fields = {"likelihood": "laplace", "scale": 0.5, "likelihood_weight": 7.0, "location": (1.0,), "spread": (2.0,)}
    found = both(REAL, likelihoods={"x": fields}).modalities[0]
    assert {key: getattr(found, key) for key in fields} == fields
    assert both(REAL > 3, likelihoods={"x": "categorical"}).modalities[0].num_classes == 2
    whole = both(np.array([[0.0, np.nan], [3, 1]] * (N // 2)), likelihoods={"x": "categorical"})
    np.testing.assert_array_equal(put_together(whole)[:2], [[0, -1], [3, 1]])


def test_the_number_of_classes_counts_the_test_part_too():
    classes = np.array([0, 1] * (N // 2))
    classes[-1] = 5
    assert both(classes, test=[N - 1]).modalities[0].num_classes == 6


def test_weights_are_those_of_the_papers():
    data = from_arrays({"a": REAL, "b": REAL[:, :2]}, likelihoods={"b": {"likelihood": "normal"}})
    assert [m.likelihood_weight for m in data.modalities] == [1.0, 2.5]


def test_each_modality_is_logged_with_what_is_missing(caplog):
    caplog.set_level(logging.INFO)
    x = REAL.copy()
    x[:12] = np.nan
    x[12:15, 0] = np.nan
    both(x)
    assert "x: normal, shape (5,), 30 % of the examples and 2.1 % of the cells missing" in caplog.text


def test_units_are_the_mean_and_deviation_of_the_training_part():
    x = REAL.copy()
    x[3:9, 1] = np.nan
    data = both(x, test=np.arange(N) < 10)
    modality = data.modalities[0]
    np.testing.assert_allclose(modality.location, np.nanmean(x[10:].astype(np.float32), axis=0, dtype=float), rtol=1e-6)
    np.testing.assert_allclose(modality.spread, np.nanstd(x[10:], axis=0), rtol=1e-5)
    assert modality.scale == 0.25


def test_units_do_not_depend_on_test_examples():
    other = REAL.copy()
    other[:10] *= 1000
    first, second = (both(x, test=np.arange(N) < 10).modalities[0] for x in (REAL, other))
    assert first == second


def test_units_of_counts_are_those_of_log_1_plus_count():
    counts = RNG.poisson(9, (N, 3)).astype(float)
    modality = both(counts, test=[0]).modalities[0]
    np.testing.assert_allclose(modality.location, np.log1p(counts[1:]).mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(modality.spread, np.log1p(counts[1:]).std(axis=0), rtol=1e-6)


def test_units_are_per_place_on_the_last_axis():
    series = RNG.normal(size=(N, 6, 2)) * [1, 100]
    modality = both(series, test=[0]).modalities[0]
    np.testing.assert_allclose(modality.spread, series[1:].std(axis=(0, 1)), rtol=1e-5)


def test_units_of_a_constant_column_are_its_value_and_1(caplog):
    caplog.set_level(logging.INFO)
    x = REAL.copy()
    x[:, 2] = 0.1
    modality = both(x).modalities[0]
    assert modality.location[2] == np.float32(0.1)
    assert modality.spread[2] == 1.0
    assert "x: 1 of 5 columns are constant" in caplog.text


@pytest.mark.parametrize(
    "values", [RNG.uniform(size=(N, 4, 6, 3)), RNG.integers(0, 9, (N, 4, 4)).astype(np.uint8), REAL > 3, LABELS]
)
def test_images_bits_and_classes_have_no_units(values):
    modality = both(values).modalities[0]
    assert (modality.location, modality.spread, modality.scale) == ((), (), 0.75)


def test_units_can_be_left_out():
    assert both(REAL, standardise=False).modalities[0].spread == ()


def test_float32_must_keep_what_varies():
    time = 1e9 + np.arange(N)
    with pytest.raises(
        UserError, match=r"x: a column varies by 11\.5 around 1\.00000002e\+09.* subtract an offset such as 1e\+09"
    ):
        both(np.stack([REAL[:, 0], time], axis=1))
    assert both(np.full(N, 1e9) + 0.5).modalities[0].spread == (1.0,)  # constant: nothing to lose
    assert both(1e4 + REAL).modalities[0].likelihood == "normal"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            RNG.integers(0, 2000, (N, 2)),
            r"integers up to \d+ may be classes, counts or measurements; say which: likelihoods=",
        ),
        (RNG.integers(0, 256, (N, 64)).astype(np.uint8), "Bytes of an image need the shape"),
        (np.where(LABELS > 1, 1, -1), "integers from -1. If -1 means a missing class"),
        (RNG.integers(0, 256, (N, 4, 4, 3)).astype(np.float32), "may be images, counts or measurements. Give images as uint8"),
        (
            RNG.integers(0, 17, (N, 8, 8)).astype(np.float32),
            r"may be images, .*likelihoods=\{'x': 'negative_binomial'\} for counts, likelihoods=\{'x': 'normal'\} for measurem",
        ),
        (RNG.integers(5, 10, (N, 2)).astype(np.float32), r"whole numbers from 5 to 9, .* Say likelihoods=\{'x': 'negative_bin"),
        (RNG.integers(20_000, 90_000, (N, 2)).astype(np.float32), "neither all counts .* nor all measurements"),
        (np.stack([2000 + LABELS, RNG.poisson(3, N)], 1).astype(float), "or make two modalities of them"),
        (np.where(LABELS == 2, np.inf, REAL[:, 0]), "example 2 holds an infinite value"),
        (np.where(LABELS == 2, 1e300, REAL[:, 0]), "example 2 holds a value beyond float32"),
        (np.full((N, 2), np.nan), "x is NaN in every example"),
        ([None] * N, "x is missing in every example"),
        ([[1.0, 2.0]] * 30 + [[1.0]] * 10, r"example 30 has the shape \(1,\), but example 0 has \(2,\)"),
        (["a", 1.0] * 20, "strings and numbers together, first at example 1"),
        ([["a", 1.0]] * N, "strings such as 'a' among numbers"),
        ([{"a": 1}] * N, "wanted numbers or strings, not dict"),
        (["é"] * N, r"x: 'é' holds 'é', which is not one of the alphabet's"),
        (np.full((N, 2, 2), "a"), r"strings must be \[N\] .* not of shape \(40, 2, 2\)"),
        (np.full(N, np.datetime64("2020-01-01")), "not datetime64.*dates to days"),
        (np.full(N, 1j), "not complex128"),
        (np.zeros((N, 0)), r"shape \(40, 0\) holds no values"),
        ([], "x holds no examples"),
        (np.array([b"\xff"] * N), "bytes that are no UTF-8"),
        (np.array(3.0), "wanted an array"),
        (np.ma.masked_array(REAL, REAL > 3), "a masked array; give NaN"),
    ],
)
def test_values_that_could_be_anything_are_refused(values, message):
    with pytest.raises(UserError, match=f"(?s){message}"):
        from_arrays({"x": values, "other": np.linspace(-1, 1.5, N)})


@pytest.mark.parametrize(
    ("likelihood", "values", "message"),
    [
        ("categorical", REAL, "needs whole numbers"),
        ("categorical", -np.arange(N), "there is -39"),
        ({"likelihood": "categorical", "num_classes": 3}, LABELS, "num_classes is 3, but there is a class 3"),
        ("negative_binomial", REAL, "needs counts"),
        ("bernoulli", REAL, r"needs values in 0\.\.1"),
        ("poisson", REAL, "must be one of laplace, normal.*not 'poisson'"),
        ({"likelihod": "normal"}, REAL, "has a field 'likelihod'; there are: likelihood,"),
        ({"event_shape": (5,)}, REAL, "has a field 'event_shape'"),
        (5, REAL, "x wants a likelihood such as 'normal', or a dict of fields, not 5"),
        ({"num_classes": "3"}, LABELS, "num_classes of x must be a whole number, not '3'"),
        ({"scale": "wide"}, REAL, "a field of x has a value of the wrong type"),
        ({"scale": -1.0}, REAL, "scale must be a positive number"),
        ({"location": (1.0, 2.0), "spread": (1.0,)}, REAL, "location must be 1 or 5 numbers"),
        ("normal", ["a"] * N, "texts have a categorical likelihood"),
        ({"alphabet": "ab"}, ["a"] * N, "give integer classes"),
    ],
)
def test_a_likelihood_that_does_not_suit_is_refused(likelihood, values, message):
    with pytest.raises(UserError, match=message):
        both(values, likelihoods={"x": likelihood})
