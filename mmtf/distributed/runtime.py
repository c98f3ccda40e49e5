"""What makes a training step right on any number of replicas: one reduction and one source of noise."""

from __future__ import annotations

import contextlib
import contextvars
import copy
import os
import platform
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

import mmtf

# The largest float32 stratum handed out; (n - 1 + u) / n can round to 1, which no distribution function inverts.
LARGEST_STRATUM = 1.0 - 2.0**-22
# What `assign_equal` was asked for inside of `compiled`.
_WAITING: contextvars.ContextVar[list | None] = contextvars.ContextVar("waiting", default=None)


def replica_mean(per_example: tf.Tensor) -> tf.Tensor:
    """Share of this replica in the mean over the global batch: `[B]` -> scalar.

    Gradients are summed over replicas, so each replica's mean is divided by the number of replicas. All replicas hold the
    same number of examples, which `mmtf.data.pipeline` guarantees (full batches only).
    """
    return tf.reduce_mean(per_example) / tf.distribute.get_replica_context().num_replicas_in_sync


def replica_sum(parts: list[tf.Tensor]) -> list[tf.Tensor]:
    """Sums over replicas of what each of them has, such as gradients of `replica_mean`."""
    context = tf.distribute.get_replica_context()
    return parts if context.num_replicas_in_sync == 1 else context.all_reduce(tf.distribute.ReduceOp.SUM, parts)


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
        """The noise of `size` of this replica's examples, from the one at `first` on."""
        found = copy.copy(self)
        found._first, found._own_size, found._has_all = self._first + first, size, False
        return found

    def normal(self, stream: str, dim: int) -> tf.Tensor:
        """Standard normal `[B, dim]`."""
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
        """Uniform `[B]` in [0, 1), one from each of as many equal strata as the global batch has examples, shuffled."""
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
    """Draws from the Laplace distribution of location 0 and scale 1, by its inverse distribution function."""
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


def assign_equal(variables: Sequence[keras.Variable], values: Sequence[tf.Tensor]) -> None:
    """Sets variables to values that are equal on all replicas, without sending anything between them.

    A plain `assign` takes the mean over replicas: a message of the variable's size for each, and between machines messages are
    the slowest part of a step. Inside of `compiled` it waits for the end of what is compiled.
    """
    context, waiting = tf.distribute.get_replica_context(), _WAITING.get()
    if waiting is not None:
        waiting.extend(zip(variables, values, strict=True))
    elif context is None or context.num_replicas_in_sync == 1:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
    else:
        context.merge_call(_assign_each, args=([v.value for v in variables], list(values)))


def compiled(find: Callable[[], Any]) -> Any:
    """What a function of no arguments returns, computed by XLA on this replica alone: nothing in it may speak to others.

    Under several replicas XLA fails on a whole step, with its sums over replicas, but not on the loss and its gradients.
    """
    waiting = []

    def inner():
        waiting.clear()
        token = _WAITING.set(waiting)
        try:
            found = find()
        finally:
            _WAITING.reset(token)
        return found, [value for _, value in waiting]

    found, values = tf.function(inner, jit_compile=True)()
    if waiting:
        assign_equal([variable for variable, _ in waiting], values)
    return found


def _assign_each(strategy: tf.distribute.Strategy, variables, values) -> None:
    for variable, value in zip(variables, values, strict=True):
        strategy.extended.update(variable, lambda own, x: own.assign(x), args=(value,), group=False)


def batch_size(values: Mapping[str, tf.Tensor]) -> tf.Tensor | int:
    """Examples in a batch of named values: static where it is known, a scalar tensor otherwise."""
    first = next(iter(values.values()))
    return first.shape[0] or tf.shape(first)[0]


def step_of(optimizer: keras.optimizers.Optimizer) -> int:
    """How many updates an optimizer has made, on one replica or on several."""
    return int(optimizer.iterations.numpy())


@contextlib.contextmanager
def networks_compute_in(precision: str) -> Iterator[None]:
    """Layers that are made in this context compute with `float32`, or with `bfloat16` on float32 variables.

    Of half precisions bfloat16 alone: it has the range of float32, so that no loss overflows or has to be scaled.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy({"float32": "float32", "bfloat16": "mixed_bfloat16"}[precision])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def leave_sums_as_they_are() -> None:
    """Keeps TensorFlow's optimizer of graphs from rearranging arithmetic, for this process.

    In a loop inside of a step it adds the parts of a loss up in another order each time that the graph is built, so that a
    resumed run differs in the last digit; and it has taken terms that are broadcast for terms of the others' shape.
    """
    tf.config.optimizer.set_experimental_options({"arithmetic_optimization": False})


def be_deterministic() -> None:
    """Has TensorFlow take kernels that give the same bits again, and build the same graph again, for this process.

    It disables XLA without a word, and refuses random numbers without a seed.
    """
    tf.config.experimental.enable_op_determinism()
    leave_sums_as_they_are()


def platform_of(strategy: tf.distribute.Strategy) -> dict[str, str | int | list[str]]:
    """What the bits of a result depend on beside seed and settings: versions of the software, and the hardware."""
    details = [tf.config.experimental.get_device_details(d) for d in tf.config.list_physical_devices("GPU")]
    return {
        "mmtf": mmtf.__version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": _cores(),
        "devices": [d.device_type for d in tf.config.list_logical_devices()],
        "accelerators": [found.get("device_name", "unknown") for found in details],
        "replicas": strategy.num_replicas_in_sync,
    }


def _cores() -> int:
    """How many threads share the work of one operation: as TensorFlow finds it, from its settings, else the environment."""
    asked = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    told = tf.config.threading.get_intra_op_parallelism_threads() or (int(asked) if asked.isdecimal() else 0)
    # Linux alone knows which processors this process may use.
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return told or allowed or 1


def _processor() -> str:
    """Its name as Linux has it; elsewhere as Python does."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def compile_with_xla(strategy: tf.distribute.Strategy) -> bool:
    """Whether XLA pays for a whole step: on one accelerator. On CPU it makes these convolutions slower; on several it fails."""
    return bool(tf.config.list_logical_devices("GPU")) and strategy.num_replicas_in_sync == 1


def compile_inside(strategy: tf.distribute.Strategy) -> bool:
    """Whether XLA is for losses and gradients alone (`compiled`): on several accelerators."""
    return bool(tf.config.list_logical_devices("GPU")) and strategy.num_replicas_in_sync > 1
