"""The joint discriminator: what every game keeps to, and that it sees the whole tuples of [C] eq. 4."""

import adversarial_toys
import numpy as np
import pytest
import tensorflow as tf
import toys
from adversarial_contract import TrainedAdversarialContract, check_equal, fitted
from eager import eagerly
from toys import FixedNoise

from mmtf.networks.spectral import leaky

N = 8


OPTIONS = {"model": "mmali_joint", "style_weight": 0.2, "content_weight": 0.3}


class TestJoint(TrainedAdversarialContract):
    kind = "joint"
    options = OPTIONS


def test_the_joint_discriminator_sees_the_tuples_of_eq_4():
    model, noise = adversarial_toys.model("joint"), FixedNoise(N)
    real, _ = model._encoded(toys.values(N), noise, "a")
    fake = model._generated(real, noise, "a")
    discriminator = model.discriminators["joint"]
    logits = model.joint_logits(real, fake, advance=False)
    for kind, (source, of) in enumerate([*((real, n) for n in model.names), (fake, "vector")]):
        parts = []
        for name, tower in discriminator.towers.items():
            h = source.x[name]
            for layer in tower:
                h = leaky(layer(h))
            parts.append(h)
        z = tf.concat([*(source.private[n] for n in model.names), source.shared[of]], -1)
        for layer in discriminator.code_tower:
            z = leaky(layer(z))
        both = tf.concat([*parts, z], -1)
        expected = discriminator.trunk[1](leaky(discriminator.trunk[0](both)))
        np.testing.assert_allclose(logits[kind], expected, rtol=1e-4, atol=1e-5)


def test_the_graph_of_several_steps_plays_as_the_steps():
    """The smallest of the games; of all of them, on two replicas, in what is slow."""
    with eagerly():
        one = fitted("joint", "one")
    check_equal(one, fitted("joint", "one", per_execution=2))


def test_it_refuses_the_unimodal_game():
    with pytest.raises(ValueError, match="has no option 'unimodal_weight'"):
        adversarial_toys.model("joint", unimodal_weight=0.1)
