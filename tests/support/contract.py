"""What every VAE keeps to, as tests. A model's own module says how it is made, and inherits them:

    class TestMMJSD(ModelContract):
        kind = "mmjsd"

Its loss in NumPy is in `losses`. An objective that a model has besides is a class of its own, an `ObjectiveContract` with other
`options`. What is expensive, tracing terms and gradients, is done once for a class.
"""

from collections.abc import Mapping

import keras
import numpy as np
import pytest
import tensorflow as tf
import toys
from contract_runs import CONTRASTIVE, FEW_SAMPLES, ExportContract, RunContract
from drawn import FEW, MANY, NAMES, SIZE, Traced, assert_same, batches, fillers, of_sets, rows, without
from hypothesis import given
from hypothesis import strategies as st
from losses import LOSSES
from oracles import finite_difference
from toys import ROUNDING, FixedNoise

from mmtf.distributed import strategies
from mmtf.distributions.mixture import component_at

__all__ = ["CONTRASTIVE", "FEW_SAMPLES", "ModelContract", "ObjectiveContract", "RunContract"]

# Terms that came another way: through another graph, or of another number of modalities.
ELSEWHERE = {"rtol": 1e-4, "atol": 2e-5}
# A divergence of the prior from itself may be this, in a graph whose sums TensorFlow has rearranged.
NOTHING = 1e-6
# What a model holds of networks and weights besides its coders.
FURTHER = ("joint_encoder", "auxiliary")
# Examples of an update that replicas and microbatches share, and what they have: all of them the first modality.
SHARED_OUT = 12
MASK = {n: np.random.default_rng(k).uniform(size=SHARED_OUT) > 0.3 for k, n in enumerate(NAMES) if k}


class TracedVAE(Traced):
    """Its terms and gradients besides, by one trace of a batch with a mask, and the noise that they draw."""

    def __init__(self, model):
        super().__init__(model)
        noise = FixedNoise(SIZE)
        model.terms(toys.values(SIZE), None, noise, 0)
        self._streams = {stream: draws.shape[1:] for stream, draws in noise.drawn.items()}
        self._traced = tf.function(self.find)

    def noise(self, seed=0):
        found = FixedNoise(SIZE, seed)
        for stream, shape in self._streams.items():
            found.normal(stream, *shape) if shape else found.strata(stream)
        return found

    def terms(self, batch, noise):
        """Terms `[SIZE]` by name, and the gradients of their mean loss by name."""
        return self._traced(*_tensors(batch.values, batch.mask, noise.drawn))

    def compiled(self, batch, noise):
        """The same by XLA."""
        return tf.function(self.find, jit_compile=True)(*_tensors(batch.values, batch.mask, noise.drawn))

    def find(self, values, mask, drawn):
        noise = FixedNoise(SIZE)
        noise.drawn = dict(drawn)
        with tf.GradientTape() as tape:
            terms = self.model.terms(values, mask, noise, 0)
            loss = tf.reduce_mean(terms["loss"])
        weights = {name: v.value for name, v in self.model.named_weights().items()}
        gradients = tape.gradient(loss, weights, unconnected_gradients="zero")
        return terms, {name: tf.convert_to_tensor(g) for name, g in gradients.items()}


class Made:
    """How a model is made. Attributes:

    kind: its name in the registry. options: of its class, beside those of every model.
    private: sizes of the private codes; by default a modality without one stands beside two with codes of different sizes.
    """

    kind: str
    options: Mapping = {}
    private = (0, 2, 1)

    @pytest.fixture(scope="class")
    @classmethod
    def traced(cls):
        return TracedVAE(cls.made())

    @classmethod
    def made(cls, private=None, count=3):
        """The model, no weight of which is what it starts with: zeros would hide a part that is left out."""
        model = toys.model(cls.kind, cls.private if private is None else private, count, **cls.options)
        rng = np.random.default_rng(1)
        for weight in model.named_weights().values():
            weight.assign_add(rng.normal(scale=0.1, size=weight.shape).astype(np.float32))
        return model


