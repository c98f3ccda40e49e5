"""Importance samples: what one of them has in common with the plain bound, and how they are spread."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
import toys

from mmtf.distributed.random import Noise


@pytest.mark.parametrize("kind", ["mvae", "jmvae"])
def test_one_importance_sample_has_the_expectation_of_the_plain_bound(kind):
    n = 20_000
    values = {name: np.repeat(x, n, axis=0) for name, x in toys.values(1).items()}
    noise = Noise(tf.constant([0, 1]), n)

    def losses(samples):
        return np.asarray(toys.model(kind, 2, importance_samples=samples).terms(values, None, noise, 0)["loss"], float)

    plain, sampled, more = (losses(k) for k in (None, 1, 8))
    error = np.hypot(plain.std(), sampled.std()) / np.sqrt(n)
    assert abs(plain.mean() - sampled.mean()) < 4 * error
    assert more.mean() < plain.mean() - 10 * error


def test_laplace_draws_have_the_laplace_distribution():
    drawn = np.asarray(Noise(tf.constant([0, 1]), 100_000).laplace("x", 2))
    for x in drawn.T:
        assert scipy.stats.kstest(x, "laplace").pvalue > 1e-3
