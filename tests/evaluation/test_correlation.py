"""Correlations of linear models, which are known, and of what is left out of them."""

import dataclasses

import adversarial_toys
import numpy as np
import pytest
import tensorflow as tf
import toys
from small_evaluations import ByTranslation, data_of, split_of, with_holes

from mmtf import evaluation
from mmtf.config import EvaluateConfig
from mmtf.modality import Modality

HOW = EvaluateConfig(quality_samples=1500, probe_examples=2000)
RHO = 0.8


def cosine(rho):
    """Of one dimension, mean cosine of pairs correlated by rho: they have the same sign with probability 1/2 + asin(rho)/pi."""
    return 2 / np.pi * np.arcsin(rho)


def pairs(count, rho=RHO, seed=0):
    x, noise = np.random.default_rng(seed).normal(size=(2, count, 1))
    return {"x": (3 + 2 * x).astype(np.float32), "y": (5 - 0.1 * (rho * x + np.sqrt(1 - rho**2) * noise)).astype(np.float32)}


class Linear(ByTranslation):
    """Generates pairs of one correlation from the priors, and the other of a pair with another one."""

    def __init__(self, joint, cross, names=("x", "y")):
        self.names = names
        self.modalities = {n: Modality(n, (1,), "normal") for n in names}
        self._joint, self._cross = joint, cross

    def generate(self, n, seed, mean=False):
        x, noise = (tf.random.stateless_normal([n, 1], [seed[0], seed[1] + k]) for k in (10**6, 2 * 10**6))
        y = self._joint * x + np.sqrt(1 - self._joint**2) * noise
        return {"x": 3 + 2 * x, "y": 5 - 0.1 * y}

    def translate(self, values, to=None, mask=None, seed=None, mean=False):
        count = tf.shape(next(iter(values.values())))[0]
        if len(values) == 2:
            return self.generate(count, seed)
        ((given, value),) = values.items()
        u = (value - 3) / 2 if given == "x" else (5 - value) / 0.1
        v = self._cross * u + np.sqrt(1 - self._cross**2) * tf.random.stateless_normal([count, 1], seed)
        return {n: 3 + 2 * v if n == "x" else 5 - 0.1 * v for n in to}


def measured(model, train, test, how=HOW, names=None):
    data = data_of(model.modalities.values(), train, test)
    features = evaluation.Features({n: m for n, m in model.modalities.items() if names is None or n in names}, {})
    return evaluation.correlations(model, data, test, features, how)


@pytest.mark.parametrize(("joint", "cross"), [(0.5, 0.95), (0.0, 0.0), (-0.5, RHO)])
def test_correlations_are_those_of_the_linear_model(joint, cross):
    found = measured(Linear(joint, cross), split_of(pairs(2000)), split_of(pairs(1500, seed=1)))["cca"]["x,y"]
    assert found["dimensions"] == 1
    assert set(found["cross"]) == {"y<-x", "x<-y"}
    wanted = [(found["ground_truth"], RHO), (found["joint"], joint), (found["synergy"], joint)]
    for estimate, rho in wanted + [(part, cross) for part in found["cross"].values()]:
        assert abs(estimate["value"] - cosine(rho)) < 4 * estimate["standard_error"]
        assert estimate["standard_error"] == pytest.approx(np.sqrt((1 - cosine(rho) ** 2) / 1500), rel=0.1)
        assert estimate["low"] < estimate["value"] < estimate["high"]


def test_order_does_not_count():
    model, train, test = Linear(0.3, 0.9), split_of(pairs(400)), split_of(pairs(300, seed=1))
    turned = Linear(0.3, 0.9, ("y", "x"))
    one, other = measured(model, train, test)["cca"]["x,y"], measured(turned, train, test)["cca"]["y,x"]
    assert one.keys() == other.keys()
    for key in ("ground_truth", "joint", "synergy"):
        assert one[key] == pytest.approx(other[key], abs=1e-4)
    for key, estimate in one["cross"].items():
        assert estimate == pytest.approx(other["cross"][key], abs=1e-4)


