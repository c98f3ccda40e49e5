"""MNIST encoder and decoder, [S] Table 5: one hidden layer of 400.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

import math

import keras

from mmtf.modality import Modality
from mmtf.networks import layers

EVENT_SHAPE = (28, 28, 1)
HIDDEN = 400


def encoder(modality: Modality, *, seed: int | None = None) -> keras.Model:
    """Return layer 1 of [S] Table 5: images `[B, 28, 28, 1]`, float in 0..1 -> features `[B, 400]`.

    Layers 3a and 3b (in the table's rows: 2a and 2b) are `heads.GaussianHead`.

    Raises:
      ValueError: the modality's values are not `(28, 28, 1)` real numbers.
    """
    _check(modality)
    dense = keras.layers.Dense(HIDDEN, activation="relu", kernel_initializer=next(layers.glorot(seed)))
    return keras.Sequential([keras.Input(EVENT_SHAPE), keras.layers.Flatten(), dense], name=f"{modality.name}_encoder")


def decoder(modality: Modality, latent_dim: int, *, seed: int | None = None) -> keras.Model:
    """[S] Table 5: codes `[B, latent_dim]`, private and shared together -> locations or logits `[B, 28, 28, 1]`.

    Deviation: the table's caption gives every layer a ReLU, under which no pixel could be pulled back up from 0. As in the
    authors' release the output is a sigmoid; for a Bernoulli likelihood it is linear, since that takes logits.

    Raises:
      ValueError: the modality's values are not `(28, 28, 1)` real numbers, or latent_dim is below 1.
    """
    _check(modality)
    layers.require_positive(latent_dim=latent_dim)
    init = layers.glorot(seed)
    output = "linear" if modality.likelihood == "bernoulli" else "sigmoid"
    return keras.Sequential(
        [
            keras.Input((latent_dim,)),
            keras.layers.Dense(HIDDEN, activation="relu", kernel_initializer=next(init)),
            keras.layers.Dense(math.prod(EVENT_SHAPE), activation=output, kernel_initializer=next(init)),
            keras.layers.Reshape(EVENT_SHAPE),
        ],
        name=f"{modality.name}_decoder",
    )


def _check(modality: Modality) -> None:
    layers.require(modality, EVENT_SHAPE, categorical=False, network="the MNIST network ([S] Table 5)")
