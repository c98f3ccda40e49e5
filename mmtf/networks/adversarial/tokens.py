"""Texts and other sequences of classes: one-hot codes where they are real, softmax rows where they are generated.

[C] has no text. The generators follow [S] Table 7, the discriminators [C]'s for SVHN: kernel 4, stride 2, until 4 places or
fewer are left.

[S]: Sutter, Daunhawer, Vogt 2020. [C]: Chen, Zhu 2022.
"""

from __future__ import annotations

import math

import keras

from mmtf.modality import Modality
from mmtf.networks import layers
from mmtf.networks.discriminators import PairDiscriminator, dense
from mmtf.networks.spectral import Spectral, SpectralHalving
from mmtf.networks.tokens import FILTERS, halvings

FEATURES, TRUNK = 256, 512


def encoder(modality: Modality, *, seed: int | None = None) -> keras.Model:
    """Return rows of probabilities `[B, T, num_classes]` -> features `[B, F]`: the last convolution's, flattened."""
    init = layers.normal(seed)
    convolutions = [
        keras.layers.Conv1D(FILTERS, 4, 2, "same", activation="relu", kernel_initializer=next(init))
        for _ in halvings(modality.size)[1:]
    ]
    read = keras.layers.Dense(FILTERS, "relu", kernel_initializer=next(init))
    parts = [keras.Input(modality.relaxed_shape), read, *convolutions, keras.layers.Flatten()]
    return keras.Sequential(parts, name=f"{modality.name}_encoder")


def decoder(modality: Modality, latent_dim: int, *, seed: int | None = None) -> keras.Model:
    """Return the mirror image, softmax over the classes: codes `[B, latent_dim]` -> probabilities `[B, T, num_classes]`."""
    init, lengths = layers.normal(seed), halvings(modality.size)
    start = (lengths[-1], FILTERS)
    parts = [
        keras.Input((latent_dim,)),
        keras.layers.Dense(math.prod(start), "relu", kernel_initializer=next(init)),
        keras.layers.Reshape(start),
    ]
    for half, length in zip(lengths[:0:-1], lengths[-2::-1], strict=True):
        doubling = keras.layers.Conv1DTranspose(FILTERS, 4, 2, "same", activation="relu", kernel_initializer=next(init))
        parts += [doubling, keras.layers.Cropping1D((0, 2 * half - length))]
    classes = keras.layers.Dense(modality.num_classes, "softmax", kernel_initializer=next(init))
    return keras.Sequential([*parts, classes], name=f"{modality.name}_decoder")


def discriminator(modality: Modality, code_dim: int, outputs: int, *, seed: int | None = None) -> PairDiscriminator:
    """Value: convolutions and 256; code: 256-256; both: 512-outputs."""
    init = layers.normal(seed)
    return PairDiscriminator(
        [*_convolutions(modality, init), *dense((FEATURES,), init)],
        dense((FEATURES, FEATURES), init),
        dense((TRUNK, outputs), init),
        value_shape=modality.relaxed_shape,
        code_dim=code_dim,
    )


def tower(modality: Modality, *, seed: int | None = None) -> list[Spectral]:
    """Return convolutions and 256."""
    init = layers.normal(seed)
    return [*_convolutions(modality, init), *dense((FEATURES,), init)]


def _convolutions(modality: Modality, init) -> list[Spectral]:
    return [SpectralHalving(FILTERS, kernel_initializer=next(init)) for _ in halvings(modality.size)[1:]]