class ObjectiveContract(Made):
    """Masks, company and gradients: what any objective keeps to."""

    @MANY
    @given(batches(), fillers())
    def test_what_fills_the_gaps_changes_no_term_and_no_gradient(self, traced, batch, fillers):
        noise = traced.noise(batch.seed)
        for one, other in zip(traced.terms(batch, noise), traced.terms(batch.filled(fillers), noise), strict=True):
            assert all(np.all(np.isfinite(x)) for x in one.values())
            assert_same(other, one, **ROUNDING)

    @MANY
    @given(batches(), rows(), batches())
    def test_an_example_has_its_terms_in_any_company(self, traced, batch, rows, other):
        """Examples in another order, repeated or left out, each with its own noise; and one beside strangers."""
        noise = traced.noise(batch.seed)
        wanted, _ = traced.terms(batch, noise)
        moved, _ = traced.terms(batch.at(rows), noise.at(rows))
        assert_same(moved, {n: x.numpy()[rows] for n, x in wanted.items()}, **ROUNDING)
        beside, _ = traced.terms(batch.beside(other), noise)
        assert_same({n: x[:1] for n, x in beside.items()}, {n: x[:1] for n, x in wanted.items()}, **ROUNDING)

    def test_a_full_mask_is_no_mask(self, traced):
        batch, noise = without(), traced.noise()
        for found, plain in zip(traced.terms(batch, noise), traced.find(batch.values, None, noise.drawn), strict=True):
            assert_same(found, plain, **ELSEWHERE)

    @pytest.mark.parametrize("missing", ["vector", "text"])
    def test_a_missing_modality_leaves_every_term_and_gradient(self, traced, missing):
        """Where all lack it, likelihoods, divergences and gradients are those of values without it."""
        batch, noise = without(missing), traced.noise()
        terms, gradients = traced.terms(batch, noise)
        rest = {n: x for n, x in batch.values.items() if n != missing}
        fewer, wanted = traced.find(rest, None, noise.drawn)
        assert_same(gradients, wanted, **ELSEWHERE)
        about = {n for n in terms if n.endswith(f"/{missing}") or n.startswith(f"only_{missing}/")}
        assert about
        for name in about:
            np.testing.assert_allclose(terms[name], 0.0, atol=NOTHING, err_msg=name)
        assert_same({n: x for n, x in terms.items() if n not in about}, fewer, **ELSEWHERE)

    def test_an_example_without_any_modality_contributes_nothing(self, traced):
        batch, noise = without(), traced.noise()
        batch = batch._replace(mask={n: np.arange(SIZE) > 0 for n in NAMES})
        terms, gradients = traced.terms(batch, noise)
        for name, term in terms.items():
            np.testing.assert_allclose(term[0], 0.0, atol=NOTHING, err_msg=name)
        assert all(np.all(np.isfinite(g)) for g in gradients.values())
        assert_same(traced.terms(batch.filled(dict.fromkeys(NAMES, "nan")), noise)[1], gradients, **ROUNDING)

    def test_every_weight_gets_a_gradient(self, traced):
        _, gradients = traced.terms(without(), traced.noise())
        assert {n for n, g in gradients.items() if not np.any(g)} == set()

    @pytest.mark.slow
    def test_xla_finds_the_same_terms_and_gradients(self, traced):
        """As it has to on an accelerator, of an incomplete batch."""
        batch, noise = of_sets(), traced.noise()
        for found, plain in zip(traced.compiled(batch, noise), traced.terms(batch, noise), strict=True):
            assert_same(found, plain, rtol=1e-4, atol=1e-4)


class LossContract(Made):
    """The loss itself, its gradient and its parts."""

    @pytest.mark.parametrize(("count", "private"), [(3, None), (2, 0), (1, 2)])
    def test_loss_equals_numpy(self, traced, count, private):
        """Of three modalities with private codes or without, of two without (or with, where a model needs them), and of one."""
        private = max(private, min(self.private)) if private is not None else None
        model = traced.model if private is None else self.made(private, count)
        values, noise = toys.values(SIZE, count=count), FixedNoise(SIZE)
        found = model.terms(values, None, noise, 0)["loss"]
        np.testing.assert_allclose(found, LOSSES[self.kind](model, values, noise), rtol=2e-5)

    def test_gradient_of_the_loss_equals_finite_differences(self, traced):
        """Through encoder head, sampling, decoder and divergence, for one bias vector of the fused head."""
        bias, batch, noise = traced.model.coders.heads["image"].bias, without(), traced.noise()
        name = next(n for n, v in traced.model.named_weights().items() if v is bias)
        start = np.array(bias)
        found = traced.terms(batch, noise)[1][name].numpy()

        def loss(b):
            bias.assign(b)
            return tf.reduce_mean(traced.terms(batch, noise)[0]["loss"])

        wanted = finite_difference(loss, start, 3e-3)
        bias.assign(start)
        np.testing.assert_allclose(found, wanted, rtol=3e-2, atol=2e-2)

    def test_a_term_is_there_for_whom_it_is_about(self, traced):
        """So that its mean is over those. (Of one modality alone the experts are the posterior, at no distance from it.)"""
        batch = of_sets()
        terms, several = traced.terms(batch, traced.noise())[0], sum(m.astype(int) for m in batch.mask.values()) > 1
        assert list(terms) == list(traced.model.term_modalities())
        for name, about in traced.model.term_modalities().items():
            has = np.all([several, *(batch.mask[n] for n in about)], axis=0)
            np.testing.assert_array_equal((np.abs(terms[name]) > NOTHING)[several], has[several], err_msg=name)

    def test_the_order_of_the_modalities_changes_no_term_and_no_posterior(self, traced):
        """Noise has a stream for each modality; a mixture's draw alone goes by the order, and is told what to take."""
        both, batch, noise = (traced.model, reordered(traced.model, self.kind)), of_sets(), traced.noise()
        posteriors = [{frozenset(s): q for s, q in m.posteriors(batch.values, batch.mask).items()} for m in both]
        whole = [found[frozenset(NAMES)] for found in posteriors]
        wanted, _ = traced.terms(batch, noise)
        same = choosing_the_same(noise, whole)
        assert_same(both[1].terms(batch.values, batch.mask, same, 0), wanted, **ELSEWHERE)
        assert set(same.drawn) == set(noise.drawn)
        point = np.full(toys.SHARED, 0.3, np.float32)
        np.testing.assert_allclose(whole[1].log_prob(point), whole[0].log_prob(point), **ROUNDING)
        assert_same(*({s: q.mean() for s, q in found.items()} for found in posteriors), **ROUNDING)


