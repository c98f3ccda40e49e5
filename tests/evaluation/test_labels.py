"""Classifiers and what they are asked: of many labels, of none, and of the values that are there."""

import dataclasses

import numpy as np
import pytest
from small_evaluations import data_of, split_of

from mmtf import evaluation, registry, text
from mmtf.config import EvaluateConfig
from mmtf.data import digits
from mmtf.distributed import random
from mmtf.errors import UserError
from mmtf.modality import Modality

HOW = EvaluateConfig()
ATTRIBUTES = ("half", "rare", "never", "most")
MODALITIES = tuple(Modality(n, (len(ATTRIBUTES),), "normal") for n in "ab")


def split(n, seed=0):
    """Values that are scores of attributes."""
    labels = (np.random.default_rng(seed).uniform(size=(n, 4)) < (0.5, 0.1, 0.0, 0.8)).astype(np.int64)
    values = (4.0 * labels - 2.0).astype(np.float32)
    return split_of({"a": values, "b": values}, label=labels)


def data(train, test):
    return data_of(MODALITIES, train, test, ATTRIBUTES)


def test_without_labels_there_is_no_score_and_no_classifier():
    bare = dataclasses.replace(split(30), label=None)
    assert evaluation.score_name(data(bare, bare)) is None
    assert evaluation.train_classifiers(data(bare, bare), HOW) == {}
    evaluation.check_labels(data(bare, bare), bare)


def test_labels_that_divide_nothing_are_refused_before_any_work():
    good, constant = split(30), dataclasses.replace(split(30), label=np.zeros((30, 4), np.int64))
    evaluation.check_labels(data(good, good), good)
    for train, test, words in ((good, constant, "30 test examples"), (constant, good, "30 training examples")):
        with pytest.raises(UserError, match=words):
            evaluation.check_labels(data(train, test), test)
    assert evaluation.score_name(data(good, good)) == "average_precision"
    classes = dataclasses.replace(good, label=np.zeros(30, int))
    assert evaluation.score_name(data(classes, classes)) == "accuracy"


def test_classifiers_are_those_of_the_catalog_with_its_epochs(monkeypatch, tmp_path):
    asked = []

    def cached(build, values, labels, **how):
        asked.append((build(), len(values), labels.shape, how["epochs"], how["test"][1].shape, how["seed"], how["key_parts"]))
        return asked[-1][0]

    monkeypatch.setattr(evaluation.labels.classifier, "cached", cached)
    monkeypatch.setattr(registry, "classifier_of", lambda dataset, m: lambda *args, seed: (dataset, *args, seed))
    monkeypatch.setattr(registry, "classifier_epochs", lambda dataset, name: {"a": 40}.get(name))
    found = evaluation.train_classifiers(data(split(30), split(20)), dataclasses.replace(HOW, cache_dir=str(tmp_path)))
    seeds = {n: random.derived_seed(HOW.evaluation_seed, f"classifier/{n}") for n in "ab"}
    assert found == {m.name: ("toy", m, 4, seeds[m.name]) for m in MODALITIES}
    assert [a[1:] for a in asked] == [
        (30, (30, 4), epochs, (20, 4), seeds[n], {"dataset": "toy", "modality": n}) for n, epochs in (("a", 40), ("b", None))
    ]


def test_classifiers_on_test_data_are_the_ceiling_of_each_attribute(monkeypatch):
    monkeypatch.setattr(evaluation.labels.classifier, "predict_scores", lambda model, values: model(values))

    class Model:
        output_shape = (None, 4)
        name = "model"

        def __init__(self, factor):
            self._factor = factor

        def __call__(self, values):
            return values * self._factor

    whole = data(split(30), split(900))
    found = evaluation.classifier_scores(whole, {"a": Model(1.0), "b": Model(-1.0)})
    assert found["classifier_average_precision"]["a"] == 1.0
    assert found["classifier_by_label"]["a"] == {"half": 1.0, "rare": 1.0, "most": 1.0}
    # All scores are one of two: the wrong threshold comes first and finds nothing, the other finds all.
    assert found["classifier_by_label"]["b"] == pytest.approx(
        {n: x for n, x in evaluation.prevalence(whole.test, ATTRIBUTES).items() if x}, abs=1e-4
    )


def test_values_of_a_whole_pool_are_not_copied():
    test = split(30)
    assert evaluation.unimodal(test, "a")[0] is test.pools["a"]
    some = test.at(np.array([5, 3, 5, 8]))
    values, labels = evaluation.unimodal(some, "a")
    np.testing.assert_array_equal(values, test.pools["a"][[3, 5, 8]])
    np.testing.assert_array_equal(labels, test.label[[3, 5, 8]])


def test_unimodal_values_keep_their_classes():
    found = digits.load(pairings=2, scenes_per_digit=1)
    values, labels = evaluation.unimodal(found.train, "word")
    assert [w.strip() for w in text.decode(values)] == [found.class_names[c] for c in labels]
    assert len(evaluation.unimodal(found.train, "digit")[0]) == 1400
