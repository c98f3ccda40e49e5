"""Networks of a text, or of another sequence of classes, without networks of its own: convolutions along it.

Any length. After the pattern of [S] Table 7 (kernel 1 over one-hot codes, then kernel 4 and stride 2, ReLU), halving the
length until it is 4 or less. An odd length is halved upwards; the decoder doubles and cuts off what is too much.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

import keras

from mmtf.modality import Modality
from mmtf.networks import layers, vector
from mmtf.networks.classifiers import FEATURES

SHORTEST = 4
FILTERS = 128


def encoder(modality: Modality, *, seed: int | None = None) -> keras.Model:
    """Return integer classes `[B, T]` -> features `[B, 128]`. Where classes may be missing, -1 is a class of its own.

    Raises:
      ValueError: the modality's values are no sequence of classes.
    """
    _check(modality)
    init = layers.glorot(seed)
    extra = int(modality.missing_cells)

    def relu(layer, *specification):
        return layer(*specification, activation="relu", kernel_initializer=next(init))

    return keras.Sequential(
        [
            keras.Input(modality.event_shape, dtype="int32"),
            *([keras.layers.Rescaling(1, offset=1, dtype="int32")] if extra else []),
            relu(layers.Characters, modality.num_classes + extra, FILTERS),
            *[relu(keras.layers.Conv1D, FILTERS, 4, 2, "same") for _ in halvings(modality.size)[1:]],
            keras.layers.Flatten(),
            relu(keras.layers.Dense, FILTERS),
        ],
        name=f"{modality.name}_encoder",
    )


def decoder(modality: Modality, latent_dim: int, *, seed: int | None = None) -> keras.Model:
    """Return codes `[B, latent_dim]`, private and shared together -> logits `[B, T, num_classes]`.

    Raises:
      ValueError: the modality's values are no sequence of classes, or latent_dim is below 1.
    """
    _check(modality)
    layers.require_positive(latent_dim=latent_dim)
    init = layers.glorot(seed)
    lengths = halvings(modality.size)

    def relu(layer, *specification):
        return layer(*specification, activation="relu", kernel_initializer=next(init))

    parts = [
        keras.Input((latent_dim,)),
        relu(keras.layers.Dense, FILTERS),
        relu(keras.layers.Dense, lengths[-1] * FILTERS),
        keras.layers.Reshape((lengths[-1], FILTERS)),
    ]
    for half, length in zip(lengths[:0:-1], lengths[-2::-1], strict=True):
        parts += [relu(keras.layers.Conv1DTranspose, FILTERS, 4, 2, "same"), keras.layers.Cropping1D((0, 2 * half - length))]
    logits = keras.layers.Conv1D(modality.num_classes, 1, kernel_initializer=next(init))
    return keras.Sequential([*parts, logits], name=f"{modality.name}_decoder")


def classifier(modality: Modality, num_classes: int, *, seed: int | None = None) -> keras.Model:
    """Return probabilities of classes (one-hot for a real sequence) `[B, T, K]` -> logits `[B, num_classes]`.

    The encoder's layers with batch normalisation, as in [S] Table 2. A missing class has no probability.

    Raises:
      ValueError: the modality's values are no sequence of classes, or num_classes is below 1.
    """
    _check(modality)
    layers.require_positive(num_classes=num_classes)
    init = layers.glorot(seed)
    parts = [
        keras.Input(vector.classifier_input_shape(modality)),
        keras.layers.Conv1D(FILTERS, 1, kernel_initializer=next(init)),
    ]
    for _ in halvings(modality.size)[1:]:
        parts += [
            keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            keras.layers.ReLU(),
            keras.layers.Conv1D(FILTERS, 4, 2, "same", kernel_initializer=next(init)),
        ]
    return keras.Sequential(
        [
            *parts,
            keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            keras.layers.ReLU(),
            keras.layers.Flatten(),
            keras.layers.Dense(FILTERS, activation="relu", kernel_initializer=next(init), name=FEATURES),
            keras.layers.Dense(num_classes, kernel_initializer=next(init), name="logits"),
        ],
        name=f"{modality.name}_classifier",
    )


def halvings(length: int) -> list[int]:
    """Return the length, halved upwards until it is at most 4: 9, 5, 3."""
    lengths = [length]
    while lengths[-1] > SHORTEST:
        lengths.append(-(-lengths[-1] // 2))
    return lengths


def _check(modality: Modality) -> None:
    if len(modality.event_shape) != 1 or not modality.num_classes:
        raise ValueError(
            f"{modality.name}: the network of sequences takes classes [T], not {modality.likelihood} values of shape "
            f"{modality.event_shape}. Give the modality another network in mmtf/registry/tables.py."
        )
