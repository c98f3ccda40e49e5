"""What a model sees of a batch: values that are safe to compute with, and which of them are there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from mmtf import text
from mmtf.containers import annotated, columns, rows
from mmtf.containers.values import is_missing, plain, unwrapped
from mmtf.errors import UserError
from mmtf.modality import Modality, check_subset
from mmtf.models.checks import check_values


class Observed(NamedTuple):
    """Attributes:
    values: per given modality, float32 (or int32 classes) `[B, *event_shape]` in its own unit; zeros where missing. Single
      missing cells are NaN, or the class -1.
    present: per given modality, `[B]` float32, 1 where the value is there and 0 where it is missing.
    """

    values: dict[str, tf.Tensor]
    present: dict[str, tf.Tensor]

    def masked(self, name: str, term: tf.Tensor) -> tf.Tensor:
        """Return the term `[B]` where the modality is there, 0 where it is missing."""
        return tf.where(self.present[name] > 0.0, term, tf.zeros_like(term))

    def gathered(self, gathers: Mapping[str, Callable[[tf.Tensor], tf.Tensor]]) -> Observed:
        """Per modality what its function makes of values and presence, such as those of other examples."""
        return Observed(*({n: gathers[n](x) for n, x in part.items()} for part in self))

    def only(self, names: Sequence[str]) -> Observed:
        """Return the same batch with the other modalities left out."""
        return Observed({n: self.values[n] for n in names}, {n: self.present[n] for n in names})


def observe(values: Mapping, mask: Mapping | None, modalities: Mapping[str, Modality]) -> Observed:
    """Bring a batch into the form that everything below works on. What fills a missing value influences nothing.

    Args:
      values: any non-empty subset of the modalities; bytes of pixels are scaled to 0..1. Tables are brought into the order of
        rows and columns that their names say (`mmtf.containers`); strings are texts, or names of classes.
      mask: `[B]` booleans per modality; None, or a modality left out, means that nothing is missing.

    Raises:
      UserError: no or unknown modality, or an event shape that is not the modality's. NumPy arrays are checked throughout
        (see `check_values`); what is inside tensors is not looked at.
    """
    values, mask = given(values, mask)
    # Keras' own calls have a mask of None for each value.
    mask = {name: is_present for name, is_present in (mask or {}).items() if is_present is not None}
    names = check_subset(values, tuple(modalities))
    values, mask = _with_rows_in_order(values, mask)
    values = {name: _as_array_of(modalities[name], values[name]) for name in names}
    mask = {name: as_array(f"mask of {name}", is_present) for name, is_present in mask.items()}
    if mask:
        check_subset(mask, tuple(modalities))
    arrays = {n: values[n] for n in names if isinstance(values[n], np.ndarray)}
    if arrays:
        check_values(arrays, [modalities[n] for n in arrays], {n: np.asarray(mask[n]) for n in arrays if n in mask})
        values = values | {n: _whole(x) for n, x in arrays.items() if modalities[n].likelihood == "categorical"}
    return Observed(
        {name: _value(values[name], mask.get(name), modalities[name]) for name in names},
        {name: _present(values[name], mask.get(name)) for name in names},
    )


def given(values, mask=None) -> tuple[Mapping, Mapping | None]:
    """Return values and mask by modality; of a MuData its own.

    Raises:
      UserError: values that do not say which modality they are of.
    """
    values, mask = annotated.by_modality(values, mask)
    for argument, by_name in (("values", values), ("mask", mask or {})):
        if not isinstance(by_name, Mapping):
            raise UserError(f"{argument}: wanted a dict by modality, such as {{'digit': ...}}, not {type(by_name).__name__}.")
    return values, mask


def _with_rows_in_order(values: Mapping, mask: Mapping | None) -> tuple[Mapping, Mapping | None]:
    """Return them with the rows of tables in the order of the first table that names its rows."""
    parts = {f"values[{n!r}]": x for n, x in values.items()} | {f"mask[{n!r}]": x for n, x in (mask or {}).items()}
    parts = rows.aligned(parts)
    aligned = {n: parts[f"values[{n!r}]"] for n in values}
    return aligned, mask and {n: parts[f"mask[{n!r}]"] for n in mask}


def _as_array_of(modality: Modality, value):
    """Return what `as_array` does, with columns in the model's order and strings as classes."""
    if isinstance(value, tf.Tensor) and value.dtype == tf.string and tf.executing_eagerly():
        value = value.numpy()
    value = as_array(modality.name, columns.in_order(modality.name, value, modality.columns))
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "OUST":
        return value
    if value.dtype.kind == "S" or any(isinstance(x, bytes) for x in value.flat):
        value = np.array([x.decode() if isinstance(x, bytes) else x for x in value.flat], object).reshape(value.shape)
    if modality.alphabet == text.ALPHABET and value.ndim == 1:
        return _characters(modality, value)
    if modality.categories and value.ndim == 2 and value.shape[1] == len(modality.categories):
        return np.stack([_classes(modality, value[:, k], k) for k in range(value.shape[1])], axis=1)
    # Refused with all others that are no numbers.
    return value


