"""Generate for several measurements at once: each value is encoded, each code decoded and each result read once."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from mmtf import progress
from mmtf.config import EvaluateConfig
from mmtf.data.dataset import Split
from mmtf.evaluation.batches import BATCH, batch_seed, in_batches, whole_somewhere
from mmtf.evaluation.features import Features
from mmtf.metrics import classifier
from mmtf.modality import Modality, subsets

Subset = tuple[str, ...]
Place = tuple[str, Subset]  # a modality, and the set that it was generated from

LOGITS, OWN, LIKELIEST, FEATURES = "coherence", "coherence_own_private", "coherence_likeliest", "features"
SHOWN_AFTER = 10.0  # seconds of work before there is a progress bar


class Translated(NamedTuple):
    """Features of a modality, row n of what was generated from what example n has of K."""

    examples: Split
    features: np.ndarray


class Graphs:
    """A model's verbs as graphs, each traced once. They take the weights of the moment."""

    def __init__(self, model):
        self.from_subsets = tf.function(model.from_subsets, reduce_retracing=True)
        self.random = tf.function(lambda seed: model.generate(BATCH, seed, mean=True))


class Generated:
    """Reads samples by classifiers and features: from the priors, and of every modality from every set of modalities.

    c is sampled from q(c|X_K) and private codes from their priors; classifiers see means, features what is shown: means too,
    and of texts the likeliest characters. Values go as soon as they were read. Kept are logits, and features of
    `quality_samples` samples of a kind.
    """

    def __init__(
        self,
        model,
        test: Split,
        config: EvaluateConfig,
        classifiers: Mapping[str, keras.Model] | None = None,
        features: Features | None = None,
        graphs: Graphs | None = None,
    ):
        """Args:
        classifiers: by modality, where logits are wanted.
        features: where features are wanted.
        graphs: of the model, where several of its states are asked.
        """
        self._model, self._test, self._config = model, test, config
        self._classifiers, self._features, self._graphs = classifiers, features, graphs or Graphs(model)

    def random_logits(self) -> dict[str, np.ndarray]:
        """Per modality what its classifier says of samples from the priors, `[random_samples, C]`."""
        count = self._config.random_samples
        return {name: kinds[LOGITS][:count] for name, kinds in self._random.items()}

    def random_features(self, name: str) -> np.ndarray:
        """Features of samples of a modality from the priors, `[quality_samples, F]`."""
        return self._random[name][FEATURES][: self._config.quality_samples]

    def logits(self) -> dict[str, dict[Place, np.ndarray]]:
        """By kind of coherence and by place what classifiers say, `[N, C]`; of an example that has all of the set."""
        return self._from_subsets[0]

    def given(self, subset: Subset, name: str) -> Translated:
        """Features of a modality, of the first `quality_samples` test examples that have the set; of none, if none has."""
        examples = self._test.at(self._with(subset))
        return Translated(examples, self._from_subsets[1].get((name, subset), np.zeros((0, 0), np.float32)))

    @functools.cached_property
    def _random(self) -> dict[str, dict[str, np.ndarray]]:
        """By modality, logits and features of as many samples as are wanted."""
        wanted = {LOGITS: self._config.random_samples if self._classifiers is not None else 0}
        wanted[FEATURES] = self._config.quality_samples if self._features is not None else 0
        parts = {name: {} for name in self._model.names}
        with progress.bar(max(wanted.values()), "random samples", "sample", delay=SHOWN_AFTER) as bar:
            for number, first in enumerate(range(0, max(wanted.values()), BATCH)):
                kinds = {kind for kind, count in wanted.items() if first < count}
                for name, values in self._graphs.random(batch_seed(self._config, number)).items():
                    for kind, array in self._read(name, np.asarray(values), kinds).items():
                        parts[name].setdefault(kind, []).append(array)
                bar.update(BATCH)
        return {name: {kind: np.concatenate(part) for kind, part in kinds.items()} for name, kinds in parts.items()}

    @functools.cached_property
    def _from_subsets(self) -> tuple[dict[str, dict[Place, np.ndarray]], dict[Place, np.ndarray]]:
        """Logits by kind and place; and features by place."""
        reading = _Reading(self._model, self._test, self._featured(), self._read)
        logits, features = {}, {place: [] for place in reading.featured}
        with progress.bar(len(self._test), "generated values", "example", delay=SHOWN_AFTER) as bar:

            def of_batch(batch, number):
                generated = self._graphs.from_subsets(*batch, batch_seed(self._config, number))
                generated = tf.nest.map_structure(np.asarray, generated)
                size = len(next(iter(generated.code.values())))
                rows = np.arange(size) + number * size
                found, of_rows = reading.of_batch(generated, rows, logits=self._classifiers is not None)
                for place, part in of_rows.items():
                    features[place].append(part)
                bar.update(len(rows))
                return found

            if len(self._test):
                logits = in_batches(self._test, of_batch)
        return logits, {place: np.concatenate(parts) for place, parts in features.items() if parts}

    def _featured(self) -> dict[Place, np.ndarray]:
        """By place the examples for which features are wanted: from one other, from all others, and from it and another."""
        places = {}
        if self._features is None:
            return places
        names = self._model.names
        for name in (n for n in names if n in self._features):
            others = tuple(n for n in names if n != name)
            pairs = [tuple(n for n in names if n in (name, other)) for other in others if other in self._features]
            for subset in dict.fromkeys([(n,) for n in others] + ([others] if others else []) + pairs):
                rows = self._with(subset)
                if len(rows):
                    places[name, subset] = rows
        return places

    def _with(self, subset: Subset) -> np.ndarray:
        return np.flatnonzero(self._test.has(subset))[: self._config.quality_samples]

    def _read(self, name: str, values: np.ndarray, kinds: Collection[str]) -> dict[str, np.ndarray]:
        """By kind, of those wanted and possible, what is read of means `[R, ...]` of a modality."""
        return dict(_read(self._model.modalities[name], values, kinds, self._classifiers or {}, self._features))


