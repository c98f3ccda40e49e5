"""What is measured with many labels, without labels and with few examples, on models whose answers are known."""

import dataclasses
import logging

import games
import numpy as np
import pytest
import tensorflow as tf
import toys

from mmtf import catalog, judge, runtime
from mmtf.config import EvaluateConfig
from mmtf.data.dataset import MultimodalData, Split
from mmtf.errors import UserError
from mmtf.latent.coders import Codes
from mmtf.metrics import precision
from mmtf.modality import Modality
from mmtf.runtime import Noise

HOW = EvaluateConfig(random_samples=3000)
ATTRIBUTES = ("half", "rare", "never", "most")
PREVALENCE = np.array([0.5, 0.1, 0.0, 0.8])


class Told:
    """A stand-in for the coherence classifiers: values are their own scores."""

    @staticmethod
    def predict_scores(classifier, values):
        return np.asarray(values)


class Oracle:
    """A model whose values are scores of attributes: a shows them rightly, b is noise wherever it is given alone."""

    names = ("a", "b")
    modalities = {n: Modality(n, (len(ATTRIBUTES),), "normal") for n in names}  # noqa: RUF012

    def translate(self, values, to=None, mask=None, seed=None, mean=False):
        noise = tf.random.stateless_normal([tf.shape(next(iter(values.values())))[0], len(ATTRIBUTES)], seed)
        return dict.fromkeys(to, values.get("a", noise))

    def generate(self, n, seed, mean=False):
        scores = tf.random.stateless_normal([n, len(ATTRIBUTES)], seed)
        return {"a": scores, "b": scores * tf.constant([1.0, 1.0, -1.0, 1.0])}


def attributes(n, seed=0):
    return (np.random.default_rng(seed).uniform(size=(n, len(ATTRIBUTES))) < PREVALENCE).astype(np.int64)


def split(labels, mask=None):
    values = (4.0 * labels - 2.0).astype(np.float32)
    return Split({"a": values, "b": values}, dict.fromkeys("ab", np.arange(len(labels))), labels, mask)


def data_of(train, test, names=ATTRIBUTES):
    return MultimodalData("toy", tuple(Oracle.modalities.values()), train, test, names)


@pytest.fixture
def told(monkeypatch):
    monkeypatch.setattr(judge.coherence, "classifier", Told)


def test_coherence_of_attributes_is_their_mean_average_precision(told, caplog):
    test = split(attributes(1300))
    found = judge.Coherence(Oracle(), test, {"a": None, "b": None}, HOW).report(ATTRIBUTES)
    shares, by_label, errors = (found[f"coherence{end}"] for end in ("", "_by_label", "_standard_error"))
    assert [shares[k] for k in ("a<-a", "b<-a", "a<-a,b")] == [1.0, 1.0, 1.0]
    assert by_label["b<-a"] == {"half": 1.0, "rare": 1.0, "most": 1.0}
    share = judge.prevalence(test, ATTRIBUTES)
    assert share == {name: round(float(x), 4) for name, x in zip(ATTRIBUTES, test.label.mean(axis=0), strict=True)}
    for name, score in by_label["a<-b"].items():
        assert score == pytest.approx(share[name], abs=0.08)
    assert shares["a<-b"] == pytest.approx(np.mean(list(by_label["a<-b"].values())), abs=1e-4)
    assert shares["a<-b"] == pytest.approx(np.mean([share[n] for n in ("half", "rare", "most")]), abs=0.03)
    assert set(errors) == set(shares)
    assert errors["a<-a"] == 0.0 < errors["a<-b"] < 0.03
    # b turns one attribute of four round, in every sample.
    assert (shares["random"], errors["random"]) == (0.75, 0.0)
    assert found["coherence_left_out"]["a<-b"] == ["never"]
    assert "coherence leaves out attributes that all or none of its examples have: never" in caplog.text
    assert judge.Coherence(Oracle(), test, {"a": None, "b": None}, HOW).measure() == {"coherence": shares}


