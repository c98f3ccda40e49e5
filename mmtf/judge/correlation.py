"""Whether values of two modalities belong together, by canonical correlations of their features ([C] eq. 11)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from mmtf.config import EvaluateConfig
from mmtf.data.dataset import MultimodalData, Split
from mmtf.judge.batches import ARROW, mean_of_examples
from mmtf.judge.features import Features
from mmtf.judge.quality import random_samples, translated
from mmtf.metrics import cca


class Pairs(NamedTuple):
    """Values of two modalities, row n of both together, and the examples they belong to; None where they are independent."""

    values: Mapping[str, np.ndarray]
    examples: Split | None


# `joint`, `cross` by `Y<-K`, and `synergy`, of a pair of modalities and the test examples that have it; what there is of them.
Generate = Callable[[tuple[str, str], Split], Mapping[str, "Pairs | Mapping[str, Pairs]"]]


def correlations(model, data: MultimodalData, test: Split, features: Features, config: EvaluateConfig) -> dict[str, dict]:
    """`correlated` of what a model generates."""
    return correlated(lambda pair, there: _generated(model, pair, there, config), model.names, data, test, features, config)


def correlated(
    generate: Generate, names: Iterable[str], data: MultimodalData, test: Split, features: Features, config: EvaluateConfig
) -> dict[str, dict]:
    """`cca` of docs/metrics.md: by pair of modalities, of real pairs, random ones, cross generation and synergy.

    CCA is fitted to features of training pairs, in 40 dimensions as in [C], or as many as there are.
    """
    found = {}
    for pair in itertools.combinations([n for n in names if n in features], 2):
        there, train = test.at(test.has(pair)).first(config.quality_samples), data.train.at(data.train.has(pair))
        if len(there) < 2 or len(train) < 3:
            continue
        generated = generate(pair, there)
        if generated:
            chosen = np.random.default_rng(config.evaluation_seed).permutation(len(train))[: config.probe_examples]
            found[",".join(pair)] = _of_pair(generated, pair, train.at(chosen), there, features)
    return {"cca": found} if found else {}


def _of_pair(generated: Mapping, pair: tuple[str, str], train: Split, test: Split, features: Features) -> dict:
    def of(values) -> list[np.ndarray]:
        return [features.of(n, values[n]) for n in pair]

    def score(found):
        if isinstance(found, Pairs):
            return mean_of_examples(cca.cosines(fitted, *of(found.values)), found.examples, (-1.0, 1.0))
        return {key: score(inner) for key, inner in found.items()}

    fit = of(train.take(np.arange(len(train))))
    dimensions = min(cca.DIMENSIONS, len(train) - 1, *(x.shape[1] for x in fit))
    fitted = cca.fit(*fit, dimensions)
    real = Pairs(test.take(np.arange(len(test))), test)
    return {"dimensions": len(fitted.correlations)} | score({"ground_truth": real, **generated})


def _generated(model, pair: tuple[str, str], test: Split, config: EvaluateConfig) -> dict[str, Pairs | dict[str, Pairs]]:
    real = test.take(np.arange(len(test)))
    crossed = {b: translated(model, test, (a,), (b,), config)[b] for a, b in (pair, pair[::-1])}
    return {
        "joint": Pairs(random_samples(model, len(test), config), None),
        "cross": {f"{b}{ARROW}{a}": Pairs({a: real[a], b: crossed[b]}, test) for a, b in (pair, pair[::-1])},
        "synergy": Pairs(translated(model, test, pair, pair, config), test),
    }
