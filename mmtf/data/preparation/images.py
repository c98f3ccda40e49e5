"""Image features, `[n, 2048]`: those of ResNet-101, as in [C], or where its weights are missing, of a network trained here.

[C]: Chen, Zhu 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from mmtf import progress
from mmtf.data.preparation import training
from mmtf.data.preparation.imagenet import RESNET101
from mmtf.metrics import classifier
from mmtf.networks import classifiers, layers

FEATURES = 2048
RESNET_SIZE, CLASS_SIZE = 224, 96
RESNET_FILE = RESNET101.file
FILTERS = (32, 64, 128, 256)
BATCH_SIZE = 32
LEARNING_RATE = 2e-3
SMOOTHING = 0.1
# A box is enlarged by this before it is made square; and where a network takes the middle of the whole image, its part.
MARGIN, MIDDLE = 1.1, 0.875
# What augmentation may do to an image: the smallest part of its side that is taken, and factors on its brightness and colours.
SMALLEST_PART, BRIGHTNESS, COLOUR = 0.65, 0.3, 0.15


def square(picture: Image.Image, size: int, box: Sequence[float] | None = None, part: float = 1.0) -> np.ndarray:
    """A square of an RGB image, resized to uint8 `[size, size, 3]`.

    Args:
      box: left, upper, width and height in pixels of what the square is laid around, with a margin, inside the image; without
        one it is laid around the middle.
      part: side of the square without a box, as a part of the image's shorter side.
    """
    shorter = min(picture.size)
    left, upper, width, height = box or (0, 0, *picture.size)
    side = min(max(width, height) * MARGIN, shorter) if box else shorter * part
    across, down = (
        min(max(start + extent / 2 - side / 2, 0), whole - side)
        for start, extent, whole in zip((left, upper), (width, height), picture.size, strict=True)
    )
    corners = (across, down, across + side, down + side)
    return np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC, box=corners))


def resnet_input(picture: Image.Image) -> np.ndarray:
    """Return what ResNet-101 sees of an image: seven eighths of its shorter side, from the middle; uint8 `[224, 224, 3]`."""
    return square(picture, RESNET_SIZE, part=MIDDLE)


def weights_file(weights: str = "", download: bool = False) -> Path:
    """Return the file with the weights of ResNet-101, trained on ImageNet.

    Args:
      weights: a file, without the last layer: Keras' `...notop.h5`, or what `save_weights` wrote; if empty, the one that Keras
        downloaded to its own folder.
      download: let Keras download it if it is not there.

    Raises:
      UserError: there is none, or the download failed.
    """
    otherwise = "take a small network trained here, --image_features=classes"
    return RESNET101.weights(weights, flag="weights", otherwise=otherwise, download=download)


def resnet101(weights: Path) -> keras.Model:
    """Keras' ResNet-101 (He et al. 2016) without its last layer: images `[B, H, W, 3]` -> pooled features `[B, 2048]`.

    Raises:
      UserError: the file does not hold the weights of this network.
    """
    return RESNET101.network(weights)


def resnet101_features(network: keras.Model, images: np.ndarray, batch_size: int = BATCH_SIZE) -> np.ndarray:
    """Return pooled features, `[n, 2048]` float32, of images uint8 `[n, size, size, 3]`."""
    features = np.empty((len(images), FEATURES), np.float32)
    with progress.bar(len(images), "ResNet-101", "image") as bar:
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size].astype(np.float32)
            features[start : start + len(batch)] = network.predict_on_batch(keras.applications.resnet.preprocess_input(batch))
            bar.update(len(batch))
    return features


def class_network(num_classes: int, *, seed: int = 0) -> keras.Model:
    """Return the fallback: images `[B, 96, 96, 3]`, float in 0..1 -> logits `[B, num_classes]`.

    Four blocks of convolutions, batch normalisation and ReLU, each at half the resolution of the one before, and a
    convolution of kernel 1 to 2048 channels, whose mean over the image are the features: as many, and as positive, as those
    of ResNet-101, so that they fit the same networks.
    """
    init = layers.glorot(seed)
    parts = [keras.Input((CLASS_SIZE, CLASS_SIZE, 3)), keras.layers.Rescaling(**classifiers.CENTRED)]
    for filters in FILTERS:
        parts += [*_convolution(filters, 3, init, strides=2), *_convolution(filters, 3, init)]
    parts += [*_convolution(FEATURES, 1, init), keras.layers.GlobalAveragePooling2D(name=classifiers.FEATURES)]
    parts += [
        keras.layers.Dropout(0.5, seed=next(layers.seeds(seed, layers.DROPOUT))),
        keras.layers.Dense(num_classes, kernel_initializer=next(init), name="logits"),
    ]
    return keras.Sequential(parts, name="bird_classes")


def train_classes(network: keras.Model, images: np.ndarray, labels: np.ndarray, epochs: int, *, seed: int = 0) -> None:
    """Train the fallback on images uint8 `[n, 96, 96, 3]` and their classes `[n]`, on cross-entropy with smoothed labels.

    Each time an image is seen, it is another part of it, perhaps mirrored, in other light.
    """
    batch = min(BATCH_SIZE, len(images))
    per_epoch = len(images) // batch
    rng = np.random.default_rng(seed)
    order = np.concatenate([rng.permutation(len(images))[: per_epoch * batch] for _ in range(epochs)])
    images, targets = tf.constant(images), tf.one_hot(labels, network.output_shape[-1])

    def gathered(step, rows):
        pixels = tf.cast(tf.gather(images, rows), tf.float32) / 255
        return augmented(pixels, tf.stack([tf.constant(seed, tf.int64), step])), tf.gather(targets, rows)

    rows = tf.data.Dataset.from_tensor_slices(order.reshape(-1, batch))
    batches = rows.enumerate().map(gathered, tf.data.AUTOTUNE).prefetch(2)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=SMOOTHING, reduction=None)
    training.train(network, batches, epochs, per_epoch, LEARNING_RATE, loss, "class network")


def class_features(network: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return pooled features, `[n, 2048]` float32, of images uint8 `[n, 96, 96, 3]`."""
    pooled = classifiers.features(network)
    parts = [images[start : start + BATCH_SIZE] for start in range(0, len(images), BATCH_SIZE)]
    return np.concatenate([pooled.predict_on_batch(part.astype(np.float32) / 255) for part in parts])


