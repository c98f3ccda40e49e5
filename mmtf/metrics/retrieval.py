"""Do scores tell which pairs belong together? Ranks of the right candidate, recall at k, and the AUC against mismatches.

A score is anything that is larger where two values fit better: a cosine, a log-density, a negative distance. Chance levels with
C candidates, one of them right: mean and median rank (C + 1) / 2, recall at k: k / C, AUC 1/2.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score


def ranks(scores, truth=None, *, relevant=None, seed: int | None = None) -> np.ndarray:
    """Return the rank of the right candidate of each query, from 1 for the best score: `[Q]` float64.

    Candidates with equal scores, such as all of a collapsed model, share a place. By default the rank is the one expected if
    they stood in random order: for one right candidate the middle of those it could have. That is fair in a mean, not in a
    median or in recall at k, which count the middle as reached or not: with a seed they are put into random order, and these
    are fair too.

    Args:
      scores: `[Q, C]`.
      truth: index of the right candidate, `[Q]`; or
      relevant: which candidates are right, such as those of the query's class, `[Q, C]` bool. The rank is that of the first of
        R right ones, which comes to (C + 1) / (R + 1) by chance.
      seed: of the order of candidates with equal scores; None for the expected rank.

    Raises:
      ValueError: not `[Q, C]`, a NaN score; not exactly one of `truth` and `relevant`, or one that does not fit the scores; a
        query without a right candidate.
    """
    scores = np.asarray(scores, np.float64)
    if scores.ndim != 2 or not scores.size or np.isnan(scores).any():
        raise ValueError(f"scores: wanted numbers per query and candidate, [Q, C], none NaN; the shape is {scores.shape}.")
    relevant = _relevant(scores, truth, relevant)
    best = np.where(relevant, scores, -np.inf).max(axis=1, keepdims=True)
    tied, ahead = scores == best, np.sum(scores > best, axis=1)
    wrong, right = tied & ~relevant, tied & relevant
    if seed is None:
        # Of w wrong and r right ones in random order, w / (r + 1) wrong ones come before the first right one.
        return 1.0 + ahead + wrong.sum(axis=1) / (right.sum(axis=1) + 1)
    order = np.random.default_rng(seed).random(scores.shape)
    first = np.where(right, order, np.inf).min(axis=1, keepdims=True)
    return 1.0 + ahead + np.sum(wrong & (order < first), axis=1)


def recall_at(ranks, k: int) -> float:
    """Return share of the queries whose right candidate is among the first k, in 0..1; by chance k / C.

    With R right candidates, by chance 1 - (C - R choose k) / (C choose k). Where scores tie, take ranks with a seed.

    Raises:
      ValueError: no ranks, a rank below 1, or k below 1.
    """
    ranks = _checked_ranks(ranks)
    if k < 1:
        raise ValueError(f"k must be 1 or more, not {k}.")
    return float(np.mean(ranks <= k))


def median_rank(ranks) -> float:
    """Return the median over queries; by chance (C + 1) / 2, 1 at best. Raises ValueError for no ranks, or a rank below 1."""
    return float(np.median(_checked_ranks(ranks)))


def mismatch_auc(matched_scores, mismatched_scores) -> float:
    """Return how often a matched pair scores higher than a mismatched one, ties counting half: the area under the ROC curve.

    Args:
      matched_scores, mismatched_scores: any shapes, as many as there are; `mismatched` says who to pair.

    Returns:
      In 0..1: 0.5 by chance, 1 where every matched pair is above all others.

    Raises:
      ValueError: there are no scores of a kind, or a score is NaN.
    """
    matched, others = (np.asarray(scores, np.float64).ravel() for scores in (matched_scores, mismatched_scores))
    for scores, name in ((matched, "matched_scores"), (others, "mismatched_scores")):
        if not scores.size or np.isnan(scores).any():
            raise ValueError(f"{name}: wanted scores, none NaN; there are {scores.size}.")
    labels = np.repeat([1, 0], [len(matched), len(others)])
    # Their ranks instead of the scores: scikit-learn refuses infinite ones, which log-densities can be.
    return float(roc_auc_score(labels, rankdata(np.concatenate([matched, others]))))


def mismatched(count: int, *, clusters=None, seed: int = 0) -> np.ndarray:
    """For each of `count` examples another one, at random, each taken once: `[count]` integers, none its own index.

    Args:
      clusters: what each example came from, `[count]`: the other one then comes from something else.

    Raises:
      ValueError: there are fewer than two examples, not one cluster each, or more than half of them from one source.
    """
    clusters = np.arange(count) if clusters is None else np.asarray(clusters)
    if clusters.shape != (count,) or count < 2:
        raise ValueError(f"Wanted two examples or more and a source each, not {count} and sources {clusters.shape}.")
    names, sizes = np.unique(clusters, return_inverse=True, return_counts=True)[1:]
    if 2 * sizes.max() > count:
        raise ValueError(f"{sizes.max()} of {count} examples have the same source: not all find another one elsewhere.")
    rng = np.random.default_rng(seed)
    # Sources in random order, each in one piece: a step as long as the longest piece leaves it.
    order = np.lexsort((rng.random(count), rng.permutation(len(sizes))[names]))
    partner = np.empty(count, np.int64)
    partner[order] = np.roll(order, -sizes.max())
    return partner


def _relevant(scores: np.ndarray, truth, relevant) -> np.ndarray:
    """Return which candidates are right, `[Q, C]` bool, at least one for each query."""
    if (truth is None) == (relevant is None):
        raise ValueError("Give either truth, the index of the one right candidate, or relevant, which ones are right.")
    queries, candidates = scores.shape
    if truth is not None:
        truth = np.asarray(truth)
        if truth.shape != (queries,) or truth.dtype.kind not in "iu" or truth.min() < 0 or truth.max() >= candidates:
            raise ValueError(f"truth: wanted an index in 0..{candidates - 1} for each of {queries} queries.")
        return np.arange(candidates) == truth[:, None]
    relevant = np.asarray(relevant)
    if relevant.shape != scores.shape or relevant.dtype != bool or not relevant.any(axis=1).all():
        raise ValueError(f"relevant: wanted a bool for each of {scores.shape} scores, and a right candidate for each query.")
    return relevant


def _checked_ranks(ranks) -> np.ndarray:
    ranks = np.asarray(ranks, np.float64)
    if ranks.ndim != 1 or not ranks.size or not (ranks >= 1).all():
        raise ValueError(f"ranks: wanted one from 1 on for each query, [Q]; the shape is {ranks.shape}.")
    return ranks
