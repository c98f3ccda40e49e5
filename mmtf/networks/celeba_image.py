"""CelebA's image encoder and decoder, [S] Table 13: residual blocks between 64x64 pixels and one position of 640 channels.

`mmtf.networks.residual` says what a block is, and why its norm is not the release's.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

import keras

from mmtf.modality import Modality
from mmtf.networks import layers, residual

EVENT_SHAPE = (64, 64, 3)
ENCODER_WIDTHS = (128, 256, 384, 512, 640)
DECODER_WIDTHS = (512, 384, 256, 128)


def encoder(modality: Modality, *, seed: int | None = None) -> keras.Model:
    """Return layers 1 to 5 of [S] Table 13: images `[B, 64, 64, 3]`, float in 0..1 -> features `[B, 640]`.

    Sizes 64, 32, 16, 8, 4, 1. Row 5 is printed with padding 1, which would leave 2x2 positions, where row 6 expects 640
    numbers; as in Table 3 and in the authors' release its padding is 0. Layers 6a and 6b are `heads.GaussianHead`.

    Raises:
      ValueError: the modality's values are not `(64, 64, 3)` real numbers.
    """
    _check(modality)
    values = keras.Input(EVENT_SHAPE)
    features = residual.contracting(values, ENCODER_WIDTHS, layers.glorot(seed), residual.group_norm)
    return keras.Model(values, keras.layers.Flatten()(features), name=f"{modality.name}_encoder")


def decoder(modality: Modality, latent_dim: int, *, seed: int | None = None) -> keras.Model:
    """[S] Table 13: codes `[B, latent_dim]`, private and shared together -> locations or logits `[B, 64, 64, 3]`.

    Sizes 1, 4, 8, 16, 32, 64. Rows 3 to 5 are printed with stride 1, under which 4 positions would become 5, 6 and 7; as in
    the authors' release their stride is 2. As there, the output is linear: a location outside 0..1 is possible, and clipped
    only where it is shown.

    Raises:
      ValueError: the modality's values are not `(64, 64, 3)` real numbers, or latent_dim is below 1.
    """
    _check(modality)
    layers.require_positive(latent_dim=latent_dim)
    init = layers.glorot(seed)
    codes = keras.Input((latent_dim,))
    width = ENCODER_WIDTHS[-1]
    features = keras.layers.Reshape((1, 1, width))(keras.layers.Dense(width, kernel_initializer=next(init))(codes))
    images = residual.expanding(features, DECODER_WIDTHS, EVENT_SHAPE[-1], init, residual.group_norm)
    return keras.Model(codes, images, name=f"{modality.name}_decoder")


def _check(modality: Modality) -> None:
    layers.require(modality, EVENT_SHAPE, categorical=False, network="CelebA's image network ([S] Table 13)")
