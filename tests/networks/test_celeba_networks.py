"""CelebA's networks against [S] Tables 3, 13 and 14: sizes and parameters by hand, what sees what, seeds, refusals.

`test_residual.py` compares the blocks that they consist of with NumPy.
"""

import random

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.modality import Modality
from mmtf.networks import celeba_classifiers, celeba_image, celeba_text, classifiers
from mmtf.networks.heads import GaussianHead

LATENT = 64
IMAGE = Modality("image", (64, 64, 3))
TEXT = Modality("text", (256,), "categorical", num_classes=71)
PAIRS = [(celeba_image, IMAGE), (celeba_text, TEXT)]
CLASSIFIERS = [(celeba_classifiers.image, IMAGE, 640), (celeba_classifiers.text, TEXT, 896)]
# Channels of Tables 13 and 14, with the kernel's taps and those of the first and last layer.
IMAGE_ROWS, IMAGE_TAPS = [(128, 256), (256, 384), (384, 512), (512, 640)], 16
TEXT_ROWS, TEXT_TAPS = [(128, 256), (256, 384), (384, 512), (512, 640), (640, 640), (640, 640)], 4
CLASSIFIER_ROWS = [(128, 256), (256, 384), (384, 512), (512, 640), (640, 768), (768, 896)]


def values(modality, n=2, seed=0):
    rng = np.random.default_rng(seed)
    if modality.num_classes:
        return rng.integers(0, modality.num_classes, (n, *modality.event_shape)).astype(np.int32)
    return rng.uniform(size=(n, *modality.event_shape)).astype(np.float32)


def probabilities(modality, n=2, seed=0):
    return np.eye(71, dtype=np.float32)[values(modality, n, seed)] if modality.num_classes else values(modality, n, seed)


def codes(n=2, seed=1):
    return np.random.default_rng(seed).normal(size=(n, LATENT)).astype(np.float32)


@pytest.fixture(scope="module")
def encoders():
    return {modality.name: network.encoder(modality, seed=0) for network, modality in PAIRS}


@pytest.fixture(scope="module")
def decoders():
    return {modality.name: network.decoder(modality, LATENT, seed=0) for network, modality in PAIRS}


@pytest.fixture(scope="module")
def judges():
    return {modality.name: build(modality, 40, seed=0) for build, modality, _ in CLASSIFIERS}


def layer(taps, channels, filters):
    """Parameters of a convolution, transposed or not, with a kernel of that many taps; of a dense layer with one."""
    return taps * channels * filters + filters


def blocks(rows, taps):
    """A block's shortcut and branch, the branch's kernel of 1, and scale and offset of its three norms."""
    return sum(2 * layer(taps, i, o) + layer(1, i, i) + 2 * (i + i + o) for i, o in rows)


def backwards(rows):
    return [(o, i) for i, o in reversed(rows)]


def counts(model):
    return tuple(sum(int(np.prod(v.shape)) for v in part) for part in (model.trainable_weights, model.non_trainable_weights))


def test_encoders_have_the_tables_parameters(encoders):
    last_norm = 2 * 640
    assert counts(encoders["image"]) == (layer(9, 3, 128) + blocks(IMAGE_ROWS, IMAGE_TAPS) + last_norm, 0)
    assert counts(encoders["text"]) == (layer(3, 71, 128) + blocks(TEXT_ROWS, TEXT_TAPS) + last_norm, 0)


def test_decoders_have_the_tables_parameters(decoders):
    first = layer(1, LATENT, 640)
    assert counts(decoders["image"]) == (first + blocks(backwards(IMAGE_ROWS), IMAGE_TAPS) + layer(9, 128, 3), 0)
    assert counts(decoders["text"]) == (first + blocks(backwards(TEXT_ROWS), TEXT_TAPS) + layer(3, 128, 71), 0)


def test_classifiers_have_the_parameters_of_table_3_and_as_many_statistics_as_norms_have_parameters(judges):
    for name, first, rows, taps in (
        ("image", layer(9, 3, 128), IMAGE_ROWS, IMAGE_TAPS),
        ("text", layer(3, 71, 128), CLASSIFIER_ROWS, TEXT_TAPS),
    ):
        width = rows[-1][1]
        norms = sum(2 * (i + i + o) for i, o in rows) + 2 * width
        assert counts(judges[name]) == (first + blocks(rows, taps) + 2 * width + layer(1, width, 40), norms)


@pytest.mark.parametrize(
    ("name", "sizes", "widths"),
    [
        ("image", (32, 16, 8, 4, 1), (128, 256, 384, 512, 640)),
        ("text", (128, 64, 32, 16, 8, 4, 1), (128, 256, 384, 512, 640, 640, 640)),
    ],
)
def test_sizes_of_every_stage_of_an_encoder(encoders, name, sizes, widths):
    found = [encoders[name].get_layer("first").output.shape[1:]]
    found += [encoders[name].get_layer(f"block{k}_shortcut").output.shape[1:] for k in range(1, len(sizes))]
    axes = 2 if name == "image" else 1
    assert found == [(*[size] * axes, width) for size, width in zip(sizes, widths, strict=True)]
    assert encoders[name].output_shape == (None, 640)


