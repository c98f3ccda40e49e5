"""Spectrally normalised layers, of which the discriminators of [C] are made: W / sigma(W), sigma the largest singular value.

Keras' `SpectralNormalization` does another thing: each call in training overwrites the kernel with the normalised one, and the
gradient takes sigma for a constant. Here the kernel stays what the optimizer made it, the gradient goes through sigma (of which
only the singular vectors are constants, [Miyato 2018]), and one power iteration a step serves all calls of the step.

[C]: Chen, Zhu 2022.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from mmtf.distributed import replicas
from mmtf.keras_names import PACKAGE
from mmtf.networks.layers import halved

# Below every norm that occurs: a kernel of zeros has no direction.
SMALLEST_NORM = 1e-12
SLOPE = 0.2  # of the discriminators' LeakyReLU, [C]'s release

Bound = Callable[[tf.Tensor], tf.Tensor]


class Spectral(keras.layers.Layer):
    """A layer with a kernel `[..., units]`, whose largest singular value as a matrix of `units` columns is kept at 1."""

    def __init__(self, units: int, *, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def _add_weights(self, shape: tuple[int, ...]) -> None:
        self.kernel = self.add_weight(shape=shape, initializer=self.kernel_initializer, name="kernel")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")
        # The same on every replica: it is a function of the kernel and of itself.
        self.direction = self.add_weight(
            shape=(self.units,), initializer=_direction, trainable=False, aggregation="only_first_replica", name="direction"
        )

    def normalised(self, advance: bool) -> tf.Tensor:
        """Return the kernel divided by its largest singular value, in the numbers that the layer computes with.

        Args:
          advance: make one step of the power iteration, and keep it; otherwise the direction stays as it is.
        """
        kernel, right = tf.convert_to_tensor(self.kernel), tf.convert_to_tensor(self.direction)
        matrix = tf.reshape(kernel, [-1, self.units])
        left = _unit(tf.stop_gradient(tf.linalg.matvec(matrix, right)))
        if advance:
            right = _unit(tf.stop_gradient(tf.linalg.matvec(matrix, left, transpose_a=True)))
            replicas.assign_equal([self.direction], [right])
        sigma = tf.tensordot(left, tf.linalg.matvec(matrix, right), 1)
        return tf.cast(kernel / tf.maximum(sigma, SMALLEST_NORM), self.compute_dtype)

    def bind(self, advance: bool) -> Bound:
        """Return the layer as a function of its input, with the kernel normalised once for all calls."""
        kernel, bias = self.normalised(advance), self.offset()
        return lambda x: tf.nn.bias_add(self.linear(x, kernel), bias)

    def offset(self) -> tf.Tensor:
        """Return the bias, in the same numbers."""
        return tf.cast(tf.convert_to_tensor(self.bias), self.compute_dtype)

    def call(self, x):
        return self.bind(advance=False)(x)

    def linear(self, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Return the layer without its bias, computed with the kernel's numbers."""
        raise NotImplementedError

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


@keras.saving.register_keras_serializable(PACKAGE)
class SpectralDense(Spectral):
    """`[B, ...]`, flattened, -> `[B, units]`."""

    def build(self, input_shape):
        self._add_weights((math.prod(input_shape[1:]), self.units))

    def linear(self, x, kernel):
        return tf.matmul(tf.reshape(tf.cast(x, kernel.dtype), [-1, kernel.shape[0]]), kernel)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.units)


@keras.saving.register_keras_serializable(PACKAGE)
class SpectralHalving(Spectral):
    """Convolution of kernel 4 and stride 2: `[B, H, W, C]` -> `[B, H/2, W/2, units]`, or along one axis `[B, T, C]`."""

    def build(self, input_shape):
        self._add_weights((*[4] * (len(input_shape) - 2), input_shape[-1], self.units))

    def linear(self, x, kernel):
        x = tf.cast(x, kernel.dtype)
        return halved(x, kernel) if len(x.shape) == 4 else tf.nn.convolution(x, kernel, 2, "SAME")

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *(-(-size // 2) for size in input_shape[1:-1]), self.units)


def built(layers: Sequence[Spectral], input_shape: Sequence[int]) -> tuple[list[Spectral], tuple[int, ...]]:
    """Return the layers with their variables made one after the other, and the shape per example that comes out."""
    shape = (None, *input_shape)
    for layer in layers:
        # Keras builds the layers of a file on its own.
        if not layer.built:
            layer.build(shape)
        shape = layer.compute_output_shape(shape)
    return list(layers), shape[1:]


def bind_all(layers: Sequence[Spectral], advance: bool, *, last_linear: bool = False) -> Bound:
    """Return the layers as one function, with a LeakyReLU after each, except after the last one on request."""
    bound = [layer.bind(advance) for layer in layers]

    def apply(x):
        for place, function in enumerate(bound, start=1):
            x = function(x)
            if place < len(bound) or not last_linear:
                x = leaky(x)
        return x

    return apply


@tf.custom_gradient
def leaky(x: tf.Tensor):
    """LeakyReLU, whose gradient looks at the signs of what comes out.

    TensorFlow's own looks at what goes in: with TF 2.21 its optimizer then tries in vain to fuse the layer before, and logs an
    error in every run.
    """
    y = tf.nn.leaky_relu(x, SLOPE)
    return y, lambda upstream: tf.raw_ops.LeakyReluGrad(gradients=upstream, features=y, alpha=SLOPE)


def _unit(vector: tf.Tensor) -> tf.Tensor:
    return vector / tf.maximum(tf.norm(vector), SMALLEST_NORM)


def _direction(shape, dtype=None) -> tf.Tensor:
    """Where the power iteration starts: any direction that no kernel is made to be orthogonal to."""
    angles = tf.range(1, shape[0] + 1, dtype=tf.float32)
    return _unit(tf.sin(angles))
