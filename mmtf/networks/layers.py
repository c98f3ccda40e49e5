"""What the networks share: checks at the door, one seed per layer, and the layer that reads characters."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from mmtf.modality import Modality

KERNELS, DROPOUT = 0, 1


def require(modality: Modality, event_shape: tuple[int, ...], *, categorical: bool, network: str) -> None:
    """Check that a network suits a modality.

    Args:
      modality: what the network is to read or write.
      event_shape: the only shape of values that the network takes.
      categorical: whether the network is for integer classes (text) or for real numbers (images).
      network: what to call the network in the message.

    Raises:
      ValueError: another event shape, or another kind of likelihood.
    """
    way_out = "Give the modality another network in mmtf/catalog.py, or change the data set that declares it."
    if modality.event_shape != event_shape:
        raise ValueError(f"{modality.name}: {network} takes values {event_shape}, not {modality.event_shape}. {way_out}")
    if (modality.likelihood == "categorical") != categorical:
        wanted = "a categorical likelihood" if categorical else "a laplace, normal or bernoulli likelihood"
        raise ValueError(f"{modality.name}: {network} is for {wanted}, not {modality.likelihood}. {way_out}")


def require_positive(**sizes: int) -> None:
    """Check sizes given by name, as in `require_positive(latent_dim=20)`. Raises ValueError for one below 1."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be 1 or more, not {size}.")


def seeds(seed: int | None, stream: int = KERNELS) -> Iterator[int | None]:
    """Endless seeds, one for each random part of a network; with None, Keras draws each from its global state.

    Args:
      seed: of the network, 0 or more.
      stream: `KERNELS` or `DROPOUT`; streams share no seeds.
    """
    for part in itertools.count():
        yield None if seed is None else int(np.random.SeedSequence([seed, stream, part]).generate_state(1)[0])


def glorot(seed: int | None) -> Iterator[keras.initializers.Initializer]:
    """Endless initialisers, one for each kernel: an initialiser used twice would fill both kernels alike.

    Keras' glorot_uniform; PyTorch, in which the authors of [S] wrote, draws from U(-1/sqrt(fan_in), 1/sqrt(fan_in)) instead.
    """
    return (keras.initializers.GlorotUniform(each) for each in seeds(seed))


class Characters(keras.layers.Layer):
    """Convolution of kernel 1 over one-hot characters: integer classes `[B, T]` -> `[B, T, units]`.

    One-hot times kernel picks a row of the kernel. So bias and activation are applied once per class, not once per character,
    and the rows are looked up: the same numbers. A training step of the text encoder (batch 256, two CPU cores, both shared)
    took 9.2 ms, with the convolution 10.0 ms. The kernel's gradient is dense, not IndexedSlices, for which optimizers,
    clipping and tf.distribute have other code.

    Raises (on a CPU): InvalidArgumentError for a class outside 0..num_classes-1, where a one-hot code would be all zeros.
    """

    def __init__(self, num_classes: int, units: int, *, activation=None, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.num_classes, self.units = num_classes, units
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(self.num_classes, self.units), initializer=self.kernel_initializer, name="kernel")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")

    def call(self, classes):
        return tf.gather(_with_dense_gradient(self.activation(self.kernel + self.bias)), classes)

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


@tf.custom_gradient
def _with_dense_gradient(x: tf.Tensor):
    """The tensor itself, whose gradient is turned into an ordinary tensor."""
    return tf.identity(x), tf.convert_to_tensor
