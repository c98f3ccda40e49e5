"""Coherence of models that know what they see, or half of it: of classes and of attributes."""

import logging

import adversarial_toys
import numpy as np
import pytest
import tensorflow as tf
import toys
from small_evaluations import CLASSES, ByTranslation, FirstNumber, OwnScores, eagerly, split_of, with_holes

from mmtf import evaluation
from mmtf.config import EvaluateConfig
from mmtf.distributed import random
from mmtf.metrics import precision
from mmtf.modality import Modality

HOW = EvaluateConfig(random_samples=3000)
ATTRIBUTES = ("half", "rare", "never", "most")
PREVALENCE = np.array([0.5, 0.1, 0.0, 0.8])
CLASSIFIERS = {"a": None, "b": None}


class OfClasses(ByTranslation):
    """A model that knows the class of what it sees, and shows it in the first number of all that it generates."""

    names = ("a", "b")
    modalities = {n: Modality(n, (2,), "normal") for n in names}  # noqa: RUF012

    def __init__(self, wrong=()):
        self._wrong = wrong

    def translate(self, values, to=None, mask=None, seed=None, mean=False):
        (source, value), *_ = values.items()
        return dict.fromkeys(to, value + (1.0 if source in self._wrong else 0.0))

    def generate(self, n, seed, mean=False):
        classes = tf.cast(tf.random.stateless_uniform([n, 1], seed, 0, 10, tf.int32), tf.float32)
        return {"a": classes, "b": tf.where(classes < 5, classes, classes + 1)}


class OfAttributes(ByTranslation):
    """A model whose values are scores of attributes: a shows them rightly, b is noise wherever it is given alone."""

    names = ("a", "b")
    modalities = {n: Modality(n, (len(ATTRIBUTES),), "normal") for n in names}  # noqa: RUF012

    def translate(self, values, to=None, mask=None, seed=None, mean=False):
        noise = tf.random.stateless_normal(tf.shape(next(iter(values.values()))), seed)
        return dict.fromkeys(to, values.get("a", noise))

    def generate(self, n, seed, mean=False):
        scores = tf.random.stateless_normal([n, len(ATTRIBUTES)], seed)
        return {"a": scores, "b": scores * tf.constant([1.0, 1.0, -1.0, 1.0])}


def of_classes(count=1200):
    label = np.arange(count) % 10
    pool = np.repeat(np.arange(10, dtype=np.float32)[:, None], 2, axis=1)
    return split_of({"a": pool, "b": pool}, label=label, rows={"a": label, "b": label})


def of_attributes(labels, mask=None):
    values = (4.0 * labels - 2.0).astype(np.float32)
    return split_of({"a": values, "b": values}, mask, labels)


def attributes(n, seed=0):
    return (np.random.default_rng(seed).uniform(size=(n, len(ATTRIBUTES))) < PREVALENCE).astype(np.int64)


@pytest.fixture
def classes(monkeypatch):
    monkeypatch.setattr(evaluation.generation, "classifier", FirstNumber)


@pytest.fixture
def scores(monkeypatch):
    monkeypatch.setattr(evaluation.generation, "classifier", OwnScores)


@pytest.fixture(autouse=True)
def at_warning_level(caplog):
    caplog.set_level(logging.WARNING, evaluation.__name__)


def test_coherence_of_a_model_that_knows(classes):
    found = evaluation.Coherence(OfClasses(("b",)), of_classes(), CLASSIFIERS, EvaluateConfig(random_samples=4000)).measure()
    shares = found["coherence"]
    assert set(found) == {"coherence"}
    assert [shares[k] for k in ("a<-a", "b<-a", "a<-b", "b<-b", "a<-a,b")] == [1.0, 1.0, 0.0, 0.0, 1.0]
    # The two modalities agree on the classes below 5: half of the samples, within 4 standard errors.
    assert shares["random"] == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / 4000))


