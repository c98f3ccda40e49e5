"""What linear probes are given, and what they find in codes that know the labels, or nothing of them."""

import logging

import numpy as np
import pytest
import tensorflow as tf
import toys
from small_evaluations import data_of, split_of, with_holes

from mmtf import evaluation
from mmtf.config import EvaluateConfig
from mmtf.modality import Modality, subsets
from mmtf.models.encoders import Codes

HOW = EvaluateConfig()
ATTRIBUTES = ("half", "rare", "never", "most")
MODALITIES = tuple(Modality(n, (len(ATTRIBUTES),), "normal") for n in "ab")
COUNT = 70
MASK = {n: np.random.default_rng(k).uniform(size=COUNT) > 0.3 for k, n in enumerate(("vector", "image", "text"))}
MASK["text"] |= ~(MASK["vector"] | MASK["image"])


class Encoder:
    """A model whose posterior means are the values of a, with noise where b is given alone."""

    names = ("a", "b")

    def posteriors(self, values, mask=None):
        class Mean:
            def __init__(self, x):
                self.mean = lambda: tf.convert_to_tensor(x)
                self.stddev = lambda: tf.ones_like(x)

        noise = tf.random.stateless_normal(tf.shape(values["b"]), [1, 2])
        return {("a",): Mean(values["a"] + noise), ("b",): Mean(noise), ("a", "b"): Mean(values["a"] + noise)}

    def encode(self, values, mask=None):
        return Codes({}, {})


def attributes(n, seed=0):
    prevalence = np.array([0.5, 0.1, 0.0, 0.8])
    return (np.random.default_rng(seed).uniform(size=(n, len(ATTRIBUTES))) < prevalence).astype(np.int64)


def split(labels):
    values = (4.0 * labels - 2.0).astype(np.float32)
    return split_of({"a": values, "b": values}, label=labels)


@pytest.fixture(autouse=True)
def at_warning_level(caplog):
    caplog.set_level(logging.WARNING, evaluation.__name__)


@pytest.fixture(scope="module")
def model():
    return toys.model("mvae", 2)


@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "with gaps"])
def test_code_means_are_those_of_the_verbs(model, mask, monkeypatch):
    """In batches, for every subset; where a subset is all there, missing values elsewhere change nothing."""
    monkeypatch.setattr(evaluation.batches, "BATCH", 30)
    values = toys.values(COUNT)
    test = split_of(with_holes(values, mask), mask)
    found = evaluation.code_means(model, test)
    for subset in subsets(model.names):
        there = test.has(subset)
        assert there.sum() == (COUNT if mask is None else np.all([mask[n] for n in subset], axis=0).sum())
        expected = model.posterior(values, subset).mean().numpy()
        np.testing.assert_allclose(found["shared"][subset][there], expected[there], rtol=1e-4, atol=1e-5)
    codes, there = model.encode({"image": values["image"]}), test.has(["image"])
    private = codes.private["image"].mean().numpy()
    np.testing.assert_allclose(found["private"]["image",][there], private[there], rtol=1e-4, atol=1e-5)
    both = np.concatenate([found[k]["image",] for k in ("shared", "private")], -1)
    np.testing.assert_array_equal(found["both"]["image",], both)


