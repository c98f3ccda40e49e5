"""From a split to batches: shuffled without end for training, in order for evaluation; and the check of a user's arrays.

A batch is the dict of `mmtf.modality`. Values keep the type of their pool: the model turns uint8 into floats.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from mmtf.data.dataset import Split
from mmtf.modality import Modality

# The cipher behind the shuffle; at TensorFlow's default of 4 rounds, classes stored in a row are spread less evenly over
# batches than by a random order (variance of their counts 4 % too large), at 8 they are not.
SHUFFLE_ROUNDS = 8


def batches(split: Split, batch_size: int, seed: int, first_step: int, num_steps: int) -> tf.data.Dataset:
    """Shuffled full batches for training; batch number s is a function of (seed, s) alone.

    Element number `s * batch_size + b` of the stream belongs to epoch e = number // N. Every epoch visits each example
    exactly once, in an order of its own; an epoch may end inside a batch. So `batches(..., first_step=k, num_steps=n)`
    continues a run that stopped after k batches, without any saved iterator state.

    Args:
      split: its arrays are used where they are: neither copied nor written into the graph, whose limit is 2 GB.
      batch_size: global batch size B, under tf.distribute summed over replicas; at most N.
      seed: of the order.
      first_step: number of the first batch to deliver, 0 for a new run.
      num_steps: how many batches to deliver.

    Returns:
      A finite data set of `num_steps` dicts `{"values": {name: [B, ...]}, "label": [B] int64}`, and `"mask"` with
      `{name: [B] bool}` if the split has one. Shapes are static.

    Raises:
      ValueError: batch_size < 1 or > N, first_step < 0 or num_steps < 0.
    """
    _check_batch_size(batch_size)
    if batch_size > len(split):
        raise ValueError(f"batch_size {batch_size} exceeds the {len(split)} examples of this split; lower it.")
    if first_step < 0 or num_steps < 0:
        raise ValueError(f"first_step and num_steps must be 0 or more, not {first_step} and {num_steps}.")
    numbers = tf.data.Dataset.range(first_step * batch_size, (first_step + num_steps) * batch_size)
    ordered = numbers.batch(batch_size, drop_remainder=True)
    shuffled = ordered.map(lambda number: _gathered(split, batch_size, shuffled_index(number, len(split), seed)))
    return shuffled.prefetch(2).with_options(_options())


def in_order(split: Split, batch_size: int, limit: int | None = None) -> Iterator[dict]:
    """Batches of NumPy arrays in the split's own order, for evaluation.

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
    """Which example each element of the endless stream is.

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


def _gathered(split, batch_size, index) -> dict:
    """The batch of the examples at index, inside tf.data.

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
    """The batch of the examples at index, an array or a slice, as arrays."""
    batch = {"values": split.take(index), "label": split.label[index]}
    if split.mask is not None:
        batch["mask"] = {name: mask[index] for name, mask in split.mask.items()}
    return batch


def _options() -> tf.data.Options:
    options = tf.data.Options()
    # Nothing here is left to tune, and the tuning thread can hold up the end of fit by seconds.
    options.autotune.enabled = False
    # Several workers: each keeps its part of every global batch. There are no files to share out.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return options


def _check_batch_size(batch_size):
    if batch_size < 1:
        raise ValueError(f"batch_size must be 1 or more, not {batch_size}.")


def check_values(
    values: Mapping[str, np.ndarray], modalities: Sequence[Modality], mask: Mapping[str, np.ndarray] | None = None
) -> None:
    """Fails at the door for arrays that do not fit the modalities; returns nothing if they do.

    Args:
      values: per modality `[N, *event_shape]`: uint8 or floating, or integers for a categorical likelihood.
      modalities: what the values should be.
      mask: per modality `[N]` bool, True where the value is there; a modality without one is there everywhere. What
        stands where the mask is False has to have the shape and type, and may be anything otherwise, even NaN.

    Raises:
      ValueError: an unknown or missing modality, a wrong shape, type or number of examples, or a value outside what
        the likelihood allows: finite for laplace and normal, 0..1 for bernoulli (uint8 always fits), 0..num_classes-1.
    """
    mask = mask or {}
    names = [m.name for m in modalities]
    for kind, given in (("values", values), ("mask", mask)):
        unknown = [name for name in given if name not in names]
        if unknown:
            raise ValueError(f"{kind}: unknown modality {unknown[0]!r}; the modalities are: {', '.join(names)}.")
    missing = [name for name in names if name not in values]
    if missing:
        raise ValueError(f"values: modality {missing[0]!r} is missing; give an array, and a mask if it is not always there.")
    arrays = {m.name: np.asarray(values[m.name]) for m in modalities}
    for m in modalities:
        _check_shape(m, arrays[m.name], names[0], arrays[names[0]])
        _check_dtype(m, arrays[m.name])
        _check_range(m, _present(m, arrays[m.name], mask.get(m.name)))


def _check_shape(m, array, first, first_array):
    if array.ndim == 0 or array.shape[1:] != m.event_shape:
        raise ValueError(f"{m.name}: wanted an array of shape [N, {str(m.event_shape)[1:-1].rstrip(',')}], not {array.shape}.")
    if len(array) != len(first_array):
        raise ValueError(
            f"{m.name}: {len(array)} examples, but {first} has {len(first_array)}; row n of each belongs together."
        )


def _check_dtype(m, array):
    if m.likelihood == "categorical":
        fits, wanted = np.issubdtype(array.dtype, np.integer), "integer class indices"
    else:
        fits, wanted = array.dtype == np.uint8 or np.issubdtype(array.dtype, np.floating), "uint8 or floating values"
    if not fits:
        raise ValueError(f"{m.name}: wanted {wanted} for a {m.likelihood} likelihood, not {array.dtype}; convert them.")


def _present(m, array, mask) -> np.ndarray:
    """The examples whose mask is True."""
    if mask is None:
        return array
    mask = np.asarray(mask)
    if mask.dtype != bool or mask.shape != array.shape[:1]:
        raise ValueError(f"{m.name}: wanted a bool mask of shape ({len(array)},), not {mask.dtype} of shape {mask.shape}.")
    return array[mask]


def _check_range(m, array):
    if not array.size or (array.dtype == np.uint8 and m.likelihood != "categorical"):
        return
    low, high = array.min(), array.max()  # NaN if any value is NaN
    if m.likelihood == "categorical" and not (low >= 0 and high < m.num_classes):
        raise ValueError(f"{m.name}: class indices must be in 0..{m.num_classes - 1}, but run {low}..{high}.")
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"{m.name}: wanted finite values, but there is NaN or infinity; mask or remove those examples.")
    if m.likelihood == "bernoulli" and not (low >= 0 and high <= 1):
        raise ValueError(f"{m.name}: a bernoulli likelihood needs values in 0..1, but they run {low}..{high}; rescale them.")
