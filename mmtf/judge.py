"""What models are worth: arrays from a model's verbs, numbers from `mmtf.metrics`. Used by evaluate.py and during training."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from mmtf import catalog, runtime
from mmtf.config import EvaluateConfig
from mmtf.data.dataset import MultimodalData, Split
from mmtf.metrics import classifier, coherence, probe
from mmtf.modality import subset_key, subsets

BATCH = 500
# [S] C.2.1 fits the probe on a single training batch.
PAPERS_BATCH = 256


def latent_probes(model, train: Split, test: Split, config: EvaluateConfig) -> dict:
    """Linear classification of the posterior's mean for every subset, [S] C.2.1.

    `probe` is fitted on many training examples; `probe_one_batch` on 256 of them, as many as the paper takes.
    """
    index = np.random.default_rng(config.evaluation_seed).permutation(len(train))[: config.probe_examples]
    fit_codes, test_codes = posterior_means(model, train, index), posterior_means(model, test, np.arange(len(test)))
    found = {"probe": {}, "probe_one_batch": {}}
    for key, codes in fit_codes.items():
        for name, count in (("probe", len(index)), ("probe_one_batch", PAPERS_BATCH)):
            score = probe.linear_probe(codes[:count], train.label[index[:count]], test_codes[key], test.label)
            found[name][key] = round(score, 4)
    return found


class Coherence:
    """Conditional coherence of every modality from every subset, and random coherence, [S] C.2.2.

    c is sampled from q(c|X_K) and private codes from their priors, and the classifiers see the decoder's mean: of a
    categorical modality its probabilities, as in the authors' release. Beside `coherence` stand
    `coherence_own_private`: the same for the modalities in K with their s_j from q(s_j|x_j), where there are private codes;
    `coherence_likeliest`: the same for the likeliest classes of categorical modalities, the text that a reader sees.
    """

    def __init__(self, model, test: Split, classifiers: Mapping[str, keras.Model], config: EvaluateConfig):
        """Args: classifiers: per modality. The model may be trained on between measurements."""
        self._test, self._classifiers, self._config = test, classifiers, config
        self._all_from = tf.function(functools.partial(_all_from_all, model), reduce_retracing=True)
        self._random = tf.function(lambda seed: model.generate(BATCH, seed, mean=True))

    def measure(self) -> dict[str, dict[str, float]]:
        """Shares by kind and by `random` or `Y<-K`, rounded to four places."""
        labels = self._test.label
        generated = _in_batches(
            lambda rows, number: self._all_from(self._test.take(np.arange(len(labels))[rows]), self._seed(number)), len(labels)
        )
        found = {"coherence": {"random": coherence.joint_coherence(self._random_classes())}}
        for kind, values in generated.items():
            for (name, key), value in values.items():
                predicted = classifier.predict_classes(self._classifiers[name], value)
                found.setdefault(kind, {})[f"{name}<-{key}"] = coherence.conditional_coherence(predicted, labels)
        return {kind: {k: round(v, 4) for k, v in shares.items()} for kind, shares in found.items()}

    def _random_classes(self) -> dict[str, np.ndarray]:
        count = self._config.random_samples
        values = _in_batches(lambda rows, number: self._random(self._seed(number)), count)
        return {n: classifier.predict_classes(self._classifiers[n], value[:count]) for n, value in values.items()}

    def _seed(self, number: int) -> tf.Tensor:
        return tf.constant([self._config.evaluation_seed, number])


def _all_from_all(model, values, seed) -> dict[str, dict[tuple[str, str], tf.Tensor]]:
    """What `Coherence` judges: by kind, and by target modality and subset, generated values."""
    means, own, likeliest = {}, {}, {}
    for subset in subsets(model.names):
        key, given = subset_key(subset, model.names), {n: values[n] for n in subset}
        translated = model.translate(given, to=model.names, seed=seed, mean=True)
        means |= {(n, key): x for n, x in translated.items()}
        texts = [n for n in translated if model.modalities[n].likelihood == "categorical"]
        likeliest |= {(n, key): tf.argmax(translated[n], axis=-1, output_type=tf.int32) for n in texts}
        if any(model.modalities[n].private_dim for n in subset):
            own |= {(n, key): x for n, x in model.reconstruct(given, seed=seed, mean=True).items()}
    kinds = {"coherence": means, "coherence_own_private": own, "coherence_likeliest": likeliest}
    return {kind: found for kind, found in kinds.items() if found}


def posterior_means(model, split: Split, index: np.ndarray) -> dict[str, np.ndarray]:
    """Mean of q(c|X_K) for every subset K, by its key: `[len(index), shared_dim]` each."""

    @tf.function(reduce_retracing=True)
    def means(values):
        return {subset_key(k, model.names): q.mean() for k, q in model.posteriors(values).items()}

    return _in_batches(lambda rows, number: means(split.take(index[rows])), len(index))


def classifier_accuracies(data: MultimodalData, classifiers: Mapping[str, keras.Model]) -> dict[str, float]:
    """Accuracy of each coherence classifier on its modality's test values: the ceiling of what coherence can be."""
    return {name: round(classifier.accuracy(model, *unimodal(data.test, name)), 4) for name, model in classifiers.items()}


def unimodal(split: Split, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The distinct values of one modality that the pairs use, and their classes: `[n, *event_shape]`, `[n]`."""
    rows, first = np.unique(split.rows[name], return_index=True)
    return split.pools[name][rows], split.label[first]


def train_classifiers(data: MultimodalData, config: EvaluateConfig) -> dict[str, keras.Model]:
    """One coherence classifier per modality, trained on the training values, or taken from the cache."""
    builders = catalog.DATASETS[data.name].classifiers
    directory = Path(config.cache_dir or os.environ.get("MMTF_CACHE_DIR") or Path.home() / ".cache" / "mmtf")
    found = {}
    for m in data.modalities:
        seed = runtime.derived_seed(config.evaluation_seed, f"classifier/{m.name}")
        build = functools.partial(builders[m.name], m, len(data.class_names), seed=seed)
        key = {"dataset": data.name, "modality": m.name}
        found[m.name] = classifier.cached(build, *unimodal(data.train, m.name), cache_dir=directory, key_parts=key, seed=seed)
    return found


def _in_batches(function: Callable, total: int):
    """Concatenates what `function(rows: slice, number)` returns for each batch: any nest of tensors, as arrays."""
    starts = range(0, total, BATCH)
    parts = [function(slice(start, min(start + BATCH, total)), number) for number, start in enumerate(starts)]
    return tf.nest.map_structure(lambda *arrays: np.concatenate([np.asarray(a) for a in arrays]), *parts)
