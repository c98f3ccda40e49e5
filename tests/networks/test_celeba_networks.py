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
CONSTANTS = [
    (celeba_image, "ENCODER_WIDTHS"),
    (celeba_image, "DECODER_WIDTHS"),
    (celeba_text, "ENCODER_WIDTHS"),
    (celeba_text, "DECODER_WIDTHS"),
    (celeba_classifiers, "TEXT_WIDTHS"),
]
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
    """As wide as in the tables."""
    return {modality.name: network.encoder(modality, seed=0) for network, modality in PAIRS}


def narrow(kind, name, seed=0):
    """A network of the same depth, of 64 channels where the tables have up to 512."""
    # A norm has 32 groups: of the last features, of one position, each has several channels.
    widths = {640: 96, 768: 96, 896: 128}
    with pytest.MonkeyPatch.context() as patched:
        for module, constant in CONSTANTS:
            wide = getattr(module, constant)
            patched.setattr(module, constant, tuple(widths.get(width, 64) for width in wide))
        network, modality = PAIRS[name == "text"]
        if kind == "evaluate":
            return CLASSIFIERS[name == "text"][0](modality, 40, seed=seed)
        return network.encoder(modality, seed=seed) if kind == "encoder" else network.decoder(modality, LATENT, seed=seed)


@pytest.fixture(scope="module")
def small():
    """One of each kind, by kind and name."""
    return {(kind, name): narrow(kind, name) for kind in ("encoder", "decoder", "evaluate") for name in ("image", "text")}


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


def stages(model, layers):
    """Sizes and channels of what comes out of these layers, `(32, 128)` for an image of 32 x 32 pixels or 32 characters."""
    shapes = [model.get_layer(layer).output.shape[1:] for layer in layers]
    assert all(len(set(shape[:-1])) == 1 for shape in shapes)
    return [(shape[0], shape[-1]) for shape in shapes]


@pytest.mark.parametrize(
    ("name", "parameters", "sizes", "widths"),
    [
        (
            "image",
            layer(9, 3, 128) + blocks(IMAGE_ROWS, IMAGE_TAPS) + 2 * 640,
            (32, 16, 8, 4, 1),
            (128, 256, 384, 512, 640),
        ),
        (
            "text",
            layer(3, 71, 128) + blocks(TEXT_ROWS, TEXT_TAPS) + 2 * 640,
            (128, 64, 32, 16, 8, 4, 1),
            (128, 256, 384, 512, 640, 640, 640),
        ),
    ],
)
def test_encoders_are_the_tables(encoders, name, parameters, sizes, widths):
    """Without any statistics of the batch, which would be parameters that do not learn."""
    model = encoders[name]
    assert counts(model) == (parameters, 0)
    found = stages(model, ["first", *(f"block{k}_shortcut" for k in range(1, len(sizes)))])
    assert found == list(zip(sizes, widths, strict=True))
    assert model.output_shape == (None, 640)


@pytest.mark.parametrize(
    ("network", "modality", "parameters", "sizes", "widths"),
    [
        (
            *PAIRS[0],
            layer(1, LATENT, 640) + blocks(backwards(IMAGE_ROWS), IMAGE_TAPS) + layer(9, 128, 3),
            (4, 8, 16, 32),
            (512, 384, 256, 128),
        ),
        (
            *PAIRS[1],
            layer(1, LATENT, 640) + blocks(backwards(TEXT_ROWS), TEXT_TAPS) + layer(3, 128, 71),
            (4, 8, 16, 32, 64, 128),
            (640, 640, 512, 384, 256, 128),
        ),
    ],
)
def test_decoders_are_the_tables_and_return_what_the_likelihood_takes(network, modality, parameters, sizes, widths):
    model = network.decoder(modality, LATENT, seed=0)
    assert counts(model) == (parameters, 0)
    found = stages(model, [f"block{k + 1}_shortcut" for k in range(len(sizes))])
    assert found == list(zip(sizes, widths, strict=True))
    assert model.output_shape == (None, *modality.parameter_shape)


@pytest.mark.parametrize(
    ("build", "modality", "features", "first", "rows", "taps"),
    [
        (*CLASSIFIERS[0], layer(9, 3, 128), IMAGE_ROWS, IMAGE_TAPS),
        (*CLASSIFIERS[1], layer(3, 71, 128), CLASSIFIER_ROWS, TEXT_TAPS),
    ],
)
def test_classifiers_are_table_3_with_as_many_statistics_as_norms_have_parameters(build, modality, features, first, rows, taps):
    model, width = build(modality, 40, seed=0), rows[-1][1]
    norms = sum(2 * (i + i + o) for i, o in rows) + 2 * width
    assert counts(model) == (first + blocks(rows, taps) + 2 * width + layer(1, width, 40), norms)
    assert classifiers.features(model).output_shape == (None, features)


@pytest.mark.parametrize(("network", "modality"), PAIRS)
def test_the_heads_start_with_moderate_variances(encoders, network, modality):
    """Log-variances far from 0 made the first divergence 100,000 nats and the second loss NaN."""
    head = GaussianHead(32, 32, seed=0)
    _, shared, _, private = head(encoders[modality.name](values(modality, 2)))
    assert np.abs(np.concatenate([shared, private])).max() < 6.0


@pytest.mark.parametrize("name", ["image", "text"])
def test_a_decoder_is_linear_at_its_end_and_a_code_reaches_every_place(small, name):
    """Neither squashed to 0..1 nor normalised."""
    one, other = np.asarray(small["decoder", name](codes()))
    assert min(one.min(), other.min()) < 0
    assert np.abs(one - other).max(axis=-1).min() > 1e-6


