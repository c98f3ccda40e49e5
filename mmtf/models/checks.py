"""Fail at the door: arrays that do not fit the modalities, named before anything is computed with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mmtf.errors import UserError
from mmtf.modality import OVERSHOOT, Modality


def check_values(
    values: Mapping[str, np.ndarray], modalities: Sequence[Modality], mask: Mapping[str, np.ndarray] | None = None
) -> None:
    """Fail at the door for arrays that do not fit the modalities; returns nothing if they do.

    Args:
      values: per modality `[N, *event_shape]`: numbers of any type; of pixels uint8 or floating, of a categorical likelihood
        integers, or floats that are whole.
      modalities: what the values should be.
      mask: per modality `[N]` bool, True where the value is there; a modality without one is there everywhere. What
        stands where the mask is False has to have the shape and type, and may be anything otherwise, even NaN.

    Raises:
      UserError: (a ValueError) an unknown or missing modality, a wrong shape, type or number of examples, or a value outside
        what the likelihood allows: finite for laplace and normal, 0..1 for bernoulli and for pixels (whose bytes always fit),
        0..num_classes-1, whole numbers from 0 for negative_binomial. Where the modality has missing cells, also NaN or the
        class -1.
    """
    mask = mask or {}
    names = [m.name for m in modalities]
    for kind, given in (("values", values), ("mask", mask)):
        unknown = [name for name in given if name not in names]
        if unknown:
            raise UserError(f"{kind}: unknown modality {unknown[0]!r}; the modalities are: {', '.join(names)}.")
    missing = [name for name in names if name not in values]
    if missing:
        raise UserError(f"values: modality {missing[0]!r} is missing; give an array, and a mask if it is not always there.")
    arrays = {m.name: np.asarray(values[m.name]) for m in modalities}
    for m in modalities:
        _check_shape(m, arrays[m.name], names[0], arrays[names[0]])
        _check_dtype(m, arrays[m.name])
        _check_range(m, _present(m, arrays[m.name], mask.get(m.name)))


def _check_shape(m, array, first, first_array):
    if array.ndim == 0 or array.shape[1:] != m.event_shape:
        raise UserError(f"{m.name}: wanted an array of shape [N, {str(m.event_shape)[1:-1].rstrip(',')}], not {array.shape}.")
    if len(array) != len(first_array):
        raise UserError(f"{m.name}: {len(array)} examples, but {first} has {len(first_array)}; row n of each belongs together.")


def _check_dtype(m, array):
    wanted = {"categorical": "integer class indices", "negative_binomial": "integer or floating counts"}.get(
        m.likelihood, "numbers"
    )
    fits = array.dtype.kind in "buif"
    if m.has_pixels:
        fits = array.dtype == np.uint8 or array.dtype.kind in "bf"
        wanted = "pixels as uint8 in 0..255 or as floats in 0..1"
    if not fits:
        raise UserError(f"{m.name}: wanted {wanted} for a {m.likelihood} likelihood, not {array.dtype}; convert them.")


def _present(m, array, mask) -> np.ndarray:
    """Return the examples whose mask is True."""
    if mask is None:
        return array
    mask = np.asarray(mask)
    if mask.dtype != bool or mask.shape != array.shape[:1]:
        raise UserError(f"{m.name}: wanted a bool mask of shape ({len(array)},), not {mask.dtype} of shape {mask.shape}.")
    return array[mask]


def _check_range(m, array):
    if m.missing_cells:
        array = array if m.likelihood == "categorical" else array[~np.isnan(array)]
    if array.dtype.kind == "f" and m.likelihood == "categorical":
        array = array[~np.isnan(array)] if m.missing_cells else array
        if np.any(array != np.floor(array)):
            raise UserError(f"{m.name}: wanted integer class indices, but there are fractions or NaN; convert them.")
    if not array.size or (array.dtype == np.uint8 and m.has_pixels):
        return
    low, high = array.min(), array.max()  # NaN if any value is NaN
    if m.likelihood == "categorical" and not (low >= -m.missing_cells and high < m.num_classes):
        raise UserError(f"{m.name}: class indices must be in 0..{m.num_classes - 1}, but run {low}..{high}.")
    if not (np.isfinite(low) and np.isfinite(high)):
        raise UserError(f"{m.name}: wanted finite values, but there is NaN or infinity; mask or remove those examples.")
    if m.pixels and not (low >= -OVERSHOOT and high <= 1 + OVERSHOOT):
        raise UserError(f"{m.name}: floats of pixels are in 0..1, but they run {low:g}..{high:g}; rescale them, or give uint8.")
    if m.likelihood == "bernoulli" and not (low >= 0 and high <= 1):
        raise UserError(f"{m.name}: a bernoulli likelihood needs values in 0..1, but they run {low}..{high}; rescale them.")
    if m.likelihood == "negative_binomial" and (low < 0 or np.any(array != np.floor(array))):
        raise UserError(f"{m.name}: counts must be whole numbers from 0, but some are negative or fractions; round them.")
