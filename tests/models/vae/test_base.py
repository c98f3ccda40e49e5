"""What holds of all VAEs together: that each keeps the contract, missing cells, and the family of the codes."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import toys
from toys import FixedNoise

from mmtf.distributions.family import LAPLACE

N = 8
MASK = {
    "vector": np.array([1, 1, 0, 1, 0, 0, 1, 1], bool),
    "image": np.array([1, 0, 1, 1, 1, 0, 0, 1], bool),
    "text": np.array([1, 1, 1, 0, 0, 1, 0, 1], bool),
}


@pytest.mark.parametrize(("kind", "build"), toys.MODELS.items())
def test_every_vae_of_the_catalog_keeps_the_contract(kind, build):
    module = Path(__file__).with_name(f"test_{build.__module__.rpartition('.')[2]}.py").read_text()
    assert f'"{kind}"' in module.partition("(ModelContract):")[2].partition("\n\n\n")[0]


def test_models_of_importance_samples_alone_have_laplace_posteriors():
    """Products of experts and closed divergences are of Gaussians."""
    for kind in toys.MODELS:
        if kind in ("mmvae_iw", "mmvae_plus"):
            assert toys.model(kind, posterior_family="laplace").coders.family is LAPLACE
        else:
            with pytest.raises(ValueError, match="has no option 'posterior_family'"):
                toys.model(kind, posterior_family="laplace")


def with_missing_cells(kind):
    """The toy model whose vector may lack cells; its encoder is told which, as the default networks are."""
    parts = tuple(dataclasses.replace(m, missing_cells=m.name == "vector") for m in toys.modalities())

    def encoder(modality):
        if not modality.missing_cells:
            return toys.encoder(modality)
        numbers = keras.Input((4,))
        gaps = keras.layers.Lambda(lambda x: tf.concat([tf.where(tf.math.is_nan(x), 0.0, x), tf.cast(x != x, tf.float32)], -1))
        features = keras.layers.Dense(6, "tanh", kernel_initializer=keras.initializers.GlorotUniform(3))(gaps(numbers))
        return keras.Model(numbers, features)

    return toys.MODELS[kind](
        parts,
        {m.name: encoder(m) for m in parts},
        {m.name: toys.decoder(m, toys.SHARED) for m in parts},
        shared_dim=toys.SHARED,
        seed=0,
        **toys.further(kind, encoder, parts),
    )


@pytest.mark.parametrize("kind", ["mvae", "mmvae_iw", "jmvae"])
def test_missing_cells_leave_finite_terms_and_gradients(kind):
    """Of one sample and of several, and of a joint encoder."""
    model, values = with_missing_cells(kind), toys.values(N)
    values["vector"][[0, 3], [1, 2]] = np.nan
    with tf.GradientTape() as tape:
        terms = model.terms(values, MASK, FixedNoise(N), 0)
        loss = tf.reduce_mean(terms["loss"])
    gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
    for found in (*terms.values(), *map(tf.convert_to_tensor, gradients)):
        assert np.all(np.isfinite(found))
    # A decoder that answers anything for a missing cell is not told: its bias there gets no gradient from that example alone.
    alone = {n: v[:1] for n, v in values.items()}
    with tf.GradientTape() as tape:
        term = model.terms(alone, None, FixedNoise(1), 0)[next(t for t in terms if t.endswith("log_likelihood/vector"))]
    bias = model.coders.decoders["vector"].layers[-2].bias
    gradient = tape.gradient(term, bias.value).numpy()
    np.testing.assert_array_equal(gradient == 0.0, [False, True, False, False])
