"""What a data set says of itself: how it is loaded, its terms, and the networks of its modalities."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING

from mmtf.config import DataConfig
from mmtf.data.dataset import MultimodalData
from mmtf.networks.sizes import JointDiscriminatorSizes

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True)
class DatasetEntry:
    """A data set, declared in its own file. `mmtf.config.names.DATASETS` has its name.

    Attributes:
      load: from the config to the examples.
      licence: terms of the data, where their publishers state them: a sentence for each source.
      networks: per modality, the module with its `encoder` and `decoder`; one that is left out gets those of
        `mmtf.networks.default` for its kind of values.
      classifiers: per modality, `(modality, num_classes, seed=)` -> the classifier that scores coherence.
      classifier_epochs: of classifiers that need more than `metrics.classifier.default_epochs`.
      adversarial: as `networks`, of adversarial models, with parts of discriminators.
      joint_sizes: of discriminators that see all modalities.
      fills: per text, the character behind shorter ones, where it is not a space.
    """

    load: Callable[[DataConfig], MultimodalData]
    licence: tuple[str, ...] = ()
    networks: Mapping[str, ModuleType] = dataclasses.field(default_factory=dict)
    classifiers: Mapping[str, Callable[..., keras.Model]] = dataclasses.field(default_factory=dict)
    classifier_epochs: Mapping[str, int] = dataclasses.field(default_factory=dict)
    adversarial: Mapping[str, ModuleType] = dataclasses.field(default_factory=dict)
    joint_sizes: JointDiscriminatorSizes = dataclasses.field(default_factory=JointDiscriminatorSizes)
    fills: Mapping[str, str] = dataclasses.field(default_factory=dict)