def test_the_error_of_agreement_is_that_of_a_mean_over_samples(told, monkeypatch):
    def generate(self, n, seed, mean=False):
        return {name: tf.random.stateless_normal([n, 4], runtime.stream_seed(seed, name)) for name in self.names}

    monkeypatch.setattr(Oracle, "generate", generate)
    found = judge.Coherence(Oracle(), split(attributes(60)), {"a": None, "b": None}, HOW).report(ATTRIBUTES)
    # Each of four attributes agrees with probability 1/2: a share has the variance 1/16.
    assert found["coherence_standard_error"]["random"] == pytest.approx(0.25 / np.sqrt(3000), rel=0.05)
    assert found["coherence"]["random"] == pytest.approx(0.5, abs=4 * 0.25 / np.sqrt(3000))


def test_a_subset_that_no_example_has_whole_is_left_out(told):
    there = {"a": np.arange(40) < 20, "b": np.arange(40) >= 20}
    labels = np.tile(attributes(20)[:, :2], (2, 2))
    test = split(labels, there)
    found = judge.Coherence(Oracle(), test, {"a": None, "b": None}, HOW).report(ATTRIBUTES)
    assert set(found["coherence"]) == {"random", "a<-a", "b<-a", "a<-b", "b<-b"}
    assert found["coherence"]["a<-a"] == 1.0


class Encoder:
    """A model whose posterior means are the values of a, with noise where b is given alone."""

    names = ("a", "b")

    def posteriors(self, values, mask=None):
        class Mean:
            def __init__(self, x):
                self.mean = lambda: tf.convert_to_tensor(x)

        noise = tf.random.stateless_normal(tf.shape(values["b"]), [1, 2])
        return {("a",): Mean(values["a"] + noise), ("b",): Mean(noise), ("a", "b"): Mean(values["a"] + noise)}

    def encode(self, values, mask=None):
        return Codes({}, {})


def test_probes_of_attributes_are_their_mean_average_precision(caplog):
    train, test = attributes(900, 1), attributes(700, 2)
    data = data_of(split(train), split(test))
    found = judge.latent_probes(Encoder(), data, data.test, HOW)
    assert set(found["probe"]) == set(found["probe_one_batch"]) == set(found["probe_by_label"]) == {"a", "b", "a,b"}
    for key, scores in found["probe_by_label"].items():
        assert set(scores) == {"half", "rare", "most"}
        assert found["probe"][key] == pytest.approx(np.mean(list(scores.values())), abs=1e-4)
    share = judge.prevalence(data.test, ATTRIBUTES)
    assert found["probe_by_label"]["b"]["rare"] == pytest.approx(share["rare"], abs=0.06)
    # 4 standard deviations of noise between those with an attribute and those without.
    assert found["probe_by_label"]["a"]["most"] > 0.98
    assert found["probe_left_out"] == {key: ["never"] for key in ("a", "b", "a,b")}
    assert "probe leaves out" in caplog.text


def test_attributes_that_one_batch_lacks_are_named(monkeypatch):
    monkeypatch.setattr(judge.probes, "PAPERS_BATCH", 8)
    names = ("half", "rare")
    train, test = attributes(400, 1)[:, :2], attributes(400, 2)[:, :2]
    chosen = np.random.default_rng(HOW.evaluation_seed).permutation(400)[:8]
    train[chosen, 1] = 0
    values = {"a": (4.0 * train).astype(np.float32), "b": (4.0 * train).astype(np.float32)}
    data = data_of(dataclasses.replace(split(train), pools=values), split(test), names)
    found = judge.latent_probes(Encoder(), data, data.test, HOW)
    assert "probe_left_out" not in found
    assert found["probe_one_batch_left_out"]["a"] == ["rare"]
    assert set(found["probe_by_label"]["a"]) == set(names)


@pytest.mark.parametrize("examples", [20, 142])
def test_few_examples_suffice(examples, told):
    label = np.arange(examples) % 3
    values = np.eye(3, dtype=np.float32)[label]
    few = Split({"a": values, "b": values}, dict.fromkeys("ab", np.arange(examples)), label)
    data = data_of(few, few, ("x", "y", "z"))
    found = judge.latent_probes(Encoder(), data, few, HOW)
    assert found["probe"] == found["probe_one_batch"]
    scores = judge.Coherence(Oracle(), few, {"a": None, "b": None}, HOW).report(data.class_names)
    assert scores["coherence"]["b<-a"] == 1.0
    assert "coherence_by_label" not in scores


