"""A user's own data: arrays, columns of a table, or a folder of .npy files.

    data = from_arrays({"rna": counts, "protein": levels, "note": texts}, labels=cell_type)

`inference` says which likelihood values get, and how to say another one.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence

import numpy as np

from mmtf.config import DataConfig, declare
from mmtf.containers import annotated, rows
from mmtf.data import files, pairing
from mmtf.data.arrays import array_files, cells, display, inference
from mmtf.data.arrays import labels as labelling
from mmtf.data.arrays.cells import Cells
from mmtf.data.arrays.inference import Inferred
from mmtf.data.dataset import MultimodalData, Split
from mmtf.data.entry import DatasetEntry
from mmtf.errors import UserError
from mmtf.modality import Modality, check_names, weighted_by_size


@declare
class Options(DataConfig):
    """Options of a user's own arrays: those of every data set."""


log = logging.getLogger(__name__)

TEST_SHARE = 0.2


def from_arrays(
    values: Mapping[str, object],
    labels=None,
    masks: Mapping[str, np.ndarray] | None = None,
    *,
    likelihoods: Mapping[str, str | Mapping] | None = None,
    test=TEST_SHARE,
    seed: int = 0,
    class_names: Sequence[str] | None = None,
    name: str = "arrays",
    standardise: bool = True,
    paired_by_class: bool = False,
) -> MultimodalData:
    """Return a data set of arrays whose rows belong together.

    Rows of pandas tables and series belong together by their index, see `mmtf.containers.rows`; all others by place.

    Args:
      values: per modality `[N, ...]`, `[N]` meaning `[N, 1]`: images uint8 `[N, H, W]` or `[N, H, W, C]`; floats, NaN where a
        cell is missing; booleans; integer classes; strings (`[N]` texts, `[N, k]` names of classes); a sparse matrix; a table
        or an AnnData (its X), whose columns keep their names; or a list with None for an example that lacks the modality. An
        example of NaN alone lacks it, too. What is neither columns, an image nor a text is flattened by the default networks
        (`mmtf.networks.default`).
        A MuData in place of the dict gives its modalities, and masks of the rows that each lacks.
      labels: `[N]` integers, strings or booleans; `[N, L]` of 0 and 1, which of L attributes each example has; or None.
      masks: per modality, or some of them, which examples have it, `[N]` bool; what stands where it is False is not looked at.
      likelihoods: per modality, or some of them, a likelihood such as "negative_binomial", or fields of a `Modality` such as
        `{"likelihood": "normal", "scale": 0.5}`, in place of what is inferred from the values (table in `inference`).
      test: share of the examples that are for testing, of each class alike; or `[N]` booleans; or integer rows.
      seed: of the choice of test examples.
      class_names: of the classes of integer labels, or of the attributes.
      name: of the data set.
      standardise: whether real values and counts get location and spread, from the training examples; see `inference`.
      paired_by_class: whether any two values of a class belong together, because examples were made by pairing values of one
        class. Retrieval then counts every example of the class as found.

    Returns:
      Data in the order of `values`, one pool row per example. Values stay in their units. Likelihood weights are
      size(largest)/size, [S] C.3.2, unless `likelihoods` says another `likelihood_weight`.

    Raises:
      UserError: fewer than two modalities, shapes or counts that do not fit, tables whose rows have other names, infinite
        values, an example without any modality, values that could be two things, or labels that are no classes. The message
        says what to change.
    """
    values, masks = annotated.by_modality(values, masks)
    for argument, given in (("values", values), ("masks", masks or {}), ("likelihoods", likelihoods or {})):
        if not isinstance(given, Mapping):
            raise UserError(f"{argument}: wanted a dict by modality, such as {{'rna': ...}}, not {type(given).__name__}.")
    values, masks, labels, test = _aligned(values, masks, labels, test)
    given = {key: cells.read(str(key), each) for key, each in values.items()}
    return _build(given, labels, masks, likelihoods, test, seed, class_names, name, standardise, paired_by_class)