def accuracy(network: keras.Model, images: np.ndarray, labels: np.ndarray) -> float:
    """Return share of images uint8 `[n, 96, 96, 3]` whose likeliest class is theirs."""
    return classifier.accuracy(network, images, labels)


def augmented(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """A random part of each image at full size, perhaps mirrored, in random light; `[B, H, W, 3]` in 0..1, a function of the
    seed `[2]`."""
    count, height, width, _ = images.shape
    draw = tf.random.stateless_uniform([count, 8], seed)
    side = SMALLEST_PART + (1 - SMALLEST_PART) * draw[:, :1]
    corner = (1 - side) * draw[:, 1:3]
    top, left, bottom, right = tf.unstack(tf.concat([corner, corner + side], axis=1), axis=1)
    # A box whose left edge is right of its right one is read mirrored.
    mirrored = draw[:, 3] < 0.5
    edges = [top, tf.where(mirrored, right, left), bottom, tf.where(mirrored, left, right)]
    parts = tf.image.crop_and_resize(images, tf.stack(edges, axis=1), tf.range(count), [height, width])
    light = 1 + BRIGHTNESS * (2 * draw[:, 4:5] - 1) + COLOUR * (2 * draw[:, 5:8] - 1)
    return tf.clip_by_value(parts * light[:, None, None], 0, 1)


def _convolution(filters: int, kernel: int, init, strides: int = 1) -> list[keras.layers.Layer]:
    convolution = keras.layers.Conv2D(filters, kernel, strides, "same", use_bias=False, kernel_initializer=next(init))
    return [convolution, keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5), keras.layers.ReLU()]
