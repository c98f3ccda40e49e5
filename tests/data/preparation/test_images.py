"""Image features: what part of an image is seen, the fallback network, and ResNet-101 from a file of weights."""

import cub_networks
import keras
import numpy as np
import pytest
import tensorflow as tf
from eager import eagerly
from PIL import Image

from mmtf.data.preparation import images
from mmtf.errors import UserError


def ramp(width, height):
    """An image whose red is the column and whose green is the row."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = np.arange(width), np.arange(height)[:, None]
    return Image.fromarray(pixels)


def coloured(n, seed):
    """Images of three classes: more red, more green or more blue than the rest, over noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    values = rng.integers(0, 120, (n, images.CLASS_SIZE, images.CLASS_SIZE, 3))
    values[np.arange(n), ..., labels] += 100
    return values.astype(np.uint8), labels


@pytest.mark.parametrize(
    ("box", "left", "upper", "side"),
    [
        (None, 30, 0, 100),
        ((50, 40, 20, 10), 60 - 11, 45 - 11, 22),  # 1.1 times the longer side, around its middle
        ((0, 0, 20, 20), 0, 0, 22),  # moved inside the image
        ((140, 90, 20, 10), 160 - 22, 100 - 22, 22),
        ((0, 10, 160, 20), 30, 0, 100),  # as large as the image allows
    ],
)
def test_the_square_lies_around_the_box_and_inside_the_image(box, left, upper, side):
    seen = images.square(ramp(160, 100), side, box)
    assert seen.shape == (side, side, 3)
    np.testing.assert_array_equal(seen[0, :, 0], np.arange(left, left + side))
    np.testing.assert_array_equal(seen[:, 0, 1], np.arange(upper, upper + side))


def test_resnet_sees_the_middle():
    seen = images.resnet_input(ramp(250, 256)).astype(int)
    assert seen.shape == (224, 224, 3)
    # Seven eighths of 250 are 218.75, from column 15.6 and from row 18.6 on.
    assert abs(seen[:, 0, 0].mean() - 15.6) <= 1
    assert abs(seen[:, -1, 0].mean() - (15.6 + 218.75 - 1)) <= 1
    assert abs(seen[0, :, 1].mean() - 18.6) <= 1


def test_without_change_of_size_and_light_augmentation_only_mirrors(monkeypatch):
    for name, value in (("SMALLEST_PART", 1.0), ("BRIGHTNESS", 0.0), ("COLOUR", 0.0)):
        monkeypatch.setattr(images, name, value)
    values = np.random.default_rng(0).random((40, 8, 8, 3), np.float32)
    found = images.augmented(tf.constant(values), tf.constant([0, 5]))
    same, mirrored = (np.isclose(found, v, atol=1e-5).all(axis=(1, 2, 3)) for v in (values, values[:, :, ::-1]))
    assert (same ^ mirrored).all()
    assert 8 < same.sum() < 32


def test_augmentation_is_a_function_of_the_seed_and_differs_between_images():
    values = tf.constant(np.full((30, 8, 8, 3), 0.4, np.float32))
    found, again, other = (images.augmented(values, tf.constant([0, step])).numpy() for step in (1, 1, 2))
    np.testing.assert_array_equal(found, again)
    assert (found != other).any(axis=(1, 2, 3)).all()
    light = found[:, 0, 0]
    assert len(np.unique(light[:, 0])) == 30
    limits = np.array([1 - 0.45, 1 + 0.45]) * 0.4
    assert limits[0] <= light.min() < 0.32
    assert 0.48 < light.max() <= limits[1]
    np.testing.assert_allclose(found, np.broadcast_to(found[:, :1, :1], found.shape), atol=1e-5)  # a flat image stays flat


def test_augmentation_takes_parts_of_the_image():
    """Over a ramp from 0, the left end of a part by its right end does not depend on the light."""
    columns = np.linspace(0, 0.6, 64, dtype=np.float32)
    values = np.broadcast_to(columns[None, None, :, None], (200, 8, 64, 3))
    ends = images.augmented(tf.constant(values), tf.constant([3, 3])).numpy()[:, 0, [0, -1], 0]
    left, right = np.sort(ends, axis=1).T
    assert 0.4 < np.mean(ends[:, 0] > ends[:, 1]) < 0.6  # mirrored
    # The smallest part, laid at the right, goes from 0.35 to 1.
    assert (left / right).min() < 0.05
    assert 0.2 < (left / right).max() <= 1 - images.SMALLEST_PART + 0.01


