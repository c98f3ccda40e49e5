"""Experts and their products against NumPy."""

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from oracles import log_normal

from mmtf.distributions import gaussian
from mmtf.distributions.family import NORMAL

tfd = tfp.distributions
RNG = np.random.default_rng(0)
LOCS = RNG.normal(size=(3, 5, 2)).astype(np.float32)
SCALES = RNG.uniform(0.3, 2.0, size=(3, 5, 2)).astype(np.float32)
EXPERTS = [tfd.MultivariateNormalDiag(m, s) for m, s in zip(LOCS, SCALES, strict=True)]


def normalised_on_grid(log_density):
    """Mean and standard deviation of an unnormalised one-dimensional density, by summation on a grid."""
    grid = np.linspace(-15, 15, 60_001)
    density = np.exp(log_density(grid) - log_density(grid).max())
    density /= density.sum()
    mean = (grid * density).sum()
    return mean, np.sqrt(((grid - mean) ** 2 * density).sum())


def test_diagonal_normal_takes_log_variances():
    q = NORMAL.expert(tf.zeros([1, 2]), tf.constant([[0.0, np.log(9.0)]]))
    np.testing.assert_allclose(q.stddev(), [[1.0, 3.0]], rtol=1e-6)


def test_half_precision_outputs_become_float32():
    q = NORMAL.expert(tf.zeros([1, 2], tf.float16), tf.zeros([1, 2], tf.float16))
    assert q.dtype == tf.float32


def test_product_of_experts_is_the_normalised_product_of_densities():
    product = gaussian.weighted_product([*EXPERTS, NORMAL.prior(2)], [1.0] * 4)
    for b in range(5):
        for d in range(2):
            mean, deviation = normalised_on_grid(
                lambda x, b=b, d=d: sum(
                    log_normal(x[:, None], m, s) for m, s in [(0, 1)] + [(LOCS[k, b, d], SCALES[k, b, d]) for k in range(3)]
                )
            )
            np.testing.assert_allclose(product.loc[b, d], mean, atol=1e-5)
            np.testing.assert_allclose(product.stddev()[b, d], deviation, rtol=1e-5)


def test_geometric_mean_is_the_normalised_weighted_product_of_densities():
    weights = [0.5, 0.2, 0.3]
    mean, deviation = normalised_on_grid(
        lambda x: sum(w * log_normal(x[:, None], LOCS[k, 0, 0], SCALES[k, 0, 0]) for k, w in enumerate(weights))
    )
    f = gaussian.weighted_product(EXPERTS, weights)
    np.testing.assert_allclose(f.loc[0, 0], mean, atol=1e-5)
    np.testing.assert_allclose(f.stddev()[0, 0], deviation, rtol=1e-5)


def test_geometric_mean_of_equal_experts_is_that_expert():
    f = gaussian.weighted_product([EXPERTS[0]] * 3, [0.2, 0.3, 0.5])
    np.testing.assert_allclose(f.loc, LOCS[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(f.stddev(), SCALES[0], rtol=1e-5)


def test_expert_of_weight_zero_has_no_influence():
    weights = [tf.constant([1.0, 0.0, 1.0, 1.0, 1.0]), tf.ones(5), tf.ones(5)]
    product = gaussian.weighted_product(EXPERTS, weights)
    without = gaussian.weighted_product(EXPERTS[1:], [1.0, 1.0])
    np.testing.assert_array_equal(product.loc[1], without.loc[1])
    assert not np.allclose(product.loc[0], without.loc[0])
