"""Active units, collapse and the agreement of modalities, of codes that are set by hand."""

import adversarial_toys
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
import toys
from small_evaluations import split_of, with_holes

from mmtf import evaluation
from mmtf.metrics import latents
from mmtf.modality import subsets
from mmtf.models.encoders import Codes

tfd = tfp.distributions
DIM = toys.SHARED


def set_head(model, name, kernel, bias):
    """Of a head's numbers: shared location, shared log-variance, private location, private log-variance."""
    head = model.coders.heads[name]
    width = sum(head.widths)
    head.set_weights([np.broadcast_to(kernel, (head.kernel.shape[0], width)), np.broadcast_to(bias, (width,))])


@pytest.fixture(scope="module")
def by_hand():
    """The shared code of image and text does not depend on them, that of vector in one dimension; private ones not at all."""
    model, loc = toys.model("mmvae", 2), np.array([1.0, 0.0, 0.0] + [0.0] * 7)
    # Features differ from unit to unit, so that their sum varies.
    set_head(model, "vector", 3 * loc, 0.0)
    set_head(model, "image", 0.0, [2.0, 2.0, 2.0] + [0.0] * 7)
    set_head(model, "text", 0.0, [0.0] * 3 + [np.log(0.25)] * 3 + [0.0, 1.0, 0.0, 0.0])
    return evaluation.code_use(model, split_of(toys.values(50)))


def test_units_are_active_that_depend_on_the_data(by_hand):
    # Of a mixture the mean is that of the experts' means.
    units = {"vector": 1, "image": 0, "text": 0, "vector,image": 1, "vector,text": 1, "image,text": 0, "vector,image,text": 1}
    assert by_hand["active_units"] == {"shared": units, "private": {"vector": 0, "image": 0, "text": 0}}


def test_collapse_is_the_divergence_to_the_prior(by_hand):
    shared, private = by_hand["collapse"]["shared"], by_hand["collapse"]["private"]
    assert shared["vector"]["kl"] > 1.0
    assert shared["vector"]["share_of_dimensions"] == round(2 / 3, 4)
    # Away from the prior, though it tells nothing: neither active nor collapsed.
    assert shared["image"] == {"kl": 3 * 2.0**2 / 2, "share_of_dimensions": 0.0}
    assert shared["text"] == {"kl": round(3 * ((0.25 - 1) / 2 + np.log(2)), 4), "share_of_dimensions": 0.0}
    assert private["vector"] == private["image"] == {"kl": 0.0, "share_of_dimensions": 1.0}
    assert private["text"] == {"kl": 0.5, "share_of_dimensions": 0.5}
    assert set(by_hand["divergence_between"]) == {"vector,image", "vector,text", "image,text"}


def test_constant_codes_diverge_alike_whatever_the_example(by_hand):
    between = by_hand["divergence_between"]["image,text"]
    wanted = latents.jeffreys(*(np.full((1, DIM), x) for x in (2.0, 1.0, 0.0, 0.5)))[0]
    assert between["matched"]["value"] == between["mismatched"]["value"] == pytest.approx(wanted, abs=1e-4)
    assert between["auc"] == 0.5


class Shown:
    """Posteriors of scale 1 around the values themselves."""

    names = ("a", "b")
    prior = tfd.MultivariateNormalDiag(tf.zeros(2), tf.ones(2))

    def posteriors(self, values, mask=None):
        experts = {(n,): tfd.MultivariateNormalDiag(tf.convert_to_tensor(x), tf.ones_like(x)) for n, x in values.items()}
        return experts | ({("a", "b"): experts["a",]} if len(experts) == 2 else {})

    def encode(self, values, mask=None):
        return Codes({}, {})


def test_divergence_between_modalities_tells_whether_they_agree():
    x = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32) * 10
    offset = np.float32([0.3, 0.4])
    found = evaluation.code_use(Shown(), split_of({"a": x, "b": x + offset}))
    assert "private" not in found["active_units"]
    assert "private" not in found["collapse"]
    between = found["divergence_between"]["a,b"]
    # Jeffreys' divergence of unit Gaussians is the squared distance of their means.
    assert between["matched"]["value"] == pytest.approx(0.25, abs=1e-4)
    # Of independent ones twice the variance in each dimension.
    assert abs(between["mismatched"]["value"] - 4 * 100) < 4 * between["mismatched"]["standard_error"]
    assert between["auc"] > 0.99


