"""Residual blocks against NumPy, from PyTorch's definitions of their layers, along one axis and two."""

import keras
import numpy as np
import oracles_conv as oracle
import pytest
import tensorflow as tf

from mmtf.networks import layers, residual

NORMS = {"group": residual.group_norm, "batch": residual.batch_norm}
BLOCKS = {
    "halving": (residual.halving, 8),
    "halving to one position": (residual.halving, 4),
    "doubling": (residual.doubling, 4),
    "doubling from one position": (residual.doubling, 1),
}
CHANNELS, FILTERS = 64, 96


def values(axes, size, channels=CHANNELS, n=3, seed=0):
    return np.random.default_rng(seed).normal(size=(n, *[size] * axes, channels)).astype(np.float32)


def model_of(build, axes, size, channels=CHANNELS):
    x = keras.Input((*[size] * axes, channels))
    return keras.Model(x, build(x, layers.glorot(0)))


def randomised(model, seed=1):
    """Random biases, scales, offsets and statistics, all above 0 so that they do for variances."""
    rng = np.random.default_rng(seed)
    model.set_weights([w if w.ndim > 1 else rng.uniform(0.1, 0.6, w.shape) for w in model.get_weights()])
    return lambda layer: [w.numpy().astype(float) for w in model.get_layer(layer).weights]