class Verbs(ByTranslation):
    """Translations show the class that they see, reconstructions the next one; b is a text, of which means are soft."""

    names = ("a", "b")
    modalities = {  # noqa: RUF012
        "a": Modality("a", (1,), "normal", private_dim=1),
        "b": Modality("b", (1,), "categorical", num_classes=CLASSES),
    }

    def translate(self, values, to=None, mask=None, seed=None, mean=False, later=0.0):
        assert mean
        seen = tf.cast(next(iter(values.values())), tf.float32) + later
        soft = 0.6 * tf.one_hot(tf.cast(seen, tf.int32), CLASSES) + 0.4 / CLASSES
        return {"a": seen, "b": soft}

    def reconstruct(self, values, mask=None, seed=None, mean=False):
        return {n: x for n, x in self.translate(values, self.names, mask, seed, mean, 1.0).items() if n in values}

    def generate(self, n, seed, mean=False):
        return self.translate({"a": tf.zeros([n, 1])}, self.names, mean=mean)


def test_each_kind_of_coherence_is_of_its_own_verb(monkeypatch):
    """Own private codes come with reconstructions; the likeliest are classes, of which this reader says the next but one."""

    class Reader:
        @staticmethod
        def predict_scores(classifier, values):
            values = np.asarray(values)
            soft = values.ndim == 3
            classes = values.argmax(-1)[:, 0] if soft else values[:, 0].astype(int)
            assert not soft or values.max() < 0.7
            return np.eye(CLASSES)[classes + 2 * (values.dtype.kind == "i")]

    monkeypatch.setattr(evaluation.generation, "classifier", Reader)
    label = np.arange(40) % 8
    test = split_of({"a": label[:, None].astype(np.float32), "b": label[:, None].astype(np.int32)}, label=label)
    found = evaluation.Coherence(Verbs(), test, CLASSIFIERS, EvaluateConfig(random_samples=30)).measure()
    keys = ("a", "b", "a,b")
    assert found["coherence"] == {"random": 1.0} | {f"{n}<-{k}": 1.0 for k in keys for n in "ab"}
    # b has no private code: there is nothing else to see.
    assert found["coherence_own_private"] == {"a<-a": 0.0, "a<-a,b": 0.0, "b<-a,b": 1.0}
    assert found["coherence_likeliest"] == dict.fromkeys((f"b<-{k}" for k in keys), 0.0)
    # Read as what they are, they are right.
    for shift, kind in ((1, "coherence_own_private"), (2, "coherence_likeliest")):
        later = split_of(test.pools, label=label + shift)
        measured = evaluation.Coherence(Verbs(), later, CLASSIFIERS, EvaluateConfig(random_samples=30)).measure()
        assert {key: share for key, share in measured[kind].items() if share < 1.0} == ({"b<-a,b": 0.0} if shift == 1 else {})


def test_a_model_may_be_trained_between_two_measurements(classes):
    """Graphs are traced once, and take the weights of the moment."""

    class Trained(OfClasses):
        def __init__(self):
            self.weight = tf.Variable(0.0)

        def translate(self, values, to=None, mask=None, seed=None, mean=False):
            return dict.fromkeys(to, next(iter(values.values())) + self.weight)

    model = Trained()
    with eagerly(False):
        measured = evaluation.Coherence(model, of_classes(60), CLASSIFIERS, EvaluateConfig(random_samples=20))
        assert measured.measure()["coherence"]["b<-a"] == 1.0
        model.weight.assign(1.0)
        assert measured.measure()["coherence"]["b<-a"] == 0.0


def test_coherence_of_attributes_is_their_mean_average_precision(scores, caplog):
    test = of_attributes(attributes(1300))
    found = evaluation.Coherence(OfAttributes(), test, CLASSIFIERS, HOW).report(ATTRIBUTES)
    shares, by_label, errors = (found[f"coherence{end}"] for end in ("", "_by_label", "_standard_error"))
    assert [shares[k] for k in ("a<-a", "b<-a", "a<-a,b")] == [1.0, 1.0, 1.0]
    assert by_label["b<-a"] == {"half": 1.0, "rare": 1.0, "most": 1.0}
    share = evaluation.prevalence(test, ATTRIBUTES)
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
    assert evaluation.Coherence(OfAttributes(), test, CLASSIFIERS, HOW).measure() == {"coherence": shares}


