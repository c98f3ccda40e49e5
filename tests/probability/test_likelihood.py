"""Likelihoods against formulas written out in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from mmtf.modality import LIKELIHOODS, Modality
from mmtf.probability.likelihood import FAMILIES, likelihood, mean_value, shown_value

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
    each = {"laplace": -np.log(1.5), "normal": -np.log(0.75 * np.sqrt(2 * np.pi)), "bernoulli": np.log(0.5)}
    np.testing.assert_allclose(log_p, [3072 * each.get(family, np.log(0.25))], rtol=1e-4)
