"""Intervals by how often they hold the truth, and by their closed forms."""

import functools

import numpy as np
import pytest
from scipy import stats

from mmtf.metrics import intervals
from mmtf.metrics.intervals import Estimate

SETS = 200


def covered(estimates, truth):
    return np.mean([e.low <= truth <= e.high for e in estimates])


def clustered(rng, groups=40, most=6):
    """Values whose clusters, of unequal sizes, have a common part: their mean is 0, about half their variance is common."""
    names = np.repeat(np.arange(groups), rng.integers(1, most, groups))
    return rng.exponential(size=groups)[names] - 1.0 + rng.normal(size=len(names)), names


def correlation(x, y, rows):
    x, y = x[rows] - x[rows].mean(), y[rows] - y[rows].mean()
    return x @ y / np.sqrt((x @ x) * (y @ y))


@pytest.mark.parametrize("n", [30, 100, 200])
@pytest.mark.parametrize(("draw", "truth"), [("normal", 0.0), ("exponential", 1.0)])
def test_intervals_of_means_cover_the_truth(draw, truth, n):
    rng = np.random.default_rng(n)
    found = [intervals.mean(getattr(rng, draw)(size=n), resamples=500, seed=k) for k in range(SETS)]
    assert 0.90 <= covered(found, truth) <= 0.99


@pytest.mark.parametrize("n", [30, 200])
@pytest.mark.parametrize("p", [0.03, 0.3, 0.5, 0.95])
def test_intervals_of_shares_cover_the_truth(p, n):
    rng = np.random.default_rng(0)
    found = [intervals.share(rng.uniform(size=n) < p) for _ in range(5 * SETS)]
    assert 0.90 <= covered(found, p) <= 0.99


def test_intervals_of_clustered_examples_cover_the_truth_and_others_do_not():
    rng = np.random.default_rng(0)
    sets = [clustered(rng) for _ in range(SETS)]
    right = [intervals.mean(x, clusters=names, resamples=500, seed=k) for k, (x, names) in enumerate(sets)]
    wrong = [intervals.mean(x, resamples=500, seed=k) for k, (x, _) in enumerate(sets)]
    assert 0.90 <= covered(right, 0.0) <= 0.99
    assert covered(wrong, 0.0) < 0.85


def test_intervals_of_clustered_shares_cover_the_truth():
    rng = np.random.default_rng(1)
    found = []
    for _ in range(5 * SETS):
        names = np.repeat(np.arange(60), rng.integers(1, 6, 60))
        # Each source has a probability of its own, 0.8 on average.
        found.append(intervals.share(rng.uniform(size=len(names)) < rng.beta(4, 1, 60)[names], clusters=names))
    assert 0.90 <= covered(found, 0.8) <= 0.99


def test_intervals_of_statistics_cover_the_truth():
    rng = np.random.default_rng(40)
    found = []
    for k in range(SETS):
        x, y = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 40).T
        found.append(intervals.statistic(functools.partial(correlation, x, y), 40, resamples=150, seed=k))
    assert 0.90 <= covered(found, 0.6) <= 0.99
    assert np.mean([e.standard_error for e in found]) == pytest.approx(np.std([e.value for e in found]), rel=0.15)


def test_intervals_of_clustered_statistics_cover_the_truth():
    rng = np.random.default_rng(3)
    found = []
    for k in range(SETS):
        x, names = clustered(rng)
        found.append(intervals.statistic(lambda rows, x=x: x[rows].mean(), len(x), clusters=names, resamples=150, seed=k))
    assert 0.88 <= covered(found, 0.0) <= 0.99


def test_the_share_is_wilsons():
    for hits, n in ((0, 20), (1, 30), (17, 40), (40, 40)):
        found = intervals.share(np.arange(n) < hits, level=0.9)
        expected = stats.binomtest(hits, n).proportion_ci(0.9, method="wilson")
        np.testing.assert_allclose([found.low, found.high], [expected.low, expected.high], atol=1e-12)
        assert found.value == hits / n
        assert found.standard_error == pytest.approx(np.sqrt(hits / n * (1 - hits / n) / n))


def test_copies_of_examples_in_one_cluster_say_nothing_new():
    rng = np.random.default_rng(0)
    x, hits = rng.exponential(size=50), rng.uniform(size=50) < 0.7
    names = np.repeat(np.arange(50), 4)
    alone, copied = intervals.mean(x, seed=1), intervals.mean(x.repeat(4), clusters=names, seed=1)
    np.testing.assert_allclose(copied, alone)
    once, four = intervals.share(hits, clusters=np.arange(50)), intervals.share(hits.repeat(4), clusters=names)
    np.testing.assert_allclose(four, once)
    assert once.high - once.low == pytest.approx(intervals.share(hits).high - intervals.share(hits).low, rel=0.05)
    assert intervals.share(hits.repeat(4)).high - intervals.share(hits.repeat(4)).low < 0.6 * (four.high - four.low)
    everything = intervals.share(np.ones(200), clusters=names)
    assert everything == intervals.share(np.ones(50))
    mean_of = intervals.statistic(lambda rows: x.repeat(4)[rows].mean(), 200, clusters=names, seed=2, resamples=200)
    np.testing.assert_allclose(mean_of, intervals.statistic(lambda rows: x[rows].mean(), 50, seed=2, resamples=200))


def test_the_names_and_the_order_of_clusters_do_not_matter():
    x, names = clustered(np.random.default_rng(0))
    found, order = intervals.mean(x, clusters=names), np.random.default_rng(1).permutation(len(x))
    words = np.array([f"picture {k:03}" for k in names])
    np.testing.assert_allclose(intervals.mean(x[order], clusters=words[order]), found)
    by_rows = intervals.mean(x, clusters=np.arange(len(x)))
    np.testing.assert_allclose(by_rows, intervals.mean(x))


