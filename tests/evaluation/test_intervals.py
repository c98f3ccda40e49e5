"""Intervals of coherence: of the examples that have what is given, and of as many sources as there are."""

import numpy as np
import pytest
import tensorflow as tf
from small_evaluations import ByTranslation, FirstNumber

from mmtf import evaluation
from mmtf.config import EvaluateConfig
from mmtf.data.dataset import Split
from mmtf.metrics import intervals
from mmtf.modality import Modality

CLASSES, SAMPLES = 4, 800
HOW = EvaluateConfig(random_samples=SAMPLES)


class Reader(ByTranslation):
    """Shows the class that the first given value tells, of a wrongly for some values."""

    names = ("a", "b")
    modalities = {n: Modality(n, (2,), "normal") for n in names}  # noqa: RUF012

    def translate(self, values, to=None, mask=None, seed=None, mean=False):
        return dict.fromkeys(to, next(iter(values.values())))

    def generate(self, n, seed, mean=False):
        drawn = tf.random.stateless_uniform([n, 2], seed, 0, CLASSES, tf.int32)
        a, b = (tf.repeat(tf.cast(x, tf.float32)[:, None], 2, axis=1) for x in tf.unstack(drawn, axis=1))
        return {"a": a, "b": b}


@pytest.fixture
def report(monkeypatch):
    monkeypatch.setattr(evaluation.generation, "classifier", FirstNumber)
    return lambda test: evaluation.Coherence(Reader(), test, {"a": None, "b": None}, HOW).report(tuple("wxyz"))


def values(count, label, wrong, seed):
    """Values that tell their class, but for a share of them."""
    shift = np.random.default_rng(seed).uniform(size=count) < wrong
    return np.repeat((label + shift).astype(np.float32)[:, None], 2, axis=1)


def as_shown(estimate):
    return [round(estimate.low, 4), round(estimate.high, 4)], round(estimate.standard_error, 4)


def shown(found, key):
    return found["coherence_interval"][key], found["coherence_standard_error"][key]


@pytest.mark.parametrize("copies", [1, 8])
def test_intervals_count_sources_and_not_pairs(report, copies):
    """Each a in eight pairs, each pair with a b of its own."""
    own = np.arange(50) % CLASSES
    rows, label = np.repeat(np.arange(50), copies), np.repeat(own, copies)
    pools = {"a": values(50, own, 0.4, 1), "b": values(50 * copies, label, 0.4, 2)}
    test = Split(pools, {"a": rows, "b": np.arange(50 * copies)}, label)
    found = report(test)
    assert found["coherence_interval"].keys() == found["coherence_standard_error"].keys() == found["coherence"].keys()
    for given in "ab":
        hits = pools[given][test.rows[given], 0] == label
        wanted = intervals.share(hits, clusters=rows if copies > 1 else None)
        for target in "ab":
            assert shown(found, f"{target}<-{given}") == as_shown(wanted)
            assert found["coherence"][f"{target}<-{given}"] == round(hits.mean(), 4)
    if copies > 1:
        # What depends on a alone is told as often as there are a; what each pair has of its own, in every pair.
        error = {given: found["coherence_standard_error"][f"a<-{given}"] for given in "ab"}
        share = {given: found["coherence"][f"a<-{given}"] for given in "ab"}
        independent = {given: np.sqrt(p * (1 - p) / (50 if given == "a" else 400)) for given, p in share.items()}
        assert error == pytest.approx(independent, rel=0.2)
    # Samples from the priors are independent, whatever the test examples are.
    hits = np.zeros(SAMPLES)
    hits[: round(found["coherence"]["random"] * SAMPLES)] = 1
    assert shown(found, "random") == as_shown(intervals.share(hits))


def test_intervals_are_of_the_examples_that_have_what_is_given(report):
    """Those without a have no source in common, though one row stands for all that is missing."""
    label = np.arange(90) % CLASSES
    there = {"a": np.arange(90) < 30, "b": np.arange(90) >= 20}
    rows = {"a": np.where(there["a"], np.arange(90), 0), "b": np.arange(90)}
    pools = {n: values(90, label, 0.3, k) for k, n in enumerate("ab")}
    test = Split(pools, rows, label, there)
    found = report(test)
    for given in "ab":
        hits = (pools[given][:, 0] == label)[there[given]]
        assert shown(found, f"a<-{given}") == as_shown(intervals.share(hits))
    assert shown(found, "b<-a,b") == as_shown(intervals.share((pools["a"][:, 0] == label)[20:30]))


def test_a_single_source_counts_as_what_it_has(report):
    label = np.zeros(30, np.int64)
    pools = {"a": np.zeros((1, 2), np.float32), "b": values(30, label, 0.3, 0)}
    found = report(Split(pools, {"a": np.zeros(30, np.int64), "b": np.arange(30)}, label))
    assert shown(found, "a<-b") == as_shown(intervals.share(pools["b"][:, 0] == 0))
    assert found["coherence_interval"]["b<-a"][1] == 1.0
