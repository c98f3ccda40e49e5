"""Features of values, in which samples are compared: where distances mean something that pixels do not."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import keras
import numpy as np

from mmtf.judge.batches import in_own_unit
from mmtf.metrics import classifier
from mmtf.modality import Modality
from mmtf.networks import classifiers as networks

log = logging.getLogger(__name__)


class Features:
    """Per modality: numbers on a line are their own features; of others, what the coherence classifier sees before it decides.

    Attributes:
      sources: what the features are, by modality, for the report; a modality that has none is not there.
    """

    def __init__(self, modalities: Mapping[str, Modality], classifiers: Mapping[str, keras.Model]):
        """Args: classifiers: by modality; none where there are no labels."""
        own = {n: m for n, m in modalities.items() if len(m.event_shape) == 1 and m.likelihood != "categorical"}
        self._own = {n: m for n, m in own.items() if not m.missing_cells}
        self._networks = {n: networks.features(classifiers[n]) for n in modalities if n in classifiers and n not in self._own}
        self.sources = {n: "values" if n in self._own else "classifier" for n in modalities if n in self}
        missing = [n for n in modalities if n not in self]
        if missing:
            log.info("No features of %s, which has no classifier: distances of samples are left out.", ", ".join(missing))

    def __contains__(self, name: str) -> bool:
        return name in self._own or name in self._networks

    def of(self, name: str, values) -> np.ndarray:
        """`[N, *event_shape]` (or probabilities of classes) -> `[N, F]` float32."""
        if name in self._own:
            return np.asarray(in_own_unit(np.asarray(values), self._own[name]), np.float32)
        return classifier.predict_scores(self._networks[name], np.asarray(values))
