"""Whether classifiers find in what a model generates the class that it should have."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from mmtf.config import EvaluateConfig
from mmtf.data.dataset import Split
from mmtf.judge.batches import (
    ARROW,
    BATCH,
    batch_seed,
    given_in,
    in_batches,
    rounded,
    share_of_examples,
    whole_somewhere,
)
from mmtf.judge.labels import Scores, left_out, mean_scores, scores_by_label
from mmtf.metrics import classifier, coherence, intervals, precision
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
        self._multi_label = test.label.ndim == 2
        self._all_from = tf.function(functools.partial(_all_from_all, model), reduce_retracing=True)
        self._random = tf.function(lambda seed: model.generate(BATCH, seed, mean=True))

    def measure(self) -> dict[str, dict[str, float]]:
        """Scores by kind and by `random` or `Y<-K`, rounded to four places."""
        return mean_scores(self._scores(self._random_logits(), self._conditional_logits()))

    def report(self, class_names: Sequence[str]) -> dict:
        """What `measure` returns, its standard errors, and with many labels the score of each."""
        at_random, conditional = self._random_logits(), self._conditional_logits()
        scores = self._scores(at_random, conditional)
        means = mean_scores(scores)
        if not self._multi_label:
            return means | self._trusted(at_random, conditional["coherence"]) | self._as_published(at_random)
        errors = self._bootstrap_errors(at_random, {k: conditional["coherence"][k] for k in means["coherence"] if ARROW in k})
        # The random one needs no label, and has none.
        by_label = {"coherence": {key: x for key, x in scores["coherence"].items() if ARROW in key}}
        return (
            means
            | {"coherence_by_label": scores_by_label(by_label["coherence"], class_names), "coherence_standard_error": errors}
            | left_out(by_label, class_names)
        )

    def _scores(self, at_random: Mapping[str, np.ndarray], conditional: Mapping[str, Mapping[str, np.ndarray]]) -> Scores:
        """Args: as `_random_logits` and `_conditional_logits` return them."""
        # Agreement takes two modalities.
        found = {"coherence": {"random": self._agreement(at_random)} if len(at_random) > 1 else {}}
        for kind, logits in conditional.items():
            found.setdefault(kind, {}).update({key: self._score(x, self._labels(key)) for key, x in logits.items()})
        return found

    def _score(self, logits: np.ndarray, labels: np.ndarray) -> float | np.ndarray:
        if self._multi_label:
            return precision.average_precisions(logits, labels)
        return coherence.conditional_coherence(logits.argmax(axis=-1), labels)

    def _agreement(self, logits: Mapping[str, np.ndarray]) -> float:
        if self._multi_label:
            return float(precision.agreement(logits).mean())
        return coherence.joint_coherence({name: x.argmax(axis=-1) for name, x in logits.items()})

    def _trusted(self, at_random: Mapping[str, np.ndarray], conditional: Mapping[str, np.ndarray]) -> dict[str, dict]:
        """Standard error and interval of each share; examples that come from the same value are not independent."""
        found = {}
        if len(at_random) > 1:
            classes = np.stack([x.argmax(axis=-1) for x in at_random.values()])
            found["random"] = intervals.share((classes == classes[0]).all(axis=0))
        for key, logits in conditional.items():
            there = self._test.at(self._test.has(given_in(key)))
            found[key] = share_of_examples(logits.argmax(axis=-1) == there.label, there)
        return {
            "coherence_standard_error": {key: rounded(x.standard_error) for key, x in found.items()},
            "coherence_interval": {key: [rounded(x.low), rounded(x.high)] for key, x in found.items()},
        }

    def _as_published(self, at_random: Mapping[str, np.ndarray]) -> dict[str, dict[str, float]]:
        """What the release of [S] counts as agreement, of three modalities; of others it says nothing."""
        if len(at_random) != 3:
            return {}
        classes = {name: x.argmax(axis=-1) for name, x in at_random.items()}
        return {"coherence_published": {"random": rounded(coherence.agreement_as_published(classes))}}

    def _bootstrap_errors(self, at_random: Mapping[str, np.ndarray], conditional: Mapping[str, np.ndarray]) -> dict[str, float]:
        seed, found = self._config.evaluation_seed, {}
        if len(at_random) > 1:
            shares = precision.agreement(at_random)
            found["random"] = shares.std() / np.sqrt(len(shares))
        found |= {key: precision.bootstrap_error(x, self._labels(key), seed) for key, x in conditional.items()}
        return {key: rounded(error) for key, error in found.items()}

    def _labels(self, key: str) -> np.ndarray:
        return self._test.label[self._test.has(given_in(key))]

    def _random_logits(self) -> dict[str, np.ndarray]:
        """Per modality what its classifier says of samples from the priors, `[random_samples, K]`."""
        count = self._config.random_samples
        numbers = range(-(-count // BATCH))
        parts = [self._classified(self._random(batch_seed(self._config, number))) for number in numbers]
        return {name: np.concatenate([part[name] for part in parts])[:count] for name in parts[0]}

    def _conditional_logits(self) -> dict[str, dict[str, np.ndarray]]:
        """By kind, and by `Y<-K`, what Y's classifier says of the test examples that have all of K, `[N_K, K]`."""

        def logits(batch, number):
            # Each batch at once: logits are small, what they were found in is not.
            generated = self._all_from(*batch, batch_seed(self._config, number))
            return {kind: self._classified(values) for kind, values in generated.items()}

        found = {}
        for kind, by_place in in_batches(self._test, logits).items():
            for subset, name in itertools.product(whole_somewhere(subsets(self._names), self._test), self._names):
                if (name, subset) in by_place:
                    key = f"{name}{ARROW}{subset_key(subset, self._names)}"
                    found.setdefault(kind, {})[key] = by_place[name, subset][self._test.has(subset)]
        return found

    def _classified(self, values: Mapping) -> dict:
        """Logits of values, whose keys are modalities, or modalities and where they were generated from."""
        classifiers = {key: self._classifiers[key if isinstance(key, str) else key[0]] for key in values}
        return {key: classifier.predict_scores(classifiers[key], np.asarray(x)) for key, x in values.items()}


def _all_from_all(model, values, mask, seed) -> dict[str, dict[tuple[str, tuple[str, ...]], tf.Tensor]]:
    """What `Coherence` judges: by kind, and by target modality and subset, generated values."""
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
    return {kind: found for kind, found in kinds.items() if found}
