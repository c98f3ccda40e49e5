"""The coherence classifiers against [S] Tables 1 and 2."""

import random

import numpy as np
import oracles_conv as oracle
import pytest
import tensorflow as tf

from mmtf.modality import Modality
from mmtf.networks import classifiers

DIGIT = Modality("digit", (28, 28, 1))
SCENE = Modality("scene", (32, 32, 3))
WORD = Modality("word", (8,), "categorical", num_classes=71)
ALL = [(classifiers.mnist, DIGIT), (classifiers.svhn, SCENE), (classifiers.text, WORD)]


def values(modality, n=3, seed=0):
    rng = np.random.default_rng(seed)
    if modality.num_classes:
        return np.eye(modality.num_classes, dtype=np.float32)[rng.integers(0, modality.num_classes, (n, *modality.event_shape))]
    return rng.uniform(size=(n, *modality.event_shape)).astype(np.float32)


def randomised(model, seed=1):
    """Random biases, and batch statistics of their own, all above 0 so that they do for variances."""
    rng = np.random.default_rng(seed)
    model.set_weights([w if w.ndim > 1 else rng.uniform(0.1, 0.6, w.shape) for w in model.get_weights()])
    return [w.astype(float) for w in model.get_weights()]


def conv(kernel, channels, filters):
    """Parameters of a convolution with a kernel of that many taps, or of a dense layer with one."""
    return kernel * channels * filters + filters


def test_parameter_counts_are_those_of_table_1():
    digit = conv(16, 1, 32) + conv(16, 32, 64) + conv(16, 64, 128) + conv(1, 1152, 10)
    assert counts(classifiers.mnist(DIGIT, 10)) == (digit, 0)
    # A batch normalisation has two parameters and two statistics per channel.
    norms = 2 * (32 + 64 + 64 + 128)
    scene = conv(16, 3, 32) + conv(16, 32, 64) + conv(16, 64, 64) + conv(16, 64, 128) + conv(1, 128, 10)
    assert counts(classifiers.svhn(SCENE, 10)) == (scene + norms, norms)


def test_parameter_counts_are_those_of_the_rows_of_table_2_that_are_used():
    block1 = conv(1, 128, 128) + 2 * conv(4, 128, 192)
    block2 = conv(1, 192, 192) + 2 * conv(4, 192, 128)
    norms = 2 * (128 + 128 + 192) + 2 * (192 + 192 + 128)
    trainable = conv(1, 71, 128) + block1 + block2 + conv(1, 128, 10) + norms
    assert counts(classifiers.text(WORD, 10)) == (trainable, norms)


def counts(model):
    """Numbers of trainable and of other weights; the seeds of dropout are none."""
    return tuple(sum(np.prod(v.shape) for v in part) for part in (model.trainable_weights, model.non_trainable_weights))


def test_mnist_classifier_is_table_1_with_pytorchs_padding():
    model = classifiers.mnist(DIGIT, 10)
    w = randomised(model)
    y = values(DIGIT)
    for layer in range(3):
        y = oracle.relu(oracle.conv(y, *w[2 * layer : 2 * layer + 2], stride=2, padding=1))
    assert y.shape == (3, 3, 3, 128)
    np.testing.assert_allclose(model(values(DIGIT)), oracle.dense(y.reshape(3, -1), *w[6:]), atol=1e-4)


def test_svhn_classifier_is_table_1_on_centred_pixels():
    model = classifiers.svhn(SCENE, 10)
    w = randomised(model)
    y = values(SCENE) * 4.0 - 2.0
    for layer, padding in enumerate((1, 1, 1, 0)):
        kernel, bias, *norm = w[6 * layer : 6 * layer + 6]
        y = oracle.relu(oracle.batch_norm(oracle.conv(y, kernel, bias, stride=2, padding=padding), *norm))
    np.testing.assert_allclose(model(values(SCENE)), oracle.dense(y[:, 0, 0], *w[24:]), rtol=1e-4, atol=1e-4)


def test_svhn_classifier_drops_out_before_it_normalises():
    kinds = [type(layer).__name__ for layer in classifiers.svhn(SCENE, 10).layers]
    assert kinds[1:-2] == ["Conv2D", "Dropout", "BatchNormalization", "ReLU"] * 4


def test_text_classifier_is_the_releases_reading_of_table_2():
    model = classifiers.text(WORD, 10)
    randomised(model)

    def w(layer):
        return [weight.numpy().astype(float) for weight in model.get_layer(layer).weights]

    y = oracle.conv(values(WORD), *w("characters"), stride=1, padding=0)
    lengths = [y.shape[1]]
    for block, padding in (("block1", 1), ("block2", 0)):
        x = y
        y = oracle.relu(oracle.batch_norm(x, *w(f"{block}_inner_norm")))
        y = oracle.conv(y, *w(f"{block}_inner"), stride=1, padding=0)
        y = oracle.relu(oracle.batch_norm(y, *w(f"{block}_strided_norm")))
        y = oracle.conv(y, *w(f"{block}_strided"), stride=2, padding=padding)
        shortcut = oracle.conv(x, *w(f"{block}_shortcut"), stride=2, padding=padding)
        y += oracle.batch_norm(shortcut, *w(f"{block}_shortcut_norm"))
        lengths.append(y.shape[1])
    assert lengths == [8, 4, 1]
    np.testing.assert_allclose(model(values(WORD)), oracle.dense(y[:, 0], *w("logits")), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("build", "modality"), ALL)
def test_features_are_what_the_last_layer_sees(build, modality):
    model = build(modality, 10)
    features = classifiers.features(model)
    last = [w.numpy() for w in model.get_layer("logits").weights]
    np.testing.assert_allclose(model(values(modality)), oracle.dense(features(values(modality)), *last), atol=1e-5)
    assert features.output_shape == (None, 1152 if modality is DIGIT else 128)


@pytest.mark.parametrize(("build", "modality"), ALL)
def test_every_variable_learns(build, modality):
    model = build(modality, 10, seed=0)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(values(modality, n=8), training=True) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    assert all(gradient is not None and np.isfinite(gradient).all() for gradient in gradients)
    silent = [v.path for v, g in zip(model.trainable_variables, gradients, strict=True) if np.abs(g).max() < 1e-3]
    # Batch normalisation takes away what is added to all of a channel right before it; everything else has a say.
    assert all(path.endswith(("/bias", "/beta")) for path in silent), silent


@pytest.mark.parametrize(("build", "modality"), ALL)
def test_a_seed_fixes_weights_and_dropout_and_leaves_the_global_generator_alone(build, modality):
    before, x = random.getstate(), values(modality, n=8)
    first, again, other = (build(modality, 10, seed=seed) for seed in (5, 5, 6))
    y, y2, y3 = (model(x, training=True) for model in (first, again, other))
    assert random.getstate() == before
    np.testing.assert_array_equal(y, y2)
    assert not np.allclose(y, y3)


@pytest.mark.parametrize(("build", "modality"), ALL)
def test_a_modality_that_does_not_suit_is_refused(build, modality):
    for stranger in (Modality("photo", (64, 64, 3)), Modality("caption", (256,), "categorical", num_classes=71)):
        with pytest.raises(ValueError, match=rf"{stranger.name}: .*classifier.* not \({stranger.event_shape[0]}.*registry"):
            build(stranger, 10)
    with pytest.raises(ValueError, match="num_classes must be 1 or more, not 0"):
        build(modality, 0)
