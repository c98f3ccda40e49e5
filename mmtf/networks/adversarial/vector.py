"""Vectors of any length: the networks of [C]'s release for CUB's features, which grow narrower by half from layer to layer.

Written for 2,048 image features (1024-512-256) and 1,024 caption features (512-256-128); a short vector, for which halves would
leave nothing, gets layers of `NARROWEST`.

[C]: Chen, Zhu 2022.
"""

from __future__ import annotations

import math

import keras

from mmtf.modality import Modality
from mmtf.networks import layers
from mmtf.networks.discriminators import PairDiscriminator, dense
from mmtf.networks.spectral import Spectral

NARROWEST = 128
CODE, TRUNK = 256, 512


def encoder(modality: Modality, *, seed: int | None = None) -> keras.Model:
    """D - D/2 - D/4 - D/8 with ELU: relaxed values `[B, ...]` of size D -> features `[B, D/8]`."""
    shape, init = modality.relaxed_shape, layers.normal(seed)
    hidden = [keras.layers.Dense(width, "elu", kernel_initializer=next(init)) for width in widths(math.prod(shape))]
    return keras.Sequential([keras.Input(shape), keras.layers.Flatten(), *hidden], name=f"{modality.name}_encoder")


def decoder(modality: Modality, latent_dim: int, *, seed: int | None = None) -> keras.Model:
    """Return the mirror image: codes `[B, latent_dim]` -> relaxed values `[B, ...]`, linear.

    Probabilities of classes and of bits.
    """
    shape, init = modality.relaxed_shape, layers.normal(seed)
    hidden = [keras.layers.Dense(w, "elu", kernel_initializer=next(init)) for w in reversed(widths(math.prod(shape)))]
    last = {"categorical": "softmax", "bernoulli": "sigmoid"}.get(modality.likelihood, "linear")
    return keras.Sequential(
        [
            keras.Input((latent_dim,)),
            *hidden,
            keras.layers.Dense(math.prod(shape), kernel_initializer=next(init)),
            keras.layers.Reshape(shape),
            keras.layers.Activation(last),
        ],
        name=f"{modality.name}_decoder",
    )


def discriminator(modality: Modality, code_dim: int, outputs: int, *, seed: int | None = None) -> PairDiscriminator:
    """Value: down to D/8, and once more; code: 256-256; both: 512-outputs."""
    shape, init = modality.relaxed_shape, layers.normal(seed)
    value = widths(math.prod(shape))
    return PairDiscriminator(
        dense((*value, value[-1]), init),
        dense((CODE, CODE), init),
        dense((TRUNK, outputs), init),
        value_shape=shape,
        code_dim=code_dim,
    )


def tower(modality: Modality, *, seed: int | None = None) -> list[Spectral]:
    """Down to D/8."""
    return dense(widths(math.prod(modality.relaxed_shape)), layers.normal(seed))


def widths(size: int) -> tuple[int, int, int]:
    """Of three layers, each half as wide as the one before it, but never below `NARROWEST`."""
    return tuple(max(size // divisor, NARROWEST) for divisor in (2, 4, 8))
