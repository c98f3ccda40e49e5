"""MNIST in [C]'s release: fully connected, one hidden layer of 400 everywhere.

[C]: Chen, Zhu 2022.
"""

from __future__ import annotations

import math

import keras

from mmtf.modality import Modality
from mmtf.networks import layers
from mmtf.networks.discriminators import PairDiscriminator, dense
from mmtf.networks.spectral import Spectral

EVENT_SHAPE = (28, 28, 1)
HIDDEN = 400


def encoder(modality: Modality, *, seed: int | None = None) -> keras.Model:
    """784-400, whose head makes 2 * (content + style) of it: images `[B, 28, 28, 1]` in 0..1 -> features `[B, 400]`."""
    _check(modality)
    hidden = keras.layers.Dense(HIDDEN, "relu", kernel_initializer=next(layers.normal(seed)))
    return keras.Sequential([keras.Input(EVENT_SHAPE), keras.layers.Flatten(), hidden], name=f"{modality.name}_encoder")


def decoder(modality: Modality, latent_dim: int, *, seed: int | None = None) -> keras.Model:
    """codes-400-784, sigmoid: `[B, latent_dim]` -> images `[B, 28, 28, 1]`."""
    _check(modality)
    init = layers.normal(seed)
    return keras.Sequential(
        [
            keras.Input((latent_dim,)),
            keras.layers.Dense(HIDDEN, "relu", kernel_initializer=next(init)),
            keras.layers.Dense(math.prod(EVENT_SHAPE), "sigmoid", kernel_initializer=next(init)),
            keras.layers.Reshape(EVENT_SHAPE),
        ],
        name=f"{modality.name}_decoder",
    )


def discriminator(modality: Modality, code_dim: int, outputs: int, *, seed: int | None = None) -> PairDiscriminator:
    """[784 pixels, code]-400-outputs."""
    trunk = dense((HIDDEN, outputs), layers.normal(seed))
    return PairDiscriminator((), (), trunk, value_shape=EVENT_SHAPE, code_dim=code_dim)


def tower(modality: Modality, *, seed: int | None = None) -> list[Spectral]:
    """784-400."""
    return dense((HIDDEN,), layers.normal(seed))


def _check(modality: Modality) -> None:
    layers.require(modality, EVENT_SHAPE, categorical=False, network="the MNIST network of [C]")
