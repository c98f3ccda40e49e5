"""Retrieval and mismatches: scores against their definitions, and ranks of models that know everything, or nothing."""

import dataclasses
import json

import adversarial_toys
import linear_gaussian as linear
import numpy as np
import pandas
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
import toys
from scipy.special import comb
from small_evaluations import data_of, split_of

import mmtf
from mmtf import evaluation, registry
from mmtf.config import DataConfig, EvaluateConfig
from mmtf.errors import UserError
from mmtf.evaluation.retrieval import latent_scores, likelihood_scores
from mmtf.metrics import latents
from mmtf.models.encoders import Codes
from mmtf.models.vae.mmjsd import MMJSD
from mmtf.models.vae.mvae import MVAE

tfd = tfp.distributions
HOW = EvaluateConfig(retrieval_candidates=60, retrieval_likelihood_candidates=0)


def related(model, test, how=HOW, by_class=False, classes=()):
    data = dataclasses.replace(data_of((), test, test, classes), paired_by_class=by_class)
    return evaluation.retrieval_scores(model, data, test, how)


@pytest.mark.parametrize(
    "make", [lambda: toys.model("mmjsd", 2, 2), lambda: toys.model("jmvae", 0, 3), lambda: adversarial_toys.model("joint", 2)],
    ids=["mmjsd", "jmvae", "game"],
)  # fmt: skip
def test_latent_scores_are_divergences_of_all_pairs(make):
    model, values = make(), toys.values(9, count=2)
    found = latent_scores(model, split_of(values), HOW, tuple(values))
    q = {n: model.posterior({n: x}) for n, x in values.items()}
    (m, s), (n, t) = ((p.mean().numpy(), p.stddev().numpy()) for p in q.values())
    for i in range(9):
        for j in range(9):
            wanted = -latents.jeffreys(m[[i]], s[[i]], n[[j]], t[[j]])[0]
            assert found[i, j] == pytest.approx(wanted, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("kind", [MVAE, MMJSD])
def test_likelihood_scores_are_pointwise_mutual_information(kind, monkeypatch):
    """Of the linear-Gaussian model, for matched and mismatched pairs, and of a pair from among three modalities."""
    monkeypatch.setattr(evaluation.likelihood, "DECODED", 36 * 1500)
    x, names = linear.drawn(0, 6), ("one", "three")
    how = EvaluateConfig(likelihood_samples=1500)
    test = linear.split_of(x).only(names)
    found = likelihood_scores(linear.model_of(kind, 0), test, how, names)
    alone, errors = {n: linear.exact(x, 0, (n,)) for n in names}, []
    for i in range(6):
        for j in range(6):
            pair = {"one": x["one"][[i]], "three": x["three"][[j]]}
            wanted = linear.exact(pair, 0, names)[0] - alone["one"][i] - alone["three"][j]
            # Of 21 nats between them. The least likely pairs have the widest estimates.
            assert found[i, j] == pytest.approx(wanted, abs=0.5), (i, j)
            errors.append(found[i, j] - wanted)
    assert np.sqrt(np.mean(np.square(errors))) < 0.1


class Shown:
    """Posteriors around the values, or all alike."""

    names = ("a", "b")

    def has_likelihood(self):
        return False

    def __init__(self, told=True):
        self._told = told

    def posteriors(self, values, mask=None):
        locs = {n: tf.convert_to_tensor(x) * float(self._told) for n, x in values.items()}
        return {(n,): tfd.MultivariateNormalDiag(x, 0.1 * tf.ones_like(x)) for n, x in locs.items()}

    def encode(self, values, mask=None):
        return Codes({}, {})


def codes(count):
    x = np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32)
    return {"a": x, "b": x}


def test_codes_that_tell_examples_apart_find_all():
    found = related(Shown(), split_of(codes(80)))
    assert set(found["retrieval"]) == {"b<-a", "a<-b"}
    for kinds in found["retrieval"].values():
        assert kinds["latent"] == {
            **{f"recall_at_{k}": 1.0 for k in (1, 5, 10)}, "median_rank": 1.0,
            **{f"recall_at_{k}_by_chance": round(k / 60, 4) for k in (1, 5, 10)}, "candidates": 60,
        }  # fmt: skip
    assert found["mismatch_auc"] == {"a,b": {"latent": 1.0}}


def test_collapsed_codes_find_by_chance():
    found = related(Shown(told=False), split_of(codes(400)), dataclasses.replace(HOW, retrieval_candidates=400))
    for kinds in found["retrieval"].values():
        for k in (1, 5, 10):
            share = k / 400
            assert abs(kinds["latent"][f"recall_at_{k}"] - share) < 4 * np.sqrt(share / 400)
        assert kinds["latent"]["median_rank"] == pytest.approx(200.5, abs=4 * 0.5 * 400 / np.sqrt(400))
    assert found["mismatch_auc"]["a,b"]["latent"] == 0.5


def test_b_may_find_a_though_a_does_not_find_b():
    """All a are nearest to the first b; each b is nearest to its own a."""
    a = np.arange(20, dtype=np.float32)[:, None] * np.ones(3, np.float32)
    found = related(Shown(), split_of({"a": a, "b": a - 100}))["retrieval"]
    assert found["a<-b"]["latent"]["recall_at_1"] == found["b<-a"]["latent"]["recall_at_1"] == 0.05
    assert found["a<-b"]["latent"]["median_rank"] == found["b<-a"]["latent"]["median_rank"] == 10.5
    found = related(Shown(), split_of({"a": a, "b": a % 10}))["retrieval"]
    # From 10 on all a are nearest to the two b that are 9, and their own is one of them for the one of 19 alone.
    assert found["b<-a"]["latent"]["recall_at_10"] < 1.0
    # Of two b that are alike one finds its own first, the other the other's.
    assert found["a<-b"]["latent"]["recall_at_1"] == 0.5


