"""Canonical correlations of two modalities' features, which tell whether values belong together ([C] eq. 11).

[C]: Chen, Zhu 2022.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mmtf.config import EvaluateConfig
from mmtf.data.dataset import MultimodalData, Split
from mmtf.evaluation.batches import mean_of_examples
from mmtf.evaluation.features import Features
from mmtf.evaluation.generation import Generated
from mmtf.metrics import cca
from mmtf.metrics.specs import ARROW

log = logging.getLogger(__name__)


class Pairs(NamedTuple):
    """Features of two modalities, row n of both together, and the examples they belong to; None where they are independent."""

    features: Mapping[str, np.ndarray]
    examples: Split | None


# `joint`, `cross` by `Y<-K`, and `synergy`, of a pair of modalities and the test examples that have it; what there is of them.
Generate = Callable[[tuple[str, str], Split], Mapping[str, "Pairs | Mapping[str, Pairs]"]]


def correlations(
    model,
    data: MultimodalData,
    test: Split,
    features: Features,
    config: EvaluateConfig,
    generated: Generated | None = None,
) -> dict[str, dict]:
    """`correlated` of what a model generates."""
    generated = generated or Generated(model, test, config, features=features)
    return correlated(lambda pair, there: _pairs(generated, pair, features), model.names, data, test, features, config)


def correlated(
    generate: Generate, names: Iterable[str], data: MultimodalData, test: Split, features: Features, config: EvaluateConfig
) -> dict[str, dict]:
    """`cca` and `cca_published` of docs/metrics.md: by pair of modalities, of real, random, crossed and joint values.

    CCA is fitted to features of training pairs, in 40 dimensions as in [C], or as many as there are.
    """
    by_pair, as_published = {}, {}
    for pair in itertools.combinations([n for n in names if n in features], 2):
        paired, train = test.at(test.has(pair)).first(config.quality_samples), data.train.at(data.train.has(pair))
        if len(paired) < 2 or len(train) < 3:
            continue
        generated = generate(pair, paired)
        if generated:
            chosen = np.random.default_rng(config.evaluation_seed).permutation(len(train))[: config.probe_examples]
            fit = [features.of_examples(n, train.at(chosen)) for n in pair]
            if all(np.ptp(x, axis=0).any() for x in fit):
                key = ",".join(pair)
                by_pair[key], as_published[key] = _of_pair(generated, pair, fit, paired, features)
            else:
                log.warning("No correlation of %s: features are the same in all training examples.", " and ".join(pair))
    return {"cca": by_pair, "cca_published": as_published} if by_pair else {}


def _of_pair(
    generated: Mapping, pair: tuple[str, str], fit: Sequence[np.ndarray], test: Split, features: Features
) -> tuple[dict, dict]:
    """Return the scores of a pair, and those by the releases' projections. Args: fit: features of training pairs, of both."""

    def score(projections, pairs):
        if isinstance(pairs, Pairs):
            cosines = cca.cosines(projections, *(pairs.features[n] for n in pair))
            return mean_of_examples(cosines, pairs.examples, (-1.0, 1.0))
        return {key: score(projections, inner) for key, inner in pairs.items()}

    dimensions = min(cca.DIMENSIONS, len(fit[0]) - 1, *(x.shape[1] for x in fit))
    fitted = cca.fit(*fit, dimensions)
    real = Pairs({n: features.of_examples(n, test) for n in pair}, test)
    scores = (score(projections, {"ground_truth": real, **generated}) for projections in (fitted, cca.as_published(fitted)))
    return tuple({"dimensions": len(fitted.correlations)} | found for found in scores)


def _pairs(generated: Generated, pair: tuple[str, str], features: Features) -> dict[str, Pairs | dict[str, Pairs]]:
    def crossed(given: str, target: str) -> Pairs:
        examples, of_target = generated.given((given,), target)
        whole = examples.has(pair)
        examples = examples.at(whole)
        return Pairs({given: features.of_examples(given, examples), target: of_target[whole]}, examples)

    both = [generated.given(pair, name) for name in pair]
    return {
        "joint": Pairs({name: generated.random_features(name) for name in pair}, None),
        "cross": {f"{b}{ARROW}{a}": crossed(a, b) for a, b in (pair, pair[::-1])},
        "synergy": Pairs({name: part.features for name, part in zip(pair, both, strict=True)}, both[0].examples),
    }
