"""Context of an evaluation, of a model or of samples: its examples, and classifiers and features to compare by."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from mmtf.config import EvaluateConfig
from mmtf.data.dataset import MultimodalData
from mmtf.evaluation.features import Features, inception_network
from mmtf.evaluation.labels import score_name, train_classifiers
from mmtf.modality import Modality


class EvaluationContext:
    """Attributes:
    data: the data set. config: how it is evaluated. modalities: of what is evaluated, by name.
    test: the test examples that count. labelled: whether there are classes to know them by.
    """

    def __init__(self, data: MultimodalData, config: EvaluateConfig, modalities: Mapping[str, Modality]):
        """Raise UserError where InceptionV3's weights are asked for and are not there: before any long work."""
        self.data, self.config, self.modalities = data, config, modalities
        self.test = data.test.first(config.test_examples)
        self.labelled = score_name(data) is not None
        self._inception = inception_network(config)

    @functools.cached_property
    def classifiers(self) -> dict:
        return train_classifiers(self.data, self.config)

    @functools.cached_property
    def features(self) -> Features:
        return self.features_by(self.classifiers)

    def features_by(self, classifiers: Mapping) -> Features:
        """Return the features by these classifiers, which may be none."""
        return Features(self.modalities, classifiers, self._inception)
