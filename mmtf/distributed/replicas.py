"""What makes a training step right on any number of replicas: one reduction, equal updates, one compiled part."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

# What `assign_equal` was asked for inside of `compiled`.
_WAITING: contextvars.ContextVar[list | None] = contextvars.ContextVar("waiting", default=None)


def replica_mean(per_example: tf.Tensor) -> tf.Tensor:
    """Return share of this replica in the mean over the global batch: `[B]` -> scalar.

    Gradients are summed over replicas, so each replica's mean is divided by the number of replicas. All replicas hold the
    same number of examples, which `mmtf.data.pipeline` guarantees (full batches only).
    """
    return tf.reduce_mean(per_example) / tf.distribute.get_replica_context().num_replicas_in_sync


def replica_sum(parts: list[tf.Tensor]) -> list[tf.Tensor]:
    """Sum over replicas of what each of them has, such as gradients of `replica_mean`."""
    context = tf.distribute.get_replica_context()
    return parts if context.num_replicas_in_sync == 1 else context.all_reduce(tf.distribute.ReduceOp.SUM, parts)


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
    """Return what a function of no arguments returns, computed by XLA on this replica alone: nothing in it may speak to others.

    Under several replicas XLA fails on a whole step, with its sums over replicas, but not on the loss and its gradients.
    """
    waiting = []

    def inner():
        waiting.clear()
        token = _WAITING.set(waiting)
        try:
            nest = find()
        finally:
            _WAITING.reset(token)
        return nest, [value for _, value in waiting]

    structure, values = tf.function(inner, jit_compile=True)()
    if waiting:
        assign_equal([variable for variable, _ in waiting], values)
    return structure


def _assign_each(strategy: tf.distribute.Strategy, variables, values) -> None:
    for variable, value in zip(variables, values, strict=True):
        strategy.extended.update(variable, lambda own, x: own.assign(x), args=(value,), group=False)


def batch_size(values: Mapping[str, tf.Tensor]) -> tf.Tensor | int:
    """Return examples in a batch of named values: static where it is known, a scalar tensor otherwise."""
    first = next(iter(values.values()))
    return first.shape[0] or tf.shape(first)[0]


def step_of(optimizer: keras.optimizers.Optimizer) -> int:
    """Return how many updates an optimizer has made, on one replica or on several."""
    return int(optimizer.iterations.numpy())
