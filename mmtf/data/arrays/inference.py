"""From a user's values to a modality: which likelihood they have, and in which unit the networks see them.

| values | likelihood |
|---|---|
| strings `[N]` | categorical: characters of `text.ALPHABET`, in lower case, filled up with spaces to the longest |
| strings `[N, k]`, names of classes | categorical |
| booleans, floats that are all 0 or 1, uint8 of three axes or more that are | bernoulli |
| other uint8 `[N, H, W]` or `[N, H, W, C]`, and of more axes | laplace, as pixels of 0..255 |
| integers 0..127 at most | categorical |
| floats `[N, H, W, C]` in 0..1 | laplace, as pixels |
| whole floats from 0, some above 1: counts | negative_binomial |
| the same, measurements | normal |
| other floats | normal |

Whole floats are counts where nearly all columns (nine of ten) have a value of 10 or less, and a variance that is not below the
mean, as a negative binomial's cannot be. They are measurements where nearly all columns have neither.

Where this may go wrong unnoticed, nothing is inferred, and the error shows what settles it: integers below 0 or above 127,
images of whole floats, and other whole floats, such as scores of 0..10 or sums of money.

Values of a laplace or normal likelihood get `location` and `spread`: mean and standard deviation of each column (each place on
the last axis) over the training examples; images in 0..1 do not. Counts get those of log(1 + count). A column that is constant
there gets spread 1.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping

import numpy as np

from mmtf import text
from mmtf.data.arrays import conversion
from mmtf.data.arrays.cells import Cells
from mmtf.errors import UserError
from mmtf.modality import LIKELIHOODS, LOCATED, Modality, plain

log = logging.getLogger(__name__)

MAX_CLASSES = 128
# In units of a column's standard deviation. A linear model gives up what explains less than beta * SCALE^2 of a column's
# variance: 0.06 at a beta of 1, 0.31 at the default of 5. (At images' 0.75 it would give up everything.)
SCALE = 0.25
# Counts of something have a value at most this in nearly all columns. Nearly all, for genes that every cell has.
SMALL_COUNT = 10
NEARLY_ALL = 0.9
# Fields of a Modality that the values decide.
DECIDED = ("name", "event_shape", "columns", "categories")

PICTURE_FILES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp")


@dataclasses.dataclass(frozen=True)
class Inferred:
    """One modality, its values in the type of a pool.

    Attributes:
      values: `[N, *event_shape]`: uint8 images, int32 classes (-1 missing) or float32 (NaN missing); 0 where it is not there.
      is_present: whether each example has it, `[N]` bool.
      fields: of the `Modality`, without its units.
      standardise: whether location and spread are still to be found.
    """

    values: np.ndarray
    is_present: np.ndarray
    fields: Mapping
    standardise: bool

    def gaps(self) -> str:
        """Return what is missing, in words: `30 % of the examples and 2 % of the cells missing`."""
        cells = missing_cells(self.values, self.is_present)[self.is_present].mean()
        shares = {"examples": 1 - self.is_present.mean(), "cells": cells}
        words = [f"{100 * share:.2g} % of the {kind}" for kind, share in shares.items() if share]
        return f"{' and '.join(words)} missing" if words else "nothing missing"


def infer(name: str, given: Cells, wanted: str | Mapping | None = None, standardise: bool = True) -> Inferred:
    """Return the modality of a user's values.

    Args:
      wanted: a likelihood, or fields of a `Modality`, in place of what would be inferred.
      standardise: False leaves location and spread empty, unless `wanted` has them.

    Raises:
      UserError: values that do not suit the likelihood wanted, that could be two things, or that float32 cannot hold.
    """
    fields = _checked_fields(name, wanted)
    if given.values.dtype.kind == "U":
        _check_no_files(name, given)
        given, fields = _text(name, given, fields)
    x = given.values[:, None] if given.values.ndim == 1 else given.values
    is_present = given.is_present
    if not is_present.any():
        raise UserError(f"{name} is missing in every example; leave it out.")
    if x.dtype.kind == "f" and (infinite := np.isinf(x).any(axis=tuple(range(1, x.ndim))) & is_present).any():
        raise UserError(f"{name}: example {np.flatnonzero(infinite)[0]} holds an infinite value; give NaN for a missing one.")
    if x.dtype.kind == "f":
        is_present = is_present & ~np.isnan(x).all(axis=tuple(range(1, x.ndim)))
        if not is_present.any():
            raise UserError(f"{name} is NaN in every example; leave it out.")
    if "likelihood" not in fields:
        fields["likelihood"] = _of_names(name, given) if given.categories else _likelihood(name, x[is_present])
    if given.categories:
        fields.setdefault("num_classes", max(2, *map(len, given.categories)))
    real = fields["likelihood"] in (*LOCATED, "bernoulli") and not fields.get("spread")
    fields.setdefault("pixels", real and conversion.are_pixels(x[is_present]))
    x = conversion.convert(name, x, is_present, fields)
    if fields["likelihood"] == "categorical":
        is_present = is_present & (x >= 0).any(axis=tuple(range(1, x.ndim)))
    x[~is_present] = 0
    fields["event_shape"] = x.shape[1:]
    if x.ndim == 2 and len(given.columns) == x.shape[1]:
        fields["columns"] = given.columns
    if given.categories and fields["likelihood"] == "categorical":
        fields["categories"] = given.categories
    fields.setdefault("missing_cells", bool(missing_cells(x, is_present).any()))
    has_units = fields["likelihood"] in (*LOCATED, "negative_binomial") and not fields["pixels"]
    located = has_units and standardise and not {"location", "spread"} & set(fields)
    if located and fields["likelihood"] in LOCATED:
        fields.setdefault("scale", SCALE)
    return Inferred(x, is_present, fields, located)


def _check_no_files(name: str, given: Cells) -> None:
    """Raise UserError for names of picture files, which are not the pictures."""
    strings = [str(s).lower() for s in given.values[given.is_present].flat]
    files = [s for s in strings if s.endswith(PICTURE_FILES)]
    if len(files) > len(strings) / 2:
        raise UserError(
            f"{name}: texts such as {files[0]!r} are names of picture files, and the model would learn to spell them; read the "
            "pictures into an array uint8 [N, H, W, C]."
        )


def missing_cells(values: np.ndarray, is_present: np.ndarray) -> np.ndarray:
    """Return which cells of the examples that are there are missing: NaN, or a negative class.

    Booleans of the values' shape.
    """
    cells = np.isnan(values) if values.dtype.kind == "f" else values < 0
    return cells & is_present.reshape(-1, *[1] * (values.ndim - 1))


def modality(name: str, inferred: Inferred, train: np.ndarray) -> Modality:
    """Return the modality, with its units from the training examples, `[N]` bool.

    Raises:
      UserError: a field that a `Modality` refuses, or a column without a single value to train on.
    """
    units = _units(name, inferred, inferred.values[inferred.is_present & train]) if inferred.standardise else {}
    try:
        return Modality.from_json({**inferred.fields, **units, "name": name})
    except TypeError as error:
        raise UserError(f"likelihoods: a field of {name} has a value of the wrong type: {error}.") from error
    except ValueError as error:
        raise UserError(str(error)) from error


def _units(name: str, inferred: Inferred, x: np.ndarray) -> dict[str, tuple[float, ...]]:
    """Return mean and standard deviation on the last axis, NaN left out: location and spread."""
    columns = x.reshape(-1, x.shape[-1]).astype(np.float64)
    unseen = np.flatnonzero(np.isnan(columns).all(axis=0))
    if len(unseen):
        raise UserError(
            f"{name}: column {unseen[0]} has no value in any training example; leave it out, or choose other test examples."
        )
    columns = np.log1p(columns) if inferred.fields["likelihood"] == "negative_binomial" else columns
    constant = np.nanmin(columns, axis=0) == np.nanmax(columns, axis=0)
    if constant.any():
        log.info("%s: %d of %d columns are constant in training; their spread is 1.", name, constant.sum(), len(constant))
    spread = np.where(constant, 1.0, np.nanstd(columns, axis=0))
    return {"location": tuple(np.nanmean(columns, axis=0).tolist()), "spread": tuple(spread.tolist())}


def _checked_fields(name: str, wanted) -> dict:
    if not isinstance(wanted, str | Mapping | None):
        raise UserError(f"likelihoods: {name} wants a likelihood such as 'normal', or a dict of fields, not {wanted!r:.60}.")
    fields = {"likelihood": wanted} if isinstance(wanted, str) else {key: plain(x) for key, x in (wanted or {}).items()}
    known = [f.name for f in dataclasses.fields(Modality) if f.name not in DECIDED]
    unknown = [field for field in fields if field not in known]
    if unknown:
        raise UserError(f"likelihoods: {name} has a field {unknown[0]!r}; there are: {', '.join(known)}.")
    if not isinstance(fields.get("num_classes", 2), int):
        raise UserError(f"likelihoods: num_classes of {name} must be a whole number, not {fields['num_classes']!r}.")
    if "likelihood" in fields and fields["likelihood"] not in LIKELIHOODS:
        raise UserError(f"likelihoods: {name} must be one of {', '.join(LIKELIHOODS)}, not {fields['likelihood']!r}.")
    return fields


def _text(name: str, given: Cells, fields: dict) -> tuple[Cells, dict]:
    """Return strings as classes of characters."""
    if fields.get("likelihood", "categorical") != "categorical":
        raise UserError(f"{name}: texts have a categorical likelihood, not {fields['likelihood']}; give numbers instead.")
    if "alphabet" in fields or "num_classes" in fields:
        raise UserError(f"{name}: texts have the alphabet of mmtf.text; for another one give integer classes, not strings.")
    strings = [str(s) if present else "" for s, present in zip(given.values, given.is_present, strict=True)]
    if any(s != s.lower() for s in strings):
        log.info("%s: texts are turned into lower case, the alphabet's only one.", name)
        strings = [s.lower() for s in strings]
    try:
        indices = text.encode(strings, max(1, *map(len, strings)))
    except ValueError as error:
        raise UserError(f"{name}: {error}") from error
    kind = {"likelihood": "categorical", "num_classes": len(text.ALPHABET), "alphabet": text.ALPHABET}
    return Cells(indices, given.is_present), {**fields, **kind}


def _likelihood(name: str, x: np.ndarray) -> str:
    """Return what the values that are there look like; the table above."""
    if x.dtype.kind == "b":
        return "bernoulli"
    if x.dtype == np.uint8 and x.ndim >= 3:
        return "laplace" if conversion.are_pixels(x) else "bernoulli"
    if x.dtype.kind in "iu":
        _check_plain_classes(name, x)
        return "categorical"
    known = x[~np.isnan(x)]
    low, high, whole = known.min(), known.max(), bool(np.all(known == np.floor(known)))
    if whole and low >= 0 and high <= 1:
        return "bernoulli"
    if whole and low >= 0:
        return _of_whole_numbers(name, x, high)
    return "laplace" if conversion.are_pixels(x) else "normal"


def _of_whole_numbers(name: str, x: np.ndarray, high: float) -> str:
    """Counts, measurements or a question, by the columns: a negative binomial's variance is not below its mean."""
    spellings = f"likelihoods={{{name!r}: 'negative_binomial'}} for counts, likelihoods={{{name!r}: 'normal'}} for measurements"
    if x.ndim >= 3:
        raise UserError(
            f"{name}: floats of shape {x.shape[1:]} that are whole numbers up to {high:g} may be images, counts or "
            f"measurements. Give images as uint8 or divide them into 0..1; or say {spellings}."
        )
    columns = x.reshape(-1, x.shape[-1]).astype(np.float64)
    columns = columns[:, ~np.isnan(columns).all(axis=0)]
    low, mean, variance = np.nanmin(columns, axis=0), np.nanmean(columns, axis=0), np.nanvar(columns, axis=0)
    varies, small = variance > 0, low <= SMALL_COUNT
    # Of so many Poisson counts the variance falls this far below the mean by chance, at three standard errors.
    least = 1.0 - 3.0 * np.sqrt(2.0 / len(columns))
    of = varies if varies.any() else np.ones_like(varies)
    if np.mean((small & (variance >= least * mean))[of]) >= NEARLY_ALL:
        return "negative_binomial"
    if np.mean((~small & (variance < mean))[of]) >= NEARLY_ALL:
        return "normal"
    raise UserError(
        f"{name}: whole numbers from {low.min():g} to {high:g}, which are neither all counts (small ones among them, variance "
        f"not below the mean) nor all measurements. Say {spellings}; or make two modalities of them."
    )


def _of_names(name: str, given: Cells) -> str:
    most = max(map(len, given.categories))
    if most > MAX_CLASSES:
        raise UserError(
            f"{name}: a column of {most} different names, such as numbers of the examples have. Leave it out; or, if they are "
            f"classes, say likelihoods={{{name!r}: 'categorical'}}; or give texts as an array [N] of strings."
        )
    return "categorical"


def _check_plain_classes(name: str, x: np.ndarray) -> None:
    low, high = x.min(), x.max()
    if low < 0:
        raise UserError(
            f"{name}: integers from {low}. If -1 means a missing class, say likelihoods={{{name!r}: 'categorical'}}; if they "
            f"are numbers, give floats or say 'normal'; else number the classes from 0."
        )
    if high >= MAX_CLASSES:
        images = " Bytes of an image need the shape [N, H, W] or [N, H, W, C] and the type uint8." if high <= 255 else ""
        raise UserError(
            f"{name}: integers up to {high} may be classes, counts or measurements; say which: likelihoods={{{name!r}: "
            f"'categorical'}}, 'negative_binomial' or 'normal'.{images}"
        )
