"""Precision and recall for distributions against the paper's definition, and where the answer is known."""

import math

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.cluster import kmeans_plusplus

from mmtf.metrics import prd

CENTRES = 30 * np.random.default_rng(99).normal(size=(10, 6))


def modes(n, seed, used=10):
    """Features [n, 6] around the first `used` of ten centres far from one another, equally many around each."""
    return CENTRES[np.arange(n) % used] + np.random.default_rng(seed).normal(size=(n, 6))


def by_loops(real, generated, angles):
    """The paper's alpha and beta, one slope and one value at a time."""
    precision, recall = [], []
    for angle in np.linspace(prd.EDGE, math.pi / 2 - prd.EDGE, angles):
        slope, alpha, beta = math.tan(angle), 0.0, 0.0
        for p, q in zip(real, generated, strict=True):
            alpha += min(slope * p, q)
            beta += min(p, q / slope)
        precision.append(alpha)
        recall.append(beta)
    return np.array(precision), np.array(recall)


def test_the_curve_of_histograms_is_the_papers():
    rng = np.random.default_rng(0)
    real, generated = rng.dirichlet(np.full(12, 0.5), 2)
    real[:2], generated[3] = 0.0, 0.0
    real, generated = real / real.sum(), generated / generated.sum()
    curve = prd.histogram_curve(real, generated, angles=101)
    np.testing.assert_allclose(curve, by_loops(real, generated, 101), atol=1e-12)
    assert curve.precision[-1] == pytest.approx(generated[real > 0].sum())
    assert curve.recall[0] == pytest.approx(real[generated > 0].sum())
    # At the slope of 1 both are what the histograms have in common, 1 - total variation.
    assert curve.precision[50] == pytest.approx(1 - np.abs(real - generated).sum() / 2)
    assert curve.recall[50] == pytest.approx(curve.precision[50])


def test_half_of_the_modes_by_hand():
    # P = (1/2, 1/2), Q = (1, 0): alpha = min(l / 2, 1), beta = min(1/2, 1 / l).
    curve = prd.histogram_curve([0.5, 0.5], [1.0, 0.0])
    slopes = np.tan(np.linspace(prd.EDGE, np.pi / 2 - prd.EDGE, 1001))
    np.testing.assert_allclose(curve.precision, np.minimum(slopes / 2, 1.0))
    np.testing.assert_allclose(curve.recall, np.minimum(0.5, 1 / slopes))
    # The corner of full precision and half recall is the best of every F.
    for beta in (8.0, 1.0, 1 / 8):
        assert prd.f_score(curve, beta) == pytest.approx((1 + beta**2) * 0.5 / (beta**2 + 0.5), rel=2e-3)
    assert prd.area(curve) == pytest.approx(0.5, abs=2e-3)


def test_equal_histograms():
    curve = prd.histogram_curve([0.2, 0.3, 0.5], [0.2, 0.3, 0.5])
    assert prd.area(curve) == pytest.approx(1.0)
    assert prd.f_score(curve) == pytest.approx(1.0)
    # The mean of min(tan a, 1) over angles is 2/pi (ln(2)/2 + pi/4).
    assert prd.mean_of_curves(curve) == pytest.approx(0.5 + math.log(2) / math.pi, abs=1e-3)


def test_the_same_samples_as_both_sets_share_everything():
    data = np.random.default_rng(0).normal(size=(300, 5))
    curve = prd.prd_curve(data, data, runs=3)
    assert prd.area(curve) == pytest.approx(1.0)
    assert prd.f_score(curve, 8.0) == pytest.approx(1.0)
    other = prd.prd_curve(data, np.random.default_rng(1).normal(size=(300, 5)), runs=3)
    assert 0.9 < prd.area(other) < 1.0


def test_disjoint_samples_share_nothing():
    data = np.random.default_rng(0).normal(size=(300, 5))
    curve = prd.prd_curve(data, data + 1000.0, runs=3)
    assert prd.area(curve) == prd.f_score(curve) == prd.mean_of_curves(curve) == 0.0
    assert str(prd.area(curve)) == "0.0"  # and not -0.0


def test_a_lost_mode_lowers_recall_and_an_invented_one_precision():
    lost = prd.prd_curve(modes(1000, 0), modes(1000, 1, used=5))
    assert prd.f_score(lost, 8.0) == pytest.approx(0.51, abs=0.02)
    assert prd.f_score(lost, 1 / 8) > 0.95
    invented = prd.prd_curve(modes(1000, 0, used=5), modes(1000, 1))
    assert prd.f_score(invented, 1 / 8) == pytest.approx(0.51, abs=0.02)
    assert prd.f_score(invented, 8.0) > 0.95
    assert prd.area(lost) == pytest.approx(0.5, abs=0.03)


