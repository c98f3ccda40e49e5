"""Which networks a modality gets that has none of its own, by its kind of values."""

from __future__ import annotations

from types import ModuleType

from mmtf.modality import Modality
from mmtf.networks import image, tokens, vector

# An image narrower than this has nothing to halve.
SMALLEST_IMAGE = 4
# Columns of classes up to here are no sequence, and their one-hot codes are few enough for a layer over all of them.
MOST_COLUMNS, MOST_CODES = 32, 4096


def networks_of(modality: Modality) -> ModuleType:
    """Return the module with `encoder`, `decoder` and `classifier` for a modality's values: `vector`, `image` or `tokens`.

    Real values `[H, W, C]`, H and W at least 4: image. A text (it has an alphabet), or classes `[T]` that are more than 32 or
    have more than 4,096 one-hot codes together: tokens. All else is flattened: vector; where the order along an axis matters,
    as in a time series, a network of its own will do better.
    """
    if is_image(modality):
        return image
    return tokens if is_sequence(modality) else vector


def is_sequence(modality: Modality) -> bool:
    """Return whether the values are classes `[T]` of a text, or too many for a layer over all of them."""
    if not modality.num_classes or len(modality.event_shape) != 1:
        return False
    columns = modality.size <= MOST_COLUMNS and modality.size * modality.num_classes <= MOST_CODES
    return modality.alphabet is not None or not columns


def is_image(modality: Modality) -> bool:
    """Return whether the values are real numbers `[H, W, C]`, large enough to be halved."""
    return not modality.num_classes and len(modality.event_shape) == 3 and min(modality.event_shape[:2]) >= SMALLEST_IMAGE
