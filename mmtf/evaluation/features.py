"""Features of values, in which samples are compared: where distances mean something that pixels do not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import keras
import numpy as np

from mmtf.config import EvaluateConfig
from mmtf.data.dataset import Split
from mmtf.data.preparation import imagenet
from mmtf.errors import UserError
from mmtf.evaluation.batches import in_own_unit
from mmtf.metrics import classifier
from mmtf.modality import Modality
from mmtf.networks import classifiers as networks

log = logging.getLogger(__name__)


class Features:
    """Per modality: numbers on a line are their own features; of others, what the coherence classifier sees before it decides.

    Attributes:
      sources: what the features are, by modality, for the report; a modality that has none is not there.
    """

    def __init__(
        self,
        modalities: Mapping[str, Modality],
        classifiers: Mapping[str, keras.Model],
        inception: keras.Model | None = None,
    ):
        """Args:
        classifiers: by modality; none where there are no labels.
        inception: what images are shown instead.
        """
        self._inception = inception
        self._images = frozenset(n for n, m in modalities.items() if inception and is_image(m))
        own = {n: m for n, m in modalities.items() if len(m.event_shape) == 1 and m.likelihood != "categorical"}
        self._own = {n: m for n, m in own.items() if not m.missing_cells}
        context = [n for n in modalities if n in classifiers and n not in self._own and n not in self._images]
        self._networks = {n: networks.features(classifiers[n]) for n in context}
        kinds = {"values": self._own, "inception": self._images, "classifier": self._networks}
        self.sources = {n: kind for n in modalities for kind, members in kinds.items() if n in members}
        self._both = {n: networks.features_and_logits(classifiers[n]) for n in self._networks}
        self._known: dict[tuple[str, int], _Known] = {}
        missing = [n for n in modalities if n not in self]
        if missing:
            log.info("No features of %s, which has no classifier: distances of samples are left out.", ", ".join(missing))

    def __contains__(self, name: str) -> bool:
        return name in self.sources

    def of(self, name: str, values) -> np.ndarray:
        """`[N, *event_shape]` (or probabilities of classes) -> `[N, F]` float32."""
        if name in self._own:
            return np.asarray(in_own_unit(np.asarray(values), self._own[name]), np.float32)
        if name in self._images:
            return imagenet.inception_features(self._inception, np.asarray(values))
        return classifier.predict_scores(self._networks[name], np.asarray(values))

    def are_of_classifier(self, name: str) -> bool:
        return name in self._networks

    def with_logits(self, name: str, values) -> tuple[np.ndarray, np.ndarray]:
        """Features that are a classifier's, `[N, F]`, and what it says, `[N, C]`: it runs once."""
        return classifier.predict_outputs(self._both[name], np.asarray(values))

    def of_examples(self, name: str, split: Split) -> np.ndarray:
        """Features of a modality of examples that have it, `[N, F]`; those of a value that serves several are computed once."""
        pool, rows = split.pools[name], split.rows[name]
        key = name, id(pool)
        known = self._known.setdefault(key, _Known(pool))
        known.add(np.unique(rows), lambda values: self.of(name, values))
        return known.features[known.place[rows]]


class _Known:
    """Features of rows of a pool. The pool stays, so that none that comes later is taken for it."""

    def __init__(self, pool: np.ndarray):
        self._pool, self.place, self.features = pool, np.full(len(pool), -1), None

    def add(self, rows: np.ndarray, features_of: Callable[[np.ndarray], np.ndarray]) -> None:
        new = rows[self.place[rows] < 0]
        if not len(new):
            return
        features = features_of(self._pool[new])
        before = 0 if self.features is None else len(self.features)
        self.features = features if self.features is None else np.concatenate([self.features, features])
        self.place[new] = before + np.arange(len(new))


def is_image(modality: Modality) -> bool:
    """Return whether values are grey or coloured pictures."""
    return len(modality.event_shape) == 3 and modality.event_shape[-1] in (1, 3) and modality.likelihood != "categorical"


def inception_network(config: EvaluateConfig) -> keras.Model | None:
    """InceptionV3, where its features are asked for.

    Raises:
      UserError: its weights are not there, or are none; or a file of weights is named that nothing reads.
    """
    if config.features != "inception":
        if config.inception_weights:
            raise UserError("--inception_weights does nothing without --features=inception; add it, or remove the file.")
        return None
    how = {"flag": "inception_weights", "otherwise": "take those of the coherence classifiers, --features=classifier"}
    return imagenet.INCEPTION.network(imagenet.INCEPTION.weights(config.inception_weights, **how))
