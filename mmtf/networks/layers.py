"""Layers and helpers that networks share: checks of sizes, one seed per layer, and the layer that reads characters.

[S]: Sutter, Daunhawer, Vogt 2020. [C]: Chen, Zhu 2022.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from mmtf.keras_names import PACKAGE
from mmtf.modality import Modality

KERNELS, DROPOUT = 0, 1
# Of every initial weight in [C]'s release.
ADVERSARIAL_STDDEV = 0.02
# Up to here the sub-pixel form of a transposed convolution wins.
FEW_CHANNELS = 4


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
    way_out = "Give the modality another network in mmtf/registry/tables.py, or change the data set that declares it."
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
    """Return endless initialisers, one for each kernel: an initialiser used twice would fill both kernels alike.

    Keras' glorot_uniform; PyTorch, in which the authors of [S] wrote, draws from U(-1/sqrt(fan_in), 1/sqrt(fan_in)) instead.
    """
    return (keras.initializers.GlorotUniform(each) for each in seeds(seed))


def normal(seed: int | None, stddev: float = ADVERSARIAL_STDDEV) -> Iterator[keras.initializers.Initializer]:
    """Return endless initialisers N(0, stddev^2), one for each kernel."""
    return (keras.initializers.RandomNormal(0.0, stddev, each) for each in seeds(seed))


@keras.saving.register_keras_serializable(PACKAGE)
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


class _Whole:
    """A "valid" convolution whose window covers the whole input, as the one matrix product that it is.

    Same weights and numbers; on a CPU oneDNN takes more than twice as long for the convolution and its gradients.
    """

    def call(self, x):
        if x.shape[1:-1] != tuple(self.kernel_size):
            raise ValueError(f"{self.name}: the window {self.kernel_size} has to cover the whole input, not {x.shape[1:-1]}.")
        kernel = keras.ops.reshape(self.kernel, (-1, self.filters))
        features = keras.ops.matmul(keras.ops.reshape(x, (-1, kernel.shape[0])), kernel) + self.bias
        return self.activation(keras.ops.reshape(features, (-1, *[1] * self.rank, self.filters)))


@keras.saving.register_keras_serializable(PACKAGE)
class WholeConv1D(_Whole, keras.layers.Conv1D):
    """`[B, T, C]` -> `[B, 1, filters]`, kernel size T."""


@keras.saving.register_keras_serializable(PACKAGE)
class WholeConv2D(_Whole, keras.layers.Conv2D):
    """`[B, H, W, C]` -> `[B, 1, 1, filters]`, kernel size (H, W)."""


class _WholeTranspose:
    """A "valid" transposed convolution of a single position, likewise."""

    def call(self, x):
        if any(size != 1 for size in x.shape[1:-1]):
            raise ValueError(f"{self.name}: wanted a single position, not {x.shape[1:-1]}.")
        kernel = keras.ops.reshape(self.kernel, (-1, x.shape[-1]))
        spread = keras.ops.matmul(keras.ops.reshape(x, (-1, x.shape[-1])), keras.ops.transpose(kernel))
        return self.activation(keras.ops.reshape(spread, (-1, *self.kernel_size, self.filters)) + self.bias)


@keras.saving.register_keras_serializable(PACKAGE)
class WholeConv1DTranspose(_WholeTranspose, keras.layers.Conv1DTranspose):
    """`[B, 1, C]` -> `[B, kernel size, filters]`."""


@keras.saving.register_keras_serializable(PACKAGE)
class WholeConv2DTranspose(_WholeTranspose, keras.layers.Conv2DTranspose):
    """`[B, 1, 1, C]` -> `[B, *kernel size, filters]`."""


@keras.saving.register_keras_serializable(PACKAGE)
class Conv2DDoubling(keras.layers.Conv2DTranspose):
    """The transposed convolution `(filters, 4, 2, "same")`: `[B, H, W, C]` -> `[B, 2H, 2W, filters]`; for few filters.

    Same weights and numbers. Forwards, oneDNN spends on 3 output channels the time of 32. So the four pixels of an output
    block become channels of a convolution of kernel 2 ("sub-pixel"); backwards, where it is fast, all stays as it was.
    """

    def call(self, x):
        if (self.kernel_size, self.strides, self.padding) != ((4, 4), (2, 2), "same"):
            given = f"{self.kernel_size}, {self.strides} and {self.padding!r}"
            raise ValueError(f"{self.name}: wanted kernel (4, 4), strides (2, 2) and padding 'same', not {given}.")
        return self.activation(_doubled(x, tf.convert_to_tensor(self.kernel)) + self.bias)


@tf.custom_gradient
def _doubled(x, kernel):
    def gradients(upstream):
        of_kernel = tf.raw_ops.Conv2DBackpropFilter(
            input=upstream, filter_sizes=kernel.shape, out_backprop=x, strides=[1, 2, 2, 1], padding="SAME"
        )
        return tf.nn.conv2d(upstream, kernel, 2, "SAME"), of_kernel

    return _sub_pixel(x, kernel), gradients


@tf.custom_gradient
def halved(x: tf.Tensor, kernel: tf.Tensor):
    """The convolution of kernel 4 and stride 2, "SAME": `[B, H, W, C]` -> `[B, H/2, W/2, filters]`.

    Same numbers. Its gradient to an image of few channels is a transposed convolution, as slow as that of `Conv2DDoubling`, and
    made fast in the same way.
    """

    def gradients(upstream):
        of_kernel = tf.raw_ops.Conv2DBackpropFilter(
            input=x, filter_sizes=kernel.shape, out_backprop=upstream, strides=[1, 2, 2, 1], padding="SAME"
        )
        if x.shape[-1] <= FEW_CHANNELS and not (x.shape[1] % 2 or x.shape[2] % 2):
            return _sub_pixel(upstream, kernel), of_kernel
        of_x = tf.raw_ops.Conv2DBackpropInput(
            input_sizes=tf.shape(x), filter=kernel, out_backprop=upstream, strides=[1, 2, 2, 1], padding="SAME"
        )
        return of_x, of_kernel

    return tf.nn.conv2d(x, kernel, 2, "SAME"), gradients


def _sub_pixel(x, kernel):
    """The transposed convolution of kernel 4 and stride 2, "SAME", as one of kernel 2 to four times the channels."""
    # Output pixel 2m + p is the sum over taps t = 0, 1 of kernel[2 - 2t + p] * padded[m + p + t], in each direction.
    *_, filters, channels = kernel.shape
    taps = tf.reverse(tf.reshape(kernel, [2, 2, 2, 2, filters, channels]), [0, 2])
    taps = tf.reshape(tf.transpose(taps, [0, 2, 5, 1, 3, 4]), [2, 2, channels, 4 * filters])
    blocks = tf.nn.conv2d(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), taps, 1, "VALID")
    return tf.nn.depth_to_space(blocks, 2)[:, 1:-1, 1:-1]
