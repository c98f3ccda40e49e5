"""The training step compiles with XLA, as it has to on an accelerator, and the terms stay the same.

With its own noise a compiled step draws other numbers: XLA has its own random generators. Hence the fixed noise.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
import toys

from mmtf.vae.contrast import Contrast


@pytest.fixture(params=[False, True], ids=["complete", "masked"])
def data(request):
    data = {"values": toys.values()}
    if request.param:
        data["mask"] = {name: np.arange(6) % 3 != place for place, name in enumerate(data["values"])}
    return tf.nest.map_structure(tf.convert_to_tensor, data)


CONTRAST = Contrast("cubo", negatives=2, samples=3)
OPTIONS = [
    *((kind, {}) for kind in toys.MODELS),
    ("mmjsd", {"microbatch": 2}),
    ("jmvae", {"contrast": CONTRAST}),
    ("mmvae", {"contrast": CONTRAST, "private": 0}),
    ("mopoe", {"contrast": CONTRAST, "microbatch": 3}),
]


@pytest.mark.parametrize(("kind", "options"), OPTIONS)
def test_the_training_step_compiles(kind, options, data):
    model = toys.model(kind, **options)
    model.compile(keras.optimizers.Adam())
    model.optimizer.build(model.trainable_variables)
    logs = tf.function(model.train_step, jit_compile=True)(data)
    assert np.isfinite([float(term) for term in logs.values()]).all()


@pytest.mark.parametrize(("kind", "options"), [(kind, o) for kind, o in OPTIONS if "microbatch" not in o])
def test_compiled_terms_are_the_plain_terms(kind, options, data):
    model, noise = toys.model(kind, **options), toys.FixedNoise(6)

    def terms(data):
        return model.terms(data["values"], data.get("mask"), noise, 0)

    plain, compiled = terms(data), tf.function(terms, jit_compile=True)(data)
    for name, term in plain.items():
        np.testing.assert_allclose(compiled[name], term, rtol=1e-4, atol=1e-4, err_msg=name)
