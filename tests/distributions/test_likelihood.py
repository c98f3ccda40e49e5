"""Likelihoods against formulas written out in NumPy."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from mmtf.distributions.likelihood import FAMILIES, likelihood, log_density, mean_value, shown_value
from mmtf.distributions.units import to_network
from mmtf.modality import LIKELIHOODS, Modality

RNG = np.random.default_rng(2)
SHAPE = (3, 2, 1)
PARAMETERS = RNG.normal(size=(4, *SHAPE)).astype(np.float32)


def sum_events(terms):
    return terms.reshape(len(terms), -1).sum(axis=1)


def test_every_declared_likelihood_has_a_family():
    assert set(FAMILIES) == set(LIKELIHOODS)


def test_laplace():
    x = RNG.uniform(size=(4, *SHAPE)).astype(np.float32)
    p = likelihood(Modality("x", SHAPE, scale=0.75), PARAMETERS)
    np.testing.assert_allclose(p.log_prob(x), sum_events(-np.abs(x - PARAMETERS) / 0.75 - np.log(1.5)), rtol=1e-5)
    np.testing.assert_array_equal(shown_value(Modality("x", SHAPE), p), PARAMETERS)


def test_normal():
    x = RNG.normal(size=(4, *SHAPE)).astype(np.float32)
    p = likelihood(Modality("x", SHAPE, "normal", scale=0.5), PARAMETERS)
    expected = -((x - PARAMETERS) ** 2) / (2 * 0.25) - np.log(0.5) - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(p.log_prob(x), sum_events(expected), rtol=1e-5)


def test_bernoulli_takes_logits():
    x = RNG.integers(0, 2, size=(4, *SHAPE)).astype(np.float32)
    m = Modality("x", SHAPE, "bernoulli")
    chance = 1 / (1 + np.exp(-PARAMETERS.astype(float)))
    expected = x * np.log(chance) + (1 - x) * np.log(1 - chance)
    np.testing.assert_allclose(likelihood(m, PARAMETERS).log_prob(x), sum_events(expected), rtol=1e-5)
    np.testing.assert_allclose(shown_value(m, likelihood(m, PARAMETERS)), chance, rtol=1e-5)


def test_categorical_takes_logits_and_sums_over_characters():
    m = Modality("x", (6,), "categorical", num_classes=5)
    logits = RNG.normal(size=(4, 6, 5)).astype(np.float32)
    x = RNG.integers(0, 5, size=(4, 6))
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    expected = np.take_along_axis(log_p, x[..., None], axis=-1)[..., 0].sum(axis=1)
    np.testing.assert_allclose(likelihood(m, logits).log_prob(x), expected, rtol=1e-5)
    np.testing.assert_array_equal(shown_value(m, likelihood(m, logits)), logits.argmax(axis=-1))
    np.testing.assert_allclose(mean_value(m, likelihood(m, logits)), np.exp(log_p), rtol=1e-5)


@pytest.mark.parametrize("family", LIKELIHOODS)
def test_half_precision_parameters_give_float32_densities(family):
    """3072 values of a float16 density would overflow or lose all precision when summed."""
    classes = {"num_classes": 4} if family == "categorical" else {}
    m = Modality("x", (3072,), family, **classes)
    p = likelihood(m, tf.zeros([1, *m.parameter_shape], tf.float16))
    log_p = p.log_prob(tf.zeros([1, 3072], tf.int32 if classes else tf.float32))
    assert log_p.dtype == tf.float32
    each = {
        "laplace": -np.log(1.5),
        "normal": -np.log(0.75 * np.sqrt(2 * np.pi)),
        "bernoulli": np.log(0.5),
        "categorical": np.log(0.25),
        "negative_binomial": np.log(0.5),  # (r / (r + m))^r at r = m = 1
    }
    np.testing.assert_allclose(log_p, [3072 * each[family]], rtol=1e-4)


def test_negative_binomial_is_scipy_s():
    """Mean m and dispersion r, as logarithms; the mean in units of spread around location."""
    m = Modality("x", (3,), "negative_binomial", location=(1.0, 2.0, 0.5), spread=(0.5, 1.0, 2.0))
    parameters = RNG.normal(size=(4, 3, 2)).astype(np.float32)
    mean = np.exp(np.array(m.location) + np.array(m.spread) * parameters[..., 0])
    r = np.exp(parameters[..., 1])
    x = RNG.integers(0, 30, size=(4, 3)).astype(np.float32)
    p = likelihood(m, parameters)
    np.testing.assert_allclose(p.log_prob(x), scipy.stats.nbinom.logpmf(x, r, r / (r + mean)).sum(axis=1), rtol=1e-4)
    np.testing.assert_allclose(shown_value(m, p), mean, rtol=1e-5)
    np.testing.assert_allclose(p.distribution.variance(), mean + mean**2 / r, rtol=1e-4)


def test_extreme_counts_stay_finite_with_finite_gradients():
    m = Modality("x", (2,), "negative_binomial")
    parameters = tf.constant([[[1e4, -1e4], [-1e4, 1e4]]])
    with tf.GradientTape() as tape:
        tape.watch(parameters)
        log_p = likelihood(m, parameters).log_prob([[0.0, 1e6]])
    assert np.all(np.isfinite(log_p))
    assert np.all(np.isfinite(tape.gradient(log_p, parameters)))


@pytest.mark.parametrize("family", ["normal", "laplace"])
def test_standardised_values_have_the_density_of_their_own_unit(family):
    """log p(x) = log p((x - a) / b) - sum log b, and means come back in the unit of x."""
    a, b = np.array([100.0, -3.0], np.float32), np.array([20.0, 0.1], np.float32)
    m = Modality("x", (2,), family, location=tuple(a.tolist()), spread=tuple(b.tolist()))
    plain = Modality("x", (2,), family)
    loc = RNG.normal(size=(5, 2)).astype(np.float32)
    x = a + b * RNG.normal(size=(5, 2)).astype(np.float32)
    z = to_network(m, tf.constant(x))
    np.testing.assert_allclose(z, (x - a) / b, rtol=1e-5)
    np.testing.assert_allclose(
        likelihood(m, loc).log_prob(x), likelihood(plain, loc).log_prob(z) - np.log(b).sum(), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(mean_value(m, likelihood(m, loc)), a + b * loc, rtol=1e-6)
    np.testing.assert_allclose(likelihood(m, loc).distribution.stddev()[0] / likelihood(plain, loc).distribution.stddev()[0], b)


def test_counts_reach_the_encoder_on_a_logarithmic_scale():
    m = Modality("x", (1,), "negative_binomial", location=(2.0,), spread=(0.5,))
    np.testing.assert_allclose(to_network(m, tf.constant([[0.0], [9.0]])), [[-4.0], [2 * np.log(10) - 4]], rtol=1e-6)


CELLS = {
    "normal": (np.array([[1.0, np.nan, 3.0], [np.nan] * 3, [0.5, 0.0, -1.0]], np.float32), {}),
    "laplace": (np.array([[1.0, np.nan, 3.0], [np.nan] * 3, [0.5, 0.0, -1.0]], np.float32), {}),
    "bernoulli": (np.array([[1.0, np.nan, 0.0], [np.nan] * 3, [1.0, 0.0, 1.0]], np.float32), {}),
    "negative_binomial": (np.array([[7.0, np.nan, 0.0], [np.nan] * 3, [1.0, 2.0, 1.0]], np.float32), {}),
    "categorical": (np.array([[1, -1, 2], [-1] * 3, [0, 3, 1]], np.int32), {"num_classes": 4}),
}


@pytest.mark.parametrize("family", LIKELIHOODS)
def test_missing_cells_take_no_part(family):
    """The density of an example with missing cells is that of the other cells alone, and no gradient is NaN."""
    x, options = CELLS[family]
    m = Modality("x", (3,), family, missing_cells=True, **options)
    parameters = tf.constant(RNG.normal(size=(3, *m.parameter_shape)).astype(np.float32))
    with tf.GradientTape() as tape:
        tape.watch(parameters)
        log_p = log_density(m, likelihood(m, parameters), tf.constant(x))
    gradient = tape.gradient(log_p, parameters).numpy().reshape(3, 3, -1)
    there = x >= 0 if family == "categorical" else ~np.isnan(x)
    expected = [
        sum(
            float(
                likelihood(Modality("x", (1,), family, **options), parameters[i, k : k + 1][None]).log_prob(
                    x[i : i + 1, k : k + 1]
                )[0]
            )
            for k in np.flatnonzero(there[i])
        )
        for i in range(3)
    ]
    np.testing.assert_allclose(log_p, expected, rtol=1e-5, atol=1e-6)
    assert np.all(np.isfinite(gradient))
    assert not gradient[~there].any()


def test_log_softmax_taken_as_probabilities_turns_the_order_of_the_classes_round():
    """The release of [S], by PyTorch's rule for probabilities that do not sum to 1: divided by their sum."""
    m = Modality("x", (6,), "categorical", num_classes=5, log_softmax_as_probabilities=True)
    logits, x = RNG.normal(size=(4, 6, 5)).astype(np.float32), RNG.integers(0, 5, (4, 6))
    log_softmax = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    probabilities = log_softmax / log_softmax.sum(axis=-1, keepdims=True)
    p = likelihood(m, logits)
    chosen = np.take_along_axis(probabilities, x[..., None], axis=-1)[..., 0]
    np.testing.assert_allclose(p.log_prob(x), np.log(chosen).sum(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(shown_value(m, p), logits.argmin(axis=-1))
    np.testing.assert_allclose(mean_value(m, p), probabilities, rtol=1e-5)
    certain = likelihood(m, np.float32([1e4, 0, 0, 0, 0]) * np.ones((1, 6, 1), np.float32)).log_prob(np.zeros((1, 6), np.int32))
    assert np.isfinite(certain)
    with pytest.raises(ValueError, match="for a categorical likelihood"):
        Modality("x", (6,), log_softmax_as_probabilities=True)
