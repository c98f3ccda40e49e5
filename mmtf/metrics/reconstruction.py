"""How far reconstructions are from what was given, per example and in the data's unit; `mean_error` adds what it is worth."""

from __future__ import annotations

import math

import numpy as np

from mmtf.metrics.intervals import Estimate, mean

# The means of a Gaussian or Laplace decoder may leave 0..1 a little; by more than that range, they are in another unit.
OVERSHOOT = 1.0


def squared_errors(values, reconstructions) -> np.ndarray:
    """Return mean squared difference of each example over its pixels or columns: `[N, ...]` twice -> `[N]`.

    uint8 values are images: they are taken in 0..1, and the error is in squared units of that. Others are taken as they are.

    Raises:
      ValueError: other shapes, nothing in them, no numbers, NaN or infinite; or an image in 0..1 beside one in 0..255.
    """
    values, reconstructions = np.asarray(values), np.asarray(reconstructions)
    if values.shape != reconstructions.shape or not values.ndim or not values.size:
        raise ValueError(
            f"Wanted a reconstruction of each value, of its shape: they are {values.shape} and {reconstructions.shape}."
        )
    images = np.uint8 in (values.dtype, reconstructions.dtype)
    values, reconstructions = _numbers(values, "values"), _numbers(reconstructions, "reconstructions")
    for array in (values, reconstructions) if images else ():
        if array.min() < -OVERSHOOT or array.max() > 1 + OVERSHOOT:
            raise ValueError(f"Images are in 0..1 or uint8, but run {array.min():g}..{array.max():g}; divide them by 255.")
    return np.mean(((values - reconstructions) ** 2).reshape(len(values), -1), axis=1)


def character_errors(texts, reconstructions) -> np.ndarray:
    """Return share of the characters of each text that are wrong, in 0..1: `[N, L]` -> `[N]`.

    Characters that fill a text up count.

    Args:
      texts: class indices, `[N, L]` integers.
      reconstructions: classes `[N, L]`, or probabilities or logits of K classes, of which the largest counts, `[N, L, K]`.

    Raises:
      ValueError: other shapes or types, nothing in them, or NaN.
    """
    texts, reconstructions = np.asarray(texts), np.asarray(reconstructions)
    if texts.ndim != 2 or not texts.size or texts.dtype.kind not in "iu":
        raise ValueError(f"texts: wanted class indices [N, L], not {texts.dtype} of shape {texts.shape}.")
    if reconstructions.ndim == 3 and reconstructions.size:
        if np.isnan(reconstructions).any():
            raise ValueError("reconstructions: some are NaN; the decoder that made them has diverged.")
        reconstructions = reconstructions.argmax(axis=-1)
    if reconstructions.shape != texts.shape or reconstructions.dtype.kind not in "iu":
        raise ValueError(
            f"reconstructions: wanted class indices {texts.shape}, or scores of classes with one more axis, "
            f"not {reconstructions.dtype} of shape {reconstructions.shape}."
        )
    return np.mean(texts != reconstructions, axis=1)


def mean_error(errors, *, clusters=None, largest: float = math.inf, seed: int = 0) -> Estimate:
    """Return the mean of errors of examples `[N]`, and its interval, which does not go below 0.

    Args:
      clusters: what each example came from, as in `intervals.mean`.
      largest: that an error can be, such as 1 for `character_errors`.
      seed: of the bootstrap.

    Raises:
      ValueError: as `intervals.mean` does.
    """
    return mean(errors, clusters=clusters, limits=(0.0, largest), seed=seed)


def _numbers(array: np.ndarray, name: str) -> np.ndarray:
    """In double precision, uint8 in 0..1."""
    if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
        raise ValueError(f"{name}: wanted finite numbers, but there are others, or the type is {array.dtype}.")
    return array / 255 if array.dtype == np.uint8 else array.astype(np.float64)