@pytest.fixture(scope="module", params=["few units", pytest.param("its own size", marks=pytest.mark.slow)])
def trained(request):
    """The fallback after some epochs, and images of its size."""
    with pytest.MonkeyPatch.context() as patched:
        epochs = 12
        if request.param == "few units":
            cub_networks.shrink(patched)
            epochs = 24
        patched.setattr(images, "BATCH_SIZE", 8)
        network = images.class_network(3, seed=1)
        images.train_classes(network, *coloured(24, 0), epochs, seed=1)
        return network, *coloured(30, 1)


def test_the_fallback_learns_the_classes(trained):
    network, values, labels = trained
    assert images.accuracy(network, values, labels) == 1.0
    assert not hasattr(network, "optimizer") or network.optimizer is None


def test_its_features_are_what_its_last_layer_sees(trained):
    network, values, _ = trained
    found = images.class_features(network, values[:5])
    assert found.shape == (5, images.FEATURES)
    assert found.dtype == np.float32
    assert found.min() >= 0
    kernel, bias = network.get_layer("logits").get_weights()
    expected = network(values[:5] / np.float32(255), training=False)
    np.testing.assert_allclose(found @ kernel + bias, expected, rtol=1e-4, atol=1e-3)


def test_the_fallback_has_the_size_of_the_original():
    """Four blocks of two convolutions, and as many features as ResNet-101 gives."""
    network = images.class_network(200)
    assert network.input_shape == (None, 96, 96, 3)
    assert [layer.filters for layer in network.layers if hasattr(layer, "filters")] == [
        32,
        32,
        64,
        64,
        128,
        128,
        256,
        256,
        2048,
    ]
    assert network.output_shape == (None, 200)


def test_the_seed_decides_everything(monkeypatch):
    cub_networks.shrink(monkeypatch)
    values, labels = coloured(8, 3)
    networks = [images.class_network(3, seed=seed) for seed in (1, 1, 2)]
    assert np.abs(np.subtract(*(networks[i].get_layer("logits").kernel.numpy() for i in (0, 2)))).max() > 0.01
    with eagerly():
        for network in networks[:2]:
            images.train_classes(network, values, labels, 2, seed=1)
        found = [images.class_features(network, values) for network in networks]
    np.testing.assert_array_equal(*found[:2])
    assert np.abs(found[0] - found[2]).max() > 0.01


def prepared(values):
    """What ResNet-101 is shown: blue, green and red, less ImageNet's means."""
    return values[..., ::-1] - np.array([103.939, 116.779, 123.68], np.float32)


def test_resnet101_sees_images_as_it_was_trained_to():
    """By a network in its place."""
    network = keras.Sequential([keras.Input((None, None, 3)), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2048)])
    values = np.random.default_rng(0).integers(0, 256, (3, 6, 6, 3)).astype(np.uint8)
    found = images.resnet101_features(network, values, batch_size=2)
    assert found.shape == (3, images.FEATURES)
    np.testing.assert_allclose(found, network(prepared(values)), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_resnet101_from_a_file_of_weights(tmp_path):
    original = keras.applications.ResNet101(include_top=False, weights=None, pooling="avg")
    original.save_weights(tmp_path / "some.weights.h5")
    network = images.resnet101(images.weights_file(str(tmp_path / "some.weights.h5")))
    values = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3)).astype(np.uint8)
    found = images.resnet101_features(network, values, batch_size=2)
    np.testing.assert_allclose(found, original(prepared(values), training=False), rtol=1e-4, atol=1e-4)
    assert found.shape == (3, images.FEATURES)


def test_weights_are_never_downloaded_unasked(tmp_path, monkeypatch):
    def download(**options):
        raise OSError("no network")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(keras.applications, "ResNet101", download)
    with pytest.raises(UserError, match="are not there .*--download, name the file .* with --weights, or .*=classes"):
        images.weights_file()
    with pytest.raises(UserError, match="could not download the weights of ResNet-101 .no network."):
        images.weights_file(download=True)
    with pytest.raises(UserError, match="--weights=none.h5 is no file"):
        images.weights_file("none.h5", download=True)
    (tmp_path / "models").mkdir()
    kept = tmp_path / "models" / images.RESNET_FILE
    kept.touch()
    assert images.weights_file() == kept


@pytest.mark.slow
def test_a_file_of_other_weights_is_refused(tmp_path):
    """test_imagenet.py has it of a small network."""
    other = tmp_path / "other.weights.h5"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save_weights(other)
    with pytest.raises(UserError, match="other.weights.h5 does not hold the weights of ResNet-101"):
        images.resnet101(other)
