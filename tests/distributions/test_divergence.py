"""Divergences: closed forms against NumPy, TFP and Monte-Carlo; limits and symmetries; gradients by finite differences."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from oracles import finite_difference, jensen_shannon, kl

from mmtf.distributions import divergence
from mmtf.distributions.family import NORMAL
from mmtf.distributions.gaussian import weighted_product
from mmtf.distributions.mixture import mixture

tfd = tfp.distributions
RNG = np.random.default_rng(1)
LOCS = RNG.normal(size=(4, 5, 3)).astype(np.float32)
SCALES = RNG.uniform(0.4, 2.0, size=(4, 5, 3)).astype(np.float32)
EXPERTS = [tfd.MultivariateNormalDiag(m, s) for m, s in zip(LOCS, SCALES, strict=True)]
WEIGHTS = [0.1, 0.2, 0.3, 0.4]


def test_kl_equals_numpy_and_tfp():
    found = divergence.kl(EXPERTS[0], EXPERTS[1])
    np.testing.assert_allclose(found, kl(LOCS[0], SCALES[0], LOCS[1], SCALES[1]), rtol=1e-5)
    np.testing.assert_allclose(found, tfd.kl_divergence(EXPERTS[0], EXPERTS[1]), rtol=1e-5)


def test_kl_to_an_unbatched_prior():
    found = divergence.kl(EXPERTS[0], NORMAL.prior(3))
    np.testing.assert_allclose(found, kl(LOCS[0], SCALES[0], 0.0, 1.0), rtol=1e-5)


def test_kl_agrees_with_monte_carlo():
    n = 100_000
    samples = EXPERTS[0].sample(n, seed=3)
    ratios = (EXPERTS[0].log_prob(samples) - EXPERTS[1].log_prob(samples)).numpy()
    error = ratios.std(axis=0) / np.sqrt(n)
    assert np.all(np.abs(ratios.mean(axis=0) - divergence.kl(EXPERTS[0], EXPERTS[1])) < 4.5 * error)


def test_jensen_shannon_equals_numpy():
    np.testing.assert_allclose(divergence.jensen_shannon(EXPERTS, WEIGHTS), jensen_shannon(LOCS, SCALES, WEIGHTS), rtol=1e-5)


def test_jensen_shannon_agrees_with_monte_carlo():
    n = 50_000
    f = weighted_product(EXPERTS, WEIGHTS)
    total, variance = 0.0, 0.0
    for k, (q, w) in enumerate(zip(EXPERTS, WEIGHTS, strict=True)):
        samples = q.sample(n, seed=10 + k)
        ratios = (q.log_prob(samples) - f.log_prob(samples)).numpy()
        total = total + w * ratios.mean(axis=0)
        variance = variance + w**2 * ratios.var(axis=0) / n
    assert np.all(np.abs(divergence.jensen_shannon(EXPERTS, WEIGHTS) - total) < 4.5 * np.sqrt(variance))


def test_jensen_shannon_of_equal_experts_is_zero():
    np.testing.assert_allclose(divergence.jensen_shannon([EXPERTS[0]] * 4, WEIGHTS), 0.0, atol=1e-5)


def test_jensen_shannon_does_not_depend_on_the_order_of_the_experts():
    forward = divergence.jensen_shannon(EXPERTS, WEIGHTS)
    np.testing.assert_allclose(divergence.jensen_shannon(EXPERTS[::-1], WEIGHTS[::-1]), forward, rtol=1e-5)


def test_jensen_shannon_ignores_experts_of_weight_zero():
    found = divergence.jensen_shannon(EXPERTS, [0.5, 0.0, 0.5, 0.0])
    np.testing.assert_allclose(found, divergence.jensen_shannon([EXPERTS[0], EXPERTS[2]], [0.5, 0.5]), rtol=1e-6)


def test_weighted_kl_bounds_the_kl_of_the_mixture():
    """[S] eq. 6 (Lemma 1), the left side by Monte-Carlo."""
    n, weights, prior = 50_000, [0.3, 0.7], NORMAL.prior(3)
    q = mixture(EXPERTS[:2], weights)
    samples = q.sample(n, seed=5)
    ratios = (q.log_prob(samples) - prior.log_prob(samples)).numpy()
    bound = divergence.weighted_kl(EXPERTS[:2], weights, prior).numpy()
    assert np.all(ratios.mean(axis=0) < bound + 4.5 * ratios.std(axis=0) / np.sqrt(n))
    equal = divergence.weighted_kl([EXPERTS[0]] * 2, weights, prior)
    np.testing.assert_allclose(equal, divergence.kl(EXPERTS[0], prior), rtol=1e-6)


@pytest.mark.parametrize("moved", ["loc", "scale"])
def test_gradients_of_jensen_shannon_equal_finite_differences(moved):
    start = (LOCS if moved == "loc" else SCALES)[0, :1]

    def function(x):
        first = tfd.MultivariateNormalDiag(*((x, SCALES[0, :1]) if moved == "loc" else (LOCS[0, :1], x)))
        others = [tfd.MultivariateNormalDiag(LOCS[k, :1], SCALES[k, :1]) for k in (1, 2, 3)]
        return tf.reduce_sum(divergence.jensen_shannon([first, *others], WEIGHTS))

    x = tf.Variable(start)
    with tf.GradientTape() as tape:
        y = function(tf.convert_to_tensor(x))
    np.testing.assert_allclose(tape.gradient(y, x), finite_difference(function, start), rtol=2e-2, atol=2e-3)
