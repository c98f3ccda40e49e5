"""The weights of the lower bound and their warm-up."""

import numpy as np
import pytest
import tensorflow as tf
from toys import modalities

from mmtf.models.vae.elbo import Betas, Elbo, Weights, weighted_elbo


def test_weighted_elbo_is_the_sum_of_c_3_2():
    parts = {m.name: m for m in modalities(private=2)}
    log_px = {"vector": np.float32([-1.0]), "image": np.float32([-2.0]), "text": np.float32([-3.0])}
    kl_private = {"vector": np.float32([0.1]), "image": np.float32([0.2]), "text": np.float32([0.3])}
    found = weighted_elbo(Elbo(log_px, np.float32([0.4]), kl_private), parts, Weights(10.0, 100.0))
    expected = (1.5 * -1 + 1.0 * -2 + 2.0 * -3) - 10 * 0.4 - 100 * (2.0 * 0.1 + 1.0 * 0.2 + 0.5 * 0.3)
    np.testing.assert_allclose(found, [expected], rtol=1e-6)
    drawn = Elbo(log_px, np.float32([0.4]), kl_private, {"vector": np.float32([0.5]), "text": np.float32([0.25])})
    found = weighted_elbo(drawn, parts, Weights(10.0, 100.0, likelihood=0.5, experts=4.0))
    expected = 0.5 * (1.5 * -1 + 1.0 * -2 + 2.0 * -3) - 10 * 0.4 - 100 * (2.0 * 0.1 + 1.0 * 0.2 + 0.5 * 0.3) - 4 * 0.75
    np.testing.assert_allclose(found, [expected], rtol=1e-6)


def test_betas_multiply():
    weights = Betas(beta=5.0, shared_beta=0.5, private_beta=3.0).at(0)
    np.testing.assert_allclose([weights.shared, weights.private], [2.5, 15.0])


@pytest.mark.parametrize(("step", "expected"), [(0, 10.0), (50, 6.0), (100, 2.0), (1000, 2.0)])
def test_private_beta_warms_up_linearly(step, expected):
    betas = Betas(beta=1.0, private_beta=2.0, private_beta_start=10.0, warmup_steps=100)
    np.testing.assert_allclose(betas.at(step).private, expected)
    np.testing.assert_allclose(betas.at(tf.constant(step)).private, expected)


def test_beta_warms_up_for_both():
    weights = Betas(beta=4.0, private_beta=3.0, beta_start=0.0, warmup_steps=10).at(5)
    np.testing.assert_allclose([weights.shared, weights.private], [2.0, 6.0])