def group_norm(x, gamma, beta):
    """Wu, He 2018, eq. 1 to 7: mean and variance of each example over the positions and channels of a group."""
    y = np.empty(x.shape)
    for k in range(0, x.shape[-1], x.shape[-1] // 32):
        group = x[..., k : k + x.shape[-1] // 32]
        around = tuple(range(1, x.ndim))
        centred = group - group.mean(around, keepdims=True)
        y[..., k : k + group.shape[-1]] = centred / np.sqrt((centred**2).mean(around, keepdims=True) + 1e-5)
    return y * gamma + beta


def norm(kind, x, weights):
    return group_norm(x, *weights) if kind == "group" else oracle.batch_norm(x, *weights)


def block(kind, w, x, convolution, name="block"):
    """2.0 * norm(conv x) + 0.3 * conv(relu norm (inner(relu norm x)))."""
    y = oracle.relu(norm(kind, x, w(f"{name}_inner_norm")))
    y = oracle.conv(y, *w(f"{name}_inner"), stride=1, padding=0)
    y = oracle.relu(norm(kind, y, w(f"{name}_outer_norm")))
    shortcut = norm(kind, convolution(x, *w(f"{name}_shortcut")), w(f"{name}_shortcut_norm"))
    return 2.0 * shortcut + 0.3 * convolution(y, *w(f"{name}_outer"))


def specified(which):
    """PyTorch's layer of the specification: (4, 2, 1) in general, (4, 2, 0) to and (4, 1, 0) from a single position."""
    convolution = oracle.conv if which.startswith("halving") else oracle.conv_transposed
    padding = 0 if which.endswith("position") else 1
    return lambda x, kernel, bias: convolution(x, kernel, bias, 1 if which.endswith("from one position") else 2, padding)


@pytest.mark.parametrize("kind", NORMS)
@pytest.mark.parametrize("which", BLOCKS)
@pytest.mark.parametrize("axes", [1, 2])
def test_a_block_equals_numpy(axes, which, kind):
    build, size = BLOCKS[which]
    model = model_of(lambda x, init: build(x, FILTERS, init, NORMS[kind], "block"), axes, size)
    w = randomised(model)
    x = values(axes, size)
    expected = block(kind, w, x.astype(float), specified(which))
    assert expected.shape[1] == {"halving": 4, "doubling": 8}.get(which, 1 if build is residual.halving else 4)
    np.testing.assert_allclose(model(x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("axes", [1, 2])
def test_each_path_has_its_factor(axes):
    model = model_of(lambda x, init: residual.halving(x, FILTERS, init, residual.group_norm, "block"), axes, 8)
    x = values(axes, 8)
    w = randomised(model)
    whole, start = np.asarray(model(x)), [v.numpy() for v in model.weights]
    for weight in model.get_layer("block_outer").weights:
        weight.assign(tf.zeros_like(weight))
    without_branch = np.asarray(model(x))
    shortcut = group_norm(oracle.conv(x, *w("block_shortcut"), stride=2, padding=1), *w("block_shortcut_norm"))
    np.testing.assert_allclose(without_branch, 2.0 * shortcut, rtol=1e-4, atol=1e-4)
    model.set_weights(start)
    for weight in model.get_layer("block_shortcut_norm").weights:
        weight.assign(tf.zeros_like(weight))
    np.testing.assert_allclose(whole - without_branch, model(x), rtol=1e-4, atol=1e-4)
    branch = keras.Model(model.input, model.get_layer("block_outer").output)(x)
    np.testing.assert_allclose(model(x), 0.3 * branch, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", NORMS)
@pytest.mark.parametrize("axes", [1, 2])
def test_contracting_begins_with_pytorchs_padding_and_ends_with_a_norm(axes, kind):
    widths = (32, 64, 96)
    model = model_of(lambda x, init: residual.contracting(x, widths, init, NORMS[kind]), axes, 16, channels=3)
    w = randomised(model)
    y = oracle.conv(values(axes, 16, 3), *w("first"), stride=2, padding=1)
    assert y.shape[1] == 8
    y = block(kind, w, y, specified("halving"), "block1")
    y = block(kind, w, y, specified("halving to one position"), "block2")
    expected = oracle.relu(norm(kind, y, w("last_norm")))
    assert expected.shape == (3, *[1] * axes, 96)
    np.testing.assert_allclose(model(values(axes, 16, 3)), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("axes", [1, 2])
def test_expanding_ends_with_pytorchs_output_padding(axes):
    widths = (96, 64)
    model = model_of(lambda x, init: residual.expanding(x, widths, 5, init, residual.group_norm), axes, 1)
    w = randomised(model)
    y = block("group", w, values(axes, 1).astype(float), specified("doubling from one position"), "block1")
    y = block("group", w, y, specified("doubling"), "block2")
    # Padding 1 drops the first position of 17; output padding 1 keeps the last, which padding would drop.
    expected = oracle.conv_transposed(y, *w("last"), stride=2, padding=0)[(slice(None), *[slice(1, 17)] * axes)]
    assert expected.shape == (3, *[16] * axes, 5)
    np.testing.assert_allclose(model(values(axes, 1)), expected, rtol=1e-3, atol=1e-3)


def test_features_stay_bounded_however_large_the_weights():
    model = model_of(lambda x, init: residual.contracting(x, (32, 64, 96), init, residual.group_norm), 2, 16, channels=3)
    for factor in (1.0, 100.0):
        model.set_weights([w * factor if w.ndim > 1 else w for w in model.get_weights()])
        features = np.asarray(model(values(2, 16, 3))).reshape(3, 32, 3)
        # A group of variance 1 and mean 0, cut off below 0, has a mean square of 1 at most.
        assert np.mean(features**2, axis=-1).max() <= 1.0 + 1e-5
        assert features.std() > 0.3


def test_only_the_batch_norm_sees_the_batch():
    x, others = values(1, 8), values(1, 8, seed=7)
    mixed = np.concatenate([x[:1], others[1:]])
    for kind, own in (("group", True), ("batch", False)):
        model = model_of(lambda x, init, kind=kind: residual.halving(x, FILTERS, init, NORMS[kind], "block"), 1, 8)
        first, second = (np.asarray(model(values, training=True))[0] for values in (x, mixed))
        assert np.allclose(first, second, atol=1e-5) == own
        assert bool(model.non_trainable_weights) != own


def test_an_image_of_one_colour_gives_finite_gradients():
    model = model_of(lambda x, init: residual.contracting(x, (32, 64, 96), init, residual.group_norm), 2, 16, channels=3)
    x = tf.zeros((2, 16, 16, 3))
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(model(x) ** 2)
    assert all(np.isfinite(g).all() for g in tape.gradient(loss, [x, *model.trainable_variables]))
