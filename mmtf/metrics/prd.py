"""Precision and recall for distributions (PRD), Sajjadi et al. 2018, arXiv:1806.00035, of features of samples.

Precision is how much of what is generated could be real, recall how much of what is real is generated. Between them lies a
curve, as either can be had for the other: for histograms P of the real and Q of the generated samples and each slope l > 0,
    alpha(l) = sum_k min(l P_k, Q_k), the precision, and beta(l) = sum_k min(P_k, Q_k / l), the recall.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.integrate import trapezoid
from sklearn.cluster import MiniBatchKMeans
from threadpoolctl import threadpool_limits

from mmtf.metrics.arrays import samples

CLUSTERS, ANGLES, RUNS = 20, 1001, 10
# Starts of which k-means takes the best, and the points by which it finds and compares them, as in MiniBatchKMeans.
STARTS, START_POINTS = 10, 3072
# The outermost angles: slopes of 0 and infinity would divide by 0. As in the release; no share of a finite sample is as small.
EDGE = 1e-10
# F_8 weighs recall, F_1/8 precision: the pair by which the paper sums up a curve.
BETA = 8.0


class PRD(NamedTuple):
    """The curve: precision `[A]`, rising, and recall `[A]`, falling, at the same slopes; each in 0..1."""

    precision: np.ndarray
    recall: np.ndarray


def prd_curve(real, generated, *, clusters: int = CLUSTERS, angles: int = ANGLES, runs: int = RUNS, seed: int = 0) -> PRD:
    """Return the curve of two sets of samples, from their histograms over clusters.

    k-means (scikit-learn's MiniBatchKMeans, from the best of ten initialisations, as in the release) groups the union of both
    sets. The curve is the mean over runs, each with clusters of its own. A larger set would have more of the clusters: of the
    larger one, each run takes another random part, as large as the smaller one.

    Two sets from one distribution stay below 1, the more so the fewer samples there are, as shares of clusters vary from set
    to set: what can be reached is what two sets of real ones of that size come to.

    Args:
      real, generated: features of the samples, `[N, D]` and `[M, D]`, all on the scale on which distances mean something.
      clusters: of the union.
      angles: how many slopes, tan of even angles between 0 and pi / 2.
      runs: over which the curve is averaged.
      seed: of clusters, and of parts of the larger set.

    Raises:
      ValueError: features are not `[N, D]`, of unequal widths, NaN or infinite; there are fewer samples than clusters, fewer
        than two clusters, fewer than three angles, or no runs.
    """
    real, generated = samples(real, generated)
    count = min(len(real), len(generated))
    if clusters < 2 or runs < 1:
        raise ValueError(f"Wanted two clusters or more and a run, not {clusters} clusters and {runs} runs.")
    if count < clusters:
        raise ValueError(f"{clusters} clusters need as many samples in each set; there are {len(real)} and {len(generated)}.")
    curves = []
    for rng in np.random.default_rng(seed).spawn(runs):
        union = np.concatenate([_part(real, count, rng), _part(generated, count, rng)])
        labels = _clustered(union, clusters, rng)
        shares = [np.bincount(part, minlength=clusters) / count for part in (labels[:count], labels[count:])]
        curves.append(histogram_curve(*shares, angles=angles))
    return PRD(*np.mean(curves, axis=0))


def histogram_curve(real, generated, *, angles: int = ANGLES) -> PRD:
    """Return the curve of two discrete distributions: shares of the same K values, `[K]` each, that sum to 1.

    Raises:
      ValueError: they are not of one length, negative, or do not sum to 1; or there are fewer than three angles.
    """
    real, generated = np.asarray(real, np.float64), np.asarray(generated, np.float64)
    for shares in (real, generated):
        if shares.ndim != 1 or shares.shape != real.shape or not (shares >= 0).all() or not np.isclose(shares.sum(), 1.0):
            raise ValueError("Wanted two lists of shares of the same values, each from 0 on and summing to 1.")
    if angles < 3:
        raise ValueError(f"A curve needs three angles or more, not {angles}.")
    slopes = np.tan(np.linspace(EDGE, np.pi / 2 - EDGE, angles))[:, None]
    # Above 1 only by rounding.
    precision = np.minimum(np.minimum(slopes * real, generated).sum(axis=1), 1.0)
    recall = np.minimum(np.minimum(real, generated / slopes).sum(axis=1), 1.0)
    return PRD(precision, recall)


def f_score(curve: PRD, beta: float = BETA) -> float:
    """The largest F_beta = (1 + b^2) p r / (b^2 p + r) on the curve, in 0..1: `BETA` for recall, 1 / `BETA` for precision.

    Raises:
      ValueError: beta is not above 0.
    """
    if not beta > 0.0:
        raise ValueError(f"beta must be above 0, not {beta}.")
    p, r = curve
    above, below = (1 + beta**2) * p * r, beta**2 * p + r
    return float(np.max(np.divide(above, below, out=np.zeros_like(above), where=below > 0)))


def area(curve: PRD) -> float:
    """Return the area under precision over recall, in 0..1: 0 for sets that share nothing, 1 for equal histograms."""
    # Slopes rise, so that recall falls along the curve; from its end on it rises, and the area of nothing is 0, not -0.
    return float(trapezoid(curve.precision[::-1], curve.recall[::-1]))


def mean_of_curves(curve: PRD) -> float:
    """Return the mean over all values of both curves, as the release of [S] has it under the name of PRD.

    It is no area: for equal histograms it is 1/2 + ln(2) / pi = 0.7206, the most that there can be.
    """
    return float(np.mean([curve.precision, curve.recall]))


def _part(features: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` of the rows, without replacement; all of them as they are."""
    return features if len(features) == count else features[rng.choice(len(features), count, replace=False)]


def _clustered(features: np.ndarray, clusters: int, rng: np.random.Generator) -> np.ndarray:
    """Return the cluster of each row, `[N]`."""
    # One thread: batches are small, and results do not depend on how many cores a machine has.
    with threadpool_limits(1):
        some = features[rng.choice(len(features), min(START_POINTS, len(features)), replace=False)]
        chosen, potentials = starts(some, clusters, STARTS, rng)
        centres, seed = some[chosen[potentials.argmin()]], int(rng.integers(2**31))
        return MiniBatchKMeans(clusters, init=centres, n_init=1, random_state=seed).fit_predict(features)


def starts(points: np.ndarray, clusters: int, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return several initialisations of k-means at once: greedy k-means++ (Arthur, Vassilvitskii 2007).

    scikit-learn computes one after the other, in products of a few candidates with all points, which took half of the time of
    all curves; here the candidates of all starts are one product.

    Args:
      points: `[N, D]` float64.
      clusters: K, of N at most.
      count: S, of initialisations.

    Returns:
      Which points are the centres, `[S, K]`, and the sum of squared distances of all points to the nearest of them, `[S]`.
    """
    # About their mean: distances are differences of squares, which rounding would spoil far from 0.
    points = points - points.mean(axis=0)
    squares, trials, each = np.einsum("nd,nd->n", points, points), 2 + int(np.log(clusters)), np.arange(count)

    def distances(chosen: np.ndarray) -> np.ndarray:
        """Return squared distances of points by index `[S, T]` to all points, `[S, T, N]`."""
        rows = chosen.ravel()
        apart = squares[rows][:, None] - 2.0 * (points[rows] @ points.T) + squares
        return np.maximum(apart, 0.0).reshape(*chosen.shape, -1)

    chosen = [rng.integers(len(points), size=count)]
    nearest = distances(chosen[0][:, None])[:, 0]
    for _ in range(1, clusters):
        ends = np.cumsum(nearest, axis=1)
        strata = rng.uniform(size=(count, trials)) * ends[:, -1:]
        drawn = np.stack([np.searchsorted(end, at) for end, at in zip(ends, strata, strict=True)])
        candidates = np.minimum(drawn, len(points) - 1)
        improved = np.minimum(nearest[:, None], distances(candidates))
        best = improved.sum(axis=-1).argmin(axis=1)
        chosen.append(candidates[each, best])
        nearest = improved[each, best]
    return np.stack(chosen, axis=1), nearest.sum(axis=1)
