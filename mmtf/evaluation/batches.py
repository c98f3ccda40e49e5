"""What every measurement goes through: a split in batches, seeds by batch, rounding, and the names of what was given."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
import tensorflow as tf

from mmtf.config import EvaluateConfig
from mmtf.data import pipeline
from mmtf.data.dataset import Split
from mmtf.metrics import intervals
from mmtf.metrics.specs import ARROW
from mmtf.modality import Modality

BATCH = 500
DECIMALS = 4
# Of an interval; its ends then vary with the seed by about 4 % of half its width.
RESAMPLES = 1000


def in_batches(split: Split, function: Callable, *, alone: bool = True):
    """Concatenate what `function((values, mask), number)` returns for each batch: any nest of tensors `[B, ...]`, as arrays.

    Args: alone: whether an example's result does not depend on the others in its batch, which is then filled up if need be.
    """
    size = min(BATCH, len(split))
    parts = [
        function((batch["values"], batch.get("mask")), number)
        for number, batch in enumerate(pipeline.in_order(filled_up(split, size) if alone else split, size))
    ]
    return tf.nest.map_structure(lambda *x: np.concatenate([np.asarray(a) for a in x])[: len(split)], *parts)


def filled_up(split: Split, size: int) -> Split:
    """With the last example repeated until batches of a size are all full: one shape is one graph."""
    count = -(-len(split) // size) * size
    return split if count == len(split) else split.at(np.minimum(np.arange(count), len(split) - 1))


def sources(test: Split) -> np.ndarray | None:
    """What each example came from, `[N]`, where one value of the first modality serves several: they are not independent."""
    name, rows = next(iter(test.rows.items()))
    # The row that stands for a missing value is nobody's source: without one, an example stands alone.
    rows = np.where(test.has([name]), rows, -1 - np.arange(len(rows)))
    return None if len(np.unique(rows)) == len(rows) else rows


def mean_of_examples(values: np.ndarray, test: Split | None, limits=(-math.inf, math.inf)) -> dict[str, float]:
    """Return value, standard error and interval of a mean over examples `[N]`, as JSON has them; of too few the value alone.

    Args: test: the examples; None where all values are independent.
    """
    clusters = None if test is None else sources(test)
    if len(values) < 2 or (clusters is not None and len(np.unique(clusters)) < 2):
        return {"value": rounded(np.mean(values))}
    return as_json(intervals.mean(values, clusters=clusters, limits=limits, resamples=RESAMPLES))


def share_of_examples(hits: np.ndarray, test: Split) -> intervals.Estimate:
    """Return the share of examples `[N]` that are hits; those from the same source count as what they tell."""
    clusters = sources(test)
    if clusters is not None and len(np.unique(clusters)) < 2:
        clusters = None
    return intervals.share(hits, clusters=clusters)


def in_own_unit(values: np.ndarray, modality: Modality) -> np.ndarray:
    """Return values as a model generates them: bytes as pixels in 0..1, or as the numbers that they are; all else as it is."""
    if values.dtype != np.uint8 or modality.likelihood == "categorical":
        return values
    return values.astype(np.float32) / (255 if modality.has_pixels else 1)


def as_json(estimate: intervals.Estimate) -> dict[str, float]:
    return {name: rounded(x) for name, x in estimate.as_dict().items()}


def whole_somewhere(by_key: Iterable[tuple[str, ...]], *splits: Split) -> list[tuple[str, ...]]:
    """Return the subsets of which some example of every split has all."""
    return [subset for subset in by_key if all(split.has(subset).any() for split in splits)]


def given_in(key: str) -> list[str]:
    """Return the modalities of K in `Y<-K`."""
    return key.split(ARROW)[1].split(",")


def batch_seed(config: EvaluateConfig, number: int) -> tf.Tensor:
    return tf.constant([config.evaluation_seed, number])


def rounded(value) -> float:
    return round(float(value), DECIMALS)