def test_corners_and_middle_of_an_image_change_its_features(small):
    x = np.repeat(values(IMAGE, n=1), 5, axis=0)
    for row, place in enumerate((0, 31, 32, 63)):
        x[row, place, place] = 1.0 - x[row, place, place]
    for kind in ("encoder", "evaluate"):
        found = np.asarray(small[kind, "image"](x))
        assert np.abs(found[:4] - found[4]).max(axis=-1).min() > 1e-4


def test_every_character_changes_the_features(small):
    x = np.repeat(values(TEXT, n=1), 5, axis=0)
    for row, place in enumerate((0, 127, 128, 255)):
        x[row, place] = (x[row, place] + 1) % 71
    for found in (small["encoder", "text"](x), small["evaluate", "text"](np.eye(71, dtype=np.float32)[x])):
        assert np.abs(found[:4] - found[4]).max(axis=-1).min() > 1e-4


def test_the_text_encoder_reads_one_hot_codes(small):
    """Its first layer on classes is a convolution of [S] Table 14 on their one-hot codes, 0 in front of the text."""
    encoder = small["encoder", "text"]
    first = keras.Model(encoder.input, encoder.get_layer("first").output)
    kernel, bias = (w.numpy() for w in encoder.get_layer("first").weights)
    x = values(TEXT, n=1)
    found = first(x)[0]
    for t in (0, 1, 127):
        read = [x[0, 2 * t + k - 1] if 2 * t + k else None for k in range(3)]
        expected = bias + sum(kernel[k, c] for k, c in enumerate(read) if c is not None)
        np.testing.assert_allclose(found[t], expected, atol=1e-6)


@pytest.mark.parametrize(("network", "modality"), PAIRS)
def test_an_example_never_depends_on_its_neighbours(small, network, modality):
    """Not in training either: what is missing, and how a batch is shared by replicas, influences nothing."""
    for kind, x, others in (
        ("encoder", values(modality, 3), values(modality, 3, seed=9)),
        ("decoder", codes(3), codes(3, seed=9)),
    ):
        model = small[kind, modality.name]
        mixed = np.concatenate([x[:1], np.zeros_like(x[1:2]), others[2:]])
        in_training = model(x, training=True)
        np.testing.assert_allclose(in_training, model(x, training=False), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(in_training[0], model(mixed, training=True)[0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(in_training[:1], model(x[:1]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["image", "text"])
def test_every_variable_learns(small, name):
    encoder, head, decoder = small["encoder", name], GaussianHead(32, 32, seed=0), small["decoder", name]
    with tf.GradientTape() as tape:
        gaussians = head(encoder(values(PAIRS[name == "text"][1])))
        code = tf.concat([gaussians[2] + tf.exp(gaussians[3] / 2), gaussians[0] + tf.exp(gaussians[1] / 2)], axis=-1)
        loss = tf.reduce_sum(decoder(code) ** 2)
    variables = [*encoder.trainable_variables, *head.trainable_variables, *decoder.trainable_variables]
    gradients = tape.gradient(loss, variables)
    assert all(gradient is not None and np.isfinite(gradient).all() for gradient in gradients)
    assert all(np.abs(gradient).sum() > 0 for gradient in gradients)


@pytest.mark.parametrize("modality", [IMAGE, TEXT], ids=["image", "text"])
def test_a_classifier_learns_with_the_statistics_of_the_batch_and_evaluates_without(modality):
    model = narrow("evaluate", modality.name, seed=3)
    x = probabilities(modality, 3)
    before = model.get_layer("block1_inner_norm").moving_mean.numpy()
    classifier_values = model(x)
    np.testing.assert_allclose(classifier_values[:1], model(x[:1]), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(model.get_layer("block1_inner_norm").moving_mean, before)
    kernel, bias = (w.numpy() for w in model.get_layer("logits").weights)
    np.testing.assert_allclose(classifier_values, classifiers.features(model)(x) @ kernel + bias, rtol=1e-4, atol=1e-4)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(x, training=True) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    assert not np.allclose(model.get_layer("block1_inner_norm").moving_mean, before)
    assert all(gradient is not None and np.isfinite(gradient).all() for gradient in gradients)
    silent = {v.path.rsplit("/", 1)[1] for v, g in zip(model.trainable_variables, gradients, strict=True) if not np.any(g)}
    # A bias right before batch normalisation is taken away by it, but for rounding.
    assert silent <= {"bias"}


@pytest.mark.parametrize("name", ["image", "text"])
def test_saved_weights_restore_the_outputs(small, name, tmp_path):
    one, other, x = small["encoder", name], narrow("encoder", name, seed=1), values(PAIRS[name == "text"][1])
    assert not np.allclose(one(x), other(x))
    one.save_weights(tmp_path / "net.weights.h5")
    other.load_weights(tmp_path / "net.weights.h5")
    np.testing.assert_array_equal(one(x), other(x))


@pytest.mark.parametrize(("kind", "name"), [("encoder", "text"), ("decoder", "image"), ("evaluate", "text")])
def test_a_seed_fixes_every_weight_and_leaves_the_global_generators_alone(small, kind, name):
    before, numpy_before = random.getstate(), np.random.get_state()[1].copy()
    again, other = (narrow(kind, name, seed) for seed in (0, 1))
    for a, b, c in zip(*(model.trainable_weights for model in (small[kind, name], again, other)), strict=True):
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
    classifier = celeba_classifiers.image if network is celeba_image else celeba_classifiers.text
    for build in (network.encoder, lambda m: network.decoder(m, LATENT), lambda m: classifier(m, 40)):
        with pytest.raises(ValueError, match=r"photo: .*\[S\] Table .*mmtf/registry") as error:
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
