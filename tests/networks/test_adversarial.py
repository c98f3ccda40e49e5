"""The adversarial networks: [C]'s sizes and initial weights, and relaxed values in and out, whatever the kind of values."""

import numpy as np
import pytest
import tensorflow as tf

from mmtf import registry
from mmtf.config import Config, DataConfig, ModelConfig, TrainConfig
from mmtf.modality import Modality
from mmtf.networks import adversarial

MNIST, SVHN = Modality("mnist", (28, 28, 1)), Modality("svhn", (32, 32, 3))
KINDS = {
    "mnist": (adversarial.mnist, MNIST),
    "svhn": (adversarial.svhn, SVHN),
    "image": (adversarial.image, Modality("image", (13, 9, 2))),
    "standardised": (adversarial.image, Modality("image", (8, 8, 3), "normal", location=(1.0,), spread=(2.0,))),
    "text": (adversarial.tokens, Modality("text", (11,), "categorical", num_classes=5, alphabet="abcde")),
    "vector": (adversarial.vector, Modality("vector", (6,), "normal")),
    "classes": (adversarial.vector, Modality("classes", (3,), "categorical", num_classes=4)),
    "bits": (adversarial.vector, Modality("bits", (7,), "bernoulli")),
    "counts": (adversarial.vector, Modality("counts", (4,), "negative_binomial", location=(1.0,), spread=(0.5,))),
}


def size(variables):
    return sum(int(np.prod(v.shape)) for v in variables)


def built(dataset, modalities, **model):
    config = Config(
        DataConfig(dataset), ModelConfig(**{"shared_dim": 10, "private_dim": 10} | model), TrainConfig(batch_size=64)
    )
    return registry.build_model(config, registry.configure(modalities, config.model))


@pytest.fixture(scope="module")
def learned():
    """Variables of MNIST-SVHN's game, by what learns them."""
    return built("mnist_svhn", (MNIST, SVHN), model="mmali").learned()


def test_mnist_svhn_is_as_large_as_the_release(learned):
    """Counted by hand from the layers that [C]'s release lists."""
    encoders = 784 * 400 + 400 + 400 * 40 + 40 + (48 * 32 + 32) + (512 * 64 + 64) + (1024 * 128 + 128) + 2048 * 40 + 40
    decoders = 20 * 400 + 400 + 400 * 784 + 784 + (320 * 128 + 128) + (2048 * 64 + 64) + (1024 * 32 + 32) + (512 * 3 + 3)
    assert size(learned["optimizer"]) == encoders + decoders
    conv = (48 * 32 + 32) + (512 * 64 + 64) + (1024 * 128 + 128) + 2048 * 256 + 256
    codes = 20 * 256 + 256 + 256 * 256 + 256

    def pair(out):
        trunk = (512 * 1024 + 1024) + (1024 * 1024 + 1024) + (1024 * out + out)
        return 804 * 400 + 400 + 400 * out + out + conv + codes + trunk

    towers = 784 * 400 + 400 + 400 * 256 + 256 + conv + 2 * (256 * 256 + 256)
    assert size(learned["discriminator_optimizer"]) == towers + pair(1) + pair(3)


def test_multimnist_s_joint_discriminator_has_the_towers_of_the_factorized_one_and_one_for_codes():
    modalities = tuple(Modality(f"mnist_{k}", (28, 28, 1)) for k in (0, 90))
    towers = 2 * (784 * 400 + 400 + 400 * 256 + 256)
    together = built("multimnist", modalities, model="mmali").discriminators["dependence"]
    assert size(together.trainable_variables) == towers + 512 * 1024 + 1024 + 1024 * 1024 + 1024 + 1024 + 1
    joint = built("multimnist", modalities, model="mmali_joint").discriminators["joint"]
    codes = 30 * 400 + 400 + 400 * 256 + 256
    assert size(joint.trainable_variables) == towers + codes + 768 * 1024 + 1024 + 1024 * 1024 + 1024 + 1024 * 3 + 3


def test_cub_s_networks_halve():
    modalities = (Modality("image", (2048,), "normal"), Modality("caption", (1024,), "normal"))
    model = built("cub", modalities, model="mmali")
    widths = [layer.units for layer in model.generators.encoders["image"].layers if hasattr(layer, "units")]
    assert widths == [1024, 512, 256]
    widths = [layer.units for layer in model.generators.decoders["caption"].layers if hasattr(layer, "units")]
    assert widths == [128, 256, 512, 1024]
    discriminator = model.discriminators["alignment.image"]
    assert [layer.units for layer in discriminator.value_tower] == [1024, 512, 256, 256]
    assert [layer.units for layer in discriminator.trunk] == [512, 3]
    assert [layer.units for layer in model.discriminators["dependence"].trunk] == [512, 512, 1]


def test_every_weight_starts_small_and_differs_from_the_others(learned):
    kernels = [v for variables in learned.values() for v in variables if "kernel" in v.name]
    for kernel in kernels:
        assert np.std(kernel) == pytest.approx(0.02, rel=0.15), kernel.path
    flat = [np.ravel(k)[:50] for k in kernels]
    assert len({x.tobytes() for x in flat}) == len(flat)
    biases = [v for variables in learned.values() for v in variables if "bias" in v.name]
    assert not any(np.any(b) for b in biases)


@pytest.mark.parametrize("kind", KINDS)
def test_generators_and_critics_take_relaxed_values(kind):
    module, modality = KINDS[kind]
    assert adversarial.default_of(modality) is module or kind in ("mnist", "svhn")
    x = tf.random.stateless_uniform((5, *modality.relaxed_shape), (0, 1))
    z = tf.random.stateless_normal((5, 4), (0, 2))
    features = module.encoder(modality, seed=1)(x)
    assert features.shape[0] == 5
    assert len(features.shape) == 2
    answer = module.decoder(modality, 4, seed=2)(z)
    assert answer.shape == x.shape
    bound = module.discriminator(modality, 4, 3, seed=3).bind(advance=True)
    logits = bound.score(bound.features(x), z)
    assert logits.shape == (5, 3)
    # Both the value and the code matter.
    assert not np.allclose(bound.score(bound.features(x), z[::-1]), logits)
    assert not np.allclose(bound.score(bound.features(x[::-1]), z), logits)
    again = module.decoder(modality, 4, seed=2)(z)
    np.testing.assert_array_equal(again, answer)
