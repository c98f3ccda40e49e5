"""What a run was trained on, kept with the run so that it can be repeated exactly: data.json and pairing.npz.

A pairing is a function of a seed and of NumPy's generators, which may change; so the rows themselves are kept. The values are
not: their digests tell whether the files that a later command finds are the same.
"""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from collections.abc import Mapping

import numpy as np

from mmtf.data.cache import digest
from mmtf.data.dataset import MultimodalData, Split
from mmtf.errors import UserError
from mmtf.runs import RunDirectory

DESCRIPTION, PAIRING = "data.json", "pairing.npz"


def files(data: MultimodalData) -> dict[str, bytes]:
    """Return the content of both files, by name."""
    description = {
        "dataset": data.name,
        "sources": dict(data.sources),
        "classes": list(data.class_names),
        "examples": {part: len(split) for part, split in _splits(data).items()},
        "digests": _digests(data),
    }
    arrays = {}
    for part, split in _splits(data).items():
        arrays |= {f"{part}/rows/{name}": _small(rows) for name, rows in split.rows.items()}
        arrays |= {f"{part}/mask/{name}": mask for name, mask in (split.mask or {}).items()}
        if split.label is not None:
            arrays[f"{part}/label"] = _small(split.label)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return {DESCRIPTION: (json.dumps(description, indent=2) + "\n").encode(), PAIRING: buffer.getvalue()}


def restored(run: RunDirectory, data: MultimodalData) -> MultimodalData:
    """Return the data set with the pairing that the run was trained on.

    Args:
      data: as its loader returns it now.

    Raises:
      UserError: its values are not those of the run, or the run's record is damaged or missing.
    """
    description = run.read_json(DESCRIPTION)
    for part, digests in _digests(data).items():
        for name, of_values in digests.items():
            if description.get("digests", {}).get(part, {}).get(name) != of_values:
                raise UserError(
                    f"The {part} values of {name} are not those that {run.path} was trained on ({run.path / DESCRIPTION} has "
                    f"their digests); name the folder with the same files in --data_dir."
                )
    try:
        with np.load(run.path / PAIRING) as arrays:
            splits = {part: _repaired(split, part, arrays) for part, split in _splits(data).items()}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{run.path / PAIRING} is damaged or missing ({error}); restore it, or train again.") from error
    return dataclasses.replace(data, **splits)


def _splits(data: MultimodalData) -> dict[str, Split]:
    return {"train": data.train, "test": data.test}


def _digests(data: MultimodalData) -> dict[str, dict[str, str]]:
    return {part: {name: digest(pool) for name, pool in split.pools.items()} for part, split in _splits(data).items()}


def _repaired(split: Split, part: str, arrays: Mapping[str, np.ndarray]) -> Split:
    """Return the split's pools with the rows, masks and labels of the file."""
    rows = {name: arrays[f"{part}/rows/{name}"].astype(np.int64) for name in split.pools}
    mask = {name: arrays[key] for name in split.pools if (key := f"{part}/mask/{name}") in arrays}
    label = arrays[f"{part}/label"].astype(np.int64) if f"{part}/label" in arrays else None
    return Split(split.pools, rows, label, mask or None)


def _small(integers: np.ndarray) -> np.ndarray:
    """Return the same integers in the smallest type that holds them: a million pairs take some megabytes."""
    return integers.astype(np.result_type(np.min_scalar_type(integers.min()), np.min_scalar_type(integers.max())))
