"""Encoders and decoders against [S] Tables 5 to 7: parameters counted by hand, numbers from PyTorch's definitions."""

import random

import keras
import numpy as np
import oracles_conv as oracle
import pytest
import tensorflow as tf

from mmtf.modality import Modality
from mmtf.networks import layers, mnist, svhn, text
from mmtf.networks.heads import GaussianHead

LATENT = 20
DIGIT = Modality("digit", (28, 28, 1))
SCENE = Modality("scene", (32, 32, 3))
WORD = Modality("word", (8,), "categorical", num_classes=71)
PAIRS = [(mnist, DIGIT), (svhn, SCENE), (text, WORD)]


def values(modality, n=3, seed=0):
    rng = np.random.default_rng(seed)
    if modality.num_classes:
        return rng.integers(0, modality.num_classes, (n, *modality.event_shape)).astype(np.int32)
    return rng.uniform(size=(n, *modality.event_shape)).astype(np.float32)


def codes(n=3, seed=1):
    return np.random.default_rng(seed).normal(size=(n, LATENT)).astype(np.float32)


def randomised(model, seed=2):
    """The model with random biases too, so that every weight has a say; returns its weights in float64."""
    rng = np.random.default_rng(seed)
    model.set_weights([w if w.ndim > 1 else rng.normal(0, 0.1, w.shape) for w in model.get_weights()])
    return [w.astype(float) for w in model.get_weights()]


def layer(taps, channels, filters):
    """Parameters of a convolution, transposed or not, with a kernel of that many taps; of a dense layer with one."""
    return taps * channels * filters + filters


@pytest.mark.parametrize(
    ("network", "modality", "encoder", "decoder"),
    [
        (mnist, DIGIT, [(1, 784, 400)], [(1, 20, 400), (1, 400, 784)]),
        (
            svhn,
            SCENE,
            [(16, 3, 32), (16, 32, 64), (16, 64, 64), (16, 64, 128)],
            [(1, 20, 128), (16, 128, 64), (16, 64, 64), (16, 64, 32), (16, 32, 3)],
        ),
        (
            text,
            WORD,
            [(1, 71, 128), (4, 128, 128), (4, 128, 128)],
            [(1, 20, 128), (4, 128, 128), (4, 128, 128), (1, 128, 71)],
        ),
    ],
)
def test_parameter_counts_are_those_of_the_tables(network, modality, encoder, decoder):
    assert network.encoder(modality).count_params() == sum(layer(*row) for row in encoder)
    assert network.decoder(modality, LATENT).count_params() == sum(layer(*row) for row in decoder)


@pytest.mark.parametrize(("network", "modality"), PAIRS)
def test_a_decoder_returns_what_the_likelihood_takes(network, modality):
    assert network.decoder(modality, LATENT).output_shape == (None, *modality.parameter_shape)


def test_mnist_encoder_is_table_5():
    model = mnist.encoder(DIGIT)
    w = randomised(model)
    x = values(DIGIT)
    expected = oracle.relu(oracle.dense(x.reshape(3, 784), *w))
    np.testing.assert_allclose(model(x), expected, atol=1e-5)


@pytest.mark.parametrize(("likelihood", "output"), [("laplace", oracle.sigmoid), ("bernoulli", lambda x: x)])
def test_mnist_decoder_is_table_5(likelihood, output):
    model = mnist.decoder(Modality("digit", (28, 28, 1), likelihood), LATENT)
    w = randomised(model)
    expected = output(oracle.dense(oracle.relu(oracle.dense(codes(), *w[:2])), *w[2:])).reshape(3, 28, 28, 1)
    np.testing.assert_allclose(model(codes()), expected, atol=1e-5)


