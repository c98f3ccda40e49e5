"""Estimates from log-weights against closed forms, of weights whose distribution is known."""

import numpy as np
import pytest
from scipy.stats import genpareto

from mmtf.metrics import likelihood


def lognormal(count, examples, sigma):
    """Log-weights of mean weight 1."""
    return sigma * np.random.default_rng(1).normal(size=(count, examples)) - sigma**2 / 2


def test_the_mean_weight_is_found_from_below_and_rises_with_the_samples():
    found = [likelihood.log_mean_exp(lognormal(count, 20_000, 1.0)).mean() for count in (1, 4, 16, 64)]
    assert found == sorted(found)
    assert found[0] == pytest.approx(-0.5, abs=0.03)
    # The bias is -Var(w) / 2K, Var(w) = e - 1.
    assert found[-1] == pytest.approx(-(np.e - 1) / 128, abs=0.005)


def test_the_error_is_that_of_other_samples():
    log_weights = lognormal(2000, 300, 0.5)
    values, variances = likelihood.log_mean_exp(log_weights), likelihood.sampling_variance(log_weights)
    assert variances.mean() == pytest.approx((np.exp(0.25) - 1) / 2000, rel=0.02)
    assert values.var() == pytest.approx(variances.mean(), rel=0.25)
    assert likelihood.sampling_variance(log_weights[:1]).tolist() == [0.0] * 300


def test_effective_sample_size_of_weights_that_are_known():
    equal, one = np.zeros((10, 1)), np.array([[0.0]] + [[-1e9]] * 9)
    assert likelihood.effective_sample_size(np.concatenate([equal, one], axis=1)).tolist() == [10.0, 1.0]
    # E[w]^2 / E[w^2] of the samples, for many.
    found = likelihood.effective_sample_size(lognormal(20_000, 20, 0.5)) / 20_000
    np.testing.assert_allclose(found, np.exp(-0.25), rtol=0.05)
    # The scale of the weights does not matter, far below what exp can hold.
    np.testing.assert_allclose(likelihood.effective_sample_size(lognormal(50, 3, 1.0) - 5000.0),
                               likelihood.effective_sample_size(lognormal(50, 3, 1.0)))  # fmt: skip


@pytest.mark.parametrize("shape", [0.2, 0.5, 0.9])
def test_pareto_k_is_the_shape_that_weights_have(shape):
    weights = 1.0 + genpareto.rvs(shape, size=(4000, 200), random_state=np.random.default_rng(2))
    found = likelihood.pareto_k(np.log(weights))
    # 190 of a tail, drawn to 1/2 by ten.
    wanted = (190 * shape + 5) / 200
    assert found.mean() == pytest.approx(wanted, abs=0.03)
    assert found.std() < 0.15


def test_pareto_k_tells_light_tails_from_heavy_ones_and_needs_samples():
    light = np.log(np.random.default_rng(3).uniform(size=(1000, 50)))
    assert np.all(likelihood.pareto_k(light) < 0.3)
    assert np.all(likelihood.pareto_k(lognormal(1000, 50, 5.0)) > likelihood.PARETO_LIMIT)
    assert np.all(np.isnan(likelihood.pareto_k(lognormal(24, 3, 1.0))))
    assert np.all(np.isnan(likelihood.pareto_k(np.zeros((100, 2)))))
    assert np.all(np.isfinite(likelihood.pareto_k(lognormal(25, 3, 1.0))))


@pytest.mark.parametrize(
    ("log_weights", "message"),
    [
        (np.zeros(3), r"\[K, N\], but the shape is \(3,\)"),
        (np.zeros((0, 3)), "but the shape is"),
        (np.array([[np.nan]]), "NaN or infinite"),
        (np.array([[np.inf]]), "NaN or infinite"),
        (np.array([[-np.inf, 0.0]]), "all samples of an example have weight 0"),
    ],
)
def test_what_cannot_be_estimated_is_refused(log_weights, message):
    for estimate in (likelihood.log_mean_exp, likelihood.effective_sample_size, likelihood.pareto_k):
        with pytest.raises(ValueError, match=message):
            estimate(log_weights)
