"""A folder with a user's own arrays: what `--dataset=arrays` reads.

NAME.npy          per modality, its values [N, ...]
labels.npy        classes [N] or attributes [N, L]               (optional)
test.npy          which examples are for testing, [N] booleans or rows   (optional)
masks/NAME.npy    which examples have the modality, [N] booleans   (optional)
arrays.json       {"likelihoods": {NAME: ...}, "class_names": [...], "order": [NAME, ...], "paired_by_class": true}   (optional)
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mmtf.errors import UserError
from mmtf.modality import check_names

LABELS, TEST, MASKS, SETTINGS = "labels.npy", "test.npy", "masks", "arrays.json"
KINDS = {"likelihoods": dict, "class_names": list, "order": list, "paired_by_class": bool}
IN_WORDS = {dict: "an object", list: "a list", bool: "true or false"}


@dataclasses.dataclass(frozen=True)
class ArrayFolder:
    """What a folder holds; None where there is no such file."""

    values: Mapping[str, np.ndarray]
    labels: np.ndarray | None
    test: np.ndarray | None
    masks: Mapping[str, np.ndarray]
    likelihoods: Mapping[str, str | Mapping]
    class_names: list[str] | None
    paired_by_class: bool = False


def read(root: Path) -> ArrayFolder:
    """Return the arrays of a folder.

    Raises:
      UserError: no modality, a file that cannot be read, holds Python objects, or has another number of examples.
    """
    settings = _settings(root / SETTINGS)
    paths = {path.stem: path for path in sorted(root.glob("*.npy")) if path.name not in (LABELS, TEST)}
    if not paths:
        raise UserError(
            f"{root} holds no NAME.npy; --dataset=arrays wants one such file per modality, as np.save('NAME.npy', values) "
            f"writes it."
        )
    try:
        check_names(tuple(paths))
    except ValueError as error:
        raise UserError(f"{root}: the files' names are the modalities'. {error}") from error
    names = _ordered(list(paths), settings.get("order"), root / SETTINGS)
    values = {name: read_array(paths[name]) for name in names}
    masks = {path.stem: read_array(path) for path in sorted((root / MASKS).glob("*.npy"))}
    unknown = [name for name in masks if name not in values]
    if unknown:
        raise UserError(f"{root / MASKS / unknown[0]}.npy is the mask of no modality; there are: {', '.join(names)}.")
    labels = read_array(root / LABELS) if (root / LABELS).exists() else None
    test = read_array(root / TEST) if (root / TEST).exists() else None
    per_example = {f"{n}.npy": a for n, a in values.items()} | {f"{MASKS}/{n}.npy": a for n, a in masks.items()}
    _check_counts(root, per_example | ({} if labels is None else {LABELS: labels}))
    return ArrayFolder(
        values,
        labels,
        test,
        masks,
        settings.get("likelihoods", {}),
        settings.get("class_names"),
        settings.get("paired_by_class", False),
    )


def read_array(path: Path) -> np.ndarray:
    """Return the array `[N, ...]` of a .npy file.

    Raises UserError where it cannot be read, or holds Python objects or one number.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        if "pickle" in str(error).lower() and path.read_bytes()[:6] == b"\x93NUMPY":
            raise UserError(
                f"{path} holds Python objects, which are not loaded; save numbers (NaN where one is missing) or strings: "
                f"np.save(path, np.array(values))."
            ) from error
        raise UserError(f"{path} cannot be read as a .npy file ({error}); write it again with np.save.") from error
    if not isinstance(array, np.ndarray) or not array.ndim:
        raise UserError(f"{path} holds no array [N, ...]; write it with np.save.")
    return array


def _settings(path: Path) -> dict:
    if not path.exists():
        return {}
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as JSON ({error}); mend it.") from error
    if not isinstance(settings, dict):
        raise UserError(f"{path} must hold an object with some of: {', '.join(KINDS)}.")
    for key, value in settings.items():
        if key not in KINDS:
            raise UserError(f"{path} has {key!r}; it may have: {', '.join(KINDS)}.")
        if not isinstance(value, KINDS[key]):
            raise UserError(f"{path}: {key} must be {IN_WORDS[KINDS[key]]}, not {value!r:.60}.")
    return settings


def _ordered(names: list[str], order: list[str] | None, path: Path) -> list[str]:
    if order is None:
        return names
    if sorted(map(str, order)) != sorted(names):
        raise UserError(f"{path}: order must name each modality once: {', '.join(names)}; not {order}.")
    return order


def _check_counts(root: Path, arrays: Mapping[str, np.ndarray]) -> None:
    first, *others = arrays
    for name in others:
        if len(arrays[name]) != len(arrays[first]):
            raise UserError(
                f"{root / name} has {len(arrays[name])} examples, but {root / first} has {len(arrays[first])}; row n of all "
                f"files must belong together."
            )