def test_svhn_encoder_is_table_6_with_pytorchs_padding():
    model = svhn.encoder(SCENE)
    w = randomised(model)
    y = values(SCENE)
    for layer, padding in enumerate((1, 1, 1, 0)):
        y = oracle.relu(oracle.conv(y, *w[2 * layer : 2 * layer + 2], stride=2, padding=padding))
    assert y.shape == (3, 1, 1, 128)
    np.testing.assert_allclose(model(values(SCENE)), y[:, 0, 0], atol=1e-5)


def test_svhn_decoder_is_table_6_with_pytorchs_padding_and_a_linear_output():
    model = svhn.decoder(SCENE, LATENT)
    w = randomised(model)
    y = oracle.relu(oracle.dense(codes(), *w[:2]))[:, None, None]
    for layer, padding in enumerate((0, 1, 1, 1), start=1):
        y = oracle.conv_transposed(y, *w[2 * layer : 2 * layer + 2], stride=2, padding=padding)
        y = oracle.relu(y) if layer < 4 else y
    assert y.min() < 0
    np.testing.assert_allclose(model(codes()), y, atol=1e-5)


def test_text_encoder_is_table_7_on_one_hot_characters():
    model = text.encoder(WORD)
    w = randomised(model)
    y = oracle.relu(oracle.conv(np.eye(71)[values(WORD)], w[0][None], w[1], stride=1, padding=0))
    for layer, padding in ((1, 1), (2, 0)):
        y = oracle.relu(oracle.conv(y, *w[2 * layer : 2 * layer + 2], stride=2, padding=padding))
    assert y.shape == (3, 1, 128)
    np.testing.assert_allclose(model(values(WORD)), y[:, 0], atol=1e-5)


def test_text_decoder_is_table_7_with_linear_logits():
    model = text.decoder(WORD, LATENT)
    w = randomised(model)
    y = oracle.relu(oracle.dense(codes(), *w[:2]))[:, None]
    for layer, (stride, padding) in enumerate(((1, 0), (2, 1)), start=1):
        y = oracle.relu(oracle.conv_transposed(y, *w[2 * layer : 2 * layer + 2], stride=stride, padding=padding))
    # Its kernel of 1 is kept as a plain convolution's: [1, in, out] in place of [1, out, in].
    y = oracle.conv_transposed(y, w[6].swapaxes(1, 2), w[7], stride=1, padding=0)
    np.testing.assert_allclose(model(codes()), y, atol=1e-5)


@pytest.mark.parametrize("activation", ["relu", "linear"])
def test_characters_are_a_convolution_of_kernel_1_over_one_hot_codes_in_values_and_gradients(activation):
    classes, weight = values(WORD, n=5), np.random.default_rng(3).normal(size=(5, 8, 16)).astype(np.float32)
    looked_up = layers.Characters(71, 16, activation=activation)
    convolved = keras.layers.Conv1D(16, 1, activation=activation)
    looked_up.build((None, 8))
    convolved.build((None, 8, 71))
    kernel, bias = np.random.default_rng(4).normal(size=(71, 16)), np.random.default_rng(5).normal(size=16)
    looked_up.set_weights([kernel, bias])
    convolved.set_weights([kernel[None], bias])
    found = []
    for layer, x in ((looked_up, classes), (convolved, tf.one_hot(classes, 71))):
        with tf.GradientTape() as tape:
            y = layer(x)
            loss = tf.reduce_sum(y * weight)
        found.append((y, *tape.gradient(loss, layer.trainable_variables)))
    (y, by_kernel, by_bias), (y2, by_kernel2, by_bias2) = found
    np.testing.assert_array_equal(y, y2)
    assert isinstance(by_kernel, tf.Tensor)
    np.testing.assert_allclose(by_kernel, by_kernel2[0], atol=1e-5)
    np.testing.assert_allclose(by_bias, by_bias2, atol=1e-5)


@pytest.mark.parametrize("stranger", [-1, 71])
def test_a_character_outside_the_alphabet_is_an_error(stranger):
    with pytest.raises(tf.errors.InvalidArgumentError):
        text.encoder(WORD)(np.full((1, 8), stranger, np.int32))