def test_without_labels_there_is_no_score_and_no_classifier():
    bare = dataclasses.replace(split(attributes(30)), label=None)
    data = data_of(bare, bare, ())
    assert judge.score_name(data) is None
    assert judge.train_classifiers(data, HOW) == {}
    judge.check_labels(data, bare)


def test_labels_that_divide_nothing_are_refused_before_any_work():
    good, constant = split(attributes(30)), split(np.zeros((30, 4), np.int64))
    judge.check_labels(data_of(good, good), good)
    for train, test, words in ((good, constant, "30 test examples"), (constant, good, "30 training examples")):
        with pytest.raises(UserError, match=words):
            judge.check_labels(data_of(train, test), test)
    assert judge.score_name(data_of(good, good)) == "average_precision"
    classes = split(np.zeros(30, int)[:, None])
    assert judge.score_name(data_of(*[dataclasses.replace(classes, label=np.zeros(30, int))] * 2)) == "accuracy"


def test_classifiers_are_those_of_the_catalog_with_its_epochs(monkeypatch, tmp_path):
    asked = []

    def cached(build, values, labels, **how):
        asked.append((build(), len(values), labels.shape, how["epochs"], how["test"][1].shape))
        return asked[-1][0]

    monkeypatch.setattr(judge.labels.classifier, "cached", cached)
    monkeypatch.setattr(catalog, "classifier_of", lambda dataset, m: lambda *args, seed: (dataset, *args, seed))
    monkeypatch.setattr(catalog, "classifier_epochs", lambda dataset, name: {"a": 40}.get(name))
    data = data_of(split(attributes(30)), split(attributes(20)))
    found = judge.train_classifiers(data, dataclasses.replace(HOW, cache_dir=str(tmp_path)))
    seeds = {n: runtime.derived_seed(HOW.evaluation_seed, f"classifier/{n}") for n in data.names}
    assert found == {m.name: ("toy", m, 4, seeds[m.name]) for m in data.modalities}
    assert [a[1:] for a in asked] == [(30, (30, 4), 40, (20, 4)), (30, (30, 4), None, (20, 4))]


def test_classifiers_on_test_data_are_the_ceiling_of_each_attribute(monkeypatch):
    monkeypatch.setattr(judge.labels.classifier, "predict_scores", lambda model, values: model(values))

    class Model:
        output_shape = (None, 4)
        name = "model"

        def __init__(self, factor):
            self._factor = factor

        def __call__(self, values):
            return values * self._factor

    data = data_of(split(attributes(30)), split(attributes(900)))
    found = judge.classifier_scores(data, {"a": Model(1.0), "b": Model(-1.0)})
    assert found["classifier_average_precision"]["a"] == 1.0
    assert found["classifier_by_label"]["a"] == {"half": 1.0, "rare": 1.0, "most": 1.0}
    # All scores are one of two: the wrong threshold comes first and finds nothing, the other finds all.
    assert found["classifier_by_label"]["b"] == pytest.approx(
        {n: x for n, x in judge.prevalence(data.test, ATTRIBUTES).items() if x}, abs=1e-4
    )


MASK = {n: np.random.default_rng(k).uniform(size=11) > 0.4 for k, n in enumerate(("vector", "image"))}
MASK["text"] = np.random.default_rng(9).uniform(size=11) > 0.4
MASK["text"] |= ~(MASK["vector"] | MASK["image"])


def with_holes(values, mask):
    """NaN or -1 in the gaps."""
    there = {n: (mask or {}).get(n, np.ones(len(x), bool)).reshape(-1, *[1] * (x.ndim - 1)) for n, x in values.items()}
    return {n: np.where(there[n], x, np.asarray(np.nan if x.dtype.kind == "f" else -1, x.dtype)) for n, x in values.items()}


