"""Labels that a user gives, as class indices; and which examples are for testing."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from mmtf.data.arrays import cells
from mmtf.errors import UserError

log = logging.getLogger(__name__)


def read(labels, count: int, class_names: Sequence[str] | None = None) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Return labels as class indices, and the names of the classes.

    Args:
      labels: `[N]` integers, strings or booleans; or `[N, L]` of 0 and 1, which of L attributes each example has; or None.
      count: N.
      class_names: in the order of the integers, or of the attributes; of strings, all that may occur, in the order wanted.
        Without them integers 0..K-1 keep their order, and other values are numbered in ascending order.

    Returns:
      int64 `[N]` or `[N, L]`, or None; and the names, none where there are no labels.

    Raises:
      UserError: another shape or type, a missing label, one class only, or nearly as many classes as examples.
    """
    if labels is None:
        if class_names:
            raise UserError("class_names were given without labels; give labels, or leave the names out.")
        return None, ()
    if class_names is not None and len(set(map(str, class_names))) < len(class_names):
        names = list(map(str, class_names))
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"class_names: {twice!r} stands twice; scores by class need names that differ.")
    array = _array(labels)
    if len(array) != count:
        raise UserError(f"labels: {len(array)} for {count} examples; give one for each.")
    array = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if array.ndim == 2:
        return _attributes(array, class_names)
    if array.ndim != 1:
        raise UserError(f"labels: wanted [N] classes or [N, L] attributes, not the shape {array.shape}.")
    label, names = _classes(array, class_names)
    distinct = len(np.unique(label))
    if distinct < 2:
        raise UserError(f"labels: all examples are of class {names[label[0]]!r}; give two classes or more, or no labels.")
    if distinct > max(count // 2, 2):
        raise UserError(
            f"labels: {distinct} classes among {count} examples; a class needs several examples. Group them, or leave the "
            f"labels out."
        )
    return label, names


def columns(frame, labels: str | Sequence[str] | None, class_names: Sequence[str] | None = None):
    """Labels as `read` takes them, and class names, from one column of a table or from several columns of 0 and 1.

    Raises:
      UserError: an unknown column.
    """
    if labels is None:
        return None, class_names
    if not isinstance(labels, str):
        return np.stack([np.asarray(cells.column(frame, each)) for each in labels], axis=1), class_names or list(labels)
    series = cells.column(frame, labels)
    declared = cells.category_names(series)
    if declared is None:
        return series, class_names
    place = dict(zip(*declared, strict=True))
    return [None if cells.is_missing(v) else place[v] for v in np.asarray(series).tolist()], class_names or declared[1]


def test_rows(test, label: np.ndarray | None, count: int, seed: int) -> np.ndarray:
    """Return which examples are for testing, `[N]` bool.

    Args:
      test: a share in (0, 1), of each class as nearly as whole examples allow (a class of one example is for training); or
        `[N]` booleans; or integer rows.
      label: `[N]` classes; of attributes or without labels the draw takes no account of them.
      seed: of the draw.

    Raises:
      UserError: no share, no rows, or a part with too few examples (training 2, test 1).
    """
    chosen = np.asarray(test)
    if chosen.dtype == object and all(isinstance(x, bool | np.bool_) for x in chosen.flat):
        chosen = chosen.astype(bool)
    if chosen.ndim == 0:
        if chosen.dtype.kind != "f" or not 0 < chosen < 1:
            raise UserError(f"test: wanted a share between 0 and 1, [N] booleans or a list of rows, not {test!r}.")
        chosen_rows = _drawn(float(chosen), label, count, np.random.default_rng([seed, 0]))
    elif chosen.dtype == bool:
        if chosen.shape != (count,):
            raise UserError(f"test: wanted {count} booleans, one per example, not the shape {chosen.shape}.")
        chosen_rows = chosen
    else:
        chosen_rows = _from_rows(chosen, count)
    if chosen_rows.sum() < 1 or (~chosen_rows).sum() < 2:
        raise UserError(
            f"test leaves {(~chosen_rows).sum()} of {count} examples for training and {chosen_rows.sum()} for testing; at "
            "least 2 and 1 are needed: change it, or add examples."
        )
    if label is not None and label.ndim == 1 and (unseen := set(label[chosen_rows]) - set(label[~chosen_rows])):
        log.warning("Class %s occurs among the test examples only: nothing can be learned about it.", min(unseen))
    return chosen_rows


def _array(labels) -> np.ndarray:
    labels = labels.to_numpy() if hasattr(labels, "to_numpy") else labels
    try:
        array = np.array(labels, object) if isinstance(labels, list | tuple) else np.asarray(labels)
    except ValueError as error:
        raise UserError(f"labels: {error}.") from error
    array = cells.plain("labels", array) if array.dtype == object else array
    if not array.ndim:
        raise UserError(f"labels: wanted one per example, not {labels!r:.60}.")
    missing = np.flatnonzero([cells.is_missing(v) for v in array.flat] if array.dtype.kind in "fO" else [])
    if len(missing):
        row = missing[0] * len(array) // array.size
        raise UserError(f"labels: the label of example {row} is missing; give every example one, or leave the labels out.")
    if array.dtype.kind == "f":
        if not np.all(np.mod(array, 1) == 0):
            raise UserError("labels: fractions are no classes; give integers, strings or booleans.")
        return array.astype(np.int64)
    if array.dtype.kind not in "biuOUST":
        raise UserError(f"labels: wanted integers, strings or booleans, not {array.dtype}.")
    return array if array.dtype.kind in "biu" else array.astype(str)


def _classes(array: np.ndarray, class_names) -> tuple[np.ndarray, tuple[str, ...]]:
    values, label = np.unique(array, return_inverse=True)
    label = label.ravel().astype(np.int64)
    if array.dtype.kind == "U" and class_names is not None:
        unknown = [str(v) for v in values if v not in class_names]
        if unknown:
            raise UserError(f"labels: {unknown[0]!r} is not among the class_names {', '.join(map(str, class_names))}.")
        return np.array([list(class_names).index(v) for v in values], np.int64)[label], tuple(map(str, class_names))
    whole = array.dtype.kind in "iu" and values[0] >= 0
    if class_names is not None:
        if array.dtype.kind != "b" and not (whole and values[-1] < len(class_names)):
            raise UserError(f"labels: {values[0]}..{values[-1]} do not number the {len(class_names)} class_names from 0.")
        if array.dtype.kind == "b" and len(class_names) != 2:
            raise UserError(f"labels: booleans have two classes, but there are {len(class_names)} class_names.")
        return array.astype(np.int64), tuple(map(str, class_names))
    if whole and values[-1] == len(values) - 1:
        label = array.astype(np.int64)
    return label, tuple(str(v) for v in values)


def _attributes(array: np.ndarray, class_names) -> tuple[np.ndarray, tuple[str, ...]]:
    if array.dtype.kind not in "biu" or not np.isin(array, (0, 1)).all():
        raise UserError(f"labels: of shape {array.shape} they must be 0 or 1, which of {array.shape[1]} attributes are there.")
    array = array.astype(np.int64)
    if (array.sum(axis=1) == 1).all():
        raise UserError("labels: each example has one attribute, as in one-hot codes; give classes: labels.argmax(axis=1).")
    names = tuple(map(str, range(array.shape[1]) if class_names is None else class_names))
    if len(names) != array.shape[1]:
        raise UserError(f"labels: {array.shape[1]} attributes, but {len(names)} class_names.")
    constant = np.flatnonzero(array.min(axis=0) == array.max(axis=0))
    if len(constant):
        raise UserError(f"labels: attribute {names[constant[0]]!r} is the same in all examples; leave it out.")
    return array, names


def _drawn(share: float, label, count: int, rng) -> np.ndarray:
    """Every (1/share)-th example of a random order in which classes stand together, so that each class gives its share."""
    order = rng.permutation(count)
    if label is not None and label.ndim == 1:
        order = order[np.argsort(label[order], kind="stable")]
        sizes = np.bincount(label)
        order = order[sizes[label[order]] > 1]
    start = rng.uniform()
    number = np.floor(start + share * np.arange(len(order) + 1))
    is_drawn = np.zeros(count, bool)
    is_drawn[order[np.diff(number) > 0]] = True
    return is_drawn


def _from_rows(rows: np.ndarray, count: int) -> np.ndarray:
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise UserError(f"test: wanted a share between 0 and 1, [N] booleans or integer rows, not {rows.dtype} {rows.shape}.")
    if len(rows) and not (rows.min() >= 0 and rows.max() < count):
        raise UserError(f"test: rows must be in 0..{count - 1}, but run {rows.min()}..{rows.max()}.")
    # Both would be wrong without a word: two rows in place of ten examples, or ten examples in place of two rows.
    if len(rows) == count and set(rows.tolist()) <= {0, 1}:
        raise UserError(
            f"test: {count} integers of 0 and 1 may say of each example whether it is for testing, or name the rows 0 and 1; "
            "give booleans (test.astype(bool)), or rows (np.flatnonzero(test))."
        )
    values, times = np.unique(rows, return_counts=True)
    if len(values) < len(rows):
        raise UserError(f"test: row {values[times > 1][0]} stands {times.max()} times; name each row once.")
    is_chosen = np.zeros(count, bool)
    is_chosen[rows] = True
    return is_chosen
