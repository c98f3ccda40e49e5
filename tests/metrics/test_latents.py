"""Active units, collapse and divergences of posteriors that are known in closed form."""

import math

import numpy as np
import oracles
import pytest

from mmtf.metrics import latents


def linear_gaussian(variances, n, seed=0):
    """Posteriors of a linear Gaussian model that average to the prior: means of these variances, s^2 = 1 - variance."""
    variances = np.asarray(variances)
    means = np.sqrt(variances) * np.random.default_rng(seed).normal(size=(n, len(variances)))
    return means, np.tile(np.sqrt(1 - variances), (n, 1))


def posteriors(n, seed, width=4):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, width)), rng.uniform(0.2, 1.5, (n, width))


def test_units_are_active_where_their_means_vary():
    means = np.zeros((1000, 4))
    means[:, 1] = np.random.default_rng(0).normal(size=1000)
    means[:, 2] = np.where(np.arange(1000) % 2, 0.11, -0.11)  # variance 0.0121
    means[:, 3] = 5 + np.where(np.arange(1000) % 2, 0.09, -0.09)  # variance 0.0081
    assert latents.active_units(means) == 2
    assert latents.active_units(means, threshold=0.005) == 3
    np.testing.assert_allclose(latents.variances(means)[2:], np.array([0.0121, 0.0081]) * 1000 / 999)


def test_the_kl_to_the_prior_is_the_textbooks():
    m, s = posteriors(20, 0)
    found = latents.kl_to_prior(m, s)
    np.testing.assert_allclose(found.sum(axis=1), oracles.kl(m, s, 0.0, 1.0))
    np.testing.assert_array_equal(latents.kl_to_prior(np.zeros((1, 2)), np.ones((1, 2))), 0.0)


def test_the_kl_of_laplace_posteriors_is_their_definition():
    """Against a sum over a fine grid; 0 of the prior, whose standard deviation is sqrt(2)."""
    z, step = np.linspace(-60, 60, 1_200_001, retstep=True)
    for m, b in ((0.0, 0.3), (-1.5, 0.8), (2.0, 2.5)):
        log_q = -np.abs(z - m) / b - np.log(2 * b)
        wanted = np.sum(np.exp(log_q) * (log_q + np.abs(z) + np.log(2))) * step
        assert latents.laplace_kl_to_prior([[m]], [[b * math.sqrt(2)]])[0, 0] == pytest.approx(wanted, abs=1e-6)
    np.testing.assert_allclose(latents.laplace_kl_to_prior(np.zeros((1, 2)), np.full((1, 2), math.sqrt(2))), 0.0, atol=1e-15)


def test_collapsed_and_active_units_make_up_all_of_a_linear_gaussian_code():
    means, stddevs = linear_gaussian([0.0, 0.004, 0.008, 0.0125, 0.1, 0.9], 40_000)
    found = latents.collapse(latents.kl_to_prior(means, stddevs))
    assert found.share == 0.5
    assert latents.active_units(means) == 3
    np.testing.assert_allclose(found.kl, -np.log1p(-np.array([0.0, 0.004, 0.008, 0.0125, 0.1, 0.9])) / 2, rtol=0.03)
    assert latents.collapse(found.kl[None], threshold=1.0).share == pytest.approx(5 / 6)


def test_a_constant_mean_is_neither_active_nor_collapsed():
    means, stddevs = np.ones((50, 1)), np.ones((50, 1))
    assert latents.active_units(means) == 0
    found = latents.collapse(latents.kl_to_prior(means, stddevs))
    assert (found.kl[0], found.share) == (0.5, 0.0)


def test_jeffreys_is_the_sum_of_both_kls():
    a, b = posteriors(20, 0), posteriors(20, 1)
    np.testing.assert_allclose(latents.jeffreys(*a, *b), oracles.kl(*a, *b) + oracles.kl(*b, *a))
    # Equal variances: (distance / s)^2.
    np.testing.assert_allclose(latents.jeffreys([[1.0]], [[0.5]], [[4.0]], [[0.5]]), 36.0)


def test_jensen_shannon_is_that_of_the_objectives():
    a, b = posteriors(20, 0), posteriors(20, 1)
    expected = oracles.jensen_shannon(np.stack([a[0], b[0]]), np.stack([a[1], b[1]]), [0.5, 0.5])
    np.testing.assert_allclose(latents.jensen_shannon(*a, *b), expected)
    # Equal variances: (distance / s)^2 / 8.
    np.testing.assert_allclose(latents.jensen_shannon([[1.0]], [[0.5]], [[4.0]], [[0.5]]), 36.0 / 8)


