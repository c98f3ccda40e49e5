"""Precision, recall and Frechet distance of models that draw real values, some of them, or none."""

import logging

import adversarial_toys
import keras
import numpy as np
import pytest
import tensorflow as tf
import toys
from small_evaluations import ByTranslation, data_of, split_of, with_holes

from mmtf import evaluation
from mmtf.config import EvaluateConfig
from mmtf.distributed import random
from mmtf.metrics import prd
from mmtf.modality import Modality
from mmtf.networks.classifiers import FEATURES

HOW = EvaluateConfig(quality_samples=400)
MODES = 12


class Drawing(ByTranslation):
    """Shows random ones of given values, whatever it is given."""

    def __init__(self, pools):
        self.names = tuple(pools)
        self.modalities = {n: Modality(n, x.shape[1:], "normal") for n, x in pools.items()}
        self._pools = pools

    def generate(self, n, seed, mean=False):
        drawn = {
            name: tf.random.stateless_uniform([n], random.stream_seed(seed, name), 0, len(pool), tf.int32)
            for name, pool in self._pools.items()
        }
        return {name: tf.gather(pool, drawn[name]) for name, pool in self._pools.items()}

    def translate(self, values, to=None, mask=None, seed=None, mean=False):
        found = self.generate(tf.shape(next(iter(values.values())))[0], seed)
        return {n: found[n] for n in to}


def modes(count, seed, few=MODES):
    """Points around the corners of a polygon, of which some samples have but a few."""
    rng = np.random.default_rng(seed)
    angle = 2 * np.pi * rng.integers(few, size=count) / MODES
    centre = 10 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return (centre + 0.3 * rng.normal(size=(count, 2))).astype(np.float32)


def features_of(model):
    return evaluation.Features(model.modalities, {})


PLACES = {"right": {"real", "random", "right<-half"}, "half": {"real", "random", "half<-right"}}


