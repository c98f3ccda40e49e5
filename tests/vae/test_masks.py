"""A missing modality takes no part in anything, and what fills its place influences nothing."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
import toys
from toys import ROUNDING, FixedNoise

N = 8
MASK = {
    "vector": np.array([1, 1, 0, 1, 0, 0, 1, 1], bool),
    "image": np.array([1, 0, 1, 1, 1, 0, 0, 1], bool),
    "text": np.array([1, 1, 1, 0, 0, 1, 0, 1], bool),
}
FILLERS = {
    "nan": lambda x: np.full_like(x, np.nan) if x.dtype.kind == "f" else np.full_like(x, -(2**31)),
    "huge": lambda x: np.full_like(x, 1e30) if x.dtype.kind == "f" else np.full_like(x, 2**31 - 1),
}
# Objectives that the models have besides.
VARIANTS = {
    "mvae_subsets": ("mvae", {"random_subsets": 2}),
    "mmvae_iw_tight": ("mmvae_iw", {"bound": "tight"}),
    "mmvae_iw_tight_iwae": ("mmvae_iw", {"bound": "tight", "estimator": "iwae"}),
    "mmvae_iw_tight_stl": ("mmvae_iw", {"bound": "tight", "estimator": "stl"}),
}
KINDS = [*toys.MODELS, *VARIANTS]
SETTINGS = [*toys.SETTINGS, *((kind, 2) for kind in VARIANTS)]


def make(kind, private=2):
    name, options = VARIANTS.get(kind, (kind, {}))
    return toys.model(name, private, **options)


def filled(values, filler):
    return {n: np.where(MASK[n].reshape(-1, *[1] * (x.ndim - 1)), x, FILLERS[filler](x)) for n, x in values.items()}


def loss_and_gradients(model, values, mask):
    with tf.GradientTape() as tape:
        terms = model.terms(values, mask, FixedNoise(len(values["vector"])), 0)
        loss = tf.reduce_mean(terms["loss"])
    # Of a modality that is not given at all, zeros.
    gradients = tape.gradient(loss, [v.value for v in model.trainable_variables], unconnected_gradients="zero")
    return terms, [np.asarray(tf.convert_to_tensor(g)) for g in gradients]


@pytest.mark.parametrize(("kind", "private"), SETTINGS)
def test_full_mask_is_no_mask(kind, private):
    model, values = make(kind, private), toys.values(N)
    full = {n: np.ones(N, bool) for n in values}
    plain, masked = (loss_and_gradients(model, values, mask) for mask in (None, full))
    for name, term in plain[0].items():
        np.testing.assert_allclose(term, masked[0][name], **ROUNDING)
    for a, b in zip(plain[1], masked[1], strict=True):
        np.testing.assert_allclose(a, b, **ROUNDING)


@pytest.mark.parametrize("filler", list(FILLERS))
@pytest.mark.parametrize(("kind", "private"), SETTINGS)
def test_fillers_influence_nothing(kind, private, filler):
    model, values = make(kind, private), toys.values(N)
    first, second = (loss_and_gradients(model, v, MASK) for v in (values, filled(values, filler)))
    for name, term in first[0].items():
        assert np.all(np.isfinite(term))
        np.testing.assert_allclose(term, second[0][name], **ROUNDING)
    for a, b in zip(first[1], second[1], strict=True):
        assert np.all(np.isfinite(a))
        np.testing.assert_allclose(a, b, **ROUNDING)


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_modality_leaves_every_term_and_gradient(kind):
    """With the text missing from all, likelihood, divergence and gradients are those of a model without text."""
    values, without = toys.values(N), toys.values(N, count=2)
    mask = {"vector": np.ones(N, bool), "image": np.ones(N, bool), "text": np.zeros(N, bool)}
    model = make(kind)
    masked, fewer = loss_and_gradients(model, values, mask), loss_and_gradients(model, without, None)
    for name, term in masked[0].items():
        if name.endswith("/text") or name.startswith("only_text"):
            np.testing.assert_array_equal(term, 0.0)
        else:
            np.testing.assert_allclose(term, fewer[0][name], rtol=1e-5, atol=1e-6)
    for a, b in zip(masked[1], fewer[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", list(toys.MODELS))
def test_a_term_is_there_for_whom_it_is_about(kind):
    """So that its mean is over those. (Of one modality alone the experts are the posterior, at no distance from it.)"""
    model, several = toys.model(kind), sum(m.astype(int) for m in MASK.values()) > 1
    terms = model.terms(toys.values(N), MASK, FixedNoise(N), 0)
    for name, about in model.terms_about().items():
        has = np.all([several, *(MASK[n] for n in about)], axis=0)
        np.testing.assert_array_equal((np.asarray(terms[name]) != 0.0)[several], has[several], err_msg=name)


@pytest.mark.parametrize("kind", list(toys.MODELS))
def test_posterior_of_a_masked_batch_is_that_of_each_example_s_own_subset(kind):
    model, values = toys.model(kind), toys.values(N)
    batch = model.posterior(filled(values, "nan"), mask=MASK)
    for i in range(N):
        own = [n for n in model.names if MASK[n][i]]
        alone = model.posterior({n: values[n][i : i + 1] for n in own})
        np.testing.assert_allclose(batch.mean()[i], alone.mean()[0], rtol=1e-5, atol=1e-6)
        point = np.zeros([1, 3], np.float32)
        np.testing.assert_allclose(batch.log_prob(np.zeros([N, 3], np.float32))[i], alone.log_prob(point)[0], rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_an_example_does_not_depend_on_its_neighbours(kind):
    model, noise = make(kind), FixedNoise(N)
    values, others = toys.values(N), toys.values(N, seed=9)
    mixed = {n: np.concatenate([values[n][:3], others[n][3:]]) for n in values}
    mask = {n: np.concatenate([MASK[n][:3], ~MASK[n][3:]]) for n in MASK}
    first, second = model.terms(values, MASK, noise, 0), model.terms(mixed, mask, noise, 0)
    for name in first:
        np.testing.assert_allclose(first[name][:3], second[name][:3], rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_an_example_without_any_modality_contributes_nothing(kind):
    model, values = make(kind), toys.values(N)
    mask = {n: np.arange(N) > 0 for n in values}
    terms, gradients = loss_and_gradients(model, values, mask)
    assert all(np.all(np.isfinite(g)) for g in gradients)
    for name in terms:
        np.testing.assert_allclose(terms[name][0], 0.0, atol=1e-6)


def test_every_share_of_the_batch_is_served_among_what_is_there():
    """Examples with two of three modalities draw each of the two for half of the batch."""
    n = 100
    model, values = toys.model("mmvae", 0), toys.values(n)
    mask = {"vector": np.zeros(n, bool), "image": np.ones(n, bool), "text": np.ones(n, bool)}
    for name in model.names:
        # Constant experts far apart: the sample tells which one was chosen.
        model.coders.heads[name].kernel.assign(tf.zeros_like(model.coders.heads[name].kernel))
        model.coders.heads[name].bias.assign([{"vector": -50.0, "image": 0.0, "text": 50.0}[name]] * 3 + [-20.0] * 3)
    seen = []
    model.log_likelihood = lambda observed, shared, private: seen.append(shared.numpy()) or {"text": shared[:, 0]}
    model.elbos(*_observed(model, values, mask), FixedNoise(n))
    np.testing.assert_array_equal(np.unique(np.round(seen[0][:, 0]), return_counts=True), [[0.0, 50.0], [50, 50]])


def _observed(model, values, mask):
    from mmtf.latent.observed import observe

    return observe(values, mask, model.modalities), model.encode(values, mask)


def with_missing_cells(kind):
    """The toy model whose vector may lack cells; its encoder is told which, as the default networks are."""
    private = 2 if kind == "mmvae_plus" else 0
    parts = tuple(dataclasses.replace(m, missing_cells=m.name == "vector") for m in toys.modalities(private))

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
        {m.name: toys.decoder(m, toys.SHARED + private) for m in parts},
        shared_dim=toys.SHARED,
        seed=0,
        **toys.further(kind, encoder, parts),
    )


@pytest.mark.parametrize("kind", list(toys.MODELS))
def test_missing_cells_leave_finite_terms_and_gradients(kind):
    model, values = with_missing_cells(kind), toys.values(N)
    values["vector"][[0, 3], [1, 2]] = np.nan
    terms, gradients = loss_and_gradients(model, values, MASK)
    for found in (*terms.values(), *gradients):
        assert np.all(np.isfinite(found))
    # A decoder that answers anything for a missing cell is not told: its bias there gets no gradient from that example alone.
    alone = {n: v[:1] for n, v in values.items()}
    with tf.GradientTape() as tape:
        term = model.terms(alone, None, FixedNoise(1), 0)[next(t for t in terms if t.endswith("log_likelihood/vector"))]
    bias = model.coders.decoders["vector"].layers[-2].bias
    gradient = tape.gradient(term, bias.value).numpy()
    np.testing.assert_array_equal(gradient == 0.0, [False, True, False, False])