class Copying(ByTranslation):
    """All values of an example are one and the same."""

    def __init__(self, width):
        self.names = ("x", "y")
        self.modalities = {n: Modality(n, (width,), "normal") for n in self.names}

    def generate(self, n, seed, mean=False):
        return dict.fromkeys(self.names, tf.random.stateless_normal([n, *self.modalities["x"].event_shape], seed))

    def translate(self, values, to=None, mask=None, seed=None, mean=False):
        return dict.fromkeys(to, values.get("x", values.get("y")))


@pytest.mark.parametrize(("examples", "width", "dimensions"), [(200, 7, 7), (6, 7, 5), (3, 7, 2), (300, 60, 40)])
def test_what_is_the_same_correlates_wholly_in_as_many_dimensions_as_there_are(examples, width, dimensions):
    """And by no rounding more than that."""
    x, y = (np.random.default_rng(seed).normal(size=(examples, width)).astype(np.float32) for seed in (0, 1))
    train, test = (split_of({"x": z, "y": z}) for z in (x, y))
    found = measured(Copying(width), train, test)["cca"]["x,y"]
    assert found["dimensions"] == dimensions
    everything = [found["ground_truth"], found["joint"], found["synergy"], *found["cross"].values()]
    assert all(part["value"] == 1.0 >= part["high"] for part in everything)


def test_pairs_of_one_value_say_less_of_the_data_but_not_of_samples():
    """Each x in ten pairs, with its own y: samples from the priors are independent all the same."""
    values = pairs(300, seed=1)
    rows = {n: np.tile(np.arange(300), 10) for n in values}
    model, train = Linear(0.5, 0.9), split_of(pairs(2000))
    found = measured(model, train, split_of(values, rows=rows))["cca"]["x,y"]
    assert found["ground_truth"]["standard_error"] == pytest.approx(np.sqrt((1 - cosine(RHO) ** 2) / 300), rel=0.1)
    assert found["joint"]["standard_error"] == pytest.approx(np.sqrt((1 - cosine(0.5) ** 2) / 1500), rel=0.05)
    # Of one source nothing is known but the value.
    of_one = split_of(values, rows={"x": np.zeros(300, np.int64), "y": np.arange(300)})
    found = measured(model, train, of_one)["cca"]["x,y"]
    assert set(found["ground_truth"]) == {"value"}
    assert found["joint"]["standard_error"] == pytest.approx(np.sqrt((1 - cosine(0.5) ** 2) / 1500), rel=0.05)


def test_what_cannot_be_measured_is_left_out():
    model, train, test = Linear(0.5, 0.9), split_of(pairs(30)), split_of(pairs(30, seed=1))
    assert measured(model, train, test, names=("x",)) == {}
    assert measured(model, train.first(2), test) == {}
    assert measured(model, train, test.first(1)) == {}
    none = {"x": np.arange(30) < 15, "y": np.arange(30) >= 15}
    assert measured(model, train, dataclasses.replace(test, mask=none)) == {}
    assert measured(model, dataclasses.replace(train, mask=none), test) == {}
    # Few suffice.
    assert "value" in measured(model, train.first(3), test.first(2))["cca"]["x,y"]["ground_truth"]


@pytest.mark.parametrize(
    "make", [lambda: toys.model("mmvae", 2, 2), lambda: adversarial_toys.model(count=2)], ids=["mmvae", "game"]
)
def test_pairs_are_those_that_are_whole_and_fillings_change_nothing(make):
    model, found = make(), []
    mask = {n: np.arange(48) % (4 + k) > 0 for k, n in enumerate(model.names)}
    values = toys.values(48, count=2)
    zeros = {n: np.where(mask[n].reshape(-1, *[1] * (x.ndim - 1)), x, np.zeros_like(x)) for n, x in values.items()}
    for filled in (zeros, with_holes(values, mask)):
        split = split_of(filled, mask)
        found.append(evaluation.correlations(model, data_of((), split, split), split, Flat(model.names), HOW))
    assert found[0] == found[1]
    assert set(found[0]["cca"]) == {"vector,image"}
    assert found[0]["cca"]["vector,image"]["dimensions"] == 4


class Flat:
    """Features that are the numbers of a value."""

    def __init__(self, names):
        self._names = names

    def __contains__(self, name):
        return name in self._names

    def of(self, name, values):
        return np.asarray(values, np.float32).reshape(len(values), -1)

    def of_examples(self, name, split):
        return self.of(name, split.pools[name][split.rows[name]])