def from_dataframe(
    frame,
    columns: Mapping[str, Sequence[str]],
    labels: str | Sequence[str] | None = None,
    masks: Mapping[str, np.ndarray] | None = None,
    *,
    likelihoods: Mapping[str, str | Mapping] | None = None,
    test=TEST_SHARE,
    seed: int = 0,
    class_names: Sequence[str] | None = None,
    name: str = "arrays",
    standardise: bool = True,
    paired_by_class: bool = False,
) -> MultimodalData:
    """A data set of the columns of a table, one modality per group of columns; otherwise as `from_arrays`.

    Columns of numbers become floats (of booleans alone: booleans), columns of strings or of pandas' categories become classes.
    A missing number is NaN, a missing name the class -1. All columns of a group of names share one number of classes, the
    largest; their names are in `data.sources`, and `data.show[NAME]` turns classes into names.

    Args:
      frame: anything in which `frame["height"]` is a column, such as a pandas or polars table; pandas is not needed.
      columns: per modality, the names of its columns: all of numbers, or all of names.
      labels: name of the column of labels, or names of several columns of 0 and 1, the attributes.

    Raises:
      UserError: as `from_arrays`; an unknown column, or a group that mixes numbers and names.
    """
    groups = columns if isinstance(columns, Mapping) else {}
    groups = {key: [group] if isinstance(group, str) else list(group) for key, group in groups.items()}
    if not groups or not all(groups.values()):
        raise UserError("columns: wanted, by modality, the names of its columns, such as {'size': ['height', 'width']}.")
    _, masks, _, test = _aligned({"frame": frame}, masks, None, test)
    given = {key: cells.read_columns(str(key), frame, group) for key, group in groups.items()}
    label, class_names = labelling.columns(frame, labels, class_names)
    return _build(given, label, masks, likelihoods, test, seed, class_names, name, standardise, paired_by_class)


def load(config: DataConfig) -> MultimodalData:
    """Return the arrays of the folder that --data_dir or MMTF_DATA_DIR names; `array_files` says what it holds.

    --data_seed chooses the test examples where no test.npy does, a fifth of each class, and those that --data_fraction keeps.

    Raises:
      UserError: no folder, files that cannot be used, or as `from_arrays`.
    """
    root = files.folder(config.data_dir)
    if root is None:
        raise UserError(
            "--dataset=arrays reads a folder with one NAME.npy per modality; name it with --data_dir=FOLDER or MMTF_DATA_DIR."
        )
    by_name = array_files.read(root)
    try:
        return _build(
            {name: cells.read(name, array) for name, array in by_name.values.items()},
            by_name.labels,
            by_name.masks,
            by_name.likelihoods,
            TEST_SHARE if by_name.test is None else by_name.test,
            config.data_seed,
            by_name.class_names,
            paired_by_class=by_name.paired_by_class,
            fraction=config.data_fraction,
        )
    except UserError as error:
        raise UserError(f"{root}: {error}") from error


def _aligned(values: Mapping, masks: Mapping | None, labels, test) -> tuple[dict, dict | None, object, object]:
    """Return them with their rows in the order of the first table that names its rows, see `rows`."""
    parts = {f"values[{key!r}]": each for key, each in values.items()}
    parts |= {f"masks[{key!r}]": each for key, each in (masks or {}).items()} | {"labels": labels}
    if getattr(test, "dtype", None) in (bool, "boolean"):
        parts["test"] = test
    parts = rows.aligned(parts)
    return (
        {key: parts[f"values[{key!r}]"] for key in values},
        {key: parts[f"masks[{key!r}]"] for key in masks} if masks else masks,
        parts["labels"],
        parts.get("test", test),
    )


def _build(
    given: Mapping[str, Cells],
    labels,
    masks,
    likelihoods,
    test,
    seed: int,
    class_names,
    name: str = "arrays",
    standardise: bool = True,
    paired_by_class: bool = False,
    fraction: float = 1.0,
) -> MultimodalData:
    """Args: fraction: share of the training examples that is kept, of each class alike."""
    masks, likelihoods = masks or {}, likelihoods or {}
    if seed < 0:
        raise UserError(f"The seed must be 0 or more, not {seed}.")
    count = _checked_count(given, masks, likelihoods)
    inferred = {
        n: inference.infer(
            n, dataclasses.replace(c, is_present=c.is_present & _mask(n, masks, count)), likelihoods.get(n), standardise
        )
        for n, c in given.items()
    }
    _check_not_empty(inferred)
    label, class_names = labelling.read(labels, count, class_names)
    if paired_by_class and (label is None or label.ndim != 1):
        raise UserError("paired_by_class says that values of one class belong together, and wants labels: a class for each.")
    in_test = labelling.test_rows(test, label, count, seed)
    in_train = _kept(label, ~in_test, fraction, seed)
    modalities = _modalities(inferred, likelihoods, in_train)
    shows = {
        m.name: display.show(m, inferred[m.name].values[in_train], given[m.name].columns, given[m.name].categories)
        for m in modalities
    }
    return MultimodalData(
        name=name,
        modalities=modalities,
        train=_part(inferred, label, in_train),
        test=_part(inferred, label, in_test),
        class_names=class_names,
        sources={m.name: _origin(m, given[m.name], inferred[m.name], in_train, in_test) for m in modalities},
        show={key: value for key, value in shows.items() if value},
        paired_by_class=paired_by_class,
    )