@pytest.mark.parametrize("kind", toys.MODELS)
@pytest.mark.parametrize("mask", [None, MASK])
def test_terms_are_means_over_the_examples_that_have_what_they_are_about(kind, mask, monkeypatch):
    """Over batches of 4, 4 and 3 examples, each with noise of its own; weighted by examples and not by batches."""
    monkeypatch.setattr(judge.batches, "BATCH", 4)
    model, values = toys.model(kind, 2), toys.values(11)
    split = Split(with_holes(values, mask), {n: np.arange(11) for n in values}, None, mask)
    found = judge.objective_terms(model, split, 7, EvaluateConfig(evaluation_seed=5))
    totals, counts = dict.fromkeys(found, 0.0), dict.fromkeys(found, 0)
    for number, rows in enumerate((slice(0, 4), slice(4, 8), slice(8, 11))):
        part = {n: v[rows] for n, v in values.items()}
        there = mask and {n: m[rows] for n, m in mask.items()}
        size = len(part["text"])
        terms = model.terms(part, there, Noise(tf.constant([5, number]), size), 7)
        for name, about in model.terms_about().items():
            weights = np.all([np.ones(size, bool), *(there[n] for n in about if there)], axis=0)
            totals[name] += float(np.sum(terms[name].numpy()[weights], dtype=np.float64))
            counts[name] += weights.sum()
    assert list(found) == list(model.terms_about())
    assert found == pytest.approx({name: totals[name] / counts[name] for name in found}, rel=1e-5, abs=1e-4)
    assert found == {name: round(value, 4) for name, value in found.items()}


@pytest.mark.parametrize("make", [lambda: toys.model("mmvae", 2, 2), lambda: games.model(count=2)], ids=["mmvae", "game"])
def test_what_is_judged_of_an_example_is_its_own(make, monkeypatch):
    """Neither what fills its gaps nor which modalities other examples have, in its batch or in others, changes it."""
    monkeypatch.setattr(judge.batches, "BATCH", 4)
    # As many scores from each modality.
    told = staticmethod(lambda classifier, values: values.reshape(len(values), -1)[:, :3])
    monkeypatch.setattr(Told, "predict_scores", told)
    monkeypatch.setattr(judge.coherence, "classifier", Told)
    model, values, label = make(), toys.values(11, count=2), np.arange(11) % 3
    rows = {n: np.arange(11) for n in values}
    there = {"vector": np.arange(11) % 3 > 0, "image": np.arange(11) % 3 < 2}
    # Every second example has everything there.
    company = {n: m | (np.arange(11) % 2 == 1) for n, m in there.items()}
    splits = Split(with_holes(values, there), rows, label, there), Split(values, rows, label, company)
    for measure in (judge.code_means, _logits):
        found, wanted = (tf.nest.flatten(measure(model, split)) for split in splits)
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one[::2], other[::2], rtol=1e-5, atol=1e-6)


def _logits(model, split):
    """By `Y<-K` what `Coherence` judges, `[N, 3]`: NaN of examples that do not have all of K."""
    found = judge.Coherence(model, split, dict.fromkeys(model.names), HOW)._conditional_logits()["coherence"]
    return {key: _spread(x, split.has(key.split("<-")[1].split(","))) for key, x in found.items()}


def _spread(logits, there):
    found = np.full((len(there), logits.shape[1]), np.nan)
    found[there] = logits
    return found


def test_a_term_about_a_modality_that_no_example_has_is_left_out():
    values = toys.values(6)
    mask = {"vector": np.zeros(6, bool), "image": np.ones(6, bool), "text": np.ones(6, bool)}
    split = Split(values, {n: np.arange(6) for n in values}, None, mask)
    found = judge.objective_terms(toys.model("mmjsd", 2), split, 0, EvaluateConfig())
    assert {"log_likelihood/image", "log_likelihood/text", "loss"} <= set(found)
    assert not [name for name in found if name.endswith("/vector")]


def test_values_of_a_whole_pool_are_not_copied():
    test = split(attributes(30))
    assert judge.unimodal(test, "a")[0] is test.pools["a"]
    some = test.at(np.array([5, 3, 5, 8]))
    values, labels = judge.unimodal(some, "a")
    np.testing.assert_array_equal(values, test.pools["a"][[3, 5, 8]])
    np.testing.assert_array_equal(labels, test.label[[3, 5, 8]])


def test_bootstrap_errors_are_those_of_the_scores_that_were_judged(told):
    test = split(attributes(200))
    judged = judge.Coherence(Oracle(), test, {"a": None, "b": None}, HOW)
    logits = judged._conditional_logits()["coherence"]["a<-b"]
    expected = precision.bootstrap_error(logits, test.label, HOW.evaluation_seed)
    assert judged.report(ATTRIBUTES)["coherence_standard_error"]["a<-b"] == round(expected, 4)


@pytest.fixture(autouse=True)
def at_warning_level(caplog):
    caplog.set_level(logging.WARNING, judge.__name__)
