"""AnnData and MuData: tables of cells, whose rows and columns have names."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mmtf.errors import UserError


def is_annotated(given) -> bool:
    """Return whether it is an AnnData, by what it has: nothing is imported for it."""
    return all(hasattr(given, part) for part in ("X", "obs_names", "var_names", "layers"))


def is_several(given) -> bool:
    """Return whether it is a MuData: several AnnData, by modality."""
    return hasattr(given, "obs_names") and isinstance(getattr(given, "mod", None), Mapping)


def matrix(given) -> np.ndarray:
    """Return the X of an AnnData, `[N, k]`; whole numbers as floats, because X measures, and numbers no classes.

    Raises:
      UserError: it has no X.
    """
    given = given.to_memory() if getattr(given, "isbacked", False) else given
    x = given.X
    if x is None:
        layers = ", ".join(map(repr, given.layers)) or "none"
        raise UserError(
            f"An AnnData without X: set adata.X, or give one of its layers ({layers}) as a table, as adata.to_df(layer=...)."
        )
    x = np.asarray(x.toarray() if hasattr(x, "toarray") else x)
    return x.astype(np.float32 if x.dtype.itemsize < 4 else np.float64) if x.dtype.kind in "biu" else x


def by_modality(values, mask=None):
    """Return the modalities of a MuData as tables that all have its rows, and masks of the rows that each has.

    Everything else stays as it is.

    Args:
      mask: by modality, of the MuData's rows.

    Raises:
      UserError: a MuData whose modalities share columns in place of rows, or that has a row twice; a mask that is not of its
        rows.
    """
    if not is_several(values):
        return values, mask
    if getattr(values, "axis", 0) != 0:
        raise UserError("A MuData whose modalities share variables (axis=1 or -1); examples need to be what they share.")
    import pandas  # what has a MuData has pandas

    rows, tables, masks = values.obs_names, {}, dict(mask or {})
    for name, part in {"The MuData": values, **values.mod}.items():
        if not part.obs_names.is_unique:
            raise UserError(f"{name}: two rows have one name; give each its own, as obs_names_make_unique() does.")
    for name, part in values.mod.items():
        place = part.obs_names.get_indexer(rows)
        known = matrix(part)
        whole = np.zeros((len(rows), known.shape[1]), known.dtype)
        whole[place >= 0] = known[place[place >= 0]]
        tables[name] = pandas.DataFrame(whole, index=rows, columns=part.var_names)
        there = pandas.Series(place >= 0, index=rows)
        if name in masks:
            there &= _of_rows(name, masks[name], rows)
        if name in masks or not there.all():
            masks[name] = there
    return tables, masks or None


def _of_rows(name: str, mask, rows) -> np.ndarray:
    """Return a user's mask in the order of the rows, `[N]` bool."""
    if hasattr(mask, "reindex") and set(mask.index) == set(rows):
        mask = mask.reindex(rows)
    elif hasattr(mask, "reindex"):
        raise UserError(f"masks: the rows of {name}'s mask have other names than those of the MuData; give it theirs.")
    mask = np.asarray(mask)
    if mask.dtype != bool or mask.shape != (len(rows),):
        raise UserError(f"masks: {name} needs {len(rows)} booleans, not {mask.dtype} of shape {mask.shape}.")
    return mask