def test_the_error_of_agreement_is_that_of_a_mean_over_samples(scores, monkeypatch):
    def generate(self, n, seed, mean=False):
        return {name: tf.random.stateless_normal([n, 4], random.stream_seed(seed, name)) for name in self.names}

    monkeypatch.setattr(OfAttributes, "generate", generate)
    found = evaluation.Coherence(OfAttributes(), of_attributes(attributes(60)), CLASSIFIERS, HOW).report(ATTRIBUTES)
    # Each of four attributes agrees with probability 1/2: a share has the variance 1/16.
    assert found["coherence_standard_error"]["random"] == pytest.approx(0.25 / np.sqrt(3000), rel=0.05)
    assert found["coherence"]["random"] == pytest.approx(0.5, abs=4 * 0.25 / np.sqrt(3000))


def test_bootstrap_errors_are_those_of_the_scores_that_were_evaluated(scores):
    test = of_attributes(attributes(200))
    evaluated = evaluation.Coherence(OfAttributes(), test, CLASSIFIERS, HOW)
    logits = evaluated._logits()[1]["coherence"]["a<-b"]
    expected = precision.bootstrap_error(logits, test.label, HOW.evaluation_seed)
    assert evaluated.report(ATTRIBUTES)["coherence_standard_error"]["a<-b"] == round(expected, 4)


def test_a_subset_that_no_example_has_whole_is_left_out(scores):
    there = {"a": np.arange(40) < 20, "b": np.arange(40) >= 20}
    test = of_attributes(np.tile(attributes(20)[:, :2], (2, 2)), there)
    found = evaluation.Coherence(OfAttributes(), test, CLASSIFIERS, HOW).report(ATTRIBUTES)
    assert set(found["coherence"]) == {"random", "a<-a", "b<-a", "a<-b", "b<-b"}
    assert found["coherence"]["a<-a"] == 1.0


@pytest.mark.parametrize("examples", [20, 142])
def test_few_examples_suffice(examples, scores):
    label = np.arange(examples) % 3
    values = np.eye(3, dtype=np.float32)[label]
    few = split_of({"a": values, "b": values}, label=label)
    found = evaluation.Coherence(OfAttributes(), few, CLASSIFIERS, HOW).report(("x", "y", "z"))
    assert found["coherence"]["b<-a"] == 1.0
    assert "coherence_by_label" not in found


@pytest.mark.parametrize(
    "make", [lambda: toys.model("mmvae", 2, 2), lambda: adversarial_toys.model(count=2)], ids=["mmvae", "game"]
)
def test_what_is_evaluated_of_an_example_is_its_own(make, monkeypatch):
    """Neither what fills its gaps nor which modalities other examples have, in its batch or in others, changes it."""
    monkeypatch.setattr(evaluation.batches, "BATCH", 4)
    # As many scores from each modality.
    told = staticmethod(lambda classifier, values: values.reshape(len(values), -1)[:, :3])
    monkeypatch.setattr(OwnScores, "predict_scores", told)
    monkeypatch.setattr(evaluation.generation, "classifier", OwnScores)
    model, values, label = make(), toys.values(11, count=2), np.arange(11) % 3
    there = {"vector": np.arange(11) % 3 > 0, "image": np.arange(11) % 3 < 2}
    # Every second example has everything there.
    company = {n: m | (np.arange(11) % 2 == 1) for n, m in there.items()}
    splits = split_of(with_holes(values, there), there, label), split_of(values, company, label)
    for measure in (evaluation.code_means, _logits):
        found, wanted = (tf.nest.flatten(measure(model, split)) for split in splits)
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one[::2], other[::2], rtol=1e-5, atol=1e-6)


def _logits(model, split):
    """By `Y<-K` what `Coherence` evaluates, `[N, 3]`: NaN of examples that do not have all of K."""
    found = evaluation.Coherence(model, split, dict.fromkeys(model.names), HOW)._logits()[1]["coherence"]
    return {key: _spread(x, split.has(key.split("<-")[1].split(","))) for key, x in found.items()}


def _spread(logits, there):
    found = np.full((len(there), logits.shape[1]), np.nan)
    found[there] = logits
    return found
