"""Whether a model knows which values belong together: retrieval of one modality by another, and detection of mismatches.

A pair's score is log p(x,y) - log p(x) - log p(y), by importance sampling, or minus the divergence of the two posteriors of the
shared code.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable

import numpy as np
from scipy import stats

from mmtf.config import EvaluateConfig
from mmtf.data.dataset import MultimodalData, Split
from mmtf.evaluation.batches import rounded, sources
from mmtf.evaluation.codes import moments
from mmtf.evaluation.likelihood import log_weights
from mmtf.metrics import likelihood, retrieval
from mmtf.metrics.specs import ARROW

RECALLS = (1, 5, 10)


def retrieval_scores(
    model, data: MultimodalData, test: Split, config: EvaluateConfig, graph: Callable | None = None
) -> dict[str, dict]:
    """`retrieval` and `mismatch_auc` of docs/metrics.md, by pair of modalities and by kind of score.

    Where a data set pairs values by class, all candidates of the query's class are right.

    Args: graph: as for `evaluation.moments`.
    """
    latent = functools.partial(latent_scores, graph=graph)
    measured = {"retrieval": {}, "mismatch_auc": {}}
    for a, b in itertools.combinations(model.names, 2):
        whole = _distinct(test.at(test.has((a, b))))
        kinds = {"latent": (whole.first(config.retrieval_candidates), latent)}
        if model.has_likelihood() and config.retrieval_likelihood_candidates:
            kinds["likelihood"] = whole.first(config.retrieval_likelihood_candidates), likelihood_scores
        for kind, (candidates, score) in kinds.items():
            right = _right(data, candidates)
            if right.all() or len(candidates) < 2:
                continue
            scores = score(model, candidates, config, (a, b))
            for target, given, table, answers in ((b, a, scores, right), (a, b, scores.T, right.T)):
                key = f"{target}{ARROW}{given}"
                measured["retrieval"].setdefault(key, {})[kind] = _ranked(table, answers, config.evaluation_seed)
            auc = retrieval.mismatch_auc(np.diag(scores), scores[~right])
            measured["mismatch_auc"].setdefault(f"{a},{b}", {})[kind] = rounded(auc)
    return {kind: part for kind, part in measured.items() if part}


def latent_scores(
    model, candidates: Split, config: EvaluateConfig, names: tuple[str, str], graph: Callable | None = None
) -> np.ndarray:
    """Return minus the Jeffreys divergence of q(c|x) and q(c|y), of all pairs: `[N, N]`, rows by the first modality."""
    shared, _ = moments(model, candidates, graph)
    (m, s), (n, t) = ((x.astype(np.float64) for x in shared[(name,)]) for name in names)
    # (s/t - t/s)^2 + (m - n)^2 (1/s^2 + 1/t^2), summed over dimensions as matrix products.
    vs, vt = 1.0 / s**2, 1.0 / t**2
    spread = (s**2) @ vt.T + vs @ (t**2).T - 2.0 * s.shape[1]
    apart = (m**2 * vs).sum(1)[:, None] + (n**2 * vt).sum(1)[None] + (m**2) @ vt.T + vs @ (n**2).T
    apart -= 2.0 * ((m * vs) @ n.T + m @ (n * vt).T)
    return -0.5 * (spread + apart)


def likelihood_scores(model, candidates: Split, config: EvaluateConfig, names: tuple[str, str]) -> np.ndarray:
    """log p(x,y) - log p(x) - log p(y) of all pairs, `[N, N]` nats, rows by the first modality."""
    candidates, (a, b), count = candidates.only(names), names, len(candidates)
    rows = {a: np.repeat(np.arange(count), count), b: np.tile(np.arange(count), count)}
    pairs = Split(candidates.pools, {n: candidates.rows[n][i] for n, i in rows.items()}, None)
    samples, seed = config.likelihood_samples, config.evaluation_seed
    together = log_weights(model, pairs, samples, seed, [(a, b)]).marginal[a, b]
    alone = log_weights(model, candidates, samples, seed + 1, [(a,), (b,)]).marginal
    log_p = {n: likelihood.log_mean_exp(alone[(n,)]) for n in (a, b)}
    return likelihood.log_mean_exp(together).reshape(count, count) - log_p[a][:, None] - log_p[b][None]


def _ranked(scores: np.ndarray, right: np.ndarray, seed: int) -> dict[str, float]:
    """Return recall, median rank, and what chance comes to."""
    ranks = retrieval.ranks(scores, relevant=right, seed=seed)
    recalls = {f"recall_at_{k}": rounded(retrieval.recall_at(ranks, k)) for k in RECALLS}
    chance = {f"recall_at_{k}_by_chance": rounded(_chance(right, k)) for k in RECALLS}
    return recalls | {"median_rank": retrieval.median_rank(ranks)} | chance | {"candidates": len(scores)}


def _chance(right: np.ndarray, k: int) -> float:
    """Return recall at k of candidates in random order: 1 - (C - R choose k) / (C choose k), R of C right.

    Its mean over queries.
    """
    candidates = right.shape[1]
    return 1.0 - stats.hypergeom.pmf(0, candidates, right.sum(axis=1), min(k, candidates)).mean()


def _right(data: MultimodalData, candidates: Split) -> np.ndarray:
    """Return which pairs belong together, `[N, N]`: the given ones, and where values are paired by class those of one class."""
    if data.paired_by_class and candidates.label is not None and not data.multi_label:
        return candidates.label[:, None] == candidates.label[None]
    return np.eye(len(candidates), dtype=bool)


def _distinct(test: Split) -> Split:
    """Return examples no two of which come from the same source."""
    clusters = sources(test)
    return test if clusters is None else test.at(np.sort(np.unique(clusters, return_index=True)[1]))
