"""Networks whose weights are a file, and what InceptionV3 is shown, by a network that says what it sees."""

import keras
import numpy as np
import pytest

from mmtf import evaluation
from mmtf.config import EvaluateConfig
from mmtf.data.preparation import imagenet
from mmtf.errors import UserError
from mmtf.evaluation.features import Features, is_image
from mmtf.modality import Modality

IMAGE = Modality("image", (8, 6, 1), "laplace")


def small(include_top, weights, pooling=None):
    """A stand-in for a network of Keras: the mean of each channel, times a weight."""
    network = keras.Sequential([keras.Input((299, 299, 3)), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)])
    network.layers[-1].set_weights([np.eye(3), np.zeros(3)])
    if weights:
        network.load_weights(weights)
    return network


def test_images_are_shown_as_inception_expects_them():
    network = small(False, None)
    grey = np.random.default_rng(0).integers(0, 256, (5, 8, 6, 1), np.uint8)
    found = imagenet.inception_features(network, grey, batch_size=2)
    assert found.shape == (5, 3)
    # From -1 to 1, the same in three channels; enlarging hardly moves the mean.
    np.testing.assert_allclose(found, np.repeat(grey.mean(axis=(1, 2)) / 127.5 - 1, 3, axis=1), atol=0.05)
    np.testing.assert_allclose(imagenet.inception_features(network, (grey / 255).astype(np.float32)), found, atol=1e-6)
    colours = np.zeros((1, 4, 4, 3), np.float32)
    colours[..., 1] = 1.0
    np.testing.assert_allclose(imagenet.inception_features(network, colours), [[-1.0, 1.0, -1.0]], atol=1e-6)


def test_weights_are_read_from_the_file_named(tmp_path):
    kind = imagenet.Pretrained("Small", "small.h5", small)
    file = tmp_path / "mine.weights.h5"
    network = small(False, None)
    network.layers[-1].set_weights([2 * np.eye(3), np.ones(3)])
    network.save_weights(file)
    read = kind.network(kind.weights(str(file), flag="weights", otherwise="go"))
    np.testing.assert_array_equal(read.layers[-1].get_weights()[0], 2 * np.eye(3))
    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    for write in (other.save_weights, lambda path: path.write_bytes(b"no weights")):
        write(file)
        with pytest.raises(UserError, match="does not hold the weights of Small without its last layer"):
            kind.network(file)


def test_without_weights_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    asked = EvaluateConfig(features="inception")
    with pytest.raises(
        UserError, match=r"weights of InceptionV3 are not there .* Name the file inception_v3.* --inception_weig"
    ):
        evaluation.inception_network(asked)
    with pytest.raises(UserError, match="--inception_weights=gone is no file"):
        evaluation.inception_network(EvaluateConfig(features="inception", inception_weights="gone"))
    with pytest.raises(UserError, match="--inception_weights does nothing without --features=inception"):
        evaluation.inception_network(EvaluateConfig(inception_weights="gone"))
    assert evaluation.inception_network(EvaluateConfig()) is None


def test_images_take_it_and_others_do_not():
    vector = Modality("vector", (4,), "normal")
    text = Modality("text", (3,), "categorical", num_classes=5)
    features = Features({m.name: m for m in (IMAGE, vector, text)}, {}, small(False, None))
    assert features.sources == {"image": "inception", "vector": "values"}
    assert features.of("image", np.zeros((2, 8, 6, 1), np.uint8)).tolist() == [[-1.0] * 3] * 2
    assert not is_image(text)
    assert "image" not in Features({"image": IMAGE}, {})


@pytest.mark.parametrize(("kind", "name"), [(imagenet.INCEPTION, "InceptionV3"), (imagenet.RESNET101, "ResNet101")])
def test_the_network_is_keras_own_without_its_last_layer(kind, name, monkeypatch):
    asked = []
    monkeypatch.setattr(keras.applications, name, lambda **how: asked.append(how))
    kind.network("some.h5")
    assert asked == [{"include_top": False, "weights": "some.h5", "pooling": "avg"}]


@pytest.mark.slow
def test_keras_has_the_network_that_is_named():
    """Untrained: what it answers to is right, and it is 2048 wide."""
    network = imagenet.INCEPTION.build(include_top=False, weights=None, pooling="avg", input_shape=(75, 75, 3))
    assert network.output_shape == (None, 2048)
    assert imagenet.INCEPTION.file.endswith("notop.h5")