def _checked_count(given: Mapping[str, Cells], masks, likelihoods) -> int:
    """N, the same for all modalities."""
    if len(given) < 2:
        raise UserError(
            f"A multimodal data set needs two modalities or more, not {len(given)}; split the columns into two groups."
        )
    try:
        check_names(tuple(given))
    except ValueError as error:
        raise UserError(str(error)) from error
    for argument, names in (("masks", masks), ("likelihoods", likelihoods)):
        unknown = [name for name in names if name not in given]
        if unknown:
            raise UserError(f"{argument}: unknown modality {unknown[0]!r}; the modalities are: {', '.join(given)}.")
    counts = {name: len(each.values) for name, each in given.items()}
    first = next(iter(counts))
    for name, count in counts.items():
        if count != counts[first]:
            raise UserError(f"{name} has {count} examples, but {first} has {counts[first]}; row n of each belongs together.")
    return counts[first]


def _mask(name: str, masks, count: int) -> np.ndarray:
    mask = np.asarray(masks[name]) if name in masks else np.ones(count, bool)
    if mask.dtype != bool or mask.shape != (count,):
        raise UserError(f"masks: {name} needs {count} booleans, not {mask.dtype} of shape {mask.shape}.")
    return mask


def _check_not_empty(inferred: Mapping[str, Inferred]) -> None:
    nothing = np.flatnonzero(~np.any([each.is_present for each in inferred.values()], axis=0))
    if len(nothing):
        raise UserError(
            f"Example {nothing[0]} has none of the modalities ({len(nothing)} such examples in all); leave such examples out."
        )


def _kept(label, in_train: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Return which examples are trained on, `[N]` bool."""
    rows = np.flatnonzero(in_train)
    classes = label[rows] if label is not None and label.ndim == 1 else np.zeros(len(rows), np.int64)
    kept = np.zeros(len(in_train), bool)
    kept[rows[pairing.keep_fraction(classes, fraction, np.random.default_rng([seed, 1]))]] = True
    return kept


def _modalities(inferred: Mapping[str, Inferred], likelihoods, in_train) -> tuple[Modality, ...]:
    absent = [name for name, each in inferred.items() if not (each.is_present & in_train).any()]
    if absent:
        raise UserError(f"{absent[0]} is missing in every training example; choose other test examples, or leave it out.")
    weighted = weighted_by_size([inference.modality(name, each, in_train) for name, each in inferred.items()])
    wanted = {n: own for n, own in likelihoods.items() if isinstance(own, Mapping) and "likelihood_weight" in own}
    return tuple(
        dataclasses.replace(m, likelihood_weight=wanted[m.name]["likelihood_weight"]) if m.name in wanted else m
        for m in weighted
    )


def _part(inferred: Mapping[str, Inferred], label, chosen: np.ndarray) -> Split:
    incomplete = not all(each.is_present.all() for each in inferred.values())
    return Split(
        pools={name: each.values[chosen] for name, each in inferred.items()},
        rows={name: np.arange(chosen.sum()) for name in inferred},
        label=None if label is None else label[chosen],
        mask={name: each.is_present[chosen] for name, each in inferred.items()} if incomplete else None,
    )


def _origin(m: Modality, given: Cells, inferred: Inferred, in_train, in_test) -> str:
    """A sentence for the record of a run; what is missing goes to the log."""
    log.info("%s: %s, shape %s, %s", m.name, m.likelihood, m.event_shape, inferred.gaps())
    part = "" if (in_train | in_test).all() else f" (the whole set has {(~in_test).sum():,} training examples)"
    columns = given.columns or ("names",) * len(given.categories)
    names = [f"; {column}: {', '.join(each)}" for column, each in zip(columns, given.categories, strict=False)]
    return f"own arrays: {in_train.sum():,} training and {in_test.sum():,} test examples{part}{''.join(names)}"


ARRAYS = DatasetEntry(load, licence=("The user's own data: this project knows nothing of their terms.",))
