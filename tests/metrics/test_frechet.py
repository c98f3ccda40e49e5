"""The Fréchet distance against closed forms, and against the root of a product of matrices."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from mmtf.metrics.frechet import frechet_distance, frechet_estimate


def exactly(n, mean, covariance, seed):
    """Samples [n, D] whose mean and covariance are these, not only nearly."""
    x = np.random.default_rng(seed).normal(size=(n, len(mean)))
    x -= x.mean(axis=0)
    x = np.linalg.solve(np.linalg.cholesky(x.T @ x / (n - 1)), x.T).T
    return mean + x @ np.linalg.cholesky(covariance).T


def drawn_covariance(width, seed):
    root = np.random.default_rng(seed).normal(size=(width, width))
    return root @ root.T / width + 0.1 * np.eye(width)


def by_root_of_product(real, generated):
    product = sqrtm(np.cov(real.T) @ np.cov(generated.T)).real
    means = np.sum((real.mean(axis=0) - generated.mean(axis=0)) ** 2)
    return means + np.trace(np.cov(real.T) + np.cov(generated.T) - 2 * product)


def test_independent_features():
    # sum (m_a - m_b)^2 + (s_a - s_b)^2
    (ma, mb), (sa, sb) = np.random.default_rng(0).normal(size=(2, 5)), np.random.default_rng(1).uniform(0.1, 3, (2, 5))
    a, b = exactly(60, ma, np.diag(sa**2), 2), exactly(90, mb, np.diag(sb**2), 3)
    assert frechet_distance(a, b) == pytest.approx(np.sum((ma - mb) ** 2 + (sa - sb) ** 2))


def test_one_feature():
    a, b = exactly(20, [0.0], [[4.0]], 0), exactly(30, [3.0], [[0.25]], 1)
    assert frechet_distance(a, b) == pytest.approx(3.0**2 + (2.0 - 0.5) ** 2)


@pytest.mark.parametrize("width", [2, 7, 30])
def test_correlated_features_agree_with_scipys_root(width):
    a, b = (exactly(200, np.full(width, k), drawn_covariance(width, k), k) for k in (1, 2))
    assert frechet_distance(a, b) == pytest.approx(by_root_of_product(a, b), rel=1e-8)


def test_symmetries():
    a, b = (exactly(100, np.full(6, k), drawn_covariance(6, k), k) for k in (1, 2))
    found = frechet_distance(a, b)
    assert frechet_distance(b, a) == pytest.approx(found)
    assert frechet_distance(a + 100.0, b + 100.0) == pytest.approx(found)
    assert frechet_distance(3 * a, 3 * b) == pytest.approx(9 * found)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    assert frechet_distance(a @ turn, b @ turn) == pytest.approx(found)
    assert frechet_distance(a[::-1], b) == pytest.approx(found)
    assert frechet_distance(a.astype(np.float32), b.astype(np.float32)) == pytest.approx(found, rel=1e-4)


def test_a_set_is_at_no_distance_from_itself_whatever_its_rank():
    x = np.random.default_rng(0).normal(size=(80, 20)) @ np.diag(np.logspace(-8, 4, 20))
    assert frechet_distance(x, x) == pytest.approx(0.0, abs=1e-12 * np.var(x, axis=0).sum())
    flat = np.hstack([x[:, :5], x[:, :5], np.zeros((80, 3))])
    assert frechet_distance(flat, flat) == pytest.approx(0.0, abs=1e-12)
    assert frechet_distance(flat, flat + 2.0) == pytest.approx(4.0 * 13)


def test_a_generator_that_always_gives_the_same_is_as_far_as_the_real_ones_vary():
    # The root of a singular covariance is where roots of products fail: here tr(C_r) is left, and the means' distance.
    real, one = exactly(50, np.zeros(4), drawn_covariance(4, 0), 0), np.ones((50, 4))
    assert frechet_distance(real, one) == pytest.approx(4.0 + np.trace(drawn_covariance(4, 0)))


@pytest.mark.parametrize(("width", "count"), [(4, 100), (20, 400)])
def test_finite_samples_are_too_far_and_the_estimate_is_not(width, count):
    rng = np.random.default_rng(0)
    pairs = rng.normal(size=(100, 2, count, width))
    plain = [frechet_distance(*pair) for pair in pairs]
    assert np.mean(plain) == pytest.approx(width * (width + 5) / (2 * count), abs=4 * np.std(plain) / 10)
    estimates = [frechet_estimate(*pair, seed=k) for k, pair in enumerate(pairs)]
    values = [e.value for e in estimates]
    assert abs(np.mean(values)) < 4 * np.std(values) / 10
    assert np.mean([e.low <= 0.0 <= e.high for e in estimates]) > 0.9


def test_the_interval_holds_the_distance_of_the_distributions():
    rng, scale, shift = np.random.default_rng(1), np.linspace(0.5, 2, 10), np.linspace(0, 1, 10)
    truth = np.sum(shift**2 + (scale - 1) ** 2)
    pairs = [(rng.normal(size=(200, 10)), shift + scale * rng.normal(size=(300, 10))) for _ in range(200)]
    found = [frechet_estimate(*pair, groups=10, seed=k) for k, pair in enumerate(pairs)]
    values = [e.value for e in found]
    assert np.mean(values) == pytest.approx(truth, abs=4 * np.std(values) / np.sqrt(200))
    assert np.mean([frechet_distance(*pair) for pair in pairs]) > truth + 4 * np.std(values) / np.sqrt(200)
    assert np.mean([e.standard_error for e in found]) == pytest.approx(np.std(values), rel=0.15)
    assert 0.90 <= np.mean([e.low <= truth <= e.high for e in found]) <= 0.99


def test_the_standard_error_is_the_jackknife_s():
    """sqrt((G - 1) / G sum_g (d_g - mean)^2), d_g being the distance without group g."""
    groups, (real, generated) = 4, np.random.default_rng(2).normal(size=(2, 40, 3))
    rng = np.random.default_rng(7)
    a, b = (rng.permutation(40) % groups for _ in range(2))
    without = np.array([frechet_distance(real[a != g], generated[b != g]) for g in range(groups)])
    found = frechet_estimate(real, generated, groups=groups, seed=7)
    wanted = np.sqrt((groups - 1) / groups * np.sum((without - without.mean()) ** 2))
    assert found.standard_error == pytest.approx(wanted, rel=1e-9)
    assert found.value == pytest.approx(groups * frechet_distance(real, generated) - (groups - 1) * without.mean(), rel=1e-9)


TEN = np.random.default_rng(0).normal(size=(10, 3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: frechet_distance(TEN, TEN[:, :2]), "real ones are 3 wide and generated ones 2"),
        (lambda: frechet_distance(TEN, TEN[:3]), "3 features need more samples.* 10 and 3"),
        (lambda: frechet_distance(TEN, TEN[0]), r"generated: .*\(3,\)"),
        (lambda: frechet_distance(TEN / 0.0, TEN), "real: some are NaN"),
        (lambda: frechet_estimate(TEN, TEN, groups=1), "two groups or more"),
        (lambda: frechet_estimate(TEN, TEN, level=1.0), "level between 0 and 1"),
        (lambda: frechet_estimate(TEN, TEN[:4], groups=2), "3 features need more samples.* 5 and 2"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_what_has_no_distance_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
