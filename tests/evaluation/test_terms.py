"""The objective on new examples: means over those that a term is about."""

import numpy as np
import pytest
import tensorflow as tf
import toys
from small_evaluations import split_of, with_holes

from mmtf import evaluation
from mmtf.config import EvaluateConfig
from mmtf.distributed.random import Noise

MASK = {n: np.random.default_rng(k).uniform(size=11) > 0.4 for k, n in enumerate(("vector", "image"))}
MASK["text"] = np.random.default_rng(9).uniform(size=11) > 0.4
MASK["text"] |= ~(MASK["vector"] | MASK["image"])


# Of the other models tests/support/contract.py says whom a term is about; jmVAE has terms of its own.
@pytest.mark.parametrize(("kind", "mask"), [("mmjsd", None), ("mmjsd", MASK), ("jmvae", MASK), ("mmvae_iw", MASK)])
def test_terms_are_means_over_the_examples_that_have_what_they_are_about(kind, mask, monkeypatch):
    """Over batches of 4, 4 and 3 examples, each with noise of its own; weighted by examples and not by batches."""
    monkeypatch.setattr(evaluation.batches, "BATCH", 4)
    model, values = toys.model(kind, 2), toys.values(11)
    found = evaluation.objective_terms(model, split_of(with_holes(values, mask), mask), 7, EvaluateConfig(evaluation_seed=5))
    totals, counts = dict.fromkeys(found, 0.0), dict.fromkeys(found, 0)
    for number, rows in enumerate((slice(0, 4), slice(4, 8), slice(8, 11))):
        part = {n: v[rows] for n, v in values.items()}
        there = mask and {n: m[rows] for n, m in mask.items()}
        size = len(part["text"])
        terms = model.terms(part, there, Noise(tf.constant([5, number]), size), 7)
        for name, about in model.term_modalities().items():
            weights = np.all([np.ones(size, bool), *(there[n] for n in about if there)], axis=0)
            totals[name] += float(np.sum(terms[name].numpy()[weights], dtype=np.float64))
            counts[name] += weights.sum()
    assert list(found) == list(model.term_modalities())
    assert found == pytest.approx({name: totals[name] / counts[name] for name in found}, rel=1e-5, abs=1e-4)
    assert found == {name: round(value, 4) for name, value in found.items()}


def test_a_term_about_a_modality_that_no_example_has_is_left_out():
    values = toys.values(6)
    mask = {"vector": np.zeros(6, bool), "image": np.ones(6, bool), "text": np.ones(6, bool)}
    found = evaluation.objective_terms(toys.model("mmjsd", 2), split_of(values, mask), 0, EvaluateConfig())
    assert {"log_likelihood/image", "log_likelihood/text", "loss"} <= set(found)
    assert not [name for name in found if name.endswith("/vector")]
