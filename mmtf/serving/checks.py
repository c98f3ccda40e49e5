"""Check what a request holds inside the graph, before anything is computed, as `mmtf.models.checks` does for arrays.

Each check is an operation that ends a call with InvalidArgumentError, whose message says what was wanted and what came.
"""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from mmtf.modality import Modality


def after(checks: list[tf.Operation], tensors):
    """The same tensors, which wait until the checks have passed."""
    with tf.control_dependencies(checks):
        return tf.nest.map_structure(tf.identity, tensors)


def one_size(inputs: Mapping[str, tf.Tensor]) -> tf.Operation:
    """Return all inputs have the same number of examples."""
    sizes = tf.stack([tf.shape(x)[0] for x in inputs.values()])
    wanted = f"wanted as many examples of each of {', '.join(inputs)}, but there are {{}}"
    return _require(tf.reduce_all(sizes == sizes[0]), wanted, sizes)


def something_there(present: Mapping[str, tf.Tensor]) -> tf.Operation:
    """Return every example has one of the modalities."""
    has_any = tf.reduce_any(tf.stack(list(present.values())), axis=0)
    wanted = f"wanted one of {', '.join(present)} in every example, but example {{}} has none of them present"
    return _require(tf.reduce_all(has_any), wanted, _first(~has_any))


def at_least_one(name: str, number: tf.Tensor) -> tf.Operation:
    return _require(number >= 1, f"{name}: wanted 1 or more, but it is {{}}", number)


def finite(name: str, x: tf.Tensor) -> tf.Operation:
    return _cells(name, x, tf.math.is_finite(x), "finite numbers")


def positive(name: str, x: tf.Tensor) -> tf.Operation:
    return _cells(name, x, tf.math.is_finite(x) & (x > 0.0), "finite numbers above 0")


def in_range(modality: Modality, x: tf.Tensor) -> tf.Operation:
    """Return values `[B, *event_shape]`, zeros where missing, are what the modality's likelihood allows.

    See `mmtf.models.checks`.
    """
    ok, wanted = _allowed(modality, x)
    return _cells(modality.name, x, ok, wanted)


def each(name: str, ok: tf.Tensor, wanted: str, came: tf.Tensor) -> tf.Operation:
    """A condition `[B]` of every example. wanted: of it. came: what each example has, `[B]`."""
    place = _first(~ok)
    shown = tf.gather(tf.concat([came, tf.zeros([1], came.dtype)], 0), place)
    return _require(tf.reduce_all(ok), f"{name}: wanted {wanted}, but example {{}} has {{}}", place, shown)


def _allowed(modality: Modality, x: tf.Tensor) -> tuple[tf.Tensor, str]:
    if modality.likelihood == "categorical":
        least = -1 if modality.missing_cells else 0
        of = f"class indices in {least}..{modality.num_classes - 1}"
        return (x >= least) & (x < modality.num_classes), of
    missing = tf.math.is_nan(x) if modality.missing_cells else tf.zeros_like(x, tf.bool)
    ok, of = tf.math.is_finite(x), "finite numbers"
    if modality.likelihood == "negative_binomial":
        ok, of = ok & (x >= 0.0) & (x == tf.floor(x)), "counts, whole numbers from 0,"
    elif modality.likelihood == "bernoulli" or modality.has_pixels:
        ok, of = ok & (x >= 0.0) & (x <= 1.0), "numbers in 0..1"
    return ok | missing, of + (" or NaN" if modality.missing_cells else "")


def _cells(name: str, x: tf.Tensor, ok: tf.Tensor, wanted: str) -> tf.Operation:
    """A condition of every cell; the message names the first example that has another."""
    place = _first(tf.reshape(~ok, [-1]))
    shown = tf.gather(tf.concat([tf.reshape(x, [-1]), tf.zeros([1], x.dtype)], 0), place)
    cells = tf.maximum(tf.size(x[:1]), 1)
    example = tf.cast(place, tf.int32) // cells
    return _require(tf.reduce_all(ok), f"{name}: wanted {wanted}, but example {{}} has {{}}", example, shown)


def _first(bad: tf.Tensor) -> tf.Tensor:
    """Return index of the first True of `[N]`; N, if there is none."""
    return tf.argmax(tf.concat([bad, [True]], 0))


def _require(ok: tf.Tensor, message: str, *shown: tf.Tensor) -> tf.Operation:
    """End the call with the message where the scalar is False; shown: what stands at its `{}`."""
    return tf.debugging.Assert(ok, [tf.strings.format(message, shown, summarize=-1)])