@pytest.fixture(scope="module")
def found():
    return quality_of({"right": modes(3000, 2), "half": modes(3000, 3, MODES // 2)})


def quality_of(shown):
    """Of data that have all modes in every modality."""
    model = Drawing(shown)
    train, test = (split_of({n: modes(500, seed + k) for k, n in enumerate(shown)}) for seed in (10, 20))
    return evaluation.sample_quality(model, data_of(model.modalities.values(), train, test), test, features_of(model), HOW)


def test_every_place_has_its_numbers_and_its_curve(found):
    numbers, curves = found
    assert set(numbers) == {"prd", "frechet", "features"}
    assert numbers["features"] == dict.fromkeys(PLACES, "values")
    for kind in ("prd", "frechet"):
        assert {n: set(places) for n, places in numbers[kind].items()} == PLACES
    assert set(curves) == {f"{n} {place}" for n, places in PLACES.items() for place in places}
    for key, curve in curves.items():
        name, place = key.split(" ")
        assert numbers["prd"][name][place] == {
            "area": round(prd.area(curve), 4),
            "f_8": round(prd.f_score(curve, 8), 4),
            "f_1/8": round(prd.f_score(curve, 1 / 8), 4),
            "mean_of_curves": round(prd.mean_of_curves(curve), 4),
        }


def test_samples_that_are_the_data_score_as_training_values_do(found):
    (numbers, _), name = found, "right"
    real = numbers["prd"][name]["real"]["area"]
    assert real > 0.9
    # Of variance v = 50 in each of 2 dimensions, two sets of 400 are about v D (D + 5) / 2N = 0.9 apart.
    for place in PLACES[name]:
        assert abs(numbers["prd"][name][place]["area"] - real) < 0.05, place
        assert numbers["frechet"][name][place] < 4.0, place


def test_what_is_nowhere_near_scores_nothing():
    numbers, _ = quality_of({"noise": (100 + np.random.default_rng(4).normal(size=(3000, 2))).astype(np.float32)})
    scores, distances = numbers["prd"]["noise"], numbers["frechet"]["noise"]
    assert scores["random"]["area"] < 0.01
    assert scores["random"]["f_8"] < 0.01
    # Means are 100 apart in both; variances 50 and 1.
    assert distances["random"] == pytest.approx(2 * 100**2 + 2 * (np.sqrt(50) - 1) ** 2, rel=0.02)
    assert scores["real"]["area"] > 0.9
    assert distances["real"] < 4.0


def test_modes_that_are_dropped_are_missing_from_recall(found):
    numbers, _ = found
    for place in PLACES["half"] - {"real"}:
        scores = numbers["prd"]["half"][place]
        assert scores["f_1/8"] > 0.9, place
        assert scores["f_8"] == pytest.approx(0.5, abs=0.08), place
        assert scores["area"] == pytest.approx(0.5, abs=0.08), place


class Echo(ByTranslation):
    """Shows in every modality the sum of what it was given."""

    def __init__(self, names, width=2):
        self.names = names
        self.modalities = {n: Modality(n, (width,), "normal") for n in names}

    def generate(self, n, seed, mean=False):
        return {name: tf.random.stateless_normal([n, *m.event_shape], seed) for name, m in self.modalities.items()}

    def translate(self, values, to=None, mask=None, seed=None, mean=False):
        return dict.fromkeys(to, tf.add_n(list(values.values())))


@pytest.fixture
def compared(monkeypatch):
    """The pairs of sets of features that were compared, in order; PRD itself is left out, which takes time."""
    pairs = []

    def curve(real, generated, seed):
        pairs.append((real, generated))
        return prd.PRD(np.array([0.0, 1.0]), np.array([1.0, 0.0]))

    monkeypatch.setattr(evaluation.quality.prd, "prd_curve", curve)
    return pairs


def gaussian(names, count, seed=0, width=2):
    rng = np.random.default_rng(seed)
    return {n: rng.normal(size=(count, width)).astype(np.float32) for n in names}


@pytest.mark.parametrize("filling", [np.nan, -1.0, 1e30])
def test_samples_are_made_of_the_examples_that_have_all_of_what_is_given(compared, monkeypatch, filling):
    monkeypatch.setattr(evaluation.batches, "BATCH", 64)
    model, values, how = Echo(("a", "b", "c")), gaussian("abc", 300), EvaluateConfig(quality_samples=70)
    mask = {n: np.random.default_rng(k).uniform(size=300) > 0.3 for k, n in enumerate("abc")}
    test = split_of({n: np.where(mask[n][:, None], x, np.float32(filling)) for n, x in values.items()}, mask)
    found, curves = evaluation.sample_quality(
        model, data_of(model.modalities.values(), test, test), test, features_of(model), how
    )
    by_place = dict(zip(curves, compared, strict=True))
    for name, places in {n: [k for k in found["prd"][n] if "<-" in k] for n in "abc"}.items():
        assert len(places) == 3
        for place in places:
            given = place.split("<-")[1].split(",")
            there = np.all([mask[n] for n in given], axis=0)
            real, generated = by_place[f"{name} {place}"]
            # Values of other examples than those that samples are made of: the first that have the modality itself.
            np.testing.assert_array_equal(real, values[name][mask[name]][:70])
            np.testing.assert_allclose(generated, sum(values[n] for n in given)[there][:70], rtol=1e-5, atol=1e-6)
        real, trained = by_place[f"{name} real"]
        assert len(trained) == len(np.unique(trained, axis=0)) == 70
        assert set(trained[:, 0]) <= set(values[name][mask[name]][:, 0])
        assert by_place[f"{name} random"][1].shape == (70, 2)


@pytest.mark.parametrize(
    ("names", "places"),
    [("ab", {"a": {"real", "random", "a<-b"}, "b": {"real", "random", "b<-a"}}), ("a", {"a": {"real", "random"}})],
)
def test_of_two_modalities_the_other_one_is_all_others_and_of_one_there_is_none(compared, names, places):
    model, test = Echo(tuple(names)), split_of(gaussian(names, 60))
    found, curves = evaluation.sample_quality(
        model, data_of(model.modalities.values(), test, test), test, features_of(model), HOW
    )
    assert {n: set(at) for n, at in found["prd"].items()} == {n: set(at) for n, at in found["frechet"].items()} == places
    assert len(curves) == len(compared) == sum(map(len, places.values()))


def test_too_few_examples_are_left_out_and_named(compared, caplog):
    """Of a too few test examples; of d too few for its features; of c given too few samples."""
    names = ("a", "b", "c", "d")
    model, count = Echo(names), 60
    model.modalities["d"] = Modality("d", (40,), "normal")
    values = gaussian("abc", count) | gaussian("d", count, width=40)
    there = {"a": np.arange(count) < 19, "b": np.ones(count, bool), "c": np.arange(count) < 10, "d": np.arange(count) < 40}
    for name in ("b", "c", "d"):
        caplog.clear()
        test = split_of({n: values[n] for n in ("a", name)}, {n: there[n] for n in ("a", name)})
        pair = Echo(("a", name))
        pair.modalities = {n: model.modalities[n] for n in ("a", name)}
        pair.translate = lambda given, to, mask, seed, mean, pair=pair: {
            n: tf.zeros([tf.shape(next(iter(given.values())))[0], *pair.modalities[n].event_shape]) for n in to
        }
        with caplog.at_level(logging.WARNING):
            found, _ = evaluation.sample_quality(
                pair, data_of(pair.modalities.values(), test, test), test, features_of(pair), HOW
            )
        assert "No sample quality of a: 19 test examples are fewer than 20 clusters" in caplog.text
        if name == "b":
            assert set(found["prd"]["b"]) == set(found["frechet"]["b"]) == {"real", "random"}
            assert "No sample quality of b b<-a: fewer examples than 20 clusters" in caplog.text
        if name == "c":
            assert found == {}
            assert "No sample quality of c: 10 test examples" in caplog.text
        if name == "d":
            assert set(found["prd"]["d"]) == {"real", "random"}
            assert "frechet" not in found
            assert "No Frechet distance of d: fewer test examples or samples than features" in caplog.text


def network(modality, width=3):
    """What a classifier has before its last layer, as it sees images in 0..1 and texts one-hot."""
    layers = [keras.Input(modality.relaxed_shape), keras.layers.Flatten(), keras.layers.Dense(width, name=FEATURES)]
    keras.utils.set_random_seed(1)
    return keras.Sequential([*layers, keras.layers.Dense(2)], name=modality.name)


class Mirror(ByTranslation):
    """Shows the values of its test examples once more, as a model shows them: images in 0..1, texts as classes."""

    def __init__(self, modalities, values):
        self.names = tuple(modalities)
        self.modalities, self._values = modalities, values

    def generate(self, n, seed, mean=False):
        found = {name: tf.gather(x, tf.range(n) % len(x)) for name, x in self._values.items()}
        return {name: tf.cast(x, tf.float32) / 255 if x.dtype == tf.uint8 else x for name, x in found.items()}

    def translate(self, values, to=None, mask=None, seed=None, mean=False):
        return {n: x for n, x in self.generate(tf.shape(next(iter(values.values())))[0], seed).items() if n in to}


def test_images_texts_and_bytes_are_compared_in_the_unit_that_is_generated(compared, caplog):
    """One value as the data have it and as a model shows it has the same features: all distances are 0."""
    rng, count = np.random.default_rng(0), 50
    values = {
        "image": rng.integers(0, 256, (count, 2, 2, 1)).astype(np.uint8),
        "text": rng.integers(0, 5, (count, 3)).astype(np.int32),
        "bytes": rng.integers(0, 256, (count, 2)).astype(np.uint8),
        "bare": rng.integers(0, 256, (count, 2, 2, 1)).astype(np.uint8),
    }
    modalities = {
        "image": Modality("image", (2, 2, 1), "laplace"),
        "text": Modality("text", (3,), "categorical", num_classes=5),
        "bytes": Modality("bytes", (2,), "bernoulli", pixels=True),
        "bare": Modality("bare", (2, 2, 1), "laplace"),
    }
    model, test = Mirror(modalities, values), split_of(values, label=np.eye(count, 3, dtype=np.int64))
    with caplog.at_level(logging.INFO):
        features = evaluation.Features(modalities, {n: network(modalities[n]) for n in ("image", "text")})
    assert "No features of bare, which has no classifier" in caplog.text
    data, how = data_of(model.modalities.values(), test, test, ("x", "y", "z")), EvaluateConfig(quality_samples=count)
    found, curves = evaluation.sample_quality(model, data, test, features, how)
    assert found["features"] == {"image": "classifier", "text": "classifier", "bytes": "values"}
    assert set(found["prd"]) == set(found["frechet"]) == {"image", "text", "bytes"}
    assert max(x for places in found["frechet"].values() for x in places.values()) < 1e-4
    for key, (real, generated) in zip(curves, compared, strict=True):
        if not key.endswith("real"):
            np.testing.assert_allclose(real, generated, rtol=1e-5, atol=1e-6, err_msg=key)


@pytest.mark.parametrize(
    "make",
    [lambda: toys.model("mmvae_plus", 2, 2), lambda: toys.model("jmvae", 0, 2), lambda: adversarial_toys.model("joint", 2)],
    ids=["mmvae_plus", "jmvae", "game"],
)  # fmt: skip
def test_models_go_through(compared, make):
    """With gaps, and batches of several sizes."""
    model = make()
    values, mask = toys.values(41, count=len(model.names)), {n: np.arange(41) % (5 + k) > 0 for k, n in enumerate(model.names)}
    test = split_of(with_holes(values, mask), mask)
    features = evaluation.Features(model.modalities, {n: network(m) for n, m in model.modalities.items() if n != "vector"})
    how = EvaluateConfig(quality_samples=30)
    found, _ = evaluation.sample_quality(model, data_of(model.modalities.values(), test, test), test, features, how)
    for name in model.names:
        assert len(found["prd"][name]) == len(found["frechet"][name]) == 3
    assert all(np.isfinite(x).all() for pair in compared for x in pair)
