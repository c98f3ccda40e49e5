"""Coherence of generated samples: do classifiers find in them the class they should have? [S] C.2.2.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np


def conditional_coherence(predicted_classes, labels) -> float:
    """Return share of conditionally generated samples in which the classifier finds the true class, [S] C.2.2.

    Args:
      predicted_classes: class that the modality's classifier finds in each generated sample, `[N]` integers.
      labels: class of the example each sample was generated from, `[N]` integers.

    Returns:
      A share in 0..1.

    Raises:
      ValueError: nothing was given, the lengths differ, or a value is no class index.
    """
    predicted = class_indices(predicted_classes, "predicted_classes")
    true = class_indices(labels, "labels")
    _check_equal_lengths({"predicted_classes": predicted, "labels": true})
    return float(np.mean(predicted == true))


def joint_coherence(predictions: Mapping[str, np.ndarray]) -> float:
    """Return share of unconditionally generated samples on which the classifiers of all modalities agree, [S] C.2.2.

    With M modalities and K equally frequent classes, independent samples reach K**(1 - M): 0.01 for three modalities of
    ten classes. The authors' release counts (m == s) == (m == t) instead, so that three different classes count as
    agreement; there, chance is 0.82.

    Args:
      predictions: per modality, the class its classifier finds in each sample, `[N]` integers; row n of all modalities
        was decoded from the same shared code.

    Returns:
      A share in 0..1.

    Raises:
      ValueError: there are fewer than two modalities, no samples, different lengths, or a value is no class index.
    """
    if len(predictions) < 2:
        raise ValueError(f"Agreement needs at least two modalities, not {len(predictions)}: {', '.join(predictions)}.")
    classes = {name: class_indices(values, name) for name, values in predictions.items()}
    _check_equal_lengths(classes)
    first, *others = classes.values()
    return float(np.mean(np.all([other == first for other in others], axis=0)))


def agreement_as_published(predictions: Mapping[str, np.ndarray]) -> float:
    """Return what the release of [S] counts in place of `joint_coherence`, of three modalities: (m = s) = (m = t).

    Three different classes count as agreement: of ten even classes independent samples come to 0.82.

    Raises:
      ValueError: there are not three modalities; else as `joint_coherence` does.
    """
    if len(predictions) != 3:
        raise ValueError(f"The release compares three modalities, not {len(predictions)}.")
    classes = {name: class_indices(values, name) for name, values in predictions.items()}
    _check_equal_lengths(classes)
    first, second, third = classes.values()
    return float(np.mean((first == second) == (first == third)))


def standard_error(share: float, n: int) -> float:
    """Return binomial standard error of a share that was measured on n independent samples: sqrt(share (1 - share) / n).

    It is 0 for a share of exactly 0 or 1, where n samples cannot tell the share from one about 1/n away.

    Raises:
      ValueError: the share lies outside 0..1, or n is below 1.
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"A share lies between 0 and 1; {share} does not.")
    if n < 1:
        raise ValueError(f"A share is measured on at least one sample, not on {n}.")
    return math.sqrt(share * (1.0 - share) / n)


def class_indices(values, name: str) -> np.ndarray:
    """Return values as `[N]` int64, if they are class indices: whole numbers, one per example.

    Args:
      values: integers, or floats that are whole numbers.
      name: how the error message calls them.

    Raises:
      ValueError: they are empty, not one per example (logits, one-hot), not finite or not whole.
    """
    array = np.asarray(values)
    if array.ndim != 1 or not array.size:
        raise ValueError(f"{name}: wanted one class index per example, [N] with N > 0, but the shape is {array.shape}.")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name}: wanted class indices, but the type is {array.dtype}.")
    if not np.all(np.isfinite(array)) or np.any(array != np.floor(array)):
        raise ValueError(f"{name}: a class index is a whole number, but some values are NaN, infinite or fractions.")
    return array.astype(np.int64)


def _check_equal_lengths(arrays: Mapping[str, np.ndarray]) -> None:
    if len({len(array) for array in arrays.values()}) > 1:
        lengths = ", ".join(f"{name} {len(array)}" for name, array in arrays.items())
        raise ValueError(f"One class per sample is wanted from each, but the lengths differ: {lengths}.")