@pytest.mark.parametrize("copies", [1, 6])
def test_mismatched_are_examples_of_other_sources(copies):
    """Six pairs of each value of a: another pair of the same value would be no mismatch, and all of them say as much as one."""
    x = np.arange(40, dtype=np.float32)[:, None] * np.ones(2, np.float32)
    rows = {"a": np.repeat(np.arange(40), copies), "b": np.repeat(np.arange(40), copies)}
    between = evaluation.code_use(Shown(), split_of({"a": 9 * x, "b": 9 * x + 1}, rows=rows))["divergence_between"]["a,b"]
    assert between["matched"]["value"] == 2.0
    # The nearest other one is 9 - 1 away in both dimensions.
    assert between["mismatched"]["value"] > 2 * 8**2
    assert between["auc"] == 1.0
    assert between["mismatched"]["standard_error"] > 0.05 * between["mismatched"]["value"]


def test_what_has_too_few_examples_is_left_out():
    x = np.random.default_rng(0).normal(size=(8, 2)).astype(np.float32)
    assert evaluation.code_use(Shown(), split_of({"a": x[:3], "b": x[:3]})) == {}
    there = {"a": np.arange(8) < 6, "b": np.arange(8) >= 3}
    found = evaluation.code_use(Shown(), split_of({"a": x, "b": x}, there))
    assert set(found["active_units"]["shared"]) == {"a", "b"}
    assert "divergence_between" not in found
    # One source has more than half of the examples: not all find another one.
    of_one = split_of({"a": x, "b": x}, rows={"a": np.array([0, 0, 0, 0, 0, 1, 2, 3]), "b": np.arange(8)})
    assert "divergence_between" not in evaluation.code_use(Shown(), of_one)


# Each has one of the first two.
MASK = {"vector": np.arange(30) % 3 > 0, "image": np.arange(30) % 4 != 1, "text": np.arange(30) % 12 < 10}
MASK["image"] |= ~MASK["vector"]
# One of each form of posterior; tests/models states that all models keep the facts of their verbs.
MODELS = {
    "product": lambda: toys.model("mvae", 2, 2),
    "mixture of products, three modalities": lambda: toys.model("mopoe", 2),
    "joint encoder, without private codes": lambda: toys.model("jmvae", 0, 2),
    "mixture, laplace": lambda: toys.model("mmvae_plus", 2, 2, posterior_family="laplace"),
    "game": lambda: adversarial_toys.model("joint", 2),
}


@pytest.mark.parametrize("kind", MODELS)
def test_of_every_model_and_of_what_an_example_has_alone(kind, monkeypatch):
    """In batches, with gaps, what fills them changes nothing; numbers of single modalities are those of their own examples."""
    monkeypatch.setattr(evaluation.batches, "BATCH", 15)
    model = MODELS[kind]()
    values, mask = toys.values(30, count=len(model.names)), {n: MASK[n] for n in model.names}
    found = evaluation.code_use(model, split_of(with_holes(values, mask), mask))
    assert found == evaluation.code_use(model, split_of(values, mask))
    assert set(found["active_units"]["shared"]) == {",".join(s) for s in subsets(model.names)}
    assert ("private" in found["active_units"]) == (not kind.endswith("without private codes"))
    for name in model.names:
        own = model.posterior({name: values[name][mask[name]]})
        mean = own.mean().numpy()
        if np.abs(mean.var(axis=0, ddof=1) - latents.ACTIVE_ABOVE).min() > 1e-5:
            assert found["active_units"]["shared"][name] == latents.active_units(mean)
        if not kind.endswith("laplace"):
            wanted = latents.kl_to_prior(mean, own.stddev().numpy()).mean(axis=0).sum()
            assert found["collapse"]["shared"][name]["kl"] == pytest.approx(wanted, abs=2e-4)


def test_laplace_posteriors_have_their_own_divergence():
    """By its definition, whose mean over the data is shown; and of one that is the prior it is 0."""
    model, values = toys.model("mmvae_iw", 2, 2, posterior_family="laplace"), toys.values(40, count=2)
    set_head(model, "image", 0.0, 0.0)
    found = evaluation.code_use(model, split_of(values))["collapse"]
    codes = model.encode({"vector": values["vector"]})
    for kind, q in (("shared", codes.shared["vector"]), ("private", codes.private["vector"])):
        wanted = tfd.kl_divergence(q.distribution, tfd.Laplace(0.0, 1.0)).numpy().mean(axis=0)
        assert found[kind]["vector"]["kl"] == pytest.approx(wanted.sum(), abs=2e-4)
        assert found[kind]["vector"]["share_of_dimensions"] == pytest.approx(
            np.mean(wanted < latents.COLLAPSED_BELOW), abs=1e-4
        )
        assert found[kind]["image"] == {"kl": 0.0, "share_of_dimensions": 1.0}
