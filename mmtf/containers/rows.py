"""Rows of tables that name them: what belongs together is found by name, and never by place.

A pandas table or series names its rows in its index, an AnnData in obs_names. Parts with the same names in another order are
brought into the order of the first one. An array has no names. Neither has a part whose names are 0, 1, ... in order: pandas
makes them where nobody named the rows. Such parts go by place beside parts with other names.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mmtf.containers.annotated import is_annotated
from mmtf.errors import UserError

SHOWN = 3


def aligned(parts: Mapping[str, object]) -> dict[str, object]:
    """Return the parts with their rows in one order; parts without names stay as they are.

    Args:
      parts: tables, series and whatever else has a row for each example, by what messages call them.

    Raises:
      UserError: parts whose rows have different names, or of which one has a name twice and another order.
    """
    named = {key: part for key, part in parts.items() if _index(part) is not None}
    given = [key for key, part in named.items() if not _is_counted(_index(part))]
    order = next(iter(given or named), None)
    if order is None:
        return dict(parts)
    return dict(parts) | {key: _in_order(key, part, order, _index(named[order])) for key, part in named.items()}


def _index(part):
    """Return the index of a pandas object or of an AnnData; None of everything else."""
    if is_annotated(part):
        return part.obs_names
    index = getattr(part, "index", None)
    return index if hasattr(part, "reindex") and hasattr(index, "get_indexer") else None


def _is_counted(index) -> bool:
    return len(index) > 0 and index.dtype.kind in "iu" and bool(np.array_equal(np.asarray(index), np.arange(len(index))))


def _in_order(key: str, part, first: str, wanted):
    own = _index(part)
    if own.equals(wanted):
        return part
    same_rows = len(own) == len(wanted) and own.is_unique and wanted.is_unique and bool(own.isin(wanted).all())
    if same_rows:
        return part[wanted] if is_annotated(part) else part.loc[wanted]
    # Nobody named its rows. (A number of rows that does not fit is refused with all others.)
    if _is_counted(own):
        return part
    if not (own.is_unique and wanted.is_unique):
        twice = own if not own.is_unique else wanted
        name = twice[twice.duplicated()][0]
        raise UserError(
            f"{key} and {first} name their rows, in different orders, and {name!r} stands twice; give each row a name of its "
            "own, or arrays without names (.to_numpy())."
        )
    missing = [*wanted[~wanted.isin(own)], *own[~own.isin(wanted)]]
    raise UserError(
        f"The rows of {key} and of {first} have different names: {', '.join(map(repr, missing[:SHOWN]))}"
        f"{' and others' if len(missing) > SHOWN else ''} {'is' if len(missing) == 1 else 'are'} in one of them alone. Choose "
        "the rows that both have, or give arrays without names (.to_numpy())."
    )
