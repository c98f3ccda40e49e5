"""Where images with one label each come from: original files in the user's folder, or else TFDS."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import tqdm

from mmtf import progress
from mmtf.config import DataConfig
from mmtf.data import files, tfds_source
from mmtf.errors import UserError

MNIST_LICENCE = "MNIST: by Y. LeCun and C. Cortes, derived from NIST's data."
SVHN_LICENCE = "SVHN (Netzer et al. 2011): for non-commercial research."

log = logging.getLogger(__name__)


class Labelled(NamedTuple):
    """Images uint8 `[N, H, W, C]` and their classes, int64 `[N]`."""

    images: np.ndarray
    label: np.ndarray


@dataclasses.dataclass(frozen=True)
class Source:
    """Both parts of a unimodal data set, and a sentence on where they came from, without paths."""

    train: Labelled
    test: Labelled
    origin: str


OFFICIAL = {"MNIST": (60_000, 10_000), "SVHN": (73_257, 26_032)}
MNIST_FILES = [f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
SVHN_FILES = ["train_32x32.mat", "test_32x32.mat"]


def mnist(config: DataConfig) -> Source:
    """MNIST: four IDX files, gzip or not, in the data folder or in its `mnist` or `MNIST/raw`; else TFDS `mnist`.

    TFDS has the same images in another order, so that a seed gives other pairs.

    Raises:
      UserError: the files cannot be used, or there is neither a file nor TFDS data and --download was not given.
    """
    where = files.folder(config.data_dir), ("mnist", "MNIST/raw"), MNIST_FILES, ("", ".gz")
    paths = files.find(*where)
    if not paths:
        return _from_tfds("MNIST", "mnist", (28, 28, 1), config, files.looked_for(*where))
    parts = [Labelled(*files.read_mnist(*paths[i : i + 2])) for i in (0, 2)]
    return _announced("MNIST", parts, "original files", paths[0].parent)


def svhn(config: DataConfig) -> Source:
    """SVHN's cropped digits: `train_32x32.mat` and `test_32x32.mat` in the data folder or its `svhn`; else TFDS `svhn_cropped`.

    Digit 0 has label 0, as in TFDS; in the original files it has label 10. The 531,131 extra images are not used.

    Raises:
      UserError: as `mnist`.
    """
    where = files.folder(config.data_dir), ("svhn", "SVHN"), SVHN_FILES
    paths = files.find(*where)
    if not paths:
        return _from_tfds("SVHN", "svhn_cropped", (32, 32, 3), config, files.looked_for(*where))
    return _announced("SVHN", [Labelled(*files.read_svhn(path)) for path in paths], "original files", paths[0].parent)


def _from_tfds(name: str, tfds_name: str, shape: tuple[int, ...], config: DataConfig, looked_for: str) -> Source:
    """Args: looked_for: sentence on the original files that were not there."""
    if not tfds_source.prepared(tfds_name, config):
        raise UserError(f"{name} was not found. {looked_for} {tfds_source.not_prepared(tfds_name, config)}")
    parts = []
    for split, count in zip(("train", "test"), OFFICIAL[name], strict=True):
        with progress.bar(count, f"{name} {split}", "image", delay=5.0) as shown:
            parts.append(_collected(tfds_source.examples(tfds_name, split, config), shape, shown))
    return _announced(name, parts, f"TFDS {tfds_name}", "TFDS")


def _collected(examples: Iterable[Mapping[str, Any]], shape: tuple[int, ...], shown: tqdm.tqdm) -> Labelled:
    """All examples' images and labels, in one buffer that grows: a list of arrays to stack would need the memory twice."""
    pixels, label = bytearray(), []
    for example in examples:
        pixels += example["image"].tobytes()
        label.append(example["label"])
        shown.update()
    return Labelled(np.frombuffer(pixels, np.uint8).reshape(len(label), *shape), np.array(label, np.int64))


def _announced(name: str, parts: list[Labelled], kind: str, place) -> Source:
    """Return the source of two parts, after a log message that says where they are from and how many they are."""
    counts = tuple(len(part.label) for part in parts)
    origin = f"{kind}: {counts[0]:,} training and {counts[1]:,} test examples"
    if counts != OFFICIAL[name]:
        origin += " (the whole set has {:,} and {:,})".format(*OFFICIAL[name])
    log.info("%s: %s, from %s", name, origin, place)
    return Source(*parts, origin)
