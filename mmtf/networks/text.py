"""Text encoder and decoder, [S] Table 7: convolutions along 8 characters.

Specifications in the table are PyTorch's (kernel, stride, padding, dilation). On even lengths (4, 2, 1) is Keras' "same";
(4, 2, 0) from length 4 to 1, and (4, 1, 0) back, are `layers.Whole...`. `tests/networks/test_encoders_decoders.py` checks the
numbers.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

import keras

from mmtf.modality import Modality
from mmtf.networks import layers

EVENT_SHAPE = (8,)
FILTERS = 128


def encoder(modality: Modality, *, seed: int | None = None) -> keras.Model:
    """Return layers 1 to 3 of [S] Table 7: integer classes `[B, 8]` -> features `[B, 128]`.

    The table has one-hot characters and 71 classes; here the one-hot code is inside, and there are `modality.num_classes`.
    Layers 4a and 4b are `heads.GaussianHead`.

    Raises:
      ValueError: the modality's values are not 8 characters.
    """
    _check(modality)
    init = layers.glorot(seed)

    def relu(layer, *specification):
        return layer(*specification, activation="relu", kernel_initializer=next(init))

    return keras.Sequential(
        [
            keras.Input(EVENT_SHAPE, dtype="int32"),
            relu(layers.Characters, modality.num_classes, FILTERS),
            relu(keras.layers.Conv1D, FILTERS, 4, 2, "same"),
            relu(layers.WholeConv1D, FILTERS, 4),
            keras.layers.Flatten(),
        ],
        name=f"{modality.name}_encoder",
    )


def decoder(modality: Modality, latent_dim: int, *, seed: int | None = None) -> keras.Model:
    """[S] Table 7: codes `[B, latent_dim]`, private and shared together -> logits `[B, 8, num_classes]`.

    Deviation: the table's caption gives every layer a ReLU; logits are linear here. The authors' release ends with a
    log-softmax, which leaves the distribution as it is.

    Raises:
      ValueError: the modality's values are not 8 characters, or latent_dim is below 1.
    """
    _check(modality)
    layers.require_positive(latent_dim=latent_dim)
    init = layers.glorot(seed)

    def relu(layer, *specification):
        return layer(*specification, activation="relu", kernel_initializer=next(init))

    return keras.Sequential(
        [
            keras.Input((latent_dim,)),
            relu(keras.layers.Dense, FILTERS),
            keras.layers.Reshape((1, FILTERS)),
            relu(layers.WholeConv1DTranspose, FILTERS, 4),
            relu(keras.layers.Conv1DTranspose, FILTERS, 4, 2, "same"),
            # A transposed convolution of kernel 1 and stride 1 is a plain one.
            keras.layers.Conv1D(modality.num_classes, 1, kernel_initializer=next(init)),
        ],
        name=f"{modality.name}_decoder",
    )


def _check(modality: Modality) -> None:
    layers.require(modality, EVENT_SHAPE, categorical=True, network="the text network ([S] Table 7)")