def test_where_values_are_paired_by_class_all_of_the_class_are_right():
    """Codes that tell the class alone; its chance is that of seven right ones in sixty."""
    label = np.sort(np.arange(60) % 6)
    values = {n: np.eye(6, dtype=np.float32)[label] for n in "ab"}
    by_class = related(Shown(), split_of(values, label=label), by_class=True, classes=tuple("uvwxyz"))
    assert by_class["retrieval"]["b<-a"]["latent"] == {
        **{f"recall_at_{k}": 1.0 for k in (1, 5, 10)}, "median_rank": 1.0,
        **{f"recall_at_{k}_by_chance": round(1 - comb(50, k) / comb(60, k), 4) for k in (1, 5, 10)}, "candidates": 60,
    }  # fmt: skip
    assert by_class["mismatch_auc"]["a,b"]["latent"] == 1.0
    # The same values, of a data set that pairs them otherwise: one of the ten alike is right.
    one_by_one = related(Shown(), split_of(values, label=label), classes=tuple("uvwxyz"))
    scores = one_by_one["retrieval"]["b<-a"]["latent"]
    assert scores["recall_at_10"] == 1.0
    assert abs(scores["recall_at_1"] - 0.1) < 4 * np.sqrt(0.09 / 60)
    # 9 of 59 mismatches are as near as the match.
    assert one_by_one["mismatch_auc"]["a,b"]["latent"] == round(1 - 9 / 59 / 2, 4)
    # Attributes are no class.
    attributes = np.eye(6, dtype=np.int64)[label]
    assert related(Shown(), split_of(values, label=attributes), by_class=True, classes=tuple("uvwxyz")) == one_by_one
    # One class alone: there is nothing that is wrong.
    same = split_of({n: x[:10] for n, x in values.items()}, label=label[:10])
    assert related(Shown(), same, by_class=True, classes=tuple("uvwxyz")) == {}


def test_a_users_own_data_say_that_they_are_paired_by_class(tmp_path):
    """Of arrays, of a table and of a folder; and the package's sets say so of themselves."""
    label = np.arange(60) % 3
    values = {"a": np.eye(3)[label] + 0.01 * label[:, None], "b": np.eye(3)[label]}
    frame = pandas.DataFrame({"p": label * 1.5, "q": label - 0.25, "label": label})
    made = {
        "arrays": lambda how: mmtf.from_arrays(values, labels=label, **how),
        "table": lambda how: mmtf.from_dataframe(frame, {"a": ["p"], "b": ["q"]}, labels="label", **how),
    }
    for make in made.values():
        assert [make(how).paired_by_class for how in ({}, {"paired_by_class": True})] == [False, True]
        assert make({"paired_by_class": True}).only(["a"]).paired_by_class
    for n, x in values.items():
        np.save(tmp_path / f"{n}.npy", x)
    np.save(tmp_path / "labels.npy", label)
    for said in (False, True):
        (tmp_path / "arrays.json").write_text(json.dumps({"paired_by_class": said}))
        assert registry.load_data(DataConfig("arrays", data_dir=str(tmp_path))).paired_by_class is said
    with pytest.raises(UserError, match="paired_by_class .* wants labels"):
        mmtf.from_arrays(values, paired_by_class=True)
    assert registry.load_data(DataConfig("digits")).paired_by_class


def test_candidates_have_both_and_each_a_source_of_its_own():
    values, count = codes(90), 90
    there = {"a": np.arange(count) % 3 > 0, "b": np.arange(count) % 5 > 0}
    filled = {n: np.where(there[n][:, None], x, np.float32(np.nan)) for n, x in values.items()}
    both = int((there["a"] & there["b"]).sum())
    found = related(Shown(), split_of(filled, there))
    assert found["retrieval"]["a<-b"]["latent"]["candidates"] == both == 48
    assert found["retrieval"]["a<-b"]["latent"]["recall_at_1"] == 1.0
    # Three pairs of each a: its other b would be as good an answer.
    rows = {"a": np.arange(count) // 3, "b": np.arange(count)}
    found = related(Shown(), split_of(values, rows=rows))
    assert found["retrieval"]["a<-b"]["latent"]["candidates"] == 30
    assert related(Shown(), split_of({n: x[:1] for n, x in values.items()})) == {}
    assert related(Shown(), split_of(values, {"a": np.arange(count) < 40, "b": np.arange(count) >= 40})) == {}


def test_kinds_of_scores_are_those_that_a_model_has():
    how = EvaluateConfig(retrieval_candidates=8, retrieval_likelihood_candidates=4, likelihood_samples=2)
    values, mask = toys.values(20, count=2), {n: np.arange(20) % (6 + k) > 0 for k, n in enumerate(("vector", "image"))}
    model = toys.model("mvae", 2, 2)
    found = related(model, split_of(values, mask), how)
    assert set(found["retrieval"]) == {"vector<-image", "image<-vector"}
    for kinds in found["retrieval"].values():
        assert {kind: part["candidates"] for kind, part in kinds.items()} == {"latent": 8, "likelihood": 4}
    game = related(adversarial_toys.model("binary", 2), split_of(values), how)
    assert all(set(kinds) == {"latent"} for part in game.values() for kinds in part.values())
    none = dataclasses.replace(how, retrieval_likelihood_candidates=0)
    assert set(related(model, split_of(values), none)["mismatch_auc"]["vector,image"]) == {"latent"}
