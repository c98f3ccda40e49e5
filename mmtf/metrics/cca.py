"""Canonical correlation analysis, and the correlation of generated pairs by it, [C] eq. 11 (after Massiceti et al. 2018).

Fitted on features of real training pairs, it finds the k directions of each modality that correlate most. New pairs, real or
generated, then score the mean cosine of their projections.

[C]: Chen, Zhu 2022.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

import numpy as np

from mmtf.metrics.arrays import pair

log = logging.getLogger(__name__)

DIMENSIONS = 40  # [C]


class CCA(NamedTuple):
    """Projections of two modalities, fitted to pairs.

    Attributes:
      x_mean, y_mean: of the pairs it was fitted to, `[P]` and `[Q]`.
      x_weights, y_weights: W_1 `[P, k]` and W_2 `[Q, k]`: without a ridge, what they project has variance 1 in each dimension,
        and none is correlated with another, on the pairs it was fitted to.
      correlations: of those pairs in each dimension, `[k]`, falling, each in 0..1; with a ridge, less.
    """

    x_mean: np.ndarray
    y_mean: np.ndarray
    x_weights: np.ndarray
    y_weights: np.ndarray
    correlations: np.ndarray


def fit(x, y, dimensions: int = DIMENSIONS, *, ridge: float = 0.0) -> CCA:
    """Return the canonical directions in closed form: the singular vectors of the whitened cross-covariance.

    Both sets are whitened by their own singular value decompositions, of standardised columns. What does not vary, alone or
    given other columns, is left out; if less than `dimensions` is left, the result has fewer, with a warning.

    With few more than P + Q pairs the correlations of the fitted pairs come near to 1 whatever the data are, and those of new
    pairs fall. The ridge, added to the variance of each standardised column, keeps directions of little variance from being
    read for that.

    The projections have equal variance in all dimensions; `as_published` gives those of the releases, which have not.

    Args:
      x, y: features of pairs, `[N, P]` and `[N, Q]`, row n of both from the same example.
      dimensions: k.
      ridge: 0 for none; in units of the variance of a standardised column.

    Raises:
      ValueError: features are not `[N, D]`, NaN or infinite; the numbers of rows differ; there are not more examples than
        dimensions, fewer columns than dimensions, a negative ridge, or features that are the same in all examples.
    """
    x_accuracy, y_accuracy = _accuracy(x), _accuracy(y)
    x, y = pair(x, y, ("x", "y"))
    _check_dimensions(x, y, dimensions, ridge)
    x_mean, y_mean = _mean(x), _mean(y)
    x_white, y_white = _whitening(x, "x", x_accuracy, ridge), _whitening(y, "y", y_accuracy, ridge)
    cross = ((x - x_mean) @ x_white).T @ ((y - y_mean) @ y_white) / (len(x) - 1)
    left, correlations, right = np.linalg.svd(cross, full_matrices=False)
    k = min(dimensions, len(correlations))
    if k < dimensions:
        log.warning("The features have %d and %d dimensions that vary: CCA takes %d, not %d.", *cross.shape, k, dimensions)
    # Above 1 by rounding only.
    return CCA(x_mean, y_mean, x_white @ left[:, :k], y_white @ right[:k].T, np.minimum(correlations[:k], 1.0))


def as_published(cca: CCA) -> CCA:
    """Return the projections of MMVAE's and [C]'s releases: columns of W_1 and W_2, one above the other, have length 1.

    They take eigenvectors of the generalised problem as SciPy scales them. Cosines of these projections weigh dimensions by the
    scale of the features, and change when a feature is given in another unit; those of `fit` do not.
    """
    lengths = np.sqrt(np.sum(cca.x_weights**2, axis=0) + np.sum(cca.y_weights**2, axis=0))
    return cca._replace(x_weights=cca.x_weights / lengths, y_weights=cca.y_weights / lengths)


def project(cca: CCA, x, y) -> tuple[np.ndarray, np.ndarray]:
    """phi of [C] eq. 11: `W^T x - avg(W^T x_train)`, `[M, P]` and `[M, Q]` -> `[M, k]` twice.

    Raises:
      ValueError: features are not `[M, D]`, NaN or infinite, of other widths than those fitted, or of unequal numbers.
    """
    x, y = pair(x, y, ("x", "y"))
    for features, mean, name in ((x, cca.x_mean, "x"), (y, cca.y_mean, "y")):
        if features.shape[1] != len(mean):
            raise ValueError(f"{name}: CCA was fitted to {len(mean)} features, not to {features.shape[1]}.")
    return (x - cca.x_mean) @ cca.x_weights, (y - cca.y_mean) @ cca.y_weights


def cosines(cca: CCA, x, y) -> np.ndarray:
    """Return the correlation of [C] eq. 11 of each pair: `[M, P]` and `[M, Q]` -> `[M]`, in -1..1.

    A projection of length 0, as of features that are the training mean, points nowhere and counts as 0. Raises ValueError as
    `project` does.
    """
    u, v = project(cca, x, y)
    lengths = np.linalg.norm(u, axis=1) * np.linalg.norm(v, axis=1)
    cosines = np.divide(np.sum(u * v, axis=1), lengths, out=np.zeros(len(u)), where=lengths > 0)
    # Outside by rounding only.
    return np.clip(cosines, -1.0, 1.0)


def correlation(cca: CCA, x, y) -> float:
    """Return the mean over pairs of [C] eq.

    11, in -1..1; about 0 for independent pairs. Raises ValueError as `project` does.
    """
    return float(cosines(cca, x, y).mean())


def canonical_correlations(cca: CCA, x, y) -> np.ndarray:
    """Pearson's correlation of new pairs in each dimension, `[k]`, in -1..1; 0 where a projection does not vary.

    Of the fitted pairs, without a ridge, it is `cca.correlations`. Raises ValueError as `project` does.
    """
    u, v = (projected - projected.mean(axis=0) for projected in project(cca, x, y))
    lengths = np.linalg.norm(u, axis=0) * np.linalg.norm(v, axis=0)
    return np.divide(np.sum(u * v, axis=0), lengths, out=np.zeros(u.shape[1]), where=lengths > 0)


def _whitening(features: np.ndarray, name: str, accuracy: float, ridge: float) -> np.ndarray:
    """Return what makes uncorrelated columns of variance 1 of centred features, but for the ridge: `[P, r]`."""
    count, width = features.shape
    centred = features - _mean(features)
    spread = np.sqrt(np.sum(centred**2, axis=0) / (count - 1))
    rounding = accuracy * np.abs(features).max(axis=0)
    varies = spread > 10 * rounding
    if not varies.any():
        raise ValueError(f"{name}: the features are the same in all {count} examples.")
    # R has the singular values and directions of the columns, in less time: of 2,500 x 512 in a fifth or less.
    r = np.linalg.qr(centred[:, varies] / spread[varies], mode="r")
    _, singular, directions = np.linalg.svd(r, full_matrices=False)
    # Rounding of the features alone gives a matrix of lower rank singular values up to the first; the second is the SVD's own.
    noise = np.sqrt(count) * np.linalg.norm(rounding[varies] / spread[varies])
    kept = singular > noise + np.finfo(np.float64).eps * max(count, width) * singular[0]
    matrix = np.zeros((width, np.count_nonzero(kept)))
    gains = 1 / np.sqrt(singular[kept] ** 2 / (count - 1) + ridge)
    matrix[varies] = directions[kept].T * gains / spread[varies][:, None]
    return matrix


def _mean(features: np.ndarray) -> np.ndarray:
    """Return the mean of each column; again of what is left, since the rounding of a long sum makes equal values vary."""
    mean = features.mean(axis=0)
    return mean + (features - mean).mean(axis=0)


def _accuracy(features) -> float:
    """The relative rounding error of the numbers that came: in double precision the noise of single looks like values."""
    dtype = np.asarray(features).dtype
    return float(np.finfo(dtype if dtype.kind == "f" else np.float64).eps)


def _check_dimensions(x: np.ndarray, y: np.ndarray, dimensions: int, ridge: float) -> None:
    if dimensions < 1 or not ridge >= 0.0:
        raise ValueError(f"Wanted a dimension or more and a ridge from 0 on, not {dimensions} and {ridge}.")
    if len(x) <= dimensions:
        raise ValueError(f"{dimensions} dimensions need more examples than that; there are {len(x)}.")
    if min(x.shape[1], y.shape[1]) < dimensions:
        raise ValueError(f"{dimensions} dimensions need as many features; x has {x.shape[1]} and y has {y.shape[1]}.")
