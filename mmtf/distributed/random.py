"""Random numbers of a step: stateless functions of a seed, a stream's name and the position in the global batch."""

from __future__ import annotations

import copy
import zlib

import tensorflow as tf

# The largest float32 stratum handed out; (n - 1 + u) / n can round to 1, which no distribution function inverts.
LARGEST_STRATUM = 1.0 - 2.0**-22


class Noise:
    """Random draws for one step: stateless functions of (seed, stream name, position in the global batch).

    Every replica draws for the whole global batch and keeps its own rows (codes are small, networks are not). So an example
    gets the same noise however many replicas share the batch, replicas never share noise, and a resumed run repeats itself.
    """

    def __init__(self, seed: tf.Tensor, batch_size: tf.Tensor | int):
        """Args: seed: `[2]` integers, such as (run seed, step). batch_size: examples on this replica."""
        self._seed = seed
        context = tf.distribute.get_replica_context()
        # Outside any replica (a cross-replica context) there is only one batch.
        replicas = context.num_replicas_in_sync if context else 1
        self._total = batch_size * replicas
        self._first = batch_size * context.replica_id_in_sync_group if replicas > 1 else 0
        self._own_size = batch_size
        self._has_all = replicas == 1

    def part(self, first: tf.Tensor | int, size: int) -> Noise:
        """Return the noise of `size` of this replica's examples, from the one at `first` on."""
        part = copy.copy(self)
        part._first, part._own_size, part._has_all = self._first + first, size, False
        return part

    def normal(self, stream: str, dim: int) -> tf.Tensor:
        """Return standard normal `[B, dim]`."""
        return self._own(tf.random.stateless_normal([self._total, dim], stream_seed(self._seed, stream)))

    def laplace(self, stream: str, dim: int) -> tf.Tensor:
        """Laplace of location 0 and scale 1, `[B, dim]`."""
        return self._own(stateless_laplace([self._total, dim], stream_seed(self._seed, stream)))

    def shifts(self, stream: str, count: int) -> tf.Tensor:
        """`[count]` distinct numbers of 1..B-1 at random: by how much rows are moved on, so that none stays where it was."""
        order = tf.argsort(tf.random.stateless_uniform([self._own_size - 1], stream_seed(self._seed, stream)))
        # The number is known even where the size of the batch is not.
        return tf.ensure_shape(order[:count] + 1, [count])

    def strata(self, stream: str) -> tf.Tensor:
        """Return uniform `[B]` in [0, 1), one from each of as many equal strata as the global batch has examples, shuffled."""
        # Not `stateless_shuffle`: XLA, which compiles the step on an accelerator, has no kernel for it.
        order = tf.argsort(tf.random.stateless_uniform([self._total], stream_seed(self._seed, stream + "/order")))
        uniform = tf.random.stateless_uniform([self._total], stream_seed(self._seed, stream))
        strata = (tf.cast(order, tf.float32) + uniform) / tf.cast(self._total, tf.float32)
        return self._own(tf.minimum(strata, LARGEST_STRATUM))

    def _own(self, rows: tf.Tensor) -> tf.Tensor:
        if self._has_all:
            return rows
        # With the size as a number, so that shapes are known inside of a loop over parts.
        rest = rows.shape.rank - 1
        return tf.slice(rows, [self._first] + [0] * rest, [self._own_size] + [-1] * rest)


def stateless_laplace(shape, seed: tf.Tensor) -> tf.Tensor:
    """Draw from the Laplace distribution of location 0 and scale 1, by its inverse distribution function."""
    # (0, 1], whose logarithm is finite, for the size; and a sign.
    size, sign = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    magnitude = -tf.math.log(1.0 - tf.random.stateless_uniform(shape, size))
    return tf.where(tf.random.stateless_uniform(shape, sign) < 0.5, -magnitude, magnitude)


def stream_seed(seed: tf.Tensor, stream: str) -> tf.Tensor:
    """A stateless seed `[2]` of its own for each named stream of draws, from one seed `[2]`."""
    return tf.random.experimental.stateless_fold_in(tf.cast(seed, tf.int32), zlib.crc32(stream.encode()) & 0x7FFFFFFF)


def derived_seed(seed: int, name: str) -> int:
    """A seed of its own for each named thing that is initialised, from the run's seed."""
    return zlib.crc32(f"{seed}/{name}".encode()) & 0x7FFFFFFF