class VerbsContract(Made):
    """What the verbs answer of incomplete batches."""

    @MANY
    @given(batches(), fillers())
    def test_what_fills_the_gaps_changes_no_answer(self, traced, batch, fillers):
        traced.check_fillers(batch, fillers)

    @MANY
    @given(batches(), batches())
    def test_an_example_has_its_answers_in_any_company(self, traced, batch, other):
        traced.check_company(batch, other)

    @FEW
    @given(batches(), fillers(), st.integers(0, SIZE - 1))
    def test_an_example_in_a_mixed_batch_is_what_it_is_alone(self, traced, batch, fillers, row):
        traced.check_alone(batch.filled(fillers), row)

    def test_the_posterior_of_a_mixed_batch_is_that_of_each_example_s_own_set(self, traced):
        traced.check_sets(of_sets())


class ReplicaContract(Made):
    """An update does not depend on how the work is shared out. Without graphs, which take longer to make than the steps do."""

    def test_shared_work_updates_as_one(self):
        """Two replicas, each of which takes its examples in parts, and one device."""
        before, weights, terms = self.after_updates("one")
        assert any(not np.allclose(weights[n], x, atol=1e-4) for n, x in before.items())
        start, found, reported = self.after_updates("mirrored", microbatch=3)
        assert_same(start, before)
        assert_same(found, weights, rtol=1e-4, atol=1e-5)
        assert_same(reported, terms, rtol=1e-4, atol=1e-5)

    def after_updates(self, strategy_name, microbatch=0):
        """Weights before, weights and terms after one update from examples that lack modalities, but for one.

        By SGD, which shows a wrong scale of the gradient; Adam would hide it.
        """
        strategy = strategies.make_strategy(strategy_name)
        with strategy.scope():
            model = toys.model(self.kind, 2, microbatch=microbatch, **self.options)
            model.compile(optimizer=keras.optimizers.SGD(0.01), jit_compile=False)
            model.optimizer.build(model.trainable_variables)
        before = weights_of(model)
        strategy.run(model.train_step, args=(_shared_out(strategy, {"values": toys.values(SHARED_OUT), "mask": MASK}),))
        return before, weights_of(model), {n: np.asarray(x) for n, x in model.term_means.result().items()}


class ModelContract(ObjectiveContract, LossContract, VerbsContract, ReplicaContract, ExportContract):
    """All that a VAE of the registry keeps to."""


def weights_of(model):
    return {name: np.array(v) for name, v in model.named_weights().items()}


def reordered(original, kind):
    """The same networks in a model that lists its modalities in another order, none at its place."""
    parts = [original.modalities[name] for name in ("text", "vector", "image")]
    networks, options = (original.coders.encoders, original.coders.decoders), toys.further(kind, toys.encoder, parts)
    found = toys.MODELS[kind](parts, *networks, shared_dim=toys.SHARED, **toys.weights(2), **options)
    found.coders.heads = original.coders.heads
    for part in FURTHER:
        if hasattr(original, part):
            setattr(found, part, getattr(original, part))
    assert found.named_weights().keys() == original.named_weights().keys()
    assert all(v is original.named_weights()[n] for n, v in found.named_weights().items())
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
        found.drawn["component"] = (np.cumsum(shares[1], axis=1) - shares[1] / 2)[row, same].astype(np.float32)
    return found


def _tensors(*parts):
    return ({n: tf.constant(x) for n, x in part.items()} for part in parts)


def _shared_out(strategy, data):
    """The batch, each replica's rows of it."""
    share = SHARED_OUT // strategy.num_replicas_in_sync

    def own(context):
        first = context.replica_id_in_sync_group * share
        return tf.nest.map_structure(lambda x: tf.constant(x[first : first + share]), data)

    if strategy.num_replicas_in_sync == 1:
        return tf.nest.map_structure(tf.constant, data)
    return strategy.experimental_distribute_values_from_function(own)
