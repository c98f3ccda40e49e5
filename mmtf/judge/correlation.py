"""Whether values of two modalities belong together, by canonical correlations of their features ([C] eq. 11)."""

from __future__ import annotations

import itertools
import logging

import numpy as np

from mmtf.config import EvaluateConfig
from mmtf.data.dataset import MultimodalData, Split
from mmtf.judge.batches import ARROW, mean_of_examples
from mmtf.judge.features import Features
from mmtf.judge.quality import random_samples, translated
from mmtf.metrics import cca

log = logging.getLogger(__name__)


def correlations(model, data: MultimodalData, test: Split, features: Features, config: EvaluateConfig) -> dict[str, dict]:
    """`cca` of docs/metrics.md: by pair of modalities, of real pairs, random ones, cross generation and synergy.

    CCA is fitted to features of training pairs, in 40 dimensions as in [C], or as many as there are.
    """
    found = {}
    names = [n for n in model.names if n in features]
    for pair in itertools.combinations(names, 2):
        there, train = test.at(test.has(pair)).first(config.quality_samples), data.train.at(data.train.has(pair))
        if len(there) < 2 or len(train) < 3:
            continue
        chosen = np.random.default_rng(config.evaluation_seed).permutation(len(train))[: config.probe_examples]
        found[",".join(pair)] = _of_pair(model, pair, train.at(chosen), there, features, config)
    return {"cca": found} if found else {}


def _of_pair(model, pair: tuple[str, str], train: Split, test: Split, features: Features, config: EvaluateConfig) -> dict:
    def of(values) -> list[np.ndarray]:
        return [features.of(n, values[n]) for n in pair]

    def score(values, split: Split = test) -> dict[str, float]:
        return mean_of_examples(cca.cosines(fitted, *of(values)), split, (-1.0, 1.0))

    fit, real = of(train.take(np.arange(len(train)))), test.take(np.arange(len(test)))
    dimensions = min(cca.DIMENSIONS, len(train) - 1, *(x.shape[1] for x in fit))
    fitted = cca.fit(*fit, dimensions)
    first, second = pair
    crossed = {b: translated(model, test, (a,), (b,), config)[b] for a, b in (pair, pair[::-1])}
    # Nothing in a sample comes from a test example.
    independent = Split({}, dict.fromkeys(pair, np.arange(len(test))), None)
    return {
        "dimensions": len(fitted.correlations),
        "ground_truth": score(real),
        "joint": score(random_samples(model, len(test), config), independent),
        "cross": {
            f"{second}{ARROW}{first}": score({first: real[first], second: crossed[second]}),
            f"{first}{ARROW}{second}": score({second: real[second], first: crossed[first]}),
        },
        "synergy": score(translated(model, test, pair, pair, config)),
    }
