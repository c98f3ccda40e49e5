"""SVHN encoder and decoder, [S] Table 6: four convolutions, and four transposed ones.

Specifications in the table are PyTorch's (kernel, stride, padding, dilation). On even sizes (4, 2, 1) is Keras' "same" and
halves or doubles the size; (4, 2, 0) between 4x4 and 1x1 is "valid". `tests/networks/test_encoders_decoders.py` checks the
numbers.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

import keras

from mmtf.modality import Modality
from mmtf.networks import layers

EVENT_SHAPE = (32, 32, 3)


def encoder(modality: Modality, *, seed: int | None = None) -> keras.Model:
    """Return layers 1 to 4 of [S] Table 6: images `[B, 32, 32, 3]`, float in 0..1 -> features `[B, 128]`.

    Layers 5a and 5b are `heads.GaussianHead`.

    Raises:
      ValueError: the modality's values are not `(32, 32, 3)` real numbers.
    """
    _check(modality)
    init = layers.glorot(seed)

    def conv(filters):
        return keras.layers.Conv2D(filters, 4, 2, "same", activation="relu", kernel_initializer=next(init))

    return keras.Sequential(
        [
            keras.Input(EVENT_SHAPE),
            conv(32),
            conv(64),
            conv(64),
            layers.WholeConv2D(128, 4, activation="relu", kernel_initializer=next(init)),
            keras.layers.Flatten(),
        ],
        name=f"{modality.name}_encoder",
    )


def decoder(modality: Modality, latent_dim: int, *, seed: int | None = None) -> keras.Model:
    """[S] Table 6: codes `[B, latent_dim]`, private and shared together -> locations or logits `[B, 32, 32, 3]`.

    Deviation: the table's caption gives every layer a ReLU, under which no pixel could be pulled back up from 0. As in the
    authors' release the output is linear: a location outside 0..1 is possible, and clipped only where it is shown.

    Raises:
      ValueError: the modality's values are not `(32, 32, 3)` real numbers, or latent_dim is below 1.
    """
    _check(modality)
    layers.require_positive(latent_dim=latent_dim)
    init = layers.glorot(seed)

    def conv_transposed(filters):
        return keras.layers.Conv2DTranspose(filters, 4, 2, "same", activation="relu", kernel_initializer=next(init))

    return keras.Sequential(
        [
            keras.Input((latent_dim,)),
            keras.layers.Dense(128, activation="relu", kernel_initializer=next(init)),
            keras.layers.Reshape((1, 1, 128)),
            layers.WholeConv2DTranspose(64, 4, activation="relu", kernel_initializer=next(init)),
            conv_transposed(64),
            conv_transposed(32),
            layers.Conv2DDoubling(EVENT_SHAPE[-1], 4, 2, "same", kernel_initializer=next(init)),
        ],
        name=f"{modality.name}_decoder",
    )


def _check(modality: Modality) -> None:
    layers.require(modality, EVENT_SHAPE, categorical=False, network="the SVHN network ([S] Table 6)")
