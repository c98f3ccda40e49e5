"""A folder with samples that any program made: what `mmtf evaluate --samples` reads.

random/NAME.npy         samples from the prior, [N, ...] of every modality; row n of all files belongs together
from_A,B/NAME.npy       samples of NAME, row n given A and B of the n-th test example that has both   (any set of modalities)

Values are in the data set's own unit and shape: images as bytes in 0..255 or as floats in 0..1, texts as class indices.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mmtf.data.arrays.array_files import read_array
from mmtf.data.dataset import MultimodalData, Split
from mmtf.errors import UserError
from mmtf.modality import OVERSHOOT, Modality, check_subset, subsets
from mmtf.models.checks import check_values

RANDOM, GIVEN = "random", "from_"
LEAST = 20  # samples in each set, fewer than which no distribution can be told from


@dataclasses.dataclass(frozen=True)
class Samples:
    """Generated values.

    Attributes:
      random: by modality, `[N, *event_shape]`, or empty.
      given: by the modalities K that were given, in the data set's order, and by the modality generated, `[N, *event_shape]`.
    """

    random: Mapping[str, np.ndarray]
    given: Mapping[tuple[str, ...], Mapping[str, np.ndarray]]

    def within(self, test: Split) -> Samples:
        """Without what was generated from examples after the first ones that `test` is."""
        given = {k: {n: x[: test.has(k).sum()] for n, x in values.items()} for k, values in self.given.items()}
        return dataclasses.replace(self, given=given)


def check_folder(folder: Path) -> None:
    """Raise UserError where there is no such folder, or no set of samples in it; opens none of them."""
    if not folder.is_dir():
        problem = "is a file" if folder.exists() else "is not there"
        raise UserError(f"--samples={folder} {problem}; name a folder with {RANDOM}/NAME.npy or {GIVEN}A,B/NAME.npy in it.")
    if (folder / "config.json").exists():
        raise UserError(f"--samples={folder} is a run of mmtf train; evaluate it with --run_dir={folder}.")
    wrong = [path for path in _visible(folder) if path.suffix == ".npy" or (path.is_dir() and not _is_set(path))]
    if wrong:
        raise UserError(f"{wrong[0]}: samples stand in folders {RANDOM} and {GIVEN}A,B, such as {folder / RANDOM}/NAME.npy.")
    if not any(_is_set(path) for path in _visible(folder)):
        raise UserError(f"--samples={folder} holds no folder {RANDOM} and none of the form {GIVEN}A,B; put NAME.npy there.")


def load(folder: Path, data: MultimodalData) -> Samples:
    """Return the samples of a folder.

    Raises:
      UserError: as `check_folder`; a modality that the data set does not have; a file that cannot be read or whose values do
        not fit in shape, type, range or number; NaN; random samples of some modalities alone.
    """
    check_folder(folder)
    at_random, given_sets = {}, {}
    for path in filter(_is_set, _visible(folder)):
        if path.name == RANDOM:
            at_random = _random(path, data)
            continue
        given = _given(path, data.names)
        if given in given_sets:
            raise UserError(f"{path} is not the only folder of what was generated from {','.join(given)}; remove one of them.")
        given_sets[given] = _conditional(path, given, data)
    return Samples(at_random, {given: given_sets[given] for given in subsets(data.names) if given in given_sets})


def _random(path: Path, data: MultimodalData) -> dict[str, np.ndarray]:
    values = _arrays(path, data)
    missing = [name for name in data.names if name not in values]
    if missing:
        raise UserError(
            f"{path} lacks {missing[0]}.npy: row n of all modalities belongs together. Add it, or name those that there are "
            f"in --modalities={','.join(values)}."
        )
    counts = {name: len(array) for name, array in values.items()}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise UserError(f"{path}: row n of all files belongs together, but the numbers of rows differ: {told}.")
    return values


def _conditional(path: Path, given: tuple[str, ...], data: MultimodalData) -> dict[str, np.ndarray]:
    count = int(data.test.has(given).sum())
    values = _arrays(path, data, count)
    for name, array in values.items():
        if len(array) > count:
            raise UserError(
                f"{path / name}.npy has {len(array)} rows, but {count} test examples have {','.join(given)}; row n is for the "
                "n-th of them. Was it made for another data set, or other flags of it?"
            )
    return values


def _given(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    try:
        return check_subset(path.name.removeprefix(GIVEN).split(","), names)
    except ValueError as error:
        raise UserError(f"{path}: {error} A folder's name says what was given, as in {GIVEN}{','.join(names[:2])}.") from error


def _arrays(path: Path, data: MultimodalData, most: int = LEAST) -> dict[str, np.ndarray]:
    """Return the values of one set by modality, in the data set's order. Args: most: rows that there can be."""
    modalities, by_name = {m.name: m for m in data.modalities}, {}
    for file in _visible(path):
        if file.suffix != ".npy" or file.stem not in modalities:
            raise UserError(f"{file}: wanted NAME.npy of a modality of {data.name}; they are: {', '.join(modalities)}.")
        array = read_array(file)
        try:
            by_name[file.stem] = _checked(array, modalities[file.stem], data.test.pools[file.stem])
        except UserError as error:
            raise UserError(f"{file}: {error}") from error
        if len(array) < min(LEAST, most):
            raise UserError(f"{file} has {len(array)} rows; {LEAST} samples are the fewest that say something. Make more.")
    if not by_name:
        raise UserError(f"{path} holds no NAME.npy; the modalities are: {', '.join(modalities)}.")
    return {name: by_name[name] for name in modalities if name in by_name}


def _checked(array: np.ndarray, modality: Modality, real: np.ndarray) -> np.ndarray:
    """Return the samples in the type that classifiers take. Args: real: values of that modality."""
    with np.errstate(over="ignore"):  # what is not finite in single precision is told by the check
        array = array.astype(np.float32) if array.dtype.kind == "f" else array
    # A sample has no missing cells, also where a real value may have some.
    check_values({modality.name: array}, [dataclasses.replace(modality, missing_cells=False)])
    if modality.likelihood == "categorical":
        return array.astype(np.int32)
    if real.dtype == np.uint8:
        _check_image(modality.name, array)
    elif array.dtype == np.uint8:
        raise UserError(f"{modality.name}: bytes are read as 0..255, but the data set's values are {real.dtype}; save floats.")
    return array if array.dtype.kind == "f" or array.dtype == np.uint8 else array.astype(np.float32)


def _check_image(name: str, array: np.ndarray) -> None:
    if not array.size:
        return
    low, high = array.min(), array.max()
    if array.dtype == np.uint8 and high <= 1:
        raise UserError(f"{name}: bytes must be in 0..255, but none is above 1; save floats in 0..1, or multiply by 255.")
    if array.dtype != np.uint8 and (low < -OVERSHOOT or high > 1 + OVERSHOOT):
        raise UserError(f"{name}: floats of an image must be in 0..1, but run {low:g}..{high:g}; rescale them, or save uint8.")


def _visible(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]


def _is_set(path: Path) -> bool:
    return path.is_dir() and (path.name == RANDOM or path.name.startswith(GIVEN))
