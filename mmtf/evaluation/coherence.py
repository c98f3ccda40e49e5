"""Coherence: the share of generated values in which classifiers find the class that they should have.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from mmtf.config import EvaluateConfig
from mmtf.data.dataset import Split
from mmtf.evaluation.batches import BATCH, batch_seed, in_batches, whole_somewhere
from mmtf.evaluation.coherence_scores import CoherenceScores
from mmtf.metrics import classifier
from mmtf.metrics.specs import ARROW
from mmtf.modality import subset_key, subsets


class Coherence:
    """Conditional coherence of every modality from every subset, and random coherence, [S] C.2.2 and C.4.3.

    c is sampled from q(c|X_K) and private codes from their priors, and the classifiers see the decoder's mean: of a
    categorical modality its probabilities, as in the authors' release. Beside `coherence` stand
    `coherence_own_private`: the same for the modalities in K with their s_j from q(s_j|x_j), where there are private codes;
    `coherence_likeliest`: the same for the likeliest classes of categorical modalities, the text that a reader sees.
    """

    def __init__(self, model, test: Split, classifiers: Mapping[str, keras.Model], config: EvaluateConfig):
        """Args: test: with labels. classifiers: per modality. The model may be trained on between measurements."""
        self._test, self._classifiers, self._config, self._names = test, classifiers, config, model.names
        self._scores = CoherenceScores(test, config)
        self._all_from = tf.function(functools.partial(_all_from_all, model), reduce_retracing=True)
        self._random = tf.function(lambda seed: model.generate(BATCH, seed, mean=True))

    def measure(self) -> dict[str, dict[str, float]]:
        """Return scores by kind and by `random` or `Y<-K`, rounded to four places."""
        return self._scores.means(self._random_logits(), self._conditional_logits())

    def report(self, class_names: Sequence[str]) -> dict:
        """Return what `measure` returns, its standard errors, and with many labels the score of each."""
        return self._scores.report(self._random_logits(), self._conditional_logits(), class_names)

    def _random_logits(self) -> dict[str, np.ndarray]:
        """Per modality what its classifier says of samples from the priors, `[random_samples, K]`."""
        count = self._config.random_samples
        numbers = range(-(-count // BATCH))
        parts = [classified(self._classifiers, self._random(batch_seed(self._config, number))) for number in numbers]
        return {name: np.concatenate([part[name] for part in parts])[:count] for name in parts[0]}

    def _conditional_logits(self) -> dict[str, dict[str, np.ndarray]]:
        """By kind, and by `Y<-K`, what Y's classifier says of the test examples that have all of K, `[N_K, K]`."""

        def logits(batch, number):
            # Each batch at once: logits are small, what they were found in is not.
            generated = self._all_from(*batch, batch_seed(self._config, number))
            return {kind: classified(self._classifiers, values) for kind, values in generated.items()}

        logits_by_kind = {}
        for kind, by_place in in_batches(self._test, logits).items():
            for subset, name in itertools.product(whole_somewhere(subsets(self._names), self._test), self._names):
                if (name, subset) in by_place:
                    key = f"{name}{ARROW}{subset_key(subset, self._names)}"
                    logits_by_kind.setdefault(kind, {})[key] = by_place[name, subset][self._test.has(subset)]
        return logits_by_kind


def classified(classifiers: Mapping[str, keras.Model], values: Mapping) -> dict:
    """Return logits of values, whose keys are modalities, or modalities and where they were generated from."""
    models = {key: classifiers[key if isinstance(key, str) else key[0]] for key in values}
    return {key: classifier.predict_scores(models[key], np.asarray(x)) for key, x in values.items()}


def _all_from_all(model, values, mask, seed) -> dict[str, dict[tuple[str, tuple[str, ...]], tf.Tensor]]:
    """Return what `Coherence` evaluates: by kind, and by target modality and subset, generated values."""
    means, own, likeliest = {}, {}, {}
    for subset in subsets(model.names):
        given = {n: values[n] for n in subset}
        translated = model.translate(given, to=model.names, mask=mask, seed=seed, mean=True)
        means |= {(n, subset): x for n, x in translated.items()}
        texts = [n for n in translated if model.modalities[n].likelihood == "categorical"]
        likeliest |= {(n, subset): tf.argmax(translated[n], axis=-1, output_type=tf.int32) for n in texts}
        if any(model.modalities[n].private_dim for n in subset):
            own |= {(n, subset): x for n, x in model.reconstruct(given, mask, seed=seed, mean=True).items()}
    kinds = {"coherence": means, "coherence_own_private": own, "coherence_likeliest": likeliest}
    return {kind: by_place for kind, by_place in kinds.items() if by_place}
