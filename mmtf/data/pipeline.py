"""From a split to batches: shuffled without end for training, in order for evaluation.

A batch is the dict of `mmtf.modality`. Values keep the type of their pool: the model turns uint8 into floats.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from mmtf.data.dataset import Split

# The cipher behind the shuffle; at TensorFlow's default of 4 rounds, classes stored in a row are spread less evenly over
# batches than by a random order (variance of their counts 4 % too large), at 8 they are not.
SHUFFLE_ROUNDS = 8


class Share(NamedTuple):
    """The part of every batch that one worker takes: that of its replicas, `count` of them from `first` on, of `total`."""

    first: int = 0
    count: int = 1
    total: int = 1


WHOLE = Share()


def batches(split: Split, batch_size: int, seed: int, first_step: int, num_steps: int, share: Share = WHOLE) -> tf.data.Dataset:
    """Return shuffled full batches for training; batch number s is a function of (seed, s) alone.

    Element number `s * batch_size + b` of the stream belongs to epoch e = number // N. Every epoch visits each example
    exactly once, in an order of its own; an epoch may end inside a batch. So `batches(..., first_step=k, num_steps=n)`
    continues a run that stopped after k batches, without any saved iterator state.

    Args:
      split: its arrays are used where they are: neither copied nor written into the graph, whose limit is 2 GB.
      batch_size: global batch size B, under tf.distribute summed over replicas; at most N.
      seed: of the order.
      first_step: number of the first batch to deliver, 0 for a new run.
      num_steps: how many batches to deliver.
      share: of a worker; no other rows are gathered. Then every batch comes as `share.count` elements, a replica's rows each.

    Returns:
      A finite data set of `num_steps` dicts `{"values": {name: [B, ...]}, "label": [B] int64}`, and `"mask"` with
      `{name: [B] bool}` if the split has one. Shapes are static.

    Raises:
      ValueError: batch_size < 1 or > N, or that cannot be shared evenly, first_step < 0 or num_steps < 0.
    """
    _check_batch_size(batch_size)
    if batch_size > len(split):
        raise ValueError(f"batch_size {batch_size} exceeds the {len(split)} examples of this split; lower it.")
    if first_step < 0 or num_steps < 0:
        raise ValueError(f"first_step and num_steps must be 0 or more, not {first_step} and {num_steps}.")
    if batch_size % share.total:
        raise ValueError(f"batch_size {batch_size} cannot be shared evenly by {share.total} replicas; choose a multiple.")
    rows = batch_size // share.total

    def element(number):
        step, replica = number // share.count, share.first + number % share.count
        first = step * batch_size + replica * rows
        return _gathered(split, rows, shuffled_index(tf.range(first, first + rows), len(split), seed))

    elements = tf.data.Dataset.range(first_step * share.count, (first_step + num_steps) * share.count)
    return elements.map(element).prefetch(2 * share.count).with_options(_options())


def phase_batches(
    split: Split,
    batch_size: int,
    seed: int,
    first_step: int,
    num_steps: int,
    *,
    single: bool,
    count: int = 2,
    share: Share = WHOLE,
) -> tf.data.Dataset:
    """Return batches for training of `count` phases a step, a fresh batch for each phase.

    Resumed and shared out as `batches` is.

    Args:
      split: of its examples those that have every modality are the paired ones.
      batch_size: B of one turn, over all replicas.
      single: whether values that are no pairs go with them: of each modality every distinct value that the split uses, those of
        incomplete examples too, equally often and in an order of their own.

    Returns:
      A finite data set of `num_steps` dicts `{"values": {name: [B, count, ...]}}`, and on request `"single"` likewise.

    Raises:
      ValueError: as for `batches`, B * count being at most the number of complete examples.
    """
    paired = split.at(split.has(split.pools))
    parts = {"values": dataclasses.replace(paired, label=None, mask=None)}
    if single:
        parts["single"] = _unpaired(split, batch_size * count, seed)
    streams = {
        part: batches(examples, batch_size * count, seed, first_step, num_steps, share) for part, examples in parts.items()
    }
    rows = batch_size // share.total
    return tf.data.Dataset.zip(streams).map(lambda batch: _by_phase(batch, rows, count)).with_options(_options())


def in_order(split: Split, batch_size: int, limit: int | None = None) -> Iterator[dict]:
    """Return batches of NumPy arrays in the split's own order, for evaluation.

    Args:
      batch_size: examples per batch; the last batch may be shorter.
      limit: number of examples after which to stop; None for all.

    Returns:
      An iterator of dicts like those of `batches`.

    Raises:
      ValueError: batch_size < 1, or limit < 1. At the call, not at the first batch.
    """
    _check_batch_size(batch_size)
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be 1 or more, or None for all examples, not {limit}.")
    end = len(split) if limit is None else min(limit, len(split))
    return (_at(split, slice(start, min(start + batch_size, end))) for start in range(0, end, batch_size))


def shuffled_index(number: tf.Tensor, num_examples: int, seed: int) -> tf.Tensor:
    """Return which example each element of the endless stream is.

    Args:
      number: element numbers that ascend one by one, int64 `[B]`, B <= num_examples.
      num_examples: N.
      seed: of the order.

    Returns:
      int64 `[B]` in 0..N-1; over the N elements of an epoch each value occurs once.
    """
    place, epoch = number % num_examples, number // num_examples
    this = _permuted(place, num_examples, seed, epoch[0])
    following = _permuted(place, num_examples, seed, epoch[-1])
    return tf.where(epoch == epoch[0], this, following)


def _permuted(place, num_examples, seed, epoch) -> tf.Tensor:
    """Where the epoch's permutation of 0..N-1 sends each place; [B].

    `tf.random.experimental.index_shuffle(place, [seed, epoch], N - 1)` would not do: of each seed word it uses the low
    8 bits (for N up to 65,536), so that only 256 seeds and 256 epochs differ. Hence the hashed key of three words.
    """
    key = tf.random.stateless_uniform([3], tf.stack([tf.constant(seed, tf.int64), epoch]), None, None, tf.int32, alg="philox")
    last = tf.constant(num_examples - 1, tf.int64)
    return tf.raw_ops.RandomIndexShuffle(index=place, seed=key, max_index=last, rounds=SHUFFLE_ROUNDS)


def _unpaired(split, at_least: int, seed: int) -> Split:
    """As many examples as the largest modality has distinct values, put together at random: each modality by itself."""
    distinct = {name: np.unique(split.rows[name][split.has([name])]) for name in split.pools}
    size = max(at_least, *(len(rows) for rows in distinct.values()))
    rng = np.random.default_rng([seed, len(split)])
    # In whole rounds over a modality's values, cut off at the end of the last round.
    rows = {name: rng.permutation(np.resize(rows, size)) for name, rows in distinct.items()}
    return Split(split.pools, rows, None)


def _by_phase(batch: dict, batch_size: int, count: int) -> dict:
    """`[B * count, ...]` -> `[B, count, ...]`, so that replicas which share out B each have rows for every turn."""
    return {
        part: {n: tf.reshape(x, [batch_size, count, *x.shape[1:]]) for n, x in values["values"].items()}
        for part, values in batch.items()
    }


def _gathered(split, batch_size, index) -> dict:
    """Return the batch of the examples at index, inside tf.data.

    NumPy gathers, from the split's own memory. Pools captured as tensors would be copied three times (twice by
    convert_to_tensor, once by the first iterator; seen with TF 2.21), to save 0.2 ms of a batch.
    """
    spec = tf.nest.map_structure(
        lambda array: tf.TensorSpec((batch_size, *array.shape[1:]), array.dtype), _at(split, slice(0, 1))
    )
    flat_spec = tf.nest.flatten(spec)
    flat = tf.numpy_function(
        lambda index: tf.nest.flatten(_at(split, index)), [index], [s.dtype for s in flat_spec], stateful=False
    )
    return tf.nest.pack_sequence_as(spec, [tf.ensure_shape(f, s.shape) for f, s in zip(flat, flat_spec, strict=True)])


def _at(split, index) -> dict:
    """Return the batch of the examples at index, an array or a slice, as arrays."""
    batch = {"values": split.take(index)}
    if split.label is not None:
        batch["label"] = split.label[index]
    if split.mask is not None:
        batch["mask"] = {name: mask[index] for name, mask in split.mask.items()}
    return batch


def _options() -> tf.data.Options:
    options = tf.data.Options()
    # Nothing here is left to tune, and the tuning thread can hold up the end of fit by seconds.
    options.autotune.enabled = False
    # For who shares a data set of whole batches out: there are no files.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return options


def _check_batch_size(batch_size):
    if batch_size < 1:
        raise ValueError(f"batch_size must be 1 or more, not {batch_size}.")