def test_the_standard_error_of_a_mean_is_the_textbooks():
    x = np.random.default_rng(0).normal(size=80)
    assert intervals.mean(x).standard_error == pytest.approx(x.std(ddof=1) / np.sqrt(80))
    means = [clustered(np.random.default_rng(k))[0].mean() for k in range(2000)]
    errors = [
        intervals.mean(x, clusters=c, resamples=1).standard_error
        for x, c in map(clustered, np.random.default_rng(9).spawn(200))
    ]
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.1)


def test_the_error_of_resampled_clusters_is_the_linearised_one():
    # Larger clusters have larger values, so that the mean of a resample moves with how many examples it has.
    rng, names = np.random.default_rng(0), np.repeat(np.arange(30), np.arange(1, 31))
    x = names + rng.normal(size=len(names))
    drawn = rng.multinomial(30, np.full(30, 1 / 30), 5)
    ratios, errors = intervals._ratio_and_error(drawn @ intervals._moments(x, names), 30)
    for counts, ratio, error in zip(drawn, ratios, errors, strict=True):
        values = [x[names == g] for g in np.repeat(np.arange(30), counts)]
        mean = np.concatenate(values).mean()
        apart = [(v - mean).sum() for v in values]
        assert ratio == pytest.approx(mean)
        assert error == pytest.approx(np.sqrt(30 / 29 * np.square(apart).sum()) / len(np.concatenate(values)))


def test_shifts_and_scales_shift_and_scale_the_interval():
    x = np.random.default_rng(0).exponential(size=60)
    plain, changed = np.array(intervals.mean(x)), np.array(intervals.mean(1e6 + 3 * x))
    np.testing.assert_allclose(changed - [1e6, 0, 1e6, 1e6], 3 * plain, rtol=1e-6)
    turned = intervals.mean(-x)
    np.testing.assert_allclose([-turned.high, -turned.low], plain[2:], atol=0.02)


def test_a_skewed_sample_has_a_skewed_interval_within_its_limits():
    x = np.random.default_rng(0).exponential(size=40)
    found = intervals.mean(x)
    assert found.high - found.value > 1.2 * (found.value - found.low)
    almost = np.append(np.zeros(29), 1.0)
    found = intervals.mean(almost, limits=(0.0, 1.0))
    assert found.low == 0.0
    assert 1 / 30 < found.high < 0.5
    assert intervals.mean(np.full(5, 0.3)) == Estimate(0.3, 0.0, 0.3, 0.3)
    assert intervals.statistic(lambda rows: 2.0, 9) == Estimate(2.0, 0.0, 2.0, 2.0)


def test_statistics_do_not_depend_on_their_scale():
    x = np.random.default_rng(0).exponential(size=50)
    plain = intervals.statistic(lambda rows: x[rows].mean(), 50, resamples=501)
    in_logs = intervals.statistic(lambda rows: np.log(x[rows].mean()), 50, resamples=501)
    np.testing.assert_allclose(np.exp([in_logs.low, in_logs.high]), [plain.low, plain.high], rtol=0.01)


def test_statistics_have_the_bca_interval_of_scipy():
    x = np.random.default_rng(1).exponential(size=30) ** 2
    found = intervals.statistic(lambda rows: x[rows].mean(), 30, resamples=20_000)
    ends = {}
    for method in ("BCa", "percentile"):
        theirs = stats.bootstrap((x,), np.mean, n_resamples=20_000, method=method, rng=np.random.default_rng(0))
        ends[method] = np.array(theirs.confidence_interval)
    np.testing.assert_allclose([found.low, found.high], ends["BCa"], atol=0.05 * found.standard_error)
    assert (ends["BCa"] > ends["percentile"] + 0.1 * found.standard_error).all()
    assert found.standard_error == pytest.approx(theirs.standard_error, rel=0.03)


def test_estimates_can_be_written_as_json():
    assert intervals.share([1, 0]).as_dict().keys() == {"value", "standard_error", "low", "high"}
    assert all(type(x) is float for x in intervals.mean(np.arange(9, dtype=np.float32)).as_dict().values())
    assert all(type(x) is float for x in intervals.share([0, 0, 1], clusters=["a", "b", "b"]).as_dict().values())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: intervals.mean([]), r"values: wanted one number per example.*\(0,\)"),
        (lambda: intervals.mean([1.0, np.nan]), "values: some are NaN"),
        (lambda: intervals.mean(["a", "b"]), "values: wanted numbers"),
        (lambda: intervals.mean([1.0]), "at least two independent.* not 1"),
        (lambda: intervals.mean([1.0, 2.0], clusters=["a", "a"]), "at least two independent.* not 1"),
        (lambda: intervals.mean([1.0, 2.0], clusters=[1]), r"each of 2 examples.*\(1,\)"),
        (lambda: intervals.mean([1.0, 2.0], level=95), "between 0 and 1.*95"),
        (lambda: intervals.mean([1.0, 2.0], resamples=0), "resamples must be 1 or more, not 0"),
        (lambda: intervals.mean([0.5, 2.0], limits=(0, 1)), "run 0.5..2, outside the limits 0..1"),
        (lambda: intervals.share([0.5, 1.0]), "hits: .*`mean`"),
        (lambda: intervals.share([0, 1], clusters=[7, 7]), "at least two"),
        (lambda: intervals.statistic(lambda rows: np.nan, 5), "statistic is nan"),
        (lambda: intervals.statistic(np.mean, 1), "at least two"),
    ],
)
def test_what_has_no_interval_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
