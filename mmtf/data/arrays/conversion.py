"""A user's values in the type of a pool, checked against the likelihood that they shall have."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from mmtf.errors import UserError
from mmtf.modality import LARGEST_LOG_COUNT

# float32 keeps 7 digits. Beyond this ratio of mean to standard deviation, fewer than 2 are left for what varies.
LARGEST_OFFSET = 1e5
# What a decoder's mean of counts comes to at most.
LARGEST_COUNT = math.exp(LARGEST_LOG_COUNT)


def convert(name: str, x: np.ndarray, is_present: np.ndarray, fields: dict) -> np.ndarray:
    """Return the values of one modality as a pool holds them, in an array of their own.

    Args:
      x: `[N, ...]` bool, integers or floats, NaN where a cell is missing.
      is_present: which examples have the modality, `[N]` bool, one at least; the others are not looked at.
      fields: of the `Modality`, its likelihood and `pixels` among them; gets a `num_classes` where it needs one.

    Returns:
      uint8 images `[N, H, W, C]`, int32 classes (-1 missing), or float32 (NaN missing).

    Raises:
      UserError: values that the likelihood does not allow, or that float32 cannot hold or tell apart.
    """
    return CONVERSIONS[fields["likelihood"]](name, x, is_present, fields)


def are_pixels(x: np.ndarray) -> bool:
    """Return whether these are pixels: bytes `[N, H, W]` or of more axes, or floats `[N, H, W, C]` in 0..1.

    Numbers that are all 0 or 1 are none, whatever their type: a mask's 1 is not a byte's.
    """
    if x.dtype == np.uint8:
        return x.ndim >= 3 and bool(x.max() > 1)
    fits = x.ndim == 4 and x.dtype.kind == "f" and bool(np.nanmin(x) >= 0 and np.nanmax(x) <= 1)
    return fits and bool(np.any((x > 0) & (x < 1)))


def _as_classes(name: str, x: np.ndarray, is_present: np.ndarray, fields: dict) -> np.ndarray:
    """int32, -1 where missing."""
    indices = x
    if x.dtype.kind == "f":
        indices = np.where(np.isnan(x), -1, x)
        if np.any(indices[is_present] != np.floor(indices[is_present])):
            raise UserError(f"{name}: a categorical likelihood needs whole numbers, but there are fractions; say another one.")
    low, high = indices[is_present].min(), indices[is_present].max()
    if low < -1:
        raise UserError(f"{name}: classes are numbered from 0, and -1 is a missing one; but there is {low:g}.")
    if high < 0:
        raise UserError(f"{name} is missing (-1) in every example; leave it out.")
    fields.setdefault("num_classes", len(fields.get("alphabet") or ()) or max(2, int(high) + 1))
    if high >= fields["num_classes"]:
        raise UserError(f"{name}: num_classes is {fields['num_classes']}, but there is a class {high:g}.")
    return indices.astype(np.int32)


def _as_counts(name: str, x: np.ndarray, is_present: np.ndarray, fields: dict) -> np.ndarray:
    """float32, NaN where missing."""
    known = x[is_present]
    known = known[~np.isnan(known)] if x.dtype.kind == "f" else known
    if known.dtype.kind != "b" and (known.min() < 0 or np.any(known != np.floor(known))):
        raise UserError(
            f"{name}: a negative_binomial likelihood needs counts, but there are fractions or negative numbers; give the raw "
            f"counts, or say 'normal'."
        )
    largest = known.max()
    if largest > LARGEST_COUNT:
        raise UserError(
            f"{name}: a negative_binomial likelihood counts up to {LARGEST_COUNT:.3g}, but there is {largest:.9g}; count in "
            f"larger units, or say likelihoods={{{name!r}: 'normal'}}."
        )
    return _float32(name, x, is_present)


def _as_shares(name: str, x: np.ndarray, is_present: np.ndarray, fields: dict) -> np.ndarray:
    """Return bytes of images, or float32 in 0..1, NaN where missing."""
    if x.dtype == np.uint8 and fields["pixels"]:
        return _with_channel(x)
    shares = _float32(name, x, is_present)
    low, high = np.nanmin(shares[is_present]), np.nanmax(shares[is_present])
    if low < 0 or high > 1:
        raise UserError(f"{name}: a bernoulli likelihood needs values in 0..1, but they run {low:g}..{high:g}; rescale them.")
    return shares


def _as_measurements(name: str, x: np.ndarray, is_present: np.ndarray, fields: dict) -> np.ndarray:
    """Return bytes of images, or float32, NaN where missing."""
    if x.dtype == np.uint8 and fields["pixels"]:
        return _with_channel(x)
    numbers = _float32(name, x, is_present)
    if fields["pixels"]:
        _check_pixels(name, x[is_present])
    else:
        _check_precision(name, x[is_present])
    return numbers


def _check_pixels(name: str, x: np.ndarray) -> None:
    if x.dtype.kind in "iu":
        raise UserError(f"{name}: pixels are uint8 in 0..255 or floats in 0..1, not {x.dtype}; convert them.")
    low, high = np.nanmin(x), np.nanmax(x)
    if low < 0 or high > 1:
        raise UserError(f"{name}: pixels are in 0..1, but they run {low:g}..{high:g}; rescale them, or give uint8.")


def _with_channel(x: np.ndarray) -> np.ndarray:
    return (x[..., None] if x.ndim == 3 else x).copy()


def _float32(name: str, x: np.ndarray, is_present: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # said below
        numbers = x.astype(np.float32)
    if x.dtype.kind == "f" and x.dtype.itemsize > 4:
        vanished = (numbers == 0) & (x != 0) & ~np.isnan(x)
        small = np.flatnonzero(vanished.any(axis=tuple(range(1, x.ndim))) & is_present)
        if len(small):
            value = x[small[0]][vanished[small[0]]][0]
            raise UserError(
                f"{name}: example {small[0]} holds {value:g}, which float32 takes for 0; take logarithms, or rescale the "
                "values."
            )
    large = np.flatnonzero(np.isinf(numbers).any(axis=tuple(range(1, x.ndim))) & is_present)
    if len(large):
        raise UserError(f"{name}: example {large[0]} holds a value beyond float32 (3.4e38); rescale the values.")
    return numbers


def _check_precision(name: str, x: np.ndarray) -> None:
    columns = x.reshape(-1, x.shape[-1]).astype(np.float64)
    columns = columns[:, ~np.isnan(columns).all(axis=0)]
    mean, spread = np.nanmean(columns, axis=0), np.nanstd(columns, axis=0)
    varies = np.nanmin(columns, axis=0) < np.nanmax(columns, axis=0)
    lost = np.flatnonzero(varies & (np.abs(mean) > LARGEST_OFFSET * spread))
    if len(lost):
        column = lost[0]
        raise UserError(
            f"{name}: a column varies by {spread[column]:.3g} around {mean[column]:.9g}, which float32 cannot tell apart; "
            f"subtract an offset such as {mean[column]:.6g} first."
        )


CONVERSIONS: Mapping[str, Callable] = {
    "categorical": _as_classes,
    "negative_binomial": _as_counts,
    "bernoulli": _as_shares,
    "laplace": _as_measurements,
    "normal": _as_measurements,
}
