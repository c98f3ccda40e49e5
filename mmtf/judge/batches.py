"""What every measurement goes through: a split in batches, seeds by batch, rounding, and the names of what was given."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import tensorflow as tf

from mmtf.config import EvaluateConfig
from mmtf.data import pipeline
from mmtf.data.dataset import Split

BATCH = 500
DECIMALS = 4
ARROW = "<-"


def in_batches(split: Split, function: Callable):
    """Concatenates what `function((values, mask), number)` returns for each batch: any nest of tensors, as arrays."""
    batches = pipeline.in_order(split, BATCH)
    parts = [function((batch["values"], batch.get("mask")), number) for number, batch in enumerate(batches)]
    return tf.nest.map_structure(lambda *arrays: np.concatenate([np.asarray(a) for a in arrays]), *parts)


def whole_somewhere(found: Iterable[tuple[str, ...]], *splits: Split) -> list[tuple[str, ...]]:
    """The subsets of which some example of every split has all."""
    return [subset for subset in found if all(split.has(subset).any() for split in splits)]


def given_in(key: str) -> list[str]:
    """The modalities of K in `Y<-K`."""
    return key.split(ARROW)[1].split(",")


def batch_seed(config: EvaluateConfig, number: int) -> tf.Tensor:
    return tf.constant([config.evaluation_seed, number])


def rounded(value) -> float:
    return round(float(value), DECIMALS)
