"""The training step compiles with XLA, as it has to on an accelerator, and the terms stay the same.

With its own noise a compiled step draws other numbers: XLA has its own random generators. Hence the fixed noise. That terms and
gradients of each model are the same, the contract says.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
import toys
from drawn import assert_same

from mmtf.distributed import random

CONTRAST = toys.contrastive("cubo", negatives=2, samples=3)
VALUES = toys.values()
MASK = {name: np.arange(6) % 3 != place for place, name in enumerate(VALUES)}
DATA = tf.nest.map_structure(tf.convert_to_tensor, {"values": VALUES, "mask": MASK})


def compiled(kind, **options):
    model = toys.model(kind, **options)
    model.compile(keras.optimizers.SGD(0.01))
    model.optimizer.build(model.trainable_variables)
    return model


def test_an_update_by_xla_is_the_plain_one(monkeypatch):
    monkeypatch.setattr(random, "Noise", toys.TableNoise)
    found = []
    for inside in (False, True):
        model = compiled("mmvae")
        model.compiles_gradients = inside
        terms = model.train_step(DATA)
        found.append(({n: np.array(v) for n, v in model.named_weights().items()}, terms))
    for plain, other in zip(*found, strict=True):
        assert_same(other, plain, rtol=1e-4, atol=1e-5)


def test_every_kind_of_noise_compiles():
    """Of shuffles, for instance, XLA has none."""

    def draws():
        noise = random.Noise(tf.constant([1, 2]), 8)
        return noise.normal("a", 3), noise.laplace("b", 3), noise.strata("c"), tf.cast(noise.shifts("d", 2), tf.float32)

    normal, laplace, strata, shifts = tf.function(draws, jit_compile=True)()
    assert np.isfinite(normal).all()
    assert np.isfinite(laplace).all()
    np.testing.assert_array_equal(np.sort((np.asarray(strata) * 8).astype(int)), np.arange(8))
    assert set(np.asarray(shifts)) < set(range(1, 8))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("mmjsd", {"microbatch": 2}),
        ("jmvae", CONTRAST),
        ("mmvae", CONTRAST | {"private": 0}),
        ("mopoe", CONTRAST | {"microbatch": 3}),
    ],
)
def test_the_training_step_compiles(kind, options):
    logs = tf.function(compiled(kind, **options).train_step, jit_compile=True)(DATA)
    assert np.isfinite([float(term) for term in logs.values()]).all()


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "private"), [("jmvae", 2), ("mmvae", 0)])
def test_compiled_terms_of_a_contrast_are_the_plain_terms(kind, private):
    model, noise = toys.model(kind, private, **CONTRAST), toys.FixedNoise(6)

    def terms(data):
        return model.terms(data["values"], data["mask"], noise, 0)

    assert_same(tf.function(terms, jit_compile=True)(DATA), terms(DATA), rtol=1e-4, atol=1e-4)