@pytest.mark.parametrize(
    ("name", "sizes", "widths"),
    [
        ("image", (4, 8, 16, 32), (512, 384, 256, 128)),
        ("text", (4, 8, 16, 32, 64, 128), (640, 640, 512, 384, 256, 128)),
    ],
)
def test_sizes_of_every_stage_of_a_decoder(decoders, name, sizes, widths):
    found = [decoders[name].get_layer(f"block{k + 1}_shortcut").output.shape[1:] for k in range(len(sizes))]
    axes = 2 if name == "image" else 1
    assert found == [(*[size] * axes, width) for size, width in zip(sizes, widths, strict=True)]


@pytest.mark.parametrize(("network", "modality"), PAIRS)
def test_a_decoder_returns_what_the_likelihood_takes(decoders, network, modality):
    assert decoders[modality.name].output_shape == (None, *modality.parameter_shape)
    # Linear: neither squashed to 0..1 nor normalised.
    assert np.min(decoders[modality.name](codes())) < 0


@pytest.mark.parametrize("place", [0, 31, 32, 63])
def test_every_corner_and_the_middle_of_an_image_change_its_features(encoders, judges, place):
    x = values(IMAGE, n=1)
    changed = x.copy()
    changed[0, place, place] = 1.0 - changed[0, place, place]
    for network in (encoders["image"], judges["image"]):
        assert np.abs(network(changed) - network(x)).max() > 1e-4


@pytest.mark.parametrize("place", [0, 127, 128, 255])
def test_every_character_changes_the_features(encoders, judges, place):
    x = values(TEXT, n=1)
    changed = x.copy()
    changed[0, place] = (changed[0, place] + 1) % 71
    assert np.abs(encoders["text"](changed) - encoders["text"](x)).max() > 1e-4
    assert np.abs(judges["text"](np.eye(71)[changed]) - judges["text"](np.eye(71)[x])).max() > 1e-4


@pytest.mark.parametrize("name", ["image", "text"])
def test_a_code_reaches_every_place_of_the_output(decoders, name):
    difference = np.abs(decoders[name](codes(seed=1)) - decoders[name](codes(seed=2)))
    assert difference.min(axis=0).max(axis=-1).min() > 1e-6


def test_the_text_encoder_reads_one_hot_codes(encoders):
    """Its first layer on classes is a convolution of [S] Table 14 on their one-hot codes, 0 in front of the text."""
    first = keras.Model(encoders["text"].input, encoders["text"].get_layer("first").output)
    kernel, bias = (w.numpy() for w in encoders["text"].get_layer("first").weights)
    x = values(TEXT, n=1)
    found = first(x)[0]
    for t in (0, 1, 127):
        read = [x[0, 2 * t + k - 1] if 2 * t + k else None for k in range(3)]
        expected = bias + sum(kernel[k, c] for k, c in enumerate(read) if c is not None)
        np.testing.assert_allclose(found[t], expected, atol=1e-6)


