"""The networks of modalities without networks of their own: which one, the numbers of odd sizes, missing cells, units."""

import dataclasses
import random

import numpy as np
import oracles_conv as oracle
import pytest
import tensorflow as tf

from mmtf.modality import Modality
from mmtf.networks import classifiers, default, image, tokens, vector
from mmtf.networks.heads import GaussianHead

LATENT = 6
COLUMNS = Modality("columns", (5,), "normal")
COUNTS = Modality("counts", (4,), "negative_binomial", location=(1.0, 2.0, 0.5, 1.5), spread=(0.5, 1.0, 2.0, 1.5))
ANSWERS = Modality("answers", (3,), "categorical", num_classes=4)
PHOTO = Modality("photo", (7, 10, 2))
SENTENCE = Modality("sentence", (9,), "categorical", num_classes=3, alphabet="ab ")
SERIES = Modality("series", (6, 2), "laplace")
PAIRS = [(vector, COLUMNS), (vector, COUNTS), (vector, ANSWERS), (vector, SERIES), (image, PHOTO), (tokens, SENTENCE)]
INCOMPLETE = [(network, dataclasses.replace(m, missing_cells=True)) for network, m in PAIRS]


def values(modality, n=3, seed=0):
    rng = np.random.default_rng(seed)
    if modality.num_classes:
        return rng.integers(0, modality.num_classes, (n, *modality.event_shape)).astype(np.int32)
    if modality.likelihood == "negative_binomial":
        return rng.poisson(5, (n, *modality.event_shape)).astype(np.float32)
    return rng.normal(size=(n, *modality.event_shape)).astype(np.float32)


def classifier_values(modality, n=3, seed=0):
    """Values as a classifier gets them."""
    x = values(modality, n, seed)
    return np.eye(modality.num_classes, dtype=np.float32)[x] if modality.num_classes else x


def codes(n=3, seed=1):
    return np.random.default_rng(seed).normal(size=(n, LATENT)).astype(np.float32)


def randomised(model, seed=2):
    """Random biases too, so that every weight has a say; returns the weights in float64."""
    rng = np.random.default_rng(seed)
    model.set_weights([w if w.ndim > 1 else rng.uniform(0.1, 0.3, w.shape) for w in model.get_weights()])
    return [w.astype(float) for w in model.get_weights()]


@pytest.mark.parametrize(
    ("modality", "module"),
    [
        (Modality("x", (1,), "normal"), vector),
        (Modality("x", (784,), "bernoulli"), vector),
        (Modality("x", (20, 4), "normal"), vector),
        (Modality("x", (4, 4, 1)), image),
        (Modality("x", (4, 300, 11)), image),
        (Modality("x", (3, 300, 11)), vector),
        (Modality("x", (8, 8, 8, 1)), vector),
        (Modality("x", (1,), "categorical", num_classes=4096), vector),
        (Modality("x", (1,), "categorical", num_classes=4097), tokens),
        (Modality("x", (32,), "categorical", num_classes=2), vector),
        (Modality("x", (33,), "categorical", num_classes=2), tokens),
        (Modality("x", (2,), "categorical", num_classes=2, alphabet="ab"), tokens),
        (Modality("x", (5, 8), "categorical", num_classes=3), vector),
        (Modality("x", (8, 8, 1), "categorical", num_classes=3), vector),
    ],
)
def test_the_kind_of_values_chooses_the_network(modality, module):
    assert default.networks_of(modality) is module


@pytest.mark.parametrize(
    ("size", "units"), [(1, 64), (5, 64), (32, 64), (33, 128), (64, 128), (100, 256), (256, 512), (2048, 512)]
)
def test_width_is_the_power_of_2_from_twice_the_size_within_limits(size, units):
    assert vector.width(Modality("x", (size,), "normal")) == units


def test_an_image_is_halved_upwards_to_4():
    assert image.halvings((28, 28, 1)) == [(28, 28), (14, 14), (7, 7), (4, 4)]
    assert image.halvings((5, 33, 3)) == [(5, 33), (3, 17), (2, 9), (1, 5), (1, 3)]
    assert tokens.halvings(1) == [1]
    assert tokens.halvings(256)[-1] == 4


