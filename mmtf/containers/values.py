"""Read tables, sparse matrices and lists as plain arrays."""

from __future__ import annotations

import numbers

import numpy as np

from mmtf.containers import annotated
from mmtf.errors import UserError


def unwrapped(given):
    """Return what a table, an AnnData or a sparse matrix holds as a NumPy array; all else as it is."""
    if annotated.is_annotated(given):
        return annotated.matrix(given)
    given = given.toarray() if hasattr(given, "toarray") else given
    return given.to_numpy() if hasattr(given, "to_numpy") else given


def plain(name: str, array: np.ndarray) -> np.ndarray:
    """An array of Python objects as numbers (NaN where one is missing), or as strings and None where they all are strings.

    Raises:
      UserError: numbers and strings together, or other objects.
    """
    missing = np.array([is_missing(value) for value in array.flat], bool).reshape(array.shape)
    present = list(array[~missing])
    strings = [isinstance(value, str) for value in present]
    if any(strings):
        if not all(strings):
            raise UserError(f"{name}: strings such as {present[strings.index(True)]!r} among numbers; give one kind of values.")
        return np.where(missing, None, array)
    for value in present:
        if not isinstance(value, numbers.Real | np.bool_):
            raise UserError(f"{name}: wanted numbers or strings, not {type(value).__name__} ({value!r:.60}); convert them.")
    if not missing.any():
        return np.array(present).reshape(array.shape)
    values = np.full(array.shape, np.nan)
    values[~missing] = present
    return values


def is_missing(value) -> bool:
    """Return whether a single object stands for nothing: None, NaN, or pandas' NA and NaT."""
    if isinstance(value, float | np.floating):
        return bool(np.isnan(value))
    return value is None or type(value).__name__ in ("NAType", "NaTType")