def test_clusters_that_are_the_modes_give_the_curve_of_their_shares():
    # One cluster per mode: whatever k-means calls them, the curve is that of the modes' shares.
    real, generated = np.repeat(np.arange(4), [10, 20, 30, 40]), np.repeat(np.arange(4), [40, 40, 20, 0])
    curve = prd.prd_curve(CENTRES[real], CENTRES[generated], clusters=4, runs=2)
    np.testing.assert_allclose(curve, by_loops([0.1, 0.2, 0.3, 0.4], [0.4, 0.4, 0.2, 0.0], 1001), atol=1e-12)


def test_exchanging_the_sets_exchanges_precision_and_recall():
    curve = prd.histogram_curve([0.1, 0.6, 0.3], [0.5, 0.5, 0.0])
    other = prd.histogram_curve([0.5, 0.5, 0.0], [0.1, 0.6, 0.3])
    np.testing.assert_allclose(other.precision, curve.recall[::-1], atol=1e-9)
    assert prd.f_score(other, 8.0) == pytest.approx(prd.f_score(curve, 1 / 8))
    assert prd.area(other) == pytest.approx(prd.area(curve), rel=1e-3)


def test_a_larger_set_of_real_samples_is_no_different():
    few, many = prd.prd_curve(modes(300, 0), modes(300, 2, used=5)), prd.prd_curve(modes(3000, 1), modes(300, 2, used=5))
    assert prd.area(many) == pytest.approx(prd.area(few), abs=0.03)
    rng = np.random.default_rng(0)
    # All parts of a set come to be used: half of the values are far from the others, at any place.
    spread = np.concatenate([rng.normal(size=(500, 2)), 100 + rng.normal(size=(500, 2))])
    assert prd.f_score(prd.prd_curve(spread, 100 + rng.normal(size=(200, 2))), 8.0) == pytest.approx(0.5, abs=0.05)


def test_seeds_decide():
    real, generated = modes(200, 0), modes(150, 1, used=8)
    first, again = (prd.prd_curve(real, generated, runs=2, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, prd.prd_curve(real, generated, runs=2, seed=4))
    # Of sets of one size clusters alone are drawn: anew in each run.
    same = np.random.default_rng(0).normal(size=(2, 200, 3))
    once, twice = (prd.prd_curve(*same, runs=runs) for runs in (1, 2))
    assert not np.array_equal(once, twice)


TWENTY = np.random.default_rng(0).normal(size=(20, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: prd.prd_curve(TWENTY, TWENTY[:, :1]), "real ones are 2 wide and generated ones 1"),
        (lambda: prd.prd_curve(TWENTY, TWENTY[:19]), "20 clusters need as many samples.* 20 and 19"),
        (lambda: prd.prd_curve(TWENTY[:, 0], TWENTY), r"real: .*\(20,\)"),
        (lambda: prd.prd_curve(TWENTY, TWENTY * np.nan), "generated: some are NaN"),
        (lambda: prd.prd_curve(TWENTY, TWENTY, clusters=1), "two clusters or more.*not 1 clusters"),
        (lambda: prd.prd_curve(TWENTY, TWENTY, runs=0), "0 runs"),
        (lambda: prd.prd_curve(TWENTY, TWENTY, angles=2), "three angles or more, not 2"),
        (lambda: prd.histogram_curve([0.5, 0.5], [1.0]), "summing to 1"),
        (lambda: prd.histogram_curve([0.5, 0.5], [0.5, 0.6]), "summing to 1"),
        (lambda: prd.histogram_curve([0.5, 0.5], [1.5, -0.5]), "summing to 1"),
        (lambda: prd.f_score(prd.histogram_curve([1.0], [1.0]), 0.0), "beta must be above 0"),
    ],
)
def test_what_has_no_curve_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_starts_are_those_of_greedy_k_means_plus_plus():
    """Distances are those of the points, and on average as good as scikit-learn's, of one start after the other."""
    rng = np.random.default_rng(0)
    points = 30.0 + rng.normal(size=(600, 5)) + 6.0 * rng.normal(size=(8, 5))[rng.integers(8, size=600)]
    chosen, potentials = prd.starts(points, 12, 60, rng)
    assert chosen.shape == (60, 12)
    assert all(len(set(row)) == 12 for row in chosen)
    for row, potential in zip(chosen, potentials, strict=True):
        wanted = cdist(points, points[row], "sqeuclidean").min(axis=1).sum()
        assert potential == pytest.approx(wanted, rel=1e-9)
    theirs = [kmeans_plusplus(points, 12, random_state=k)[0] for k in range(60)]
    theirs = np.array([cdist(points, centres, "sqeuclidean").min(axis=1).sum() for centres in theirs])
    error = np.hypot(potentials.std(), theirs.std()) / np.sqrt(60)
    assert abs(potentials.mean() - theirs.mean()) < 4 * error


def test_starts_on_points_that_stand_several_times():
    chosen, potentials = prd.starts(np.repeat(np.eye(3), 20, axis=0), 5, 4, np.random.default_rng(0))
    assert potentials == pytest.approx(0.0, abs=1e-9)
    assert all(len(set(row // 20)) == 3 for row in chosen)
