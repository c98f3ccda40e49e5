"""From the names in a config to a data set, its networks and classifiers, and a model."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType

import keras

from mmtf.config import Config, DataConfig, ModelConfig
from mmtf.config.names import DATASETS, MODELS
from mmtf.data.dataset import MultimodalData
from mmtf.distributed import platform
from mmtf.errors import UserError
from mmtf.modality import Modality
from mmtf.models.base import LatentModel
from mmtf.models.gan.base import AdversarialModel
from mmtf.networks import adversarial, default


def check_names(config: Config) -> None:
    """Raise UserError where the model or the data set does not exist."""
    MODELS.row(config.model.model)
    DATASETS.row(config.data.dataset)


def load_data(config: DataConfig) -> MultimodalData:
    """Return the data set that the config names, with the modalities that it names.

    Raises:
      UserError: as the data set's `load`; or a modality that it does not have.
    """
    data = DATASETS.load(config.dataset).load(config)
    if not config.modalities:
        return data
    try:
        return data.only([name.strip() for name in config.modalities.split(",")])
    except ValueError as error:
        raise UserError(f"--modalities={config.modalities}: {error}") from error


def model_class(name: str) -> type[LatentModel]:
    """Return the class of a model. Raises UserError where there is none of that name."""
    return MODELS.load(name)


def networks_of(dataset: str, modality: Modality, *, for_adversarial: bool = False) -> ModuleType:
    """Return the module with `encoder` and `decoder`; for adversarial models with `discriminator` and `tower` too."""
    entry = DATASETS.load(dataset)
    if for_adversarial:
        return entry.adversarial.get(modality.name) or adversarial.default_of(modality)
    return entry.networks.get(modality.name) or default.networks_of(modality)


def classifier_of(dataset: str, modality: Modality) -> Callable[..., keras.Model]:
    """Return what builds the modality's coherence classifier: `(modality, num_classes, seed=)` -> model that returns logits."""
    own = DATASETS.load(dataset).classifiers.get(modality.name)
    return own or default.networks_of(modality).classifier


def classifier_epochs(dataset: str, modality: str) -> int | None:
    """Return epochs of the modality's classifier; None for the usual number."""
    return DATASETS.load(dataset).classifier_epochs.get(modality)


def fills_of(dataset: str) -> Mapping[str, str]:
    """Return the characters behind a data set's shorter texts, by modality, where they are not spaces."""
    return DATASETS.load(dataset).fills


def licences_of(dataset: str) -> tuple[str, ...]:
    """Return the terms of a data set, a sentence for each of its sources."""
    return DATASETS.load(dataset).licence


def configure(modalities: Sequence[Modality], config: ModelConfig) -> tuple[Modality, ...]:
    """Return the data set's modalities with the config's private size and weights.

    Raises:
      UserError: a weight for a modality that does not exist.
    """
    return config.configured(modalities)


def build_model(config: Config, modalities: Sequence[Modality], precision: str = "float32", **networks) -> LatentModel:
    """Return the model of a config, with fresh weights, every variable made.

    Args:
      modalities: with their private sizes and weights, as `configure` returns them and the run directory keeps them.
      precision: numbers that its networks compute with, `float32` or `bfloat16`. The variables are float32 under both.
      networks: own networks, by the constructor's argument ("encoders") and modality; the others are those of the data set.

    Raises:
      UserError: an unknown name, or sizes that do not fit together.
    """
    build = model_class(config.model.model)
    name, adversarial_model = config.data.dataset, issubclass(build, AdversarialModel)
    how = {"networks_of": functools.partial(networks_of, name, for_adversarial=adversarial_model)} | networks
    if adversarial_model:
        how["joint_sizes"] = DATASETS.load(name).joint_sizes
    else:
        how["microbatch"] = config.train.microbatch
    options = dataclasses.asdict(config.model)
    # Each modality has its own.
    del options["private_dim"]
    try:
        with platform.networks_compute_in(precision):
            return build(modalities, **how, **options | {"seed": config.train.seed, "name": options.pop("model")})
    except ValueError as error:
        raise UserError(str(error)) from error
