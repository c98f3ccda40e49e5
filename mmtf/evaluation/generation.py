"""What a model generates for several measurements, each kind once."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from mmtf.config import EvaluateConfig
from mmtf.data.dataset import Split
from mmtf.evaluation.batches import BATCH, batch_seed, in_batches

Subset = tuple[str, ...]


class Translated(NamedTuple):
    """Values of every modality, row n generated from what example n has of K."""

    examples: Split
    values: Mapping[str, np.ndarray]


class Generated:
    """Samples from the priors, and from sets of modalities of the first test examples that have them; means, and of texts the
    likeliest characters. Kept in memory: `quality_samples` of every modality for each set that was asked for.
    """

    def __init__(self, model, test: Split, config: EvaluateConfig):
        self._model, self._test, self._config = model, test, config
        self._by_set: dict[Subset, Translated] = {}

    @functools.cached_property
    def random(self) -> dict[str, np.ndarray]:
        return random_samples(self._model, self._config.quality_samples, self._config)

    def given(self, subset: Subset) -> Translated:
        """c ~ q(c|X_K) and private codes from their priors; of no example, if none has all of K."""
        if subset not in self._by_set:
            examples = self._test.at(self._test.has(subset)).first(self._config.quality_samples)
            values = translated(self._model, examples, subset, self._model.names, self._config) if len(examples) else {}
            self._by_set[subset] = Translated(examples, values)
        return self._by_set[subset]


def random_samples(model, count: int, config: EvaluateConfig) -> dict[str, np.ndarray]:
    """Return samples from the priors, `[count, *event_shape]` per modality: means, and of texts the likeliest characters."""
    generate = tf.function(lambda seed: model.generate(BATCH, seed))
    parts = [generate(batch_seed(config, number)) for number in range(-(-count // BATCH))]
    return {n: np.concatenate([np.asarray(part[n]) for part in parts])[:count] for n in model.names}


def translated(model, test: Split, given: Subset, to: Sequence[str], config: EvaluateConfig) -> Mapping[str, np.ndarray]:
    """The modalities in `to` from those of K, c ~ q(c|X_K) and private codes from their priors, of examples that have all K."""

    @tf.function(reduce_retracing=True)
    def one(values, seed):
        return model.translate(values, to=to, seed=seed)

    def batch(batch, number):
        values, _ = batch
        return one({n: tf.constant(values[n]) for n in given}, batch_seed(config, number))

    return in_batches(test, batch)
