"""Examples that have any number of L attributes: average precision of scores, and agreement of classifiers, [S] C.4.3.

Scores and labels are `[N, L]`: what a classifier says about each attribute of each example (any monotone scale, such as
logits), and whether it is there, 0 or 1. An attribute that all or none of the examples have divides them nowhere: its average
precision would be 1 or undefined whatever the scores, so it is left out, as NaN.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sklearn.metrics import average_precision_score

# The relative error of a standard error from R resamples is about 1 / sqrt(2 R): 7 %.
RESAMPLES = 100


def average_precisions(scores, labels) -> np.ndarray:
    """Return average precision of each attribute: `[N, L]` twice -> `[L]`, NaN for an attribute that is left out.

    sum_n (R_n - R_{n-1}) P_n over the thresholds from high to low, without interpolation (scikit-learn's). Random scores come
    to the share of examples that have the attribute.

    Raises:
      ValueError: as `attributes` does; or scores of another shape than the labels, NaN or infinite.
    """
    scores, labels = _checked(scores, labels)
    return np.array(
        [average_precision_score(labels[:, k], scores[:, k]) if divides else np.nan for k, divides in enumerate(varied(labels))]
    )


def bootstrap_error(scores, labels, seed: int = 0, resamples: int = RESAMPLES) -> float:
    """Return standard error of the mean average precision over attributes, from resampled examples.

    Each resample draws N examples with replacement, with all their attributes, which are not independent of one another.
    What it has of an attribute may all be absent or all be there; its mean is over the others.

    Raises:
      ValueError: as `average_precisions` does, or no attribute divides the examples.
    """
    scores, labels = _checked(scores, labels)
    (used,) = np.nonzero(varied(labels))
    if not used.size:
        raise ValueError("No attribute is there in some examples and absent in others.")
    drawn = np.random.default_rng(seed).multinomial(len(labels), np.full(len(labels), 1 / len(labels)), size=resamples)
    resampled = np.stack([_weighted(scores[:, k], labels[:, k], drawn) for k in used])
    means = np.nanmean(resampled[:, ~np.isnan(resampled).all(axis=0)], axis=0)
    return float(np.std(means, ddof=1))


def agreement(scores: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return share of the attributes on which the classifiers of all modalities decide alike: `[N, L]` each -> `[N]`.

    A score above 0 decides that the attribute is there. Independent decisions of M classifiers, each with probability p for
    an attribute, agree with p^M + (1 - p)^M: far more often than on classes, and nearly always on a rare attribute.

    Raises:
      ValueError: there are fewer than two modalities, or scores that are no numbers or of different shapes.
    """
    if len(scores) < 2:
        raise ValueError(f"Agreement needs at least two modalities, not {len(scores)}: {', '.join(scores)}.")
    first, *others = (_finite(values, name) > 0.0 for name, values in scores.items())
    for name, other in zip(list(scores)[1:], others, strict=True):
        if other.shape != first.shape:
            raise ValueError(f"{name}: scores of shape {other.shape} beside scores of shape {first.shape}.")
    return np.mean(np.all([other == first for other in others], axis=0), axis=1)


def varied(labels) -> np.ndarray:
    """Return which attributes some examples have and others lack: `[N, L]` -> `[L]` bool."""
    labels = attributes(labels, "labels")
    return labels.any(axis=0) & ~labels.all(axis=0)


def attributes(labels, name: str) -> np.ndarray:
    """Return labels as `[N, L]` int64, if they are 0 and 1.

    Args:
      name: how the error message calls them.

    Raises:
      ValueError: another shape, nothing in it, or other values.
    """
    array = np.asarray(labels)
    if array.ndim != 2 or not array.size:
        raise ValueError(f"{name}: wanted a 0 or 1 per example and attribute, [N, L], but the shape is {array.shape}.")
    if array.dtype.kind not in "biuf" or not np.isin(array, (0, 1)).all():
        raise ValueError(f"{name}: an attribute is there (1) or not (0), but other values were given, as {array.dtype}.")
    return array.astype(np.int64)


def _weighted(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return average precision of one attribute with example n counted weights[r, n] times: `[N]`, `[N]`, `[R, N]` -> `[R]`."""
    order = np.argsort(-scores, kind="stable")
    scores, (places,) = scores[order], np.nonzero(labels[order])
    # Equal scores share a threshold: what counts is the last place of each.
    last = np.searchsorted(-scores, -scores[places], side="right") - 1
    counts = weights[:, order]
    positives = counts[:, places]
    # How many true ones stand at or before each place: those up to the last positive that shares its threshold.
    true = np.cumsum(positives, axis=1)[:, np.searchsorted(places, last, side="right") - 1]
    # Above 0 wherever the positive itself was drawn; elsewhere its weight is 0.
    ranked = np.maximum(np.cumsum(counts, axis=1)[:, last], 1)
    total = positives.sum(axis=1)
    share = (positives * true / ranked).sum(axis=1) / np.maximum(total, 1)
    return np.where((total > 0) & (total < counts.sum(axis=1)), share, np.nan)


def _checked(scores, labels) -> tuple[np.ndarray, np.ndarray]:
    labels = attributes(labels, "labels")
    scores = _finite(scores, "scores")
    if scores.shape != labels.shape:
        raise ValueError(f"One score per label is wanted, but scores are {scores.shape} and labels {labels.shape}.")
    return scores, labels


def _finite(values, name: str) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or not array.size:
        raise ValueError(f"{name}: wanted scores [N, L], but the shape is {array.shape}.")
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name}: some are NaN or infinite; what was classified holds values that are no numbers.")
    return array