@pytest.mark.parametrize("measure", [latents.jeffreys, latents.jensen_shannon])
def test_divergences_are_symmetric_and_0_of_equals(measure):
    a, b = posteriors(20, 0), posteriors(20, 1)
    np.testing.assert_allclose(measure(*a, *b), measure(*b, *a))
    np.testing.assert_allclose(measure(*a, *a), 0.0, atol=1e-12)
    assert (measure(*a, *b) > 0).all()
    shifted = measure(a[0] + 7, 3 * a[1], b[0] + 7, 3 * b[1])
    np.testing.assert_allclose(shifted, measure(a[0] / 3, a[1], b[0] / 3, b[1]))


def test_modalities_that_agree_are_told_from_mismatched_examples():
    # Means z + noise of 0.1, unit width of 0.5: matched 2 * 0.1^2 / 0.5^2 per dimension, mismatched (2 + 2 * 0.1^2) / 0.5^2.
    rng = np.random.default_rng(0)
    z, width = rng.normal(size=(1500, 3)), np.full((1500, 3), 0.5)
    a, b = z + 0.1 * rng.normal(size=z.shape), z + 0.1 * rng.normal(size=z.shape)
    found = latents.divergence(a, width, b, width, seed=1)
    for estimate, truth in ((found.matched, 3 * 0.02 / 0.25), (found.mismatched, 3 * 2.02 / 0.25)):
        assert abs(estimate.value - truth) < 4 * estimate.standard_error
        assert 0.0 < estimate.low < estimate.value < estimate.high
    assert found.auc > 0.98
    halves = latents.divergence(a, width, b, width, measure=latents.jensen_shannon, seed=1)
    assert halves.matched.value == pytest.approx(found.matched.value / 8)
    assert halves.auc == pytest.approx(found.auc)


def test_modalities_that_know_nothing_of_each_other_are_as_far_for_all():
    (ma, sa), (mb, sb) = posteriors(2000, 0), posteriors(2000, 1)
    found = latents.divergence(ma, sa, mb, sb)
    assert found.auc == pytest.approx(0.5, abs=0.03)
    errors = math.hypot(found.matched.standard_error, found.mismatched.standard_error)
    assert abs(found.matched.value - found.mismatched.value) < 4 * errors


def test_two_collapsed_modalities_are_near_but_do_not_agree():
    found = latents.divergence(np.zeros((9, 2)), np.ones((9, 2)), np.zeros((9, 2)), np.ones((9, 2)))
    assert (found.matched.value, found.mismatched.value, found.auc) == (0.0, 0.0, 0.5)


def test_nearly_equal_posteriors_are_no_further_than_0_by_rounding():
    m, s = posteriors(500, 0)
    almost = s * (1 + 1e-9 * m)
    for measure in (latents.jeffreys, latents.jensen_shannon):
        found = latents.divergence(m, s, m, almost, measure=measure)
        assert 0.0 <= found.matched.value < 1e-12
        assert found.auc == 1.0


def test_examples_of_one_source_are_no_mismatch():
    # Ten copies of each source: a mismatch that could be a copy would be at no distance.
    names = np.repeat(np.arange(20), 10)
    m, s = (x[names] for x in posteriors(20, 0))
    found = latents.divergence(m, s, m, s, clusters=names)
    assert found.auc == 1.0
    assert found.matched.value == 0.0
    assert found.mismatched.standard_error > 2 * latents.divergence(m, s, m, s).mismatched.standard_error


M, S = posteriors(3, 0, width=2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: latents.active_units(M[0]), r"means: .*\(2,\)"),
        (lambda: latents.active_units(M[:1]), "two of them or more, not 1"),
        (lambda: latents.active_units(M * np.nan), "means: some are NaN"),
        (lambda: latents.kl_to_prior(M, S[:, :1]), r"means are \(3, 2\), but stddevs \(3, 1\)"),
        (lambda: latents.kl_to_prior(M, 0 * S), "stddevs: wanted standard deviations above 0"),
        (lambda: latents.collapse(M[0]), r"kl: .*\(2,\)"),
        (lambda: latents.jeffreys(M, S, M[:2], S[:2]), r"a is \(3, 2\) and b \(2, 2\)"),
        (lambda: latents.jensen_shannon(M, S, M, -S), "stddevs_b: wanted standard deviations above 0"),
        (lambda: latents.divergence(M[:1], S[:1], M[:1], S[:1]), "two examples or more"),
    ],
)
def test_what_is_no_posterior_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