class _Reading:
    """Reads a batch that was generated from every set."""

    def __init__(self, model, test: Split, featured: Mapping[Place, np.ndarray], read):
        self.featured, self._read = featured, read
        self._modalities = model.modalities
        self._sets = whole_somewhere(subsets(model.names), test)

    def of_batch(self, generated, rows: np.ndarray, *, logits: bool) -> tuple[dict, dict[Place, np.ndarray]]:
        """Return logits by kind and place, `[B, C]` each; and of those of the rows that are wanted, features by place."""
        by_kind, features, size = {}, {}, len(rows)
        for name, values in generated.values.items():
            here = {s: np.isin(rows, at, kind="sort") for (n, s), at in self.featured.items() if n == name}
            here = {subset: inside for subset, inside in here.items() if inside.any()}
            kinds = ({LOGITS, LIKELIEST} if logits else set()) | ({FEATURES} if here else set())
            if not kinds:
                continue
            used = np.unique([generated.code[s] for s in (self._sets if logits else here)])
            found = self._of_codes(name, values[used], kinds)
            for subset in self._sets:
                at = np.searchsorted(used, generated.code[subset]), np.arange(size)
                for kind in (LOGITS, LIKELIEST):
                    if kind in found:
                        by_kind.setdefault(kind, {})[name, subset] = found[kind][at]
                if subset in here:
                    features[name, subset] = found[FEATURES][at][here[subset]]
        if logits:
            own = self._of_own(generated, by_kind.get(LOGITS, {}), size)
            by_kind |= {OWN: own} if own else {}
        return by_kind, features

    def _of_own(self, generated, others: Mapping[Place, np.ndarray], size: int) -> dict[Place, np.ndarray]:
        """Logits of the modalities of a set beside their own private codes; of one without, there is nothing else to see."""
        logits = {name: self._of_codes(name, x, {LOGITS}).get(LOGITS) for name, x in generated.own.items()}
        by_place = {}
        for subset in self._sets:
            if any(self._modalities[n].private_dim for n in subset):
                for name in subset:
                    if logits.get(name) is not None:
                        by_place[name, subset] = logits[name][generated.own_code[name, subset], np.arange(size)]
                    elif (name, subset) in others:
                        by_place[name, subset] = others[name, subset]
        return by_place

    def _of_codes(self, name: str, values: np.ndarray, kinds: Collection[str]) -> dict[str, np.ndarray]:
        """Return what `read` says of values `[U, B, ...]`, with these axes."""
        found = self._read(name, values.reshape(-1, *values.shape[2:]), kinds)
        return {kind: x.reshape(*values.shape[:2], *x.shape[1:]) for kind, x in found.items()}


def _read(
    modality: Modality,
    means: np.ndarray,
    kinds: Collection[str],
    classifiers: Mapping[str, keras.Model],
    features: Features | None,
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield kinds with what is read; a classifier that sees the same values for two kinds runs once."""
    name = modality.name
    text = modality.likelihood == "categorical" and means.dtype.kind == "f"
    shown = means.argmax(axis=-1).astype(np.int32) if text else means
    seen = {LIKELIEST: shown, LOGITS: means} if text else {LOGITS: shown}
    logits = [kind for kind in seen if kind in kinds and name in classifiers]
    if FEATURES in kinds and features is not None and name in features:
        of_shown = next(iter(seen))
        if of_shown in logits and features.are_of_classifier(name):
            logits.remove(of_shown)
            of_features, scores = features.with_logits(name, shown)
            yield from ((FEATURES, of_features), (of_shown, scores))
        else:
            yield FEATURES, features.of(name, shown)
    for kind in logits:
        yield kind, classified(classifiers, {name: seen[kind]})[name]


def classified(classifiers: Mapping[str, keras.Model], values: Mapping) -> dict:
    """Return logits of values, whose keys are modalities, or modalities and where they were generated from."""
    models = {key: classifiers[key if isinstance(key, str) else key[0]] for key in values}
    return {key: classifier.predict_scores(models[key], np.asarray(x)) for key, x in values.items()}