@pytest.mark.parametrize(("network", "modality"), PAIRS)
def test_an_example_never_depends_on_its_neighbours(encoders, decoders, network, modality):
    """Not in training either: what is missing, and how a batch is shared by replicas, influences nothing."""
    for model, x, others in (
        (encoders[modality.name], values(modality, 3), values(modality, 3, seed=9)),
        (decoders[modality.name], codes(3), codes(3, seed=9)),
    ):
        mixed = np.concatenate([x[:1], np.zeros_like(x[1:2]), others[2:]])
        in_training = model(x, training=True)
        np.testing.assert_array_equal(in_training, model(x, training=False))
        np.testing.assert_allclose(in_training[0], model(mixed, training=True)[0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(in_training[:1], model(x[:1]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("network", "modality"), PAIRS)
def test_every_variable_learns(encoders, decoders, network, modality):
    encoder, head, decoder = encoders[modality.name], GaussianHead(32, 32, seed=0), decoders[modality.name]
    with tf.GradientTape() as tape:
        gaussians = head(encoder(values(modality)))
        code = tf.concat([gaussians[2] + tf.exp(gaussians[3] / 2), gaussians[0] + tf.exp(gaussians[1] / 2)], axis=-1)
        loss = tf.reduce_sum(decoder(code) ** 2)
    variables = [*encoder.trainable_variables, *head.trainable_variables, *decoder.trainable_variables]
    gradients = tape.gradient(loss, variables)
    assert all(np.isfinite(gradient).all() and np.abs(gradient).sum() > 0 for gradient in gradients)


@pytest.mark.parametrize(("network", "modality"), PAIRS)
def test_the_heads_start_with_moderate_variances(encoders, network, modality):
    """Log-variances far from 0 made the first divergence 100,000 nats and the second loss NaN."""
    head = GaussianHead(32, 32, seed=0)
    _, shared, _, private = head(encoders[modality.name](values(modality, 4)))
    assert np.abs(np.concatenate([shared, private])).max() < 6.0


@pytest.mark.parametrize(("build", "modality", "width"), CLASSIFIERS)
def test_features_are_what_the_last_layer_of_a_classifier_sees(judges, build, modality, width):
    model = judges[modality.name]
    features = classifiers.features(model)
    kernel, bias = (w.numpy() for w in model.get_layer("logits").weights)
    x = probabilities(modality)
    assert features.output_shape == (None, width)
    np.testing.assert_allclose(model(x), features(x) @ kernel + bias, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("build", "modality", "width"), CLASSIFIERS)
def test_a_classifier_learns_with_the_statistics_of_the_batch_and_judges_without(build, modality, width):
    model = build(modality, 40, seed=3)
    x = probabilities(modality, 3)
    before = model.get_layer("block1_inner_norm").moving_mean.numpy()
    np.testing.assert_allclose(model(x)[:1], model(x[:1]), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(model.get_layer("block1_inner_norm").moving_mean, before)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(x, training=True) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    assert not np.allclose(model.get_layer("block1_inner_norm").moving_mean, before)
    assert all(gradient is not None and np.isfinite(gradient).all() for gradient in gradients)
    silent = {v.path.rsplit("/", 1)[1] for v, g in zip(model.trainable_variables, gradients, strict=True) if not np.any(g)}
    # A bias right before batch normalisation is taken away by it, but for rounding.
    assert silent <= {"bias"}


@pytest.mark.parametrize(("network", "modality"), PAIRS)
def test_saved_weights_restore_the_outputs(encoders, network, modality, tmp_path):
    other = network.encoder(modality, seed=1)
    assert not np.allclose(encoders[modality.name](values(modality)), other(values(modality)))
    encoders[modality.name].save_weights(tmp_path / "net.weights.h5")
    other.load_weights(tmp_path / "net.weights.h5")
    np.testing.assert_array_equal(encoders[modality.name](values(modality)), other(values(modality)))


def test_a_seed_fixes_every_weight_and_leaves_the_global_generators_alone(encoders, decoders, judges):
    before, numpy_before = random.getstate(), np.random.get_state()[1].copy()
    for first, build in (
        (encoders["text"], lambda seed: celeba_text.encoder(TEXT, seed=seed)),
        (decoders["image"], lambda seed: celeba_image.decoder(IMAGE, LATENT, seed=seed)),
        (judges["text"], lambda seed: celeba_classifiers.text(TEXT, 40, seed=seed)),
    ):
        for a, b, c in zip(first.trainable_weights, build(0).trainable_weights, build(1).trainable_weights, strict=True):
            if a.path.endswith("kernel"):
                np.testing.assert_array_equal(a, b)
                assert not np.allclose(a, c)
    assert random.getstate() == before
    assert (np.random.get_state()[1] == numpy_before).all()


def test_no_two_kernels_start_alike(encoders):
    starts = [w.numpy().ravel()[:100] / np.abs(w).max() for w in encoders["text"].weights if len(w.shape) > 1]
    assert np.abs(np.corrcoef(starts) - np.eye(len(starts))).max() < 0.5


@pytest.mark.parametrize(
    ("network", "modality", "wanted", "came"),
    [
        (celeba_image, Modality("photo", (32, 32, 3)), "(64, 64, 3)", "(32, 32, 3)"),
        (celeba_text, Modality("photo", (8,), "categorical", num_classes=71), "(256,)", "(8,)"),
        (celeba_image, Modality("photo", (64, 64, 3), "categorical", num_classes=256), "laplace", "categorical"),
        (celeba_text, Modality("photo", (256,), "normal"), "categorical", "normal"),
    ],
)
def test_a_modality_that_does_not_suit_is_refused_with_what_was_wanted_and_what_came(network, modality, wanted, came):
    judge = celeba_classifiers.image if network is celeba_image else celeba_classifiers.text
    for build in (network.encoder, lambda m: network.decoder(m, LATENT), lambda m: judge(m, 40)):
        with pytest.raises(ValueError, match=r"photo: .*\[S\] Table .*mmtf/catalog\.py") as error:
            build(modality)
        assert wanted in str(error.value)
        assert came in str(error.value)


def test_sizes_below_1_are_refused():
    for network, modality in PAIRS:
        with pytest.raises(ValueError, match="latent_dim must be 1 or more, not 0"):
            network.decoder(modality, 0)
    for build, modality, _ in CLASSIFIERS:
        with pytest.raises(ValueError, match="num_classes must be 1 or more, not 0"):
            build(modality, 0)
