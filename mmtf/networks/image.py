"""Networks of an image modality without networks of its own: convolutions that halve the image down to 4 pixels or fewer.

Any height and width, any number of channels. After the pattern of [S] Table 6 (kernel 4, stride 2, ReLU): 32 filters, then
twice as many after each halving, at most 128. An odd size is halved upwards; the decoder doubles and cuts off what is too much.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

import math

import keras

from mmtf.modality import Modality
from mmtf.networks import layers, vector
from mmtf.networks.classifiers import FEATURES

SMALLEST = 4
FEWEST_FILTERS, MOST_FILTERS = 32, 128
HIDDEN = 256


def encoder(modality: Modality, *, seed: int | None = None) -> keras.Model:
    """Return images `[B, H, W, C]`, in 0..1 or standardised -> features `[B, 256]`.

    Where the modality has missing cells, NaN becomes 0 and C further channels say where.

    Raises:
      ValueError: the modality's values are no images of real numbers.
    """
    _check(modality)
    init = layers.glorot(seed)
    convolutions = [
        keras.layers.Conv2D(filters, 4, 2, "same", activation="relu", kernel_initializer=next(init))
        for filters in filters_of(modality)
    ]
    return keras.Sequential(
        [
            keras.Input(modality.event_shape),
            *vector.readers(modality),
            *convolutions,
            keras.layers.Flatten(),
            keras.layers.Dense(HIDDEN, activation="relu", kernel_initializer=next(init)),
        ],
        name=f"{modality.name}_encoder",
    )


def decoder(modality: Modality, latent_dim: int, *, seed: int | None = None) -> keras.Model:
    """Codes `[B, latent_dim]`, private and shared together -> `[B, *parameter_shape]`, linear as in [S]'s release for SVHN.

    Raises:
      ValueError: the modality's values are no images of real numbers, or latent_dim is below 1.
    """
    _check(modality)
    layers.require_positive(latent_dim=latent_dim)
    init = layers.glorot(seed)
    sizes, filters = halvings(modality.event_shape), filters_of(modality)
    start = (*sizes[-1], filters[-1] if filters else FEWEST_FILTERS)

    def relu(layer, *specification):
        return layer(*specification, activation="relu", kernel_initializer=next(init))

    parts = [
        keras.Input((latent_dim,)),
        relu(keras.layers.Dense, HIDDEN),
        relu(keras.layers.Dense, math.prod(start)),
        keras.layers.Reshape(start),
    ]
    for level in range(len(filters) - 1, 0, -1):
        parts += [relu(keras.layers.Conv2DTranspose, filters[level - 1], 4, 2, "same"), cut(sizes[level], sizes[level + 1])]
    parts += _last(modality, sizes, init)
    return keras.Sequential([*parts, keras.layers.Reshape(modality.parameter_shape)], name=f"{modality.name}_decoder")


def classifier(modality: Modality, num_classes: int, *, seed: int | None = None) -> keras.Model:
    """Return images in their own unit `[B, H, W, C]` (bytes scaled to 0..1) -> logits `[B, num_classes]`.

    The encoder's layers with batch normalisation, as in [S] Table 1 for SVHN, and dropout before the features.

    Raises:
      ValueError: the modality's values are no images of real numbers, or num_classes is below 1.
    """
    _check(modality)
    layers.require_positive(num_classes=num_classes)
    init, dropout_seeds = layers.glorot(seed), layers.seeds(seed, layers.DROPOUT)
    parts = [keras.Input(modality.event_shape), *vector.classifier_input(modality)]
    for filters in filters_of(modality):
        parts += [
            keras.layers.Conv2D(filters, 4, 2, "same", kernel_initializer=next(init)),
            keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            keras.layers.ReLU(),
        ]
    return keras.Sequential(
        [
            *parts,
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5, seed=next(dropout_seeds)),
            keras.layers.Dense(HIDDEN, activation="relu", kernel_initializer=next(init), name=FEATURES),
            keras.layers.Dense(num_classes, kernel_initializer=next(init), name="logits"),
        ],
        name=f"{modality.name}_classifier",
    )


def halvings(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return height and width, halved upwards until both are at most 4: (28, 28), (14, 14), (7, 7), (4, 4)."""
    sizes = [tuple(shape[:2])]
    while max(sizes[-1]) > SMALLEST:
        sizes.append(tuple(-(-size // 2) for size in sizes[-1]))
    return sizes


def filters_of(modality: Modality) -> list[int]:
    """Return one number of filters for each halving."""
    return [min(FEWEST_FILTERS * 2**level, MOST_FILTERS) for level in range(len(halvings(modality.event_shape)) - 1)]


def _last(modality: Modality, sizes, init) -> list[keras.layers.Layer]:
    """From the last features to the parameters, channels of one place together."""
    channels = math.prod(modality.parameter_shape[2:])
    if len(sizes) == 1:
        return [keras.layers.Conv2D(channels, 1, kernel_initializer=next(init))]
    return [layers.Conv2DDoubling(channels, 4, 2, "same", kernel_initializer=next(init)), cut(sizes[0], sizes[1])]


def cut(size, half) -> keras.layers.Layer:
    """Take the last row and column off a doubled image where its size is odd."""
    return keras.layers.Cropping2D([(0, 2 * small - large) for large, small in zip(size, half, strict=True)])


def _check(modality: Modality) -> None:
    if len(modality.event_shape) != 3 or modality.num_classes:
        raise ValueError(
            f"{modality.name}: the image network takes real values [H, W, C], not {modality.likelihood} values of shape "
            f"{modality.event_shape}. Give the modality another network in mmtf/registry/tables.py."
        )