def test_vector_networks_are_two_hidden_layers():
    encoder, decoder = vector.encoder(COLUMNS), vector.decoder(COUNTS, LATENT)
    w = randomised(encoder)
    hidden = oracle.relu(oracle.dense(values(COLUMNS), *w[:2]))
    np.testing.assert_allclose(encoder(values(COLUMNS)), oracle.relu(oracle.dense(hidden, *w[2:])), atol=1e-5)
    w = randomised(decoder)
    hidden = oracle.relu(oracle.dense(oracle.relu(oracle.dense(codes(), *w[:2])), *w[2:4]))
    np.testing.assert_allclose(decoder(codes()), oracle.dense(hidden, *w[4:]).reshape(3, 4, 2), atol=1e-5)


def test_vector_networks_read_classes_as_one_hot_codes():
    encoder = vector.encoder(ANSWERS)
    w = randomised(encoder)
    one_hot = np.eye(4)[values(ANSWERS)].reshape(3, 12)
    expected = oracle.relu(oracle.dense(oracle.relu(oracle.dense(one_hot, *w[:2])), *w[2:]))
    np.testing.assert_allclose(encoder(values(ANSWERS)), expected, atol=1e-5)


def same(y, kernel, bias):
    """Kernel 4, stride 2, the size halved upwards: an odd one is padded by 1 before and 2 behind."""
    odd = [(0, 0), *[(0, n % 2) for n in y.shape[1:-1]], (0, 0)]
    return oracle.relu(oracle.conv(np.pad(y, odd), kernel, bias, stride=2, padding=1))


def test_image_encoder_halves_any_size():
    encoder = image.encoder(PHOTO)
    w = randomised(encoder)
    y = same(same(values(PHOTO), *w[:2]), *w[2:4])
    assert y.shape == (3, 2, 3, 64)
    np.testing.assert_allclose(
        encoder(values(PHOTO)), oracle.relu(oracle.dense(y.reshape(3, -1), *w[4:])), rtol=1e-4, atol=1e-5
    )


def test_image_decoder_doubles_and_cuts_to_any_size():
    decoder = image.decoder(PHOTO, LATENT)
    w = randomised(decoder)
    y = oracle.relu(oracle.dense(oracle.relu(oracle.dense(codes(), *w[:2])), *w[2:4])).reshape(3, 2, 3, 64)
    y = oracle.relu(oracle.conv_transposed(y, *w[4:6], stride=2, padding=1))[:, :4, :5]
    y = oracle.conv_transposed(y, *w[6:], stride=2, padding=1)[:, :7, :10]
    assert y.min() < 0
    np.testing.assert_allclose(decoder(codes()), y, rtol=1e-4, atol=1e-5)


def test_counts_of_an_image_have_both_parameters_at_their_place():
    modality = Modality("tiles", (5, 4, 3), "negative_binomial")
    decoder = image.decoder(modality, LATENT)
    w = randomised(decoder)
    y = oracle.relu(oracle.dense(oracle.relu(oracle.dense(codes(), *w[:2])), *w[2:4])).reshape(3, 3, 2, 32)
    y = oracle.conv_transposed(y, *w[4:], stride=2, padding=1)[:, :5]
    np.testing.assert_allclose(decoder(codes()), y.reshape(3, 5, 4, 3, 2), rtol=1e-4, atol=1e-5)


def test_token_networks_halve_and_double_any_length():
    encoder, decoder = tokens.encoder(SENTENCE), tokens.decoder(SENTENCE, LATENT)
    w = randomised(encoder)
    y = oracle.relu(oracle.dense(np.eye(3)[values(SENTENCE)], *w[:2]))
    y = same(same(y, *w[2:4]), *w[4:6])
    assert y.shape == (3, 3, 128)
    expected = oracle.relu(oracle.dense(y.reshape(3, -1), *w[6:]))
    np.testing.assert_allclose(encoder(values(SENTENCE)), expected, rtol=1e-4, atol=1e-5)
    w = randomised(decoder)
    y = oracle.relu(oracle.dense(oracle.relu(oracle.dense(codes(), *w[:2])), *w[2:4])).reshape(3, 3, 128)
    y = oracle.relu(oracle.conv_transposed(y, *w[4:6], stride=2, padding=1))[:, :5]
    y = oracle.relu(oracle.conv_transposed(y, *w[6:8], stride=2, padding=1))[:, :9]
    np.testing.assert_allclose(decoder(codes()), oracle.conv(y, *w[8:], stride=1, padding=0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(4, 4, 1), (5, 9, 2), (4, 100, 3), (33, 37, 1), (64, 64, 3)])
def test_images_of_any_size_fit(shape):
    modality = Modality("x", shape)
    assert image.decoder(modality, LATENT).output_shape == (None, *shape)
    assert image.encoder(modality)(values(modality)).shape == (3, 256)


