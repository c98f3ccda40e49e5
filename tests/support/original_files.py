"""MNIST and SVHN in their authors' own file formats, small and made up; and where the real ones are."""

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import scipy.io

REAL = os.environ.get("MMTF_DATA_DIR", "")


def needs_real(*files):
    """Marks a test of real files: slow, and skipped where MMTF_DATA_DIR names no folder, or none that holds these."""
    there = REAL and all((Path(REAL) / file).exists() for file in files)
    wanted = ", ".join(files) or "the original files"
    skip = pytest.mark.skipif(not there, reason=f"MMTF_DATA_DIR names no folder with {wanted}")
    return lambda test: pytest.mark.slow(skip(test))


# Small sets, so that another modality's images can be told from a file's by their count.
MNIST_COUNTS, SVHN_COUNTS = {"train": 60, "t10k": 30}, {"train": 90, "test": 40}


def idx(array):
    """The bytes of an IDX file of unsigned bytes."""
    return b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.astype(np.uint8).tobytes()


def small(count, shape, seed):
    """Random images and labels 0..9, every class as often as any other or once more."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, *shape), dtype=np.uint8), rng.permutation(np.arange(count) % 10)


def small_mnist(part):
    return small(MNIST_COUNTS[part], (28, 28, 1), ["train", "t10k"].index(part))


def small_svhn(part):
    return small(SVHN_COUNTS[part], (32, 32, 3), 2 + ["train", "test"].index(part))


def write_mnist(folder, compress=False):
    folder.mkdir(parents=True, exist_ok=True)
    for part in MNIST_COUNTS:
        images, label = small_mnist(part)
        for kind, array in (("images-idx3", images[..., 0]), ("labels-idx1", label)):
            name = folder / f"{part}-{kind}-ubyte"
            if compress:
                name.with_suffix(".gz").write_bytes(gzip.compress(idx(array)))
            else:
                name.write_bytes(idx(array))


def write_svhn(folder):
    """In SVHN's own form: the image's number last, and 10 for digit 0."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in SVHN_COUNTS:
        images, label = small_svhn(part)
        write_mat(folder / f"{part}_32x32.mat", X=images.transpose(1, 2, 3, 0), y=np.where(label, label, 10)[:, None])


def write_mat(path, **variables):
    scipy.io.savemat(path, variables, do_compression=True)
    return path
