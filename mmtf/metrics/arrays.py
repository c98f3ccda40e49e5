"""What metrics take: rows of numbers, checked and in double precision."""

from __future__ import annotations

import numpy as np


def numbers(values, name: str) -> np.ndarray:
    """Return one number per example as `[N]` float64.

    Args:
      name: how the error message calls them.

    Raises:
      ValueError: another shape, nothing in it, no numbers, NaN or infinite.
    """
    return _finite(values, name, 1, "one number per example, [N] with N > 0")


def table(values, name: str) -> np.ndarray:
    """Return one row of numbers per example, such as features, as `[N, D]` float64. Raises ValueError as `numbers` does."""
    return _finite(values, name, 2, "a row of numbers per example, [N, D]")


def pair(first, second, names: tuple[str, str]) -> tuple[np.ndarray, np.ndarray]:
    """Return two tables whose rows belong together: `[N, P]` and `[N, Q]`.

    Raises ValueError as `table` does, or for other lengths.
    """
    first, second = table(first, names[0]), table(second, names[1])
    if len(first) != len(second):
        raise ValueError(f"Row n of both belongs together, but there are {len(first)} {names[0]} and {len(second)} {names[1]}.")
    return first, second


def samples(real, generated) -> tuple[np.ndarray, np.ndarray]:
    """Return features of two sets of samples: `[N, D]` and `[M, D]`. Raises ValueError as `table` does, or for other widths."""
    real, generated = table(real, "real"), table(generated, "generated")
    if real.shape[1] != generated.shape[1]:
        raise ValueError(
            f"Both sets need the same features, but real ones are {real.shape[1]} wide and generated ones {generated.shape[1]}."
        )
    return real, generated


def _finite(values, name: str, rank: int, wanted: str) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != rank or not array.size:
        raise ValueError(f"{name}: wanted {wanted}, but the shape is {array.shape}.")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name}: wanted numbers, but the type is {array.dtype}.")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: some are NaN or infinite; what made them has diverged.")
    return array