@pytest.mark.parametrize("length", [1, 2, 4, 5, 31, 100, 256])
def test_sequences_of_any_length_fit(length):
    modality = Modality("x", (length,), "categorical", num_classes=3)
    assert tokens.decoder(modality, LATENT).output_shape == (None, length, 3)
    assert tokens.encoder(modality)(values(modality)).shape == (3, 128)
    assert tokens.classifier(modality, 2)(classifier_values(modality)).shape == (3, 2)


def test_a_missing_number_is_0_and_is_marked():
    modality = INCOMPLETE[0][1]
    encoder = vector.encoder(modality)
    w = randomised(encoder)
    x = values(modality)
    x[0, 1] = x[2, 4] = np.nan
    read = np.concatenate([np.nan_to_num(x), np.isnan(x)], axis=1)
    expected = oracle.relu(oracle.dense(oracle.relu(oracle.dense(read, *w[:2])), *w[2:]))
    np.testing.assert_allclose(encoder(x), expected, atol=1e-5)
    assert not np.allclose(encoder(x)[0], encoder(np.nan_to_num(x))[0])


def test_a_missing_pixel_is_0_and_further_channels_mark_it():
    modality = INCOMPLETE[4][1]
    encoder = image.encoder(modality)
    w = randomised(encoder)
    x = values(modality)
    x[1, 2:5, 3] = np.nan
    y = same(same(np.concatenate([np.nan_to_num(x), np.isnan(x)], axis=-1), *w[:2]), *w[2:4])
    np.testing.assert_allclose(encoder(x), oracle.relu(oracle.dense(y.reshape(3, -1), *w[4:])), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("network", "modality"), [INCOMPLETE[2], INCOMPLETE[5]])
def test_a_missing_class_is_a_class_of_its_own(network, modality):
    larger = Modality(modality.name, modality.event_shape, "categorical", num_classes=modality.num_classes + 1)
    complete, incomplete = network.encoder(larger), network.encoder(modality)
    randomised(complete)
    incomplete.set_weights(complete.get_weights())
    x = values(modality)
    x[0, 0] = x[1, 2] = -1
    np.testing.assert_allclose(incomplete(x), complete(x + 1), atol=1e-6)


@pytest.mark.parametrize(("network", "modality"), INCOMPLETE)
def test_values_and_gradients_are_finite_where_cells_are_missing(network, modality):
    x, seen = values(modality, n=4), classifier_values(modality, n=4)
    x[:2] = -1 if modality.num_classes else np.nan
    seen[:2] = 0 if modality.num_classes else np.nan
    for model, given in ((network.encoder(modality), x), (network.classifier(modality, 3), seen)):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(given, training=True) ** 2)
        for gradient in tape.gradient(loss, model.trainable_variables):
            assert np.isfinite(gradient).all()


@pytest.mark.parametrize("likelihood", ["normal", "negative_binomial"])
def test_a_classifier_sees_values_in_their_own_unit_and_standardises_them(likelihood):
    units = {"location": (1.0, -2.0, 0.5, 3.0), "spread": (0.5, 4.0, 1.0, 100.0)}
    own = Modality("x", (4,), likelihood, **units)
    plain = Modality("x", (4,), "normal")
    x = np.random.default_rng(0).poisson(20, (5, 4)).astype(np.float32)
    seen = ((np.log1p(x) if likelihood == "negative_binomial" else x) - units["location"]) / units["spread"]
    found, expected = (vector.classifier(m, 3, seed=1) for m in (own, plain))
    np.testing.assert_allclose(found(x), expected(seen.astype(np.float32)), rtol=1e-4, atol=1e-5)


def test_to_a_classifier_a_missing_cell_is_the_mean_of_its_column():
    modality = Modality("x", (2,), "normal", location=(10.0, -3.0), spread=(2.0, 5.0), missing_cells=True)
    model = vector.classifier(modality, 3)
    x = np.array([[np.nan, 1.0], [4.0, np.nan]], np.float32)
    np.testing.assert_array_equal(model(x), model(np.array([[10.0, 1.0], [4.0, -3.0]], np.float32)))


