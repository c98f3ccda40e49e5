"""The objective on new examples."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from mmtf.config import EvaluateConfig
from mmtf.data.dataset import Split
from mmtf.distributed import random, replicas
from mmtf.evaluation.batches import BATCH, batch_seed, in_batches, rounded

# Batches from which on a graph saves as much as it takes to be traced.
WORTH_A_GRAPH = 40


def terms_of_batches(model, batches: float = math.inf) -> Callable:
    """Return the objective's terms per example of (values, mask, seed, step).

    Args: batches: how many there are going to be; for many, it is a graph that is built once.
    """

    def terms(values, mask, seed, step):
        return model.terms(values, mask, random.Noise(seed, replicas.batch_size(values)), step)

    return terms if batches < WORTH_A_GRAPH else tf.function(terms, reduce_retracing=True)


def objective_terms(model, test: Split, step: int, config: EvaluateConfig, terms: Callable | None = None) -> dict[str, float]:
    """Return mean per example of every term of the objective, with the divergences' weights of a step.

    Codes are drawn as in training, under the evaluation's seed and the batch's number. A term about modalities is averaged
    over the examples that have them, and left out where none does.

    Args: terms: what `terms_of_batches` made, where it is used several times.
    """
    terms = terms or terms_of_batches(model, len(test) / BATCH)
    at = tf.constant(step, tf.int32)
    terms_of = in_batches(test, lambda batch, number: terms(*batch, batch_seed(config, number), at), alone=False)
    has_all = {name: test.has(names) for name, names in model.term_modalities().items()}
    # In double precision: over thousands of examples a sum in single precision loses the last digits of a mean.
    return {name: rounded(terms_of[name][t].mean(dtype=np.float64)) for name, t in has_all.items() if t.any()}
