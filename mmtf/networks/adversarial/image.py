"""Images of any size: the pattern of [C]'s networks for SVHN, halving until 4 pixels or fewer are left.

[C]: Chen, Zhu 2022.
"""

from __future__ import annotations

import math

import keras

from mmtf.modality import Modality
from mmtf.networks import layers
from mmtf.networks.discriminators import PairDiscriminator, dense
from mmtf.networks.image import cut, filters_of, halvings
from mmtf.networks.spectral import Spectral, SpectralHalving


def encoder(modality: Modality, *, seed: int | None = None) -> keras.Model:
    """Return images `[B, H, W, C]` -> features `[B, F]`: the last convolution's, flattened."""
    init = layers.normal(seed)
    convolutions = [
        keras.layers.Conv2D(f, 4, 2, "same", activation="relu", kernel_initializer=next(init)) for f in filters_of(modality)
    ]
    parts = [keras.Input(modality.event_shape), *convolutions, keras.layers.Flatten()]
    return keras.Sequential(parts, name=f"{modality.name}_encoder")


def decoder(modality: Modality, latent_dim: int, *, seed: int | None = None) -> keras.Model:
    """Return the mirror image: codes `[B, latent_dim]` -> images `[B, H, W, C]`, a sigmoid unless values are standardised."""
    init = layers.normal(seed)
    sizes, filters = halvings(modality.event_shape), filters_of(modality)
    start = (*sizes[-1], filters[-1])
    parts = [
        keras.Input((latent_dim,)),
        keras.layers.Dense(math.prod(start), "relu", kernel_initializer=next(init)),
        keras.layers.Reshape(start),
    ]
    for level in range(len(filters) - 1, -1, -1):
        last = level == 0
        width = modality.event_shape[-1] if last else filters[level - 1]
        activation = "relu" if not last else "linear" if modality.spread else "sigmoid"
        kind = layers.Conv2DDoubling if last else keras.layers.Conv2DTranspose
        parts.append(kind(width, 4, 2, "same", activation=activation, kernel_initializer=next(init)))
        parts.append(cut(sizes[level], sizes[level + 1]))
    return keras.Sequential(parts, name=f"{modality.name}_decoder")


def discriminator(modality: Modality, code_dim: int, outputs: int, *, seed: int | None = None) -> PairDiscriminator:
    """Image: convolutions and 256; code: 256-256; both: 1024-1024-outputs."""
    init = layers.normal(seed)
    value = [*_convolutions(modality, init), *dense((256,), init)]
    trunk = dense((1024, 1024, outputs), init)
    return PairDiscriminator(value, dense((256, 256), init), trunk, value_shape=modality.event_shape, code_dim=code_dim)


def tower(modality: Modality, *, seed: int | None = None) -> list[Spectral]:
    """Convolutions."""
    return _convolutions(modality, layers.normal(seed))


def _convolutions(modality: Modality, init) -> list[Spectral]:
    return [SpectralHalving(filters, kernel_initializer=next(init)) for filters in filters_of(modality)]