def test_units_are_part_of_what_a_cached_classifier_is_known_by_and_weights_are_not():
    one, other = (Modality("x", (2,), "normal", location=(at, 0.0), spread=(1.0, 1.0)) for at in (1.0, 2.0))
    assert '"location": [1.0, 0.0]' in vector.classifier(one, 3).to_json()
    assert '"location": [2.0, 0.0]' in vector.classifier(other, 3).to_json()
    weighted = dataclasses.replace(one, likelihood_weight=7.5, private_dim=3)
    assert "7.5" not in vector.classifier(weighted, 3).to_json()


@pytest.mark.parametrize(("network", "modality"), PAIRS)
def test_features_are_what_the_last_layer_of_a_classifier_sees(network, modality):
    model = network.classifier(modality, 10)
    randomised(model)
    last = [w.numpy() for w in model.get_layer("logits").weights]
    features = classifiers.features(model)(classifier_values(modality))
    np.testing.assert_allclose(model(classifier_values(modality)), oracle.dense(features, *last), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("network", "modality"), [*PAIRS, *INCOMPLETE])
def test_every_variable_learns(network, modality):
    encoder, head, decoder = network.encoder(modality), GaussianHead(4, 2), network.decoder(modality, LATENT)
    classifier = network.classifier(modality, 3)
    with tf.GradientTape() as tape:
        gaussians = head(encoder(values(modality, n=8)))
        code = tf.concat([gaussians[2] + tf.exp(gaussians[3]), gaussians[0] + tf.exp(gaussians[1])], axis=-1)
        # Not the mean: batch normalisation takes away what is added to all of a channel.
        loss = tf.reduce_sum(decoder(code) ** 2) + tf.reduce_sum(
            classifier(classifier_values(modality, n=8), training=True) ** 3
        )
    variables = [v for part in (encoder, head, decoder, classifier) for v in part.trainable_variables]
    gradients = tape.gradient(loss, variables)
    silent = [v.path for v, g in zip(variables, gradients, strict=True) if np.abs(g).max() == 0]
    assert not silent


@pytest.mark.parametrize(("network", "modality"), PAIRS)
def test_a_seed_fixes_every_weight_and_leaves_the_global_generators_alone(network, modality):
    before, numpy_before = random.getstate(), np.random.get_state()[1].copy()
    for build in (
        lambda seed: network.encoder(modality, seed=seed),
        lambda seed: network.decoder(modality, LATENT, seed=seed),
        lambda seed: network.classifier(modality, 3, seed=seed),
    ):
        first, again, other = (build(seed).get_weights() for seed in (5, 5, 6))
        for a, b, c in zip(first, again, other, strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.ndim < 2 or not np.allclose(a, c)
        kernels = [w.ravel()[:60] / np.abs(w).max() for w in first if w.ndim > 1 and w.size >= 60]
        for i, a in enumerate(kernels):
            assert all(abs(np.corrcoef(a, b)[0, 1]) < 0.6 for b in kernels[:i])
    assert random.getstate() == before
    assert (np.random.get_state()[1] == numpy_before).all()


@pytest.mark.parametrize(("network", "modality"), INCOMPLETE)
def test_saved_weights_restore_the_outputs(network, modality, tmp_path):
    for build, inputs in (
        (lambda seed: network.encoder(modality, seed=seed), values(modality)),
        (lambda seed: network.decoder(modality, LATENT, seed=seed), codes()),
        (lambda seed: network.classifier(modality, 3, seed=seed), classifier_values(modality)),
    ):
        first, second = build(1), build(2)
        randomised(first)
        first.save_weights(tmp_path / "net.weights.h5")
        assert not np.allclose(first(inputs), second(inputs))
        second.load_weights(tmp_path / "net.weights.h5")
        np.testing.assert_array_equal(first(inputs), second(inputs))


@pytest.mark.parametrize(
    ("network", "modality"), [(image, COLUMNS), (image, SERIES), (tokens, COLUMNS), (tokens, Modality("x", (4, 4)))]
)
def test_values_of_another_kind_are_refused(network, modality):
    builders = (network.encoder, lambda m: network.decoder(m, LATENT), lambda m: network.classifier(m, 3))
    for build in builders:
        with pytest.raises(ValueError, match=rf"{modality.name}: .* takes .*not {modality.likelihood} .*registry"):
            build(modality)


@pytest.mark.parametrize(("network", "modality"), PAIRS)
def test_sizes_below_1_are_refused(network, modality):
    with pytest.raises(ValueError, match="latent_dim must be 1 or more, not 0"):
        network.decoder(modality, 0)
    with pytest.raises(ValueError, match="num_classes must be 1 or more, not 0"):
        network.classifier(modality, 0)
