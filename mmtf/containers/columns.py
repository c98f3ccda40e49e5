"""Columns that have names: what was learned of a column is asked of the column of that name, and never of that place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mmtf.containers.annotated import is_annotated
from mmtf.containers.values import unwrapped
from mmtf.errors import UserError

SHOWN = 3


def names(given) -> tuple[str, ...]:
    """Return the names of a table's columns: pandas, polars, pyarrow, AnnData, or a dict of columns.

    None, `()`, where it has no columns, or names that tables get by themselves: 0, 1, ..., or column_0, column_1, ...
    """
    if isinstance(given, Mapping):
        own = list(given)
    elif is_annotated(given):
        own = list(given.var_names)
    else:
        own = getattr(given, "column_names", None)  # pyarrow, whose .columns are their values
        own = getattr(given, "columns", None) if own is None else own
        if own is None or callable(own) or not hasattr(given, "shape"):
            return ()
    own = tuple(map(str, own))
    counted = range(len(own))
    return () if own in (tuple(map(str, counted)), tuple(f"column_{k}" for k in counted)) else own


def check_distinct(name: str, own: Sequence[str]) -> None:
    """Raise UserError where two columns have one name."""
    if len(set(own)) < len(own):
        twice = next(each for each in own if own.count(each) > 1)
        raise UserError(
            f"{name}: two columns are called {twice!r}; give each a name of its own (an AnnData: var_names_make_unique()), or "
            "an array without names (.to_numpy())."
        )


def in_order(name: str, given, wanted: Sequence[str]):
    """Return the values of a table with its columns in the order wanted; what has no names as it is.

    Raises:
      UserError: a column that is missing, unknown, or there twice.
    """
    own = names(given)
    if not own or not wanted:
        return unwrapped(given)
    check_distinct(name, own)
    place, known = {each: k for k, each in enumerate(own)}, set(wanted)
    missing, unknown = [each for each in wanted if each not in place], [each for each in own if each not in known]
    if missing or unknown:
        told = [f"lacks {_some(missing)}"] if missing else []
        told += [f"has {_some(unknown)}, which the model does not know"] if unknown else []
        raise UserError(
            f"{name}: the table {' and '.join(told)}. The model was trained on {len(wanted)} columns: {_some(list(wanted))}; "
            "choose and name them so, or give an array without names, in that order."
        )
    if isinstance(given, Mapping):
        return np.stack([np.asarray(unwrapped(given[each])) for each in wanted], axis=1)
    values = unwrapped(given)
    if own == tuple(wanted):
        return values
    return np.asarray(values)[:, [place[each] for each in wanted]]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} others" if len(names) > SHOWN else ""
    return ", ".join(map(repr, names[:SHOWN])) + more
