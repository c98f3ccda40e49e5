"""The layers that stand in for Keras' convolutions where those are slow: the same numbers and the same gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.networks import layers

K = keras.layers
CASES = {
    "whole 1d": (layers.WholeConv1D(7, 4), K.Conv1D(7, 4, 2, "valid"), (5, 4, 3)),
    "whole 2d": (layers.WholeConv2D(7, 4), K.Conv2D(7, 4, 2, "valid"), (5, 4, 4, 3)),
    "whole 1d transposed": (layers.WholeConv1DTranspose(7, 4), K.Conv1DTranspose(7, 4, 1, "valid"), (5, 1, 3)),
    "whole 2d transposed": (layers.WholeConv2DTranspose(7, 4), K.Conv2DTranspose(7, 4, 2, "valid"), (5, 1, 1, 3)),
    "doubling": (layers.Conv2DDoubling(3, 4, 2, "same"), K.Conv2DTranspose(3, 4, 2, "same"), (5, 6, 8, 4)),
}


@pytest.mark.parametrize(("fast", "plain", "shape"), CASES.values(), ids=CASES)
def test_same_values_and_gradients_as_the_plain_layer(fast, plain, shape):
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=shape), tf.float32)
    for layer in (fast, plain):
        layer.build(shape)
    for ours, theirs in zip(fast.weights, plain.weights, strict=True):
        theirs.assign(rng.normal(size=theirs.shape))
        ours.assign(theirs)
    for ours, theirs in zip(value_and_gradients(fast, x), value_and_gradients(plain, x), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def value_and_gradients(layer, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
        # Not a plain sum: every output needs a gradient of its own.
        total = tf.reduce_sum(tf.sin(y))
    return [y, *tape.gradient(total, [x, *layer.trainable_weights])]


@pytest.mark.parametrize("shape", [(2, 8, 6, 3), (2, 8, 6, 5), (2, 7, 6, 3), (2, 7, 5, 1)])
def test_halving_is_the_convolution_that_it_stands_for(shape):
    rng = np.random.default_rng(0)
    x, kernel = (tf.constant(rng.normal(size=s), tf.float32) for s in (shape, (4, 4, shape[-1], 6)))
    found = []
    for function in (layers.halved, lambda x, kernel: tf.nn.conv2d(x, kernel, 2, "SAME")):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y = function(x, kernel)
            total = tf.reduce_sum(tf.sin(y))
        found.append([y, *tape.gradient(total, [x, kernel])])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (layers.WholeConv2D(7, 4), (5, 8, 8, 3), "cover the whole input"),
        (layers.WholeConv1DTranspose(7, 4), (5, 2, 3), "single position"),
        (layers.Conv2DDoubling(7, 3, 2, "same"), (5, 4, 4, 3), "kernel"),
    ],
)
def test_a_shape_they_are_not_for_is_refused(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer(tf.zeros(shape))
