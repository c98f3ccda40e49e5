"""CelebA's text encoder and decoder, [S] Table 14: residual blocks between 256 characters and one position of 640 channels.

`mmtf.networks.residual` says what a block is, and why its norm is not the release's.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

import keras

from mmtf.modality import Modality
from mmtf.networks import layers, residual

EVENT_SHAPE = (256,)
ENCODER_WIDTHS = (128, 256, 384, 512, 640, 640, 640)
DECODER_WIDTHS = (640, 640, 512, 384, 256, 128)


def encoder(modality: Modality, *, seed: int | None = None) -> keras.Model:
    """Return layers 1 to 7 of [S] Table 14: integer classes `[B, 256]` -> features `[B, 640]`.

    Lengths 256, 128, 64, 32, 16, 8, 4, 1. The table has one-hot characters and 71 classes; here the one-hot code is inside,
    and there are `modality.num_classes`. A class outside of them reads as no character. (The authors' release has a kernel of
    4 in row 1.) Layers 8a and 8b are `heads.GaussianHead`.

    Raises:
      ValueError: the modality's values are not 256 characters.
    """
    _check(modality)
    classes = keras.Input(EVENT_SHAPE, dtype="int32")
    characters = keras.ops.one_hot(classes, modality.num_classes)
    features = residual.contracting(characters, ENCODER_WIDTHS, layers.glorot(seed), residual.group_norm)
    return keras.Model(classes, keras.layers.Flatten()(features), name=f"{modality.name}_encoder")


def decoder(modality: Modality, latent_dim: int, *, seed: int | None = None) -> keras.Model:
    """[S] Table 14: codes `[B, latent_dim]`, private and shared together -> logits `[B, 256, num_classes]`.

    Lengths 1, 4, 8, 16, 32, 64, 128, 256. Row 1 is printed with 896 channels, but row 2 takes 640: it has 640, as in the
    authors' release. From a single position, row 2's printed stride of 2 and the release's of 1 are the same. Logits are
    linear; the release ends with a log-softmax, which leaves the distribution as it is. (It has a kernel of 4 in row 8.)

    Raises:
      ValueError: the modality's values are not 256 characters, or latent_dim is below 1.
    """
    _check(modality)
    layers.require_positive(latent_dim=latent_dim)
    init = layers.glorot(seed)
    codes = keras.Input((latent_dim,))
    width = ENCODER_WIDTHS[-1]
    features = keras.layers.Reshape((1, width))(keras.layers.Dense(width, kernel_initializer=next(init))(codes))
    logits = residual.expanding(features, DECODER_WIDTHS, modality.num_classes, init, residual.group_norm)
    return keras.Model(codes, logits, name=f"{modality.name}_decoder")


def _check(modality: Modality) -> None:
    layers.require(modality, EVENT_SHAPE, categorical=True, network="CelebA's text network ([S] Table 14)")
