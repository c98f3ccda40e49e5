"""What may not matter to objectives and verbs: order, company, and what fills the gaps. Over drawn batches and masks."""

import functools
import itertools

import numpy as np
import pytest
import tensorflow as tf
import toys
from drawn import FEW, MANY, NAMES, SIZE, Traced, assert_same, batches, fillers, rows
from hypothesis import given
from hypothesis import strategies as st
from toys import ROUNDING, FixedNoise

from mmtf.probability.mixture import component_at

KINDS = list(toys.MODELS)
# A modality without a private code beside two with codes of different sizes; where each must have one, all different.
MIXED, ALL = (0, 2, 1), (3, 2, 1)


class TracedVAE(Traced):
    """Its terms and gradients besides."""

    def __init__(self, kind):
        super().__init__(toys.model(kind, ALL if kind == "mmvae_plus" else MIXED))
        noise = FixedNoise(SIZE)
        self.model.terms(toys.values(SIZE), None, noise, 0)
        self._streams = {stream: draws.shape[1:] for stream, draws in noise.drawn.items()}

        @tf.function
        def terms_and_gradients(values, mask, drawn):
            noise = FixedNoise(SIZE)
            noise.drawn = drawn
            with tf.GradientTape() as tape:
                terms = self.model.terms(values, mask, noise, 0)
                loss = tf.reduce_mean(terms["loss"])
            weights = {name: v.value for name, v in self.model.named_weights().items()}
            gradients = tape.gradient(loss, weights, unconnected_gradients="zero")
            return terms, {name: tf.convert_to_tensor(g) for name, g in gradients.items()}

        self._terms = terms_and_gradients

    def noise(self, seed):
        found = FixedNoise(SIZE, seed)
        for stream, shape in self._streams.items():
            found.normal(stream, *shape) if shape else found.strata(stream)
        return found

    def terms(self, batch, noise):
        return self._terms(*({n: tf.constant(x) for n, x in part.items()} for part in (*batch[:2], noise.drawn)))


traced = functools.cache(TracedVAE)
model = functools.cache(toys.model)


@functools.cache
def reordered(kind, private, order):
    """The same networks in a model that lists its modalities in another order."""
    original = model(kind, private)
    parts = [original.modalities[name] for name in order]
    found = toys.MODELS[kind](
        parts,
        original.coders.encoders,
        original.coders.decoders,
        shared_dim=toys.SHARED,
        betas=original.betas,
        **toys.further(kind, toys.encoder, parts),
    )
    found.coders.heads = original.coders.heads
    if kind == "jmvae":
        found.joint_encoder = original.joint_encoder
    if kind == "mmvae_plus":
        found.auxiliary = original.auxiliary
    assert_same(found.named_weights(), original.named_weights())
    return found


def choosing_the_same(noise, posteriors):
    """The noise, its strata such that the second mixture, in its own order, chooses the components that the first does."""
    found = noise.at(np.arange(SIZE))
    if "component" in noise.drawn:
        shares = [q.mixture_distribution.probs_parameter().numpy() for q in posteriors]
        places = [np.concatenate([p.loc, p.stddev()], axis=-1) for p in (q.components_distribution for q in posteriors)]
        row, chosen = np.arange(SIZE), component_at(list(shares[0].T), noise.drawn["component"]).numpy()
        distance = np.abs(places[1] - places[0][row, chosen][:, None]).sum(axis=-1)
        same = np.where(shares[1] > 0.0, distance, np.inf).argmin(axis=1)
        assert np.all(distance[row, same] < 1e-4)
        found.drawn["component"] = (np.cumsum(shares[1], axis=1) - shares[1] / 2)[row, same]
    return found


@pytest.mark.parametrize("kind", KINDS)
@FEW
@given(batches(), st.sampled_from([0, 2, MIXED, ALL]), st.sampled_from(list(itertools.permutations(NAMES))[1:]))
def test_the_order_of_the_modalities_changes_no_term_and_no_posterior(kind, batch, private, order):
    """Noise has a stream for each modality; a mixture's draw alone goes by the order, so it is told which component to take."""
    private = ALL if kind == "mmvae_plus" else private
    both, noise = (model(kind, private), reordered(kind, private, order)), FixedNoise(SIZE, batch.seed)
    posteriors = [{frozenset(s): q for s, q in m.posteriors(batch.values, batch.mask).items()} for m in both]
    whole = [found[frozenset(NAMES)] for found in posteriors]
    wanted = both[0].terms(batch.values, batch.mask, noise, 0)
    same = choosing_the_same(noise, whole)
    assert_same(both[1].terms(batch.values, batch.mask, same, 0), wanted, **ROUNDING)
    assert set(same.drawn) == set(noise.drawn)
    point = np.full(toys.SHARED, 0.3, np.float32)
    np.testing.assert_allclose(whole[1].log_prob(point), whole[0].log_prob(point), **ROUNDING)
    assert_same(*({s: q.mean() for s, q in found.items()} for found in posteriors), **ROUNDING)


@pytest.mark.parametrize("kind", KINDS)
@MANY
@given(batches(), rows())
def test_an_example_has_its_terms_in_any_company(kind, batch, rows):
    """Examples in another order, repeated or left out, each with its own noise."""
    found = traced(kind)
    noise = found.noise(batch.seed)
    wanted, _ = found.terms(batch, noise)
    assert_same(found.terms(batch.at(rows), noise.at(rows))[0], {n: x.numpy()[rows] for n, x in wanted.items()}, **ROUNDING)


@pytest.mark.parametrize("kind", KINDS)
@MANY
@given(batches(), fillers())
def test_what_fills_the_gaps_changes_no_term_and_no_gradient(kind, batch, fillers):
    found = traced(kind)
    noise = found.noise(batch.seed)
    for one, other in zip(found.terms(batch, noise), found.terms(batch.filled(fillers), noise), strict=True):
        assert all(np.all(np.isfinite(x)) for x in one.values())
        assert_same(other, one, **ROUNDING)


@pytest.mark.parametrize("kind", KINDS)
@MANY
@given(batches(), fillers())
def test_what_fills_the_gaps_changes_no_answer(kind, batch, fillers):
    traced(kind).check_fillers(batch, fillers)


@pytest.mark.parametrize("kind", KINDS)
@MANY
@given(batches(), batches())
def test_an_example_has_its_answers_in_any_company(kind, batch, other):
    traced(kind).check_company(batch, other)


@pytest.mark.parametrize("kind", KINDS)
@FEW
@given(batches(), fillers(), st.integers(0, SIZE - 1))
def test_an_example_in_a_mixed_batch_is_what_it_is_alone(kind, batch, fillers, row):
    traced(kind).check_alone(batch.filled(fillers), row)
