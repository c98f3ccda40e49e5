"""Canonical correlations where they are known, and against scikit-learn's."""

import numpy as np
import pytest
import scipy.linalg
from sklearn import cross_decomposition

from mmtf.metrics import cca

KNOWN = np.array([0.95, 0.8, 0.5, 0.2])


def pairs(n, seed, correlations=KNOWN, widths=(6, 5)):
    """Gaussian features [n, P] and [n, Q] with these canonical correlations; how they are mixed does not depend on the seed."""
    rng, mixing = np.random.default_rng(seed), np.random.default_rng(99)
    k = len(correlations)
    x, y = rng.normal(size=(n, widths[0])), rng.normal(size=(n, widths[1]))
    y[:, :k] = correlations * x[:, :k] + np.sqrt(1 - correlations**2) * y[:, :k]
    return x @ mixing.normal(size=2 * widths[:1]) + 3.0, y @ mixing.normal(size=2 * widths[1:]) - 1.0


def test_known_canonical_correlations_are_found():
    found = cca.fit(*pairs(40_000, 0), dimensions=5)
    np.testing.assert_allclose(found.correlations, [*KNOWN, 0.0], atol=0.02)
    np.testing.assert_allclose(cca.canonical_correlations(found, *pairs(40_000, 1)), [*KNOWN, 0.0], atol=0.03)


def test_it_agrees_with_scikit_learns():
    x, y = pairs(300, 0)
    found = cca.fit(x, y, dimensions=3)
    theirs = cross_decomposition.CCA(3, tol=1e-12, max_iter=10_000).fit(x, y)
    u, v = cca.project(found, *pairs(50, 1))
    their_u, their_v = theirs.transform(*pairs(50, 1))
    for k in range(3):
        sign = np.sign(u[:, k] @ their_u[:, k])
        np.testing.assert_allclose(sign * u[:, k] / u[:, k].std(), their_u[:, k] / their_u[:, k].std(), atol=1e-3)
        np.testing.assert_allclose(sign * v[:, k] / v[:, k].std(), their_v[:, k] / their_v[:, k].std(), atol=1e-3)


def test_projections_of_the_fitted_pairs_are_white_and_correlate_only_with_their_own():
    x, y = pairs(200, 0)
    found = cca.fit(x, y, dimensions=4)
    u, v = cca.project(found, x, y)
    for a, b, expected in ((u, u, np.eye(4)), (v, v, np.eye(4)), (u, v, np.diag(found.correlations))):
        np.testing.assert_allclose(a.T @ b / 199, expected, atol=1e-10)
    np.testing.assert_allclose(u.mean(axis=0), 0.0, atol=1e-10)
    np.testing.assert_allclose(cca.canonical_correlations(found, x, y), found.correlations)


def test_projections_as_published_are_eigenvectors_as_scipy_scales_them():
    """[C]'s release: A w = lambda B w, A the cross-covariances and B the covariances of both; eigenvectors of length 1."""
    (x, y), new = pairs(300, 0), pairs(50, 1)
    both = np.cov(np.concatenate([x, y], 1), rowvar=False)
    own = scipy.linalg.block_diag(both[:6, :6], both[6:, 6:])
    values, vectors = scipy.linalg.eig(both - own, own)
    vectors = vectors[:, np.argsort(values.real)[::-1][:3]].real
    u, v = (new[0] - x.mean(0)) @ vectors[:6], (new[1] - y.mean(0)) @ vectors[6:]
    expected = np.sum(u * v, 1) / np.linalg.norm(u, axis=1) / np.linalg.norm(v, axis=1)
    fitted = cca.fit(x, y, dimensions=3)
    np.testing.assert_allclose(cca.cosines(cca.as_published(fitted), *new), expected, atol=1e-6)
    assert not np.allclose(cca.cosines(fitted, *new), expected, atol=1e-2)
    # Which is why there is another: the unit of a feature matters.
    in_cm = cca.fit(x * [100, 1, 1, 1, 1, 1], y, dimensions=3)
    moved = [new[0] * [100, 1, 1, 1, 1, 1], new[1]]
    np.testing.assert_allclose(cca.cosines(in_cm, *moved), cca.cosines(fitted, *new), atol=1e-6)
    assert not np.allclose(cca.cosines(cca.as_published(in_cm), *moved), expected, atol=1e-2)


def test_the_correlation_is_equation_11():
    x, y = pairs(200, 0)
    found, (new_x, new_y) = cca.fit(x, y, dimensions=3), pairs(20, 1)
    expected = []
    for a, b in zip(new_x, new_y, strict=True):
        u = found.x_weights.T @ a - np.mean([found.x_weights.T @ row for row in x], axis=0)
        v = found.y_weights.T @ b - np.mean([found.y_weights.T @ row for row in y], axis=0)
        expected.append(u @ v / np.sqrt(u @ u) / np.sqrt(v @ v))
    np.testing.assert_allclose(cca.cosines(found, new_x, new_y), expected)
    assert cca.correlation(found, new_x, new_y) == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("rho", [0.3, 0.9])
def test_in_one_dimension_it_is_how_often_signs_agree(rho):
    # For Gaussians 2 P(same sign) - 1 = 2/pi arcsin(rho).
    found = cca.fit(*pairs(20_000, 0, np.array([rho]), (2, 3)), dimensions=1)
    score = cca.correlation(found, *pairs(20_000, 1, np.array([rho]), (2, 3)))
    assert score == pytest.approx(2 / np.pi * np.arcsin(rho), abs=0.03)


