"""What a user gives as one modality, read into one plain array: arrays, lists with gaps, strings, columns of a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from mmtf.containers import annotated
from mmtf.containers import columns as column_names
from mmtf.containers.values import is_missing, plain, unwrapped
from mmtf.errors import UserError


@dataclasses.dataclass(frozen=True)
class Cells:
    """One modality of all examples, as it was given.

    Attributes:
      values: `[N, ...]` bool, integers or floats, NaN where a single cell is missing; `[N]` strings (texts); or of names of
        classes the classes, int32 `[N, k]`, -1 where one is missing.
      is_present: whether each example has the modality, `[N]` bool. What stands where it is False means nothing.
      categories: per column of classes the names that they stand for; empty where no names were given.
      columns: per column its name; empty where it has none.
    """

    values: np.ndarray
    is_present: np.ndarray
    categories: tuple[tuple[str, ...], ...] = ()
    columns: tuple[str, ...] = ()


# What an object has that is a whole array.
ARRAYS = ("toarray", "to_numpy", "__array__", "__array_interface__", "__dlpack__")


def read(name: str, given) -> Cells:
    """Return one modality, from anything that NumPy takes, a table, an AnnData, a sparse matrix, or a list.

    In a list None stands for a missing example.

    Strings `[N]` are texts, strings `[N, k]` are names of classes.

    Raises:
      UserError: no examples, examples of different shapes, or values that are neither numbers nor strings.
    """
    if annotated.is_several(given):
        raise UserError(f"{name}: a MuData, which holds several modalities; give it in place of the dict: from_arrays(mdata).")
    if np.ma.isMaskedArray(given):
        raise UserError(f"{name}: a masked array; give NaN where numbers are missing: x.astype(float).filled(np.nan).")
    if not _is_whole(given):
        # NumPy would take it apart, element by element.
        raise UserError(
            f"{name}: wanted an array [N, ...], a table, a sparse matrix or a list of N examples, not {type(given).__name__}."
        )
    columns = column_names.names(given)
    column_names.check_distinct(name, columns)
    given = unwrapped(given)
    array = None if isinstance(given, list | tuple) else np.asarray(given)
    if array is not None and not array.ndim:
        raise UserError(f"{name}: wanted an array [N, ...] or a list of N examples, not {type(given).__name__}.")
    if not len(given if array is None else array):
        raise UserError(f"{name} holds no examples.")
    if array is None or array.dtype == object:
        cells = _from_rows(name, list(given))
    else:
        cells = _typed(name, array, np.ones(len(array), bool))
    return dataclasses.replace(cells, columns=columns)


def _is_whole(given) -> bool:
    """Return whether it is a list, or gives all of its values at once."""
    if isinstance(given, list | tuple | range) or annotated.is_annotated(given) or any(hasattr(given, way) for way in ARRAYS):
        return True
    try:
        memoryview(given)
    except TypeError:
        return False
    return True


def read_columns(name: str, frame, columns: Sequence[str]) -> Cells:
    """Return one modality, from columns of a table: all numbers, or all names of classes (strings, or pandas' categories).

    Args:
      frame: anything in which `frame["height"]` is a column: a pandas or polars table, a dict or a structured array.

    Raises:
      UserError: an unknown column, a mixed group, or a column of neither numbers nor names.
    """
    read = {column: _column(name, frame, column) for column in columns}
    named = [column for column, (_, categories) in read.items() if categories]
    if named and len(named) < len(read):
        other = next(column for column in read if column not in named)
        raise UserError(
            f"{name}: column {named[0]!r} holds names and column {other!r} numbers; a modality has one kind of values, so make "
            f"two groups of them."
        )
    lengths = {column: len(values) for column, (values, _) in read.items()}
    if len(set(lengths.values())) > 1:
        raise UserError(f"{name}: its columns differ in length: {', '.join(f'{c} has {n}' for c, n in lengths.items())}.")
    values = np.stack([values for values, _ in read.values()], axis=1)
    if named:
        return Cells(values, (values >= 0).any(axis=1), tuple(c for _, c in read.values()), tuple(columns))
    return Cells(values, np.ones(len(values), bool), columns=tuple(columns))


def column(frame, name: str):
    """The column of that name. Raises UserError where the table has none, or two."""
    try:
        series = frame[name]
    # Each kind of table has an exception of its own for this.
    except Exception as error:
        names = getattr(frame, "columns", None)
        names = list(frame) if names is None else list(names)
        raise UserError(f"The table has no column {name!r}; it has: {', '.join(map(str, names))}.") from error
    if len(getattr(series, "shape", (1,))) != 1:
        raise UserError(f"The table has more than one column {name!r}; give them names of their own.")
    return series


def category_names(series) -> tuple[list, tuple[str, ...]] | None:
    """Return the categories of a column that declares some (pandas' category dtype), as they are and as strings; else None."""
    declared = getattr(getattr(series, "dtype", None), "categories", None)
    return None if declared is None else (list(declared), tuple(map(str, declared)))


def codes(names: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Strings or None `[N]` as classes, int32 `[N]` with -1 for None, and the names of the classes in alphabetical order."""
    present = np.array([name is not None for name in names], bool)
    categories, indices = np.unique(names[present].astype(str), return_inverse=True)
    classes = np.full(len(names), -1, np.int32)
    classes[present] = indices
    return classes, tuple(map(str, categories))


def _from_rows(name: str, rows: list) -> Cells:
    """From a list of examples, None where the modality is missing."""
    is_present = np.array([not is_missing(row) for row in rows], bool)
    present = [_row(row) for row in rows if not is_missing(row)]
    if not present:
        raise UserError(f"{name} is missing in every example; leave it out.")
    numbers_of = np.flatnonzero(is_present)
    strings = [row.dtype.kind == "U" for row in present]
    for number, row in zip(numbers_of, present, strict=True):
        if row.shape != present[0].shape:
            raise UserError(
                f"{name}: example {number} has the shape {row.shape}, but example {numbers_of[0]} has {present[0].shape}; all "
                f"examples need one shape: cut or fill them."
            )
    if any(strings) and not all(strings):
        number = numbers_of[strings.index(not strings[0])]
        raise UserError(f"{name}: strings and numbers together, first at example {number}; give one kind of values.")
    stacked = np.stack(present)
    cells = _typed(name, plain(name, stacked) if stacked.dtype == object else stacked, np.ones(len(present), bool))
    values = np.zeros((len(rows), *cells.values.shape[1:]), cells.values.dtype)
    values[is_present] = cells.values
    is_present[is_present] = cells.is_present
    return dataclasses.replace(cells, values=values, is_present=is_present)


def _row(row) -> np.ndarray:
    """A list or an array as an array; of objects where NumPy would turn numbers beside strings into strings."""
    try:
        array = np.asarray(row)
    except ValueError:  # lists of different lengths
        return np.array(row, object)
    return np.array(row, object) if array.ndim and array.dtype.kind == "U" and not isinstance(row, np.ndarray) else array


def _typed(name: str, array: np.ndarray, is_present: np.ndarray) -> Cells:
    """From an array of one plain type, or of strings and None."""
    if array.dtype.kind == "S":
        try:
            array = np.char.decode(array, "utf-8")
        except UnicodeDecodeError as error:
            raise UserError(f"{name}: bytes that are no UTF-8 ({error}); decode them to strings.") from error
    if array.dtype.kind in "UTO":
        if array.ndim == 1:
            return Cells(array.astype(str), is_present)
        if array.ndim > 2:
            raise UserError(f"{name}: strings must be [N] (texts) or [N, k] (names of classes), not of shape {array.shape}.")
        columns = [codes(column) for column in array.astype(object).T]
        values = np.stack([values for values, _ in columns], axis=1)
        return Cells(values, is_present & (values >= 0).any(axis=1), tuple(categories for _, categories in columns))
    if array.dtype.names:
        raise UserError(f"{name}: a structured array; say which columns belong together: from_dataframe(array, columns).")
    if array.dtype.kind not in "biuf":
        raise UserError(f"{name}: wanted numbers or strings, not {array.dtype}; convert them, dates to days for example.")
    if 0 in array.shape:
        raise UserError(f"{name}: an array of shape {array.shape} holds no values.")
    return Cells(array, is_present)


def _column(name: str, frame, column_name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """One column: numbers (bool or float64, NaN for missing) and (), or classes (int32, -1 for missing) and their names."""
    where = f"{name}, column {column_name!r}"
    series = column(frame, column_name)
    declared = category_names(series)
    array = _row(series.to_numpy() if hasattr(series, "to_numpy") else series)
    if declared:
        place = {category: index for index, category in enumerate(declared[0])}
        return np.array([-1 if is_missing(v) else place[v] for v in array.tolist()], np.int32), declared[1]
    array = plain(where, array) if array.dtype == object else array
    if array.dtype.kind in "OUST":
        return codes(array.astype(object))
    if array.dtype.kind not in "biuf":
        raise UserError(f"{where}: wanted numbers or names, not {array.dtype}; convert it, dates to days for example.")
    return (array if array.dtype == bool else array.astype(np.float64)), ()
