"""SVHN in [C]'s release: three convolutions that halve the image, everywhere.

[C]: Chen, Zhu 2022.
"""

from __future__ import annotations

import keras

from mmtf.modality import Modality
from mmtf.networks import layers
from mmtf.networks.discriminators import PairDiscriminator, dense
from mmtf.networks.spectral import Spectral, SpectralHalving

EVENT_SHAPE = (32, 32, 3)
FILTERS = (32, 64, 128)


def encoder(modality: Modality, *, seed: int | None = None) -> keras.Model:
    """Return convolutions 32-64-128 (4, 2, 1): images `[B, 32, 32, 3]` in 0..1 -> features `[B, 2048]`.

    The head's matrix product over all of them is the release's last convolution (4, 1, 0).
    """
    _check(modality)
    init = layers.normal(seed)
    convolutions = [keras.layers.Conv2D(f, 4, 2, "same", activation="relu", kernel_initializer=next(init)) for f in FILTERS]
    return keras.Sequential([keras.Input(EVENT_SHAPE), *convolutions, keras.layers.Flatten()], name=f"{modality.name}_encoder")


def decoder(modality: Modality, latent_dim: int, *, seed: int | None = None) -> keras.Model:
    """Return the mirror image, sigmoid: codes `[B, latent_dim]` -> images `[B, 32, 32, 3]`."""
    _check(modality)
    init = layers.normal(seed)
    small, middle, large = FILTERS
    return keras.Sequential(
        [
            keras.Input((latent_dim,)),
            keras.layers.Reshape((1, 1, latent_dim)),
            layers.WholeConv2DTranspose(large, 4, activation="relu", kernel_initializer=next(init)),
            keras.layers.Conv2DTranspose(middle, 4, 2, "same", activation="relu", kernel_initializer=next(init)),
            keras.layers.Conv2DTranspose(small, 4, 2, "same", activation="relu", kernel_initializer=next(init)),
            layers.Conv2DDoubling(EVENT_SHAPE[-1], 4, 2, "same", activation="sigmoid", kernel_initializer=next(init)),
        ],
        name=f"{modality.name}_decoder",
    )


def discriminator(modality: Modality, code_dim: int, outputs: int, *, seed: int | None = None) -> PairDiscriminator:
    """Image: convolutions and 256 (4, 1, 0); code: 256-256; both: 1024-1024-outputs."""
    init = layers.normal(seed)
    value = [*_convolutions(init), *dense((256,), init)]
    return PairDiscriminator(
        value, dense((256, 256), init), dense((1024, 1024, outputs), init), value_shape=EVENT_SHAPE, code_dim=code_dim
    )


def tower(modality: Modality, *, seed: int | None = None) -> list[Spectral]:
    """Return convolutions 32-64-128 (4, 2, 1)."""
    return _convolutions(layers.normal(seed))


def _convolutions(init) -> list[Spectral]:
    return [SpectralHalving(filters, kernel_initializer=next(init)) for filters in FILTERS]


def _check(modality: Modality) -> None:
    layers.require(modality, EVENT_SHAPE, categorical=False, network="the SVHN network of [C]")