def _characters(modality: Modality, strings: np.ndarray) -> np.ndarray:
    """Return texts `[B]` as classes of characters; a missing one as blanks, for a mask to say so."""
    strings = ["" if is_missing(s) else str(s).lower() for s in strings]
    try:
        return text.encode(strings, modality.event_shape[0], modality.fill)
    except ValueError as error:
        raise UserError(f"{modality.name}: {error}") from error


def _classes(modality: Modality, names: np.ndarray, column: int) -> np.ndarray:
    """Return names `[B]` of the classes of a column as classes, -1 where one is missing."""
    known = {name: k for k, name in enumerate(modality.categories[column])}
    unknown = next((str(n) for n in names if not is_missing(n) and str(n) not in known), None)
    if unknown is not None:
        where = f", column {modality.columns[column]!r}" if modality.columns else ""
        raise UserError(f"{modality.name}{where}: {unknown!r} is no class that the model knows; it knows: {', '.join(known)}.")
    return np.array([-1 if is_missing(n) else known[str(n)] for n in names], np.int32)


def as_array(name: str, value):
    """Return a table, a sparse matrix or a list as a NumPy array; an array or a tensor as it is.

    Raises:
      UserError: Python objects that are neither numbers nor missing.
    """
    if isinstance(value, Mapping):
        raise UserError(f"{name}: a dict of columns, but the model knows no names of columns; give an array or a table.")
    value = unwrapped(value)
    if isinstance(value, list | tuple):
        try:
            value = np.asarray(value)
        except ValueError as error:
            raise UserError(f"{name}: a list whose parts differ in length ({error}); give an array.") from error
    if not tf.is_tensor(value) and not isinstance(value, np.ndarray):
        value = _taken(name, value)
    if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.dtype.itemsize > 8:
        value = value.astype(np.float64)  # TensorFlow has no longer ones
    # Such as columns of pandas' nullable types: numbers, and NA where one is missing.
    return plain(name, value) if isinstance(value, np.ndarray) and value.dtype == object else value


def _taken(name: str, value) -> np.ndarray:
    """Return the values of an object that is no array and no list, but gives all of its values at once.

    Raises:
      UserError: it does not.
    """
    try:
        return np.asarray(value if hasattr(value, "__array__") else memoryview(value))
    except (TypeError, ValueError, NotImplementedError) as error:
        raise UserError(f"{name}: wanted an array, a tensor, a table or a list, not {type(value).__name__}.") from error


def _whole(classes: np.ndarray) -> np.ndarray:
    """Return classes that a table keeps as floats, NaN where one is missing, as integers, -1 there."""
    return np.where(np.isnan(classes), -1, classes).astype(np.int32) if classes.dtype.kind == "f" else classes


def as_codes(name: str, code, dim: int) -> tf.Tensor:
    """Return codes `[..., dim]` as a float32 tensor, from whatever `as_array` takes.

    Raises:
      UserError: another shape, or what is no finite number. What is inside tensors is not looked at.
    """
    code = as_array(name, code)
    if isinstance(code, np.ndarray) and (code.dtype.kind not in "biuf" or not np.isfinite(code).all()):
        raise UserError(f"{name}: wanted finite numbers as codes, but there are others (dtype {code.dtype}).")
    try:
        code = tf.convert_to_tensor(code)
    except (ValueError, TypeError) as error:
        raise UserError(f"{name}: wanted codes [B, {dim}], not {type(code).__name__}.") from error
    if code.shape.rank is not None and (code.shape.rank < 1 or not code.shape[-1:].is_compatible_with([dim])):
        raise UserError(f"{name}: wanted codes of shape [B, {dim}], not {code.shape}.")
    if not (code.dtype.is_floating or code.dtype.is_integer):
        raise UserError(f"{name}: wanted finite numbers as codes, not {code.dtype.name}.")
    return tf.cast(code, tf.float32)


def _value(value, mask, modality: Modality) -> tf.Tensor:
    value = tf.convert_to_tensor(value)
    if not value.shape[1:].is_compatible_with(modality.event_shape):
        raise UserError(
            f"{modality.name}: wanted values of shape [batch, {', '.join(map(str, modality.event_shape))}], "
            f"got {list(value.shape)}; reshape the array, or use the model's own data set."
        )
    if modality.likelihood == "categorical" and value.dtype.is_floating:
        raise UserError(f"{modality.name}: wanted integer class indices, got {value.dtype.name}; convert them.")
    if modality.has_pixels and value.dtype.is_integer and value.dtype != tf.uint8:
        raise UserError(
            f"{modality.name}: wanted pixels as uint8 in 0..255 or as floats in 0..1, got {value.dtype.name}; convert them."
        )
    if mask is not None:
        # Before any arithmetic, so that not even NaN reaches a gradient.
        is_present = tf.reshape(tf.cast(mask, tf.bool), [-1] + [1] * len(modality.event_shape))
        value = tf.where(is_present, value, tf.zeros_like(value))
    if modality.likelihood == "categorical":
        return tf.cast(value, tf.int32)
    if value.dtype == tf.uint8 and modality.has_pixels:
        return tf.cast(value, tf.float32) / 255.0
    return tf.cast(value, tf.float32)


def _present(value, mask) -> tf.Tensor:
    return tf.ones(tf.shape(value)[:1]) if mask is None else tf.cast(tf.cast(mask, tf.bool), tf.float32)
