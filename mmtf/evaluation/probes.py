"""Linear probes of the codes.

[S]: Sutter, Daunhawer, Vogt 2020. [C]: Chen, Zhu 2022.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

from mmtf.config import EvaluateConfig
from mmtf.data.dataset import MultimodalData, Split
from mmtf.evaluation.batches import whole_somewhere
from mmtf.evaluation.codes import moments
from mmtf.evaluation.labels import left_out, mean_scores, scores_by_label
from mmtf.metrics import probe
from mmtf.modality import subset_key

log = logging.getLogger(__name__)

# [S] C.2.1 fits the probe on a single training batch.
PAPERS_BATCH = 256
# What a probe is called, by whose codes it reads.
PROBES = {"shared": "probe", "private": "probe_private", "both": "probe_both"}


def latent_probes(model, data: MultimodalData, test: Split, config: EvaluateConfig, graph: Callable | None = None) -> dict:
    """Linear classification of the posterior's mean for every subset, [S] C.2.1 and C.4.3.

    `probe` is fitted on many training examples; `probe_one_batch` on 256 of them, as many as the paper takes. Beside them, for
    each modality with a private code, `probe_private` is of the mean of q(s_j|x_j), `probe_both` of both codes ([C] Table 3).

    Args:
      test: the test examples to score, each with a label. A subset that no example has whole is left out, and so is one that
        the training examples of one class alone have.
      graph: as for `evaluation.moments`.
    """
    chosen = np.random.default_rng(config.evaluation_seed).permutation(len(data.train))[: config.probe_examples]
    fit = data.train.at(chosen)
    fit_codes, test_codes = code_means(model, fit, graph), code_means(model, test, graph)
    score = probe.attribute_probes if data.multi_label else probe.linear_probe
    scores = {"probe": {}, "probe_one_batch": {}}
    for kind, codes in fit_codes.items():
        for subset in whole_somewhere(codes, fit, test):
            has_all, test_there = fit.has(subset), test.has(subset)
            given, labels = codes[subset][has_all], fit.label[has_all]
            counts = {PROBES[kind]: len(given)} | ({"probe_one_batch": PAPERS_BATCH} if kind == "shared" else {})
            for name, count in counts.items():
                if not data.multi_label and len(np.unique(labels[:count])) < 2:
                    log.warning("%s leaves out %s, which training examples of one class alone have.", name, ", ".join(subset))
                    continue
                scores.setdefault(name, {})[subset_key(subset, model.names)] = score(
                    given[:count], labels[:count], test_codes[kind][subset][test_there], test.label[test_there]
                )
    if not data.multi_label:
        return mean_scores(scores)
    return (
        mean_scores(scores)
        | {"probe_by_label": scores_by_label(scores["probe"], data.class_names)}
        | left_out(scores, data.class_names)
    )


def code_means(model, split: Split, graph: Callable | None = None) -> dict[str, dict[tuple[str, ...], np.ndarray]]:
    """Return means of codes, `[N, D]` each; meaningless where a subset is not all there.

    Returns:
      `shared`: of q(c|X_K) for every subset K. Where there are private codes, `private`: of q(s_j|x_j), for the subset of j
      alone; and `both`: q(c|x_j) and q(s_j|x_j) side by side.
    """
    shared, private = ({subset: mean for subset, (mean, _) in codes.items()} for codes in moments(model, split, graph))
    both = {subset: np.concatenate([shared[subset], own], axis=-1) for subset, own in private.items()}
    return {"shared": shared} | ({"private": private, "both": both} if private else {})
