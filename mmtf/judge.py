"""What models are worth: arrays from a model's verbs, numbers from `mmtf.metrics`. Used by evaluate.py and during training."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from mmtf import catalog, runtime
from mmtf.config import EvaluateConfig
from mmtf.data import pipeline
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
    fit = train.at(np.random.default_rng(config.evaluation_seed).permutation(len(train))[: config.probe_examples])
    fit_codes, test_codes = posterior_means(model, fit), posterior_means(model, test)
    found = {"probe": {}, "probe_one_batch": {}}
    for subset in subsets(model.names):
        there, test_there = fit.has(subset), test.has(subset)
        codes, labels = fit_codes[subset][there], fit.label[there]
        for name, count in (("probe", len(codes)), ("probe_one_batch", PAPERS_BATCH)):
            score = probe.linear_probe(codes[:count], labels[:count], test_codes[subset][test_there], test.label[test_there])
            found[name][subset_key(subset, model.names)] = round(score, 4)
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
        self._test, self._classifiers, self._config, self._names = test, classifiers, config, model.names
        self._all_from = tf.function(functools.partial(_all_from_all, model), reduce_retracing=True)
        self._random = tf.function(lambda seed: model.generate(BATCH, seed, mean=True))

    def measure(self) -> dict[str, dict[str, float]]:
        """Shares by kind and by `random` or `Y<-K`, rounded to four places."""
        found = {"coherence": {"random": coherence.joint_coherence(self._random_classes())}}
        generated = _in_batches(self._test, lambda batch, number: self._all_from(*batch, self._seed(number)))
        for kind, subset, name in itertools.product(generated, subsets(self._names), self._names):
            if (name, subset) in generated[kind]:
                there = self._test.has(subset)
                predicted = classifier.predict_classes(self._classifiers[name], generated[kind][name, subset][there])
                share = coherence.conditional_coherence(predicted, self._test.label[there])
                found.setdefault(kind, {})[f"{name}<-{subset_key(subset, self._names)}"] = share
        return {kind: {k: round(v, 4) for k, v in shares.items()} for kind, shares in found.items()}

    def _random_classes(self) -> dict[str, np.ndarray]:
        count = self._config.random_samples
        parts = [self._random(self._seed(number)) for number in range(-(-count // BATCH))]
        values = {n: np.concatenate([part[n] for part in parts])[:count] for n in parts[0]}
        return {n: classifier.predict_classes(self._classifiers[n], value) for n, value in values.items()}

    def _seed(self, number: int) -> tf.Tensor:
        return tf.constant([self._config.evaluation_seed, number])


def standard_errors(shares: Mapping[str, float], test: Split, samples: int) -> dict[str, float]:
    """Binomial standard error of each coherence: `random` from its samples, `Y<-K` from the examples that have all of K."""
    counts = {name: samples if name == "random" else test.has(name.split("<-")[1].split(",")).sum() for name in shares}
    return {name: round(coherence.standard_error(share, int(counts[name])), 4) for name, share in shares.items()}


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


def posterior_means(model, split: Split) -> dict[tuple[str, ...], np.ndarray]:
    """Mean of q(c|X_K) for every subset K: `[N, shared_dim]` each; meaningless where K is not all there."""

    @tf.function(reduce_retracing=True)
    def means(values, mask):
        return {subset: q.mean() for subset, q in model.posteriors(values, mask).items()}

    return _in_batches(split, lambda batch, number: means(*batch))


def classifier_accuracies(data: MultimodalData, classifiers: Mapping[str, keras.Model]) -> dict[str, float]:
    """Accuracy of each coherence classifier on its modality's test values: the ceiling of what coherence can be."""
    return {name: round(classifier.accuracy(model, *unimodal(data.test, name)), 4) for name, model in classifiers.items()}


def unimodal(split: Split, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The distinct values of one modality that the pairs use, and their classes: `[n, *event_shape]`, `[n]`."""
    there = split.at(split.has([name]))
    rows, first = np.unique(there.rows[name], return_index=True)
    return there.pools[name][rows], there.label[first]


def train_classifiers(data: MultimodalData, config: EvaluateConfig) -> dict[str, keras.Model]:
    """One coherence classifier per modality, trained on the training values, or taken from the cache."""
    builders = catalog.DATASETS[data.name].classifiers
    directory = Path(config.cache_dir or os.environ.get("MMTF_CACHE_DIR") or Path.home() / ".cache" / "mmtf")
    found = {}
    for m in data.modalities:
        seed = runtime.derived_seed(config.evaluation_seed, f"classifier/{m.name}")
        build = functools.partial(builders[m.name], m, len(data.class_names), seed=seed)
        key = {"dataset": data.name, "modality": m.name}
        test = unimodal(data.test, m.name)
        found[m.name] = classifier.cached(
            build, *unimodal(data.train, m.name), cache_dir=directory, key_parts=key, seed=seed, test=test
        )
    return found


def _in_batches(split: Split, function: Callable):
    """Concatenates what `function((values, mask), number)` returns for each batch: any nest of tensors, as arrays."""
    batches = pipeline.in_order(split, BATCH)
    parts = [function((batch["values"], batch.get("mask")), number) for number, batch in enumerate(batches)]
    return tf.nest.map_structure(lambda *arrays: np.concatenate([np.asarray(a) for a in arrays]), *parts)
