"""What codes are used for: active units, collapse to the prior, and whether modalities agree on an example's code."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from mmtf.data.dataset import Split
from mmtf.distributions.family import LAPLACE, family_of
from mmtf.evaluation.batches import as_json, in_batches, rounded, sources, whole_somewhere
from mmtf.metrics import latents
from mmtf.modality import subset_key

LEAST = 4  # examples, so that each finds another one from another source


def code_use(model, test: Split, graph: Callable | None = None) -> dict[str, dict]:
    """`active_units`, `collapse` and `divergence_between` of docs/metrics.md.

    Divergences between Laplace posteriors are those of Gaussians of their means and variances; to the prior, their own.

    Args: graph: as for `moments`.
    """
    shared, private = moments(model, test, graph)
    to_prior = kl_to_prior(model)
    measured = {"active_units": {}, "collapse": {}, "divergence_between": {}}
    for kind, codes in (("shared", shared), ("private", private)):
        for subset in whole_somewhere(codes, test):
            has_all, key = test.has(subset), subset_key(subset, model.names)
            mean, stddev = (x[has_all] for x in codes[subset])
            if len(mean) < LEAST:
                continue
            measured["active_units"].setdefault(kind, {})[key] = latents.active_units(mean)
            if len(subset) == 1:
                collapse = latents.collapse(to_prior(mean, stddev))
                measured["collapse"].setdefault(kind, {})[key] = {
                    "kl": rounded(collapse.kl.sum()),
                    "share_of_dimensions": rounded(collapse.share),
                }
    for a, b in itertools.combinations(model.names, 2):
        has_all = test.at(test.has((a, b)))
        if len(has_all) >= LEAST and _can_be_mismatched(has_all):
            parts = [x[test.has((a, b))] for name in (a, b) for x in shared[(name,)]]
            apart = latents.divergence(*parts, clusters=sources(has_all))
            measured["divergence_between"][f"{a},{b}"] = {
                "matched": as_json(apart.matched),
                "mismatched": as_json(apart.mismatched),
                "auc": rounded(apart.auc),
            }
    return {kind: part for kind, part in measured.items() if part}


def kl_to_prior(model) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return the divergence of a model's posteriors from its prior, of means and standard deviations, per dimension."""
    return latents.laplace_kl_to_prior if family_of(model.prior) is LAPLACE else latents.kl_to_prior


def moments(model, test: Split, graph: Callable | None = None) -> tuple[dict, dict]:
    """Return mean and standard deviation, `[N, D]` each: of q(c|X_K) by set, and of q(s_j|x_j), by `(j,)`.

    Args: graph: what `moments_graph` returned for the model, where moments are asked for several times.
    """
    graph = graph or moments_graph(model)
    return in_batches(test, lambda batch, number: graph(*batch))


def moments_graph(model) -> Callable:
    """Return what `moments` computes of a batch, as a graph."""

    @tf.function(reduce_retracing=True)
    def both(values, mask):
        codes = model.encode(values, mask)
        shared = {k: (q.mean(), q.stddev()) for k, q in model.posteriors(values, mask).items()}
        return shared, {(n,): (q.mean(), q.stddev()) for n, q in codes.private.items()}

    return both


def _can_be_mismatched(test: Split) -> bool:
    """Return whether no source has more than half of the examples."""
    clusters = sources(test)
    return clusters is None or 2 * np.unique(clusters, return_counts=True)[1].max() <= len(clusters)