def test_in_many_dimensions_it_comes_near_to_their_correlation():
    rho = np.full(60, 0.6)
    found = cca.fit(*pairs(8000, 0, rho, (60, 60)), dimensions=60)
    assert cca.correlation(found, *pairs(2000, 1, rho, (60, 60))) == pytest.approx(0.6, abs=0.03)


def test_matched_pairs_correlate_and_shuffled_or_independent_ones_do_not():
    found, (x, y) = cca.fit(*pairs(4000, 0), dimensions=4), pairs(4000, 1)
    assert cca.correlation(found, x, y) > 0.4
    chance = 4 / np.sqrt(4 * 4000)
    assert abs(cca.correlation(found, x, np.roll(y, 1, axis=0))) < chance
    rng = np.random.default_rng(0)
    noise = cca.fit(rng.normal(size=(500, 8)), rng.normal(size=(500, 8)), dimensions=8)
    assert abs(cca.correlation(noise, rng.normal(size=(4000, 8)), rng.normal(size=(4000, 8)))) < 4 / np.sqrt(8 * 4000)


def test_invertible_linear_maps_of_the_features_change_nothing():
    rng = np.random.default_rng(0)
    (x, y), (new_x, new_y) = pairs(300, 0), pairs(100, 1)
    a, b = rng.normal(size=(6, 6)) * np.logspace(-6, 6, 6), rng.normal(size=(5, 5))
    plain, mapped = cca.fit(x, y, dimensions=4), cca.fit(x @ a + 5.0, y @ b - 100.0, dimensions=4)
    np.testing.assert_allclose(mapped.correlations, plain.correlations, atol=1e-8)
    np.testing.assert_allclose(
        cca.cosines(mapped, new_x @ a + 5.0, new_y @ b - 100.0), cca.cosines(plain, new_x, new_y), atol=1e-7
    )


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_columns_that_say_nothing_new_change_nothing(dtype):
    (x, y), (new_x, new_y) = ([f.astype(dtype) for f in pairs(300, seed)] for seed in (0, 1))
    widen = lambda f: np.hstack([f, f[:, :2] + f[:, 2:4], np.full((len(f), 2), 7.3, dtype), 1000 * f[:, :1]])  # noqa: E731
    plain, wide = cca.fit(x, y, dimensions=4), cca.fit(widen(x), widen(y), dimensions=4)
    np.testing.assert_allclose(wide.correlations, plain.correlations, atol=1e-4)
    np.testing.assert_allclose(cca.cosines(wide, widen(new_x), widen(new_y)), cca.cosines(plain, new_x, new_y), atol=1e-2)


def test_too_low_a_rank_leaves_fewer_dimensions_and_says_so(caplog):
    x, y = pairs(300, 0)
    flat = x[:, :2] @ np.random.default_rng(0).normal(size=(2, 6))
    found = cca.fit(flat, y, dimensions=4)
    assert found.x_weights.shape == (6, 2)
    assert "2 and 5 dimensions that vary: CCA takes 2, not 4" in caplog.text
    np.testing.assert_allclose(found.correlations, cca.fit(x[:, :2], y, dimensions=2).correlations)


def test_a_generator_that_always_gives_the_same_correlates_with_nothing():
    x, y = pairs(300, 0)
    found = cca.fit(x, y, dimensions=3)
    constant = np.repeat(found.y_mean[None], 300, axis=0)
    assert cca.correlation(found, x, constant) == 0.0
    np.testing.assert_allclose(cca.canonical_correlations(found, x, constant), 0.0, atol=1e-6)


def test_a_ridge_helps_new_pairs_where_there_are_few():
    # 40 noisy views of two common factors: 100 pairs are few for 40 + 40 directions.
    rng = np.random.default_rng(0)
    views = rng.normal(size=(2, 2, 40))

    def few(n):
        factors = rng.normal(size=(n, 2))
        return [factors @ view + rng.normal(size=(n, 40)) for view in views]

    fitted, new = few(100), few(2000)
    plain, ridged = cca.fit(*fitted, dimensions=2), cca.fit(*fitted, dimensions=2, ridge=1.0)
    assert (plain.correlations > 0.99).all()
    assert (ridged.correlations < plain.correlations).all()
    assert cca.correlation(ridged, *new) > cca.correlation(plain, *new) + 0.1


FOUR = np.random.default_rng(0).normal(size=(4, 3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cca.fit(FOUR, FOUR, dimensions=4), "4 dimensions need more examples than that; there are 4"),
        (lambda: cca.fit(FOUR, FOUR[:, :1], dimensions=2), "2 dimensions need as many features; x has 3 and y has 1"),
        (lambda: cca.fit(FOUR, FOUR[:3], dimensions=1), "4 x and 3 y"),
        (lambda: cca.fit(FOUR, FOUR * np.inf, dimensions=1), "y: some are NaN or infinite"),
        (lambda: cca.fit(FOUR[0], FOUR, dimensions=1), r"x: .*\(3,\)"),
        (lambda: cca.fit(FOUR, np.ones((4, 3)), dimensions=1), "y: the features are the same in all 4"),
        (lambda: cca.fit(FOUR, FOUR, dimensions=0), "a dimension or more"),
        (lambda: cca.fit(FOUR, FOUR, dimensions=1, ridge=-1.0), "a ridge from 0 on, not 1 and -1.0"),
        (lambda: cca.correlation(cca.fit(FOUR, FOUR, 1), FOUR, FOUR[:, :2]), "y: CCA was fitted to 3 features, not to 2"),
        (lambda: cca.correlation(cca.fit(FOUR, FOUR, 1), FOUR, FOUR[:2]), "4 x and 2 y"),
    ],
)
def test_what_has_no_correlation_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
