"""Errors of reconstructions that are known, in the unit of the model."""

import numpy as np
import pytest
import tensorflow as tf
import toys
from small_evaluations import split_of

from mmtf import evaluation
from mmtf.config import EvaluateConfig
from mmtf.modality import Modality

COUNT = 40
MODALITIES = {
    "vector": Modality("vector", (3,), "normal"),
    "image": Modality("image", (2, 2, 1), "laplace"),
    "counts": Modality("counts", (2,), "negative_binomial"),
    "bytes": Modality("bytes", (2,), "negative_binomial"),
    "text": Modality("text", (4,), "categorical", num_classes=5),
    "classes": Modality("classes", (2, 2), "categorical", num_classes=5),
    "holes": Modality("holes", (3,), "normal", missing_cells=True),
}


class Decoder:
    """Gives back what it is given, shifted; classes become the next one in the first place of a text."""

    def __init__(self, shift=0.0):
        self.modalities, self.names, self._shift = MODALITIES, tuple(MODALITIES), shift

    def reconstruct(self, values, mask=None, seed=None, mean=False):
        found = {}
        for name, x in values.items():
            if MODALITIES[name].num_classes:
                first = tf.reshape(tf.one_hot(0, MODALITIES[name].size, dtype=tf.int32), MODALITIES[name].event_shape)
                found[name] = x + int(self._shift > 0) * first
            elif name == "image":
                found[name] = tf.cast(x, tf.float32) / 255 + self._shift
            else:
                found[name] = tf.cast(x, tf.float32) + self._shift
        return found


def values():
    rng = np.random.default_rng(0)
    return {
        "vector": rng.normal(size=(COUNT, 3)).astype(np.float32) * 100,
        "image": rng.integers(0, 256, (COUNT, 2, 2, 1)).astype(np.uint8),
        "counts": rng.poisson(900, (COUNT, 2)).astype(np.float32),
        "bytes": rng.integers(0, 256, (COUNT, 2)).astype(np.uint8),
        "text": rng.integers(0, 4, (COUNT, 4)).astype(np.int32),
        "classes": rng.integers(0, 4, (COUNT, 2, 2)).astype(np.int32),
        "holes": np.where(rng.uniform(size=(COUNT, 3)) < 0.3, np.nan, 1.0).astype(np.float32),
    }


def errors(model, mask=None, rows=None, **changed):
    given = values() | changed
    return evaluation.reconstruction_errors(model, split_of(given, mask, rows=rows), EvaluateConfig())["reconstruction_error"]


@pytest.mark.parametrize("shift", [0.0, 0.1, 3.0])
def test_errors_are_mean_squares_and_shares_of_wrong_classes(shift):
    """Also far outside of what an image can be, as the means of a bad decoder are."""
    found = errors(Decoder(shift))
    # Values that may lack single cells are left out.
    assert set(found) == set(MODALITIES) - {"holes"}
    for name in ("vector", "image", "counts", "bytes"):
        assert found[name]["value"] == pytest.approx(shift**2, abs=2e-3), name
    for name in ("text", "classes"):
        wrong = 0.25 if shift else 0.0
        assert found[name] == {"value": wrong, "standard_error": 0.0, "low": wrong, "high": wrong}


def test_examples_without_a_modality_say_nothing_of_it():
    mask = {n: np.ones(COUNT, bool) for n in MODALITIES} | {"vector": np.arange(COUNT) < 10, "image": np.zeros(COUNT, bool)}
    for filling in (0.0, np.nan):
        vector = values()["vector"].copy()
        # What it has is right; of what it has not nothing could be.
        vector[10:] = filling
        found = errors(Decoder(), mask, vector=vector)
        assert found["vector"]["value"] == 0.0
        assert "image" not in found


def test_intervals_are_of_sources():
    """Of values that are one in ten pairs each, the interval is that of as many as there are."""

    class Nothing(Decoder):
        def reconstruct(self, values, mask=None, seed=None, mean=False):
            return {n: tf.zeros_like(x, None if MODALITIES[n].num_classes else tf.float32) for n, x in values.items()}

    x = np.random.default_rng(1).normal(size=(COUNT, 3)).astype(np.float32)
    square = np.square(x.astype(np.float64)).mean(axis=1)
    for copies in (1, 10):
        rows = {n: np.tile(np.arange(COUNT), copies) for n in MODALITIES}
        found = errors(Nothing(), rows=rows, vector=x)["vector"]
        assert found["value"] == pytest.approx(square.mean(), abs=1e-4)
        assert found["standard_error"] == pytest.approx(square.std(ddof=1) / np.sqrt(COUNT), abs=1e-4)
        assert 0 < found["low"] < found["value"] < found["high"]


def test_of_a_model_it_is_what_its_verb_gives(monkeypatch):
    monkeypatch.setattr(evaluation.batches, "BATCH", 16)
    model, given = toys.model("mvae", 2), toys.values(32)
    found = evaluation.reconstruction_errors(model, split_of(given), EvaluateConfig(evaluation_seed=7))["reconstruction_error"]
    parts = [model.reconstruct({n: x[k : k + 16] for n, x in given.items()}, seed=[7, k // 16]) for k in (0, 16)]
    for name, x in given.items():
        rebuilt = np.concatenate([part[name] for part in parts])
        wanted = np.mean(rebuilt != x) if name == "text" else np.mean((rebuilt.astype(float) - x) ** 2)
        assert found[name]["value"] == pytest.approx(wanted, abs=2e-4)
