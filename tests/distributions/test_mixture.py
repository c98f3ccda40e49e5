"""Mixtures of experts: densities against NumPy, samples against densities."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from oracles import log_normal

from mmtf.distributions import family, mixture

tfd = tfp.distributions
RNG = np.random.default_rng(0)
LOCS = RNG.normal(size=(3, 5, 2)).astype(np.float32)
SCALES = RNG.uniform(0.3, 2.0, size=(3, 5, 2)).astype(np.float32)
EXPERTS = [tfd.MultivariateNormalDiag(m, s) for m, s in zip(LOCS, SCALES, strict=True)]


def test_mixture_density_is_that_of_the_mixture():
    weights = [0.5, 0.2, 0.3]
    x = RNG.normal(size=(5, 2))
    expected = np.log(sum(w * np.exp(log_normal(x, LOCS[k], SCALES[k])) for k, w in enumerate(weights)))
    np.testing.assert_allclose(mixture.mixture(EXPERTS, weights).log_prob(x.astype(np.float32)), expected, rtol=1e-4)


def test_mixture_samples_have_the_mixture_s_moments():
    n = 200_000
    experts = [
        tfd.MultivariateNormalDiag(np.full([n, 1], m, np.float32), np.full([n, 1], s, np.float32))
        for m, s in ((-2, 0.5), (3, 1.0))
    ]
    strata = tf.random.shuffle((tf.range(n, dtype=tf.float32) + 0.5) / n, seed=1)
    noise = tf.random.stateless_normal([n, 1], [0, 1])
    samples = mixture.sample_mixture(experts, [0.25, 0.75], strata, noise).numpy()
    mean = 0.25 * -2 + 0.75 * 3
    variance = 0.25 * (0.25 + 4) + 0.75 * (1 + 9) - mean**2
    assert abs(samples.mean() - mean) < 4 * np.sqrt(variance / n)
    fourth = np.mean((samples - samples.mean()) ** 4)
    assert abs(samples.var() - variance) < 4 * np.sqrt((fourth - variance**2) / n)


@pytest.mark.parametrize("missing", [False, True])
def test_samples_of_a_posterior_have_its_moments(missing):
    n, weights = 100_000, ([0.0, 0.6, 0.4] if missing else [0.2, 0.3, 0.5])
    experts = [tfd.MultivariateNormalDiag(tf.tile(LOCS[k][:1], [n, 1]), tf.tile(SCALES[k][:1], [n, 1])) for k in range(3)]
    q = mixture.mixture(experts, weights)
    samples = mixture.sample(q, tf.constant([3, 4])).numpy()
    error = samples.std(axis=0) / np.sqrt(n)
    assert np.all(np.abs(samples.mean(axis=0) - q.mean()[0]) < 4 * error)
    np.testing.assert_allclose(samples.std(axis=0), q.stddev()[0], rtol=0.02)
    np.testing.assert_array_equal(samples, mixture.sample(q, tf.constant([3, 4])))
    assert not np.allclose(samples, mixture.sample(q, tf.constant([3, 5])))
    one = mixture.sample(experts[0], tf.constant([0, 1])).numpy()
    assert np.all(np.abs(one.mean(axis=0) - LOCS[0, 0]) < 4 * SCALES[0, 0] / np.sqrt(n))


def test_each_component_serves_its_exact_share_of_a_stratified_batch():
    n = 120
    strata = tf.random.shuffle((tf.range(n, dtype=tf.float32) + tf.random.stateless_uniform([n], [1, 2])) / n)
    counts = np.bincount(mixture.component_at([1 / 3] * 3, strata), minlength=3)
    np.testing.assert_array_equal(counts, [40, 40, 40])


def test_component_of_weight_zero_is_never_chosen():
    strata = tf.constant([0.0, 0.5, 1.0 - 2.0**-22] * 3)
    for missing in range(3):
        # One third thrice sums to less than one in float32: the last component must not be picked up by the rest.
        weights = [tf.fill([9], 0.0 if k == missing else np.float32(1 / 3) / np.float32(2 / 3)) for k in range(3)]
        chosen = mixture.component_at(weights, strata).numpy()
        assert missing not in chosen
        assert set(chosen) == {0, 1, 2} - {missing}


def test_gradients_reach_the_chosen_expert_only():
    locs = [tf.Variable(tf.fill([1, 2], float(k))) for k in range(3)]
    with tf.GradientTape() as tape:
        experts = [tfd.MultivariateNormalDiag(m, tf.ones([1, 2])) for m in locs]
        sample = mixture.sample_mixture(experts, [1 / 3] * 3, tf.constant([0.5]), tf.zeros([1, 2]))
    gradients = tape.gradient(sample, locs)
    np.testing.assert_array_equal([g.numpy().sum() for g in gradients], [0.0, 2.0, 0.0])


@pytest.mark.parametrize("chosen", [family.NORMAL, family.LAPLACE])
def test_log_density_is_tfp_s(chosen):
    experts = [chosen.make(m, s) for m, s in zip(LOCS, SCALES, strict=True)]
    x = RNG.normal(size=(7, 5, 2)).astype(np.float32)
    for q in (experts[0], chosen.prior(2), mixture.mixture(experts, [0.2, 0.0, 0.8])):
        np.testing.assert_allclose(family.log_density(q, tf.constant(x)), q.log_prob(x), rtol=1e-4, atol=1e-4)
    one = chosen.make(LOCS[:, 0][:, None], SCALES[:, 0][:, None])
    np.testing.assert_allclose(family.log_density(one, tf.constant(x[:1])), one.log_prob(x[:1]), rtol=1e-4)
