"""Networks of a modality without networks of its own whose values are columns: two hidden layers over all cells at once.

Any event shape and any likelihood: values are flattened, classes become one-hot codes. Width: the power of 2 from twice the
number of the likelihood's parameters upwards, at least 64 and at most 512. Five columns get 64 units, 784 pixels 512.
"""

from __future__ import annotations

import dataclasses
import math

import keras

from mmtf.distributions.units import to_network
from mmtf.keras_names import PACKAGE
from mmtf.modality import Modality
from mmtf.networks import layers
from mmtf.networks.classifiers import FEATURES

NARROWEST, WIDEST = 64, 512


def encoder(modality: Modality, *, seed: int | None = None) -> keras.Model:
    """Return standardised values `[B, *event_shape]`, or integer classes -> features `[B, width]`.

    Where the modality has missing cells, NaN becomes 0 (the mean) and an indicator of 0 or 1 says so; the class -1 becomes a
    class of its own.
    """
    init = layers.glorot(seed)
    kind = "int32" if modality.num_classes else "float32"
    return keras.Sequential(
        [keras.Input(modality.event_shape, dtype=kind), *readers(modality), keras.layers.Flatten(), *_hidden(modality, init)],
        name=f"{modality.name}_encoder",
    )


def decoder(modality: Modality, latent_dim: int, *, seed: int | None = None) -> keras.Model:
    """Return codes `[B, latent_dim]`, private and shared together -> `[B, *parameter_shape]`, linear.

    Raises:
      ValueError: latent_dim is below 1.
    """
    layers.require_positive(latent_dim=latent_dim)
    init = layers.glorot(seed)
    return keras.Sequential(
        [
            keras.Input((latent_dim,)),
            *_hidden(modality, init),
            keras.layers.Dense(math.prod(modality.parameter_shape), kernel_initializer=next(init)),
            keras.layers.Reshape(modality.parameter_shape),
        ],
        name=f"{modality.name}_decoder",
    )


def classifier(modality: Modality, num_classes: int, *, seed: int | None = None) -> keras.Model:
    """Return values in their own unit `[B, *event_shape]`, or probabilities of classes `[B, *event_shape, K]` -> logits.

    Raises:
      ValueError: num_classes is below 1.
    """
    layers.require_positive(num_classes=num_classes)
    init = layers.glorot(seed)
    return keras.Sequential(
        [
            keras.Input(classifier_input_shape(modality)),
            *classifier_input(modality),
            keras.layers.Flatten(),
            *_hidden(modality, init, name=FEATURES),
            keras.layers.Dense(num_classes, kernel_initializer=next(init), name="logits"),
        ],
        name=f"{modality.name}_classifier",
    )


def width(modality: Modality) -> int:
    """Return units of a hidden layer."""
    fitting = 2 ** math.ceil(math.log2(2 * math.prod(modality.parameter_shape)))
    return min(max(fitting, NARROWEST), WIDEST)


def readers(modality: Modality) -> list[keras.layers.Layer]:
    """What stands between an encoder's input and its first kernel: codes of classes, and what to do with missing cells."""
    if modality.num_classes:
        return [OneHot(modality.num_classes, modality.missing_cells)]
    return [MissingCells(indicate=True)] if modality.missing_cells else []


def classifier_input_shape(modality: Modality) -> tuple[int, ...]:
    """Return shape of what a classifier sees: a value, or probabilities of its classes."""
    return modality.parameter_shape if modality.num_classes else modality.event_shape


def classifier_input(modality: Modality) -> list[keras.layers.Layer]:
    """Return what brings values into the networks' unit before a classifier reads them.

    No indicator of missing cells: it could tell the class of real values, and generated ones have none missing.
    """
    units = []
    if modality.spread or modality.likelihood == "negative_binomial":
        # Without weights and the like, which change nothing here: the config of a layer is part of a cached classifier's key.
        bare = Modality(modality.name, modality.event_shape, modality.likelihood)
        units = [Standardised(dataclasses.replace(bare, location=modality.location, spread=modality.spread))]
    return units + ([MissingCells(indicate=False)] if modality.missing_cells and not modality.num_classes else [])


@keras.saving.register_keras_serializable(PACKAGE)
class MissingCells(keras.layers.Layer):
    """NaN to 0, and on request an indicator behind the values, 1 where a cell is missing: `[..., C]` -> `[..., 2C]`."""

    def __init__(self, indicate: bool, **kwargs):
        super().__init__(**kwargs)
        self.indicate = indicate

    def call(self, x):
        missing = keras.ops.isnan(x)
        filled = keras.ops.where(missing, keras.ops.zeros_like(x), x)
        return keras.ops.concatenate([filled, keras.ops.cast(missing, x.dtype)], axis=-1) if self.indicate else filled

    def get_config(self):
        return {**super().get_config(), "indicate": self.indicate}


@keras.saving.register_keras_serializable(PACKAGE)
class OneHot(keras.layers.Layer):
    """Integer classes `[...]` -> `[..., num_classes]`; where classes may be missing, one place more, the first one, says so."""

    def __init__(self, num_classes: int, missing_cells: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.num_classes, self.missing_cells = num_classes, missing_cells

    def call(self, classes):
        return keras.ops.one_hot(classes + int(self.missing_cells), self.num_classes + int(self.missing_cells))

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes, "missing_cells": self.missing_cells}


@keras.saving.register_keras_serializable(PACKAGE)
class Standardised(keras.layers.Layer):
    """Values in the modality's own unit -> values in the unit of its networks; NaN stays NaN."""

    def __init__(self, modality: Modality | dict, **kwargs):
        super().__init__(**kwargs)
        self.modality = modality if isinstance(modality, Modality) else Modality.from_json(modality)

    def call(self, values):
        return to_network(self.modality, values)

    def get_config(self):
        return {**super().get_config(), "modality": dataclasses.asdict(self.modality)}


def _hidden(modality: Modality, init, name: str | None = None) -> list[keras.layers.Layer]:
    """Return the two hidden layers; the name is of the last one."""
    return [
        keras.layers.Dense(width(modality), activation="relu", kernel_initializer=next(init), name=each)
        for each in (None, name)
    ]