def test_each_probe_reads_its_own_codes(monkeypatch):
    """Of the shared code a subset's, of private ones the modality's; with the labels, on few or on many training examples."""
    monkeypatch.setattr(evaluation.probes, "PAPERS_BATCH", 50)
    label = {
        part: np.random.default_rng(k).integers(0, 2, size) for k, (part, size) in enumerate({"fit": 90, "test": 80}.items())
    }
    fit, test = (split_of({"a": np.zeros((len(y), 2), np.float32)}, label=y) for y in label.values())
    seen = []

    class Known(Encoder):
        names = ("a",)

    def means(model, split, graph):
        # The shared code tells the class, the private one half of the time.
        y = split.label[:, None].astype(float)
        private = np.where(np.arange(len(y))[:, None] % 2 == 0, y, 0.0)
        return {"shared": {("a",): y}, "private": {("a",): private}, "both": {("a",): np.concatenate([y, private], -1)}}

    def score(given, labels, codes, wanted):
        seen.append((len(given), codes.shape[1]))
        return np.mean((codes[:, 0] > 0.5) == wanted)

    monkeypatch.setattr(evaluation.probes, "code_means", means)
    monkeypatch.setattr(evaluation.probes.probe, "linear_probe", score)
    found = evaluation.latent_probes(Known(), data_of((), fit, test), test, EvaluateConfig(probe_examples=60))
    private = round(float(np.mean((test.label == 0) | (np.arange(80) % 2 == 0))), 4)
    assert found == {
        "probe": {"a": 1.0},
        "probe_one_batch": {"a": 1.0},
        "probe_private": {"a": private},
        "probe_both": {"a": 1.0},
    }
    assert seen == [(60, 1), (50, 1), (60, 1), (60, 2)]


def test_probes_of_attributes_are_their_mean_average_precision(caplog):
    train, test = split(attributes(900, 1)), split(attributes(700, 2))
    found = evaluation.latent_probes(Encoder(), data_of(MODALITIES, train, test, ATTRIBUTES), test, HOW)
    assert set(found["probe"]) == set(found["probe_one_batch"]) == set(found["probe_by_label"]) == {"a", "b", "a,b"}
    for key, scores in found["probe_by_label"].items():
        assert set(scores) == {"half", "rare", "most"}
        assert found["probe"][key] == pytest.approx(np.mean(list(scores.values())), abs=1e-4)
    assert found["probe_by_label"]["b"]["rare"] == pytest.approx(evaluation.prevalence(test, ATTRIBUTES)["rare"], abs=0.06)
    # 4 standard deviations of noise between those with an attribute and those without.
    assert found["probe_by_label"]["a"]["most"] > 0.98
    assert found["probe_left_out"] == {key: ["never"] for key in ("a", "b", "a,b")}
    assert "probe leaves out" in caplog.text


def test_attributes_that_one_batch_lacks_are_named(monkeypatch):
    monkeypatch.setattr(evaluation.probes, "PAPERS_BATCH", 8)
    names = ("half", "rare")
    train, test = attributes(400, 1)[:, :2], attributes(400, 2)[:, :2]
    chosen = np.random.default_rng(HOW.evaluation_seed).permutation(400)[:8]
    train[chosen, 1] = 0
    found = evaluation.latent_probes(Encoder(), data_of(MODALITIES, split(train), split(test), names), split(test), HOW)
    assert "probe_left_out" not in found
    assert found["probe_one_batch_left_out"]["a"] == ["rare"]
    assert set(found["probe_by_label"]["a"]) == set(names)


@pytest.mark.parametrize("examples", [20, 142])
def test_few_examples_suffice(examples):
    label = np.arange(examples) % 3
    values = np.eye(3, dtype=np.float32)[label]
    few = split_of({"a": values, "b": values}, label=label)
    found = evaluation.latent_probes(Encoder(), data_of(MODALITIES, few, few, ("x", "y", "z")), few, HOW)
    assert found["probe"] == found["probe_one_batch"]


def test_a_probe_of_one_class_is_left_out(caplog):
    """Only examples of class 0 have a and b together."""
    label = np.arange(90) % 3
    there = {"vector": (label == 0) | (np.arange(90) % 2 == 0), "image": (label == 0) | (np.arange(90) % 2 == 1)}
    there["text"] = np.ones(90, bool)
    few = split_of(toys.values(90), there, label)
    found = evaluation.latent_probes(toys.model("mmjsd"), data_of(toys.modalities(), few, few, tuple("xyz")), few, HOW)
    assert set(found["probe"]) == {"vector", "image", "text", "vector,text", "image,text"}
    assert "probe leaves out vector, image, which training examples of one class alone have" in caplog.text
