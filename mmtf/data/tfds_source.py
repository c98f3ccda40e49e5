"""Examples from TensorFlow Datasets (TFDS): what it has prepared on this machine, and a download only where --download asks."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

from absl import logging as absl_logging

from mmtf.config import DataConfig
from mmtf.data import files
from mmtf.errors import UserError

log = logging.getLogger(__name__)

# tensorflow_datasets is imported inside the functions: who has the original files never waits for it.


def prepared(name: str, config: DataConfig) -> bool:
    """Return whether `examples` can be had: TFDS has prepared the data set, or may download it.

    Args:
      name: what TFDS calls the data set, such as "svhn_cropped".
      config: its `data_dir` (or MMTF_DATA_DIR) is looked into first, then TFDS' own folder: TFDS_DATA_DIR or
        ~/tensorflow_datasets.

    Raises:
      UserError: the folder named does not exist, or holds a data set that TFDS cannot open.
    """
    return config.download or _prepared_builder(name, config) is not None


def examples(name: str, split: str, config: DataConfig) -> Iterator[dict[str, Any]]:
    """Return decoded examples one by one, the same ones in the same order each time.

    The order is that in which TFDS wrote them, which is not that of the original files: TFDS shuffles as it prepares.

    Args:
      name, config: as for `prepared`. A download goes into the folder named, or else into TFDS' own.
      split: what TFDS calls it: "train", "test", or a slice such as "train[:100]".

    Returns:
      Dicts as TFDS describes them: images uint8 `[H, W, C]`, labels np.int64, texts bytes.

    Raises:
      UserError: at the call, where the data set is not prepared and there is no --download, or the download fails, or there
        is no such split; while reading, where a file is damaged.
    """
    builder = _prepared_builder(name, config)
    if builder is None:
        builder = _downloaded(name, config)
    return _read(builder, split)


def not_prepared(name: str, config: DataConfig) -> str:
    """Return sentences for a UserError: where TFDS was looked for, and the three ways out."""
    places = " nor in ".join(builder.data_dir for builder in _builders(name, config))
    return f"TFDS has not prepared {name} in {places}. {_ways_out(name, '; or let TFDS download them with --download')}"


def _ways_out(name: str, download: str = "") -> str:
    return (
        f"Put the original files into a folder and name it with --data_dir or MMTF_DATA_DIR{download}; or, where this machine "
        f"has no network, run 'tfds build {name} --data_dir=FOLDER' on one that has, copy FOLDER here, and name it with "
        f"--data_dir."
    )


def _prepared_builder(name: str, config: DataConfig):
    """The builder of the first place where TFDS has the data set, or None."""
    with _without_warnings():
        return next((builder for builder in _builders(name, config) if builder.is_prepared()), None)


def _builders(name: str, config: DataConfig) -> Iterator:
    """TFDS' builder for each place where the data set may be: the user's folder, if there is one, and TFDS' own."""
    import tensorflow_datasets as tfds

    root = files.folder(config.data_dir)
    for place in [root, None] if root else [None]:
        try:
            builder = tfds.builder(name, data_dir=place)
        # TFDS reads what it finds there as soon as the builder is made, and fails in as many ways as files can be damaged.
        except Exception as error:
            where = f"{root / name}" if place else "its own folder (TFDS_DATA_DIR or ~/tensorflow_datasets)"
            raise UserError(
                f"TFDS cannot open {name} in {where} ({type(error).__name__}: {error}); remove the data set there, or "
                f"prepare it again with 'tfds build {name} --overwrite'."
            ) from error
        yield builder


def _downloaded(name: str, config: DataConfig):
    """The builder of the first place, after a download into it."""
    if not config.download:
        raise UserError(f"{name}: {not_prepared(name, config)}")
    builder = next(_builders(name, config))
    try:
        builder.download_and_prepare()
    # No network, a full disk, a server that gives another file, a library that TFDS misses: its own exceptions for each.
    except Exception as error:
        raise UserError(
            f"TFDS could not download {name} to {builder.data_dir} ({type(error).__name__}: {error}). {_ways_out(name)}"
        ) from error
    return builder


def _read(builder, split: str) -> Iterator[dict[str, Any]]:
    """Return the examples of a prepared data set; one file after the other, and none kept in memory by TFDS."""
    import tensorflow_datasets as tfds

    in_order = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    try:
        with _without_warnings():
            data = builder.as_dataset(split=split, shuffle_files=False, read_config=in_order)
    except ValueError as error:
        raise UserError(f"TFDS cannot read {split!r} of {builder.data_dir}: {error}") from error
    log.info("Reading %s of %s from TFDS, %s", split, builder.name, builder.data_dir)
    return _guarded(data.as_numpy_iterator(), builder)


def _guarded(dataset_builder: Iterator[dict[str, Any]], builder) -> Iterator[dict[str, Any]]:
    import tensorflow as tf

    try:
        yield from dataset_builder
    except tf.errors.OpError as error:
        raise UserError(
            f"TFDS' files in {builder.data_dir} are damaged or not complete ({error.message}); remove that folder and "
            f"prepare it again."
        ) from error


@contextlib.contextmanager
def _without_warnings():
    """Asked whether it has a data set, TFDS would warn that it has not."""
    before = absl_logging.get_verbosity()
    absl_logging.set_verbosity(absl_logging.ERROR)
    try:
        yield
    finally:
        absl_logging.set_verbosity(before)