@pytest.mark.parametrize(("network", "modality"), PAIRS)
def test_every_variable_learns(network, modality):
    encoder, head, decoder = network.encoder(modality), GaussianHead(16, 4), network.decoder(modality, LATENT)
    with tf.GradientTape() as tape:
        gaussians = head(encoder(values(modality, n=8)))
        code = tf.concat([gaussians[2] + tf.exp(gaussians[3]), gaussians[0] + tf.exp(gaussians[1])], axis=-1)
        loss = tf.reduce_sum(decoder(code) ** 2)
    variables = [*encoder.trainable_variables, *head.trainable_variables, *decoder.trainable_variables]
    assert all(np.abs(gradient).sum() > 0 for gradient in tape.gradient(loss, variables))


@pytest.mark.parametrize(("network", "modality"), PAIRS)
def test_saved_weights_restore_the_outputs(network, modality, tmp_path):
    for build, inputs in (
        (lambda seed: network.encoder(modality, seed=seed), values(modality)),
        (lambda seed: network.decoder(modality, LATENT, seed=seed), codes()),
    ):
        first, second = build(1), build(2)
        randomised(first)
        first.save_weights(tmp_path / "net.weights.h5")
        assert not np.allclose(first(inputs), second(inputs))
        second.load_weights(tmp_path / "net.weights.h5")
        np.testing.assert_array_equal(first(inputs), second(inputs))


@pytest.mark.parametrize(("network", "modality"), PAIRS)
def test_a_seed_fixes_every_weight_and_leaves_the_global_generators_alone(network, modality):
    before, numpy_before = random.getstate(), np.random.get_state()[1].copy()
    for build in (
        lambda seed: network.encoder(modality, seed=seed),
        lambda seed: network.decoder(modality, LATENT, seed=seed),
    ):
        first, again, other = (build(seed).get_weights() for seed in (5, 5, 6))
        for a, b, c in zip(first, again, other, strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.ndim == 1 or not np.allclose(a, c)
    assert random.getstate() == before
    assert (np.random.get_state()[1] == numpy_before).all()


@pytest.mark.parametrize("network", [svhn, text])
def test_no_two_kernels_start_alike(network):
    modality = dict(PAIRS)[network]
    model = network.decoder(modality, LATENT, seed=0)
    starts = [w.ravel()[:100] / np.abs(w).max() for w in model.get_weights() if w.ndim > 1]
    for i, a in enumerate(starts):
        assert all(abs(np.corrcoef(a, b)[0, 1]) < 0.5 for b in starts[:i])


@pytest.mark.parametrize(
    ("network", "modality", "wanted", "came"),
    [
        (mnist, Modality("photo", (32, 32, 3)), "(28, 28, 1)", "(32, 32, 3)"),
        (svhn, Modality("photo", (28, 28, 1)), "(32, 32, 3)", "(28, 28, 1)"),
        (text, Modality("photo", (256,), "categorical", num_classes=71), "(8,)", "(256,)"),
        (mnist, Modality("photo", (28, 28, 1), "categorical", num_classes=256), "laplace", "categorical"),
        (text, Modality("photo", (8,), "normal"), "categorical", "normal"),
    ],
)
def test_a_modality_that_does_not_suit_is_refused_with_what_was_wanted_and_what_came(network, modality, wanted, came):
    for build in (network.encoder, lambda m: network.decoder(m, LATENT)):
        with pytest.raises(ValueError, match=r"photo: .*mmtf/registry") as error:
            build(modality)
        assert wanted in str(error.value)
        assert came in str(error.value)


@pytest.mark.parametrize(("network", "modality"), PAIRS)
def test_a_decoder_needs_a_code(network, modality):
    with pytest.raises(ValueError, match="latent_dim must be 1 or more, not 0"):
        network.decoder(modality, 0)
