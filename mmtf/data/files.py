"""Readers of the original files of MNIST and SVHN. Each error names the file, what was wanted and what was found."""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.io

from mmtf.errors import UserError

# The third byte of an IDX file's magic number says what its numbers are; the digits' files hold unsigned bytes.
IDX_UNSIGNED_BYTE = 8


def folder(data_dir: str) -> Path | None:
    """Return the folder that `--data_dir` or else MMTF_DATA_DIR names; None where neither does.

    Raises:
      UserError: there is no such folder.
    """
    named = data_dir or os.environ.get("MMTF_DATA_DIR", "")
    if named and not Path(named).expanduser().is_dir():
        given = "--data_dir" if data_dir else "MMTF_DATA_DIR"
        raise UserError(f"{given} names {named}, which is no folder; name the one that holds the data files.")
    return Path(named).expanduser() if named else None


def find(root: Path | None, subfolders: Sequence[str], names: Sequence[str], suffixes: Sequence[str] = ("",)) -> list[Path]:
    """Return the files of those names, all in one folder: `root` itself or one of its subfolders.

    Args:
      suffixes: what may stand behind a name, the first found wins, such as ("", ".gz").

    Returns:
      One path per name, from the first folder that has them all; an empty list where no folder has any of them.

    Raises:
      UserError: no folder has all of the files, but one has some.
    """
    incomplete = []
    for place in [root / sub for sub in ("", *subfolders)] if root else []:
        paths = [next((p for s in suffixes if (p := place / f"{name}{s}").exists()), None) for name in names]
        missing = [name for name, path in zip(names, paths, strict=True) if path is None]
        if not missing:
            return paths
        if len(missing) < len(names):
            incomplete.append(f"{place} has some of the files {', '.join(names)}, but not {', '.join(missing)}")
    if incomplete:
        raise UserError(f"{'; '.join(incomplete)}. Add what is missing: all must be in one folder.")
    return []


def looked_for(root: Path | None, subfolders: Sequence[str], names: Sequence[str], suffixes: Sequence[str] = ("",)) -> str:
    """A sentence for a UserError on what `find` did not find, and where."""
    if root is None:
        return f"No folder with original files ({', '.join(names)}) was named by --data_dir or MMTF_DATA_DIR."
    further = "".join(f" (or {suffix})" for suffix in suffixes if suffix)
    return f"{root} has no {', '.join(names)}{further}, nor has its {' or '.join(subfolders)}."


def read_idx(path: Path) -> np.ndarray:
    """Return the array of an IDX file of unsigned bytes, gzip or not: uint8 of the shape that the file states.

    Raises:
      UserError: it is not such a file, or its length is not what its header says.
    """
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error}); it may be cut short: copy it again.") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != IDX_UNSIGNED_BYTE or not content[3]:
        raise UserError(
            f"{path} is no IDX file of unsigned bytes: it should begin with the bytes 00 00 08 and a number of "
            f"dimensions, not with {content[:4].hex(' ')}."
        )
    header = 4 + 4 * content[3]
    if len(content) < header:
        raise UserError(f"{path} ends inside its header, after {len(content)} bytes: copy it again.")
    shape = struct.unpack(f">{content[3]}I", content[4:header])
    if len(content) - header != math.prod(shape):
        raise UserError(
            f"{path} should hold {math.prod(shape)} bytes {shape} by its header, but {len(content) - header} follow: copy it "
            f"again."
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def read_mnist(images: Path, labels: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return images uint8 `[N, 28, 28, 1]` and labels int64 `[N]` of a pair of IDX files.

    Raises:
      UserError: as `read_idx`; other sizes, different counts, or a label outside 0..9.
    """
    pixels, label = read_idx(images), read_idx(labels)
    if pixels.ndim != 3 or pixels.shape[1:] != (28, 28):
        raise UserError(f"{images} holds an array {pixels.shape}, where images [N, 28, 28] were wanted.")
    if label.ndim != 1 or len(label) != len(pixels):
        raise UserError(
            f"{labels} holds {label.shape} labels for the {len(pixels)} images of {images}; they must be of one part."
        )
    _check_labels(labels, label, 0, 9)
    return pixels[..., None], label.astype(np.int64)


def read_svhn(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 `[N, 32, 32, 3]` and labels int64 `[N]` of a file in SVHN's format 2, in which digit 0 is labelled 10.

    Raises:
      UserError: it is no .mat file, has no X or y, or these are not `[32, 32, 3, N]` bytes and N labels in 1..10.
    """
    try:
        content = scipy.io.loadmat(path, variable_names=["X", "y"])
    # SciPy reports damage as whatever its parser stumbles over first.
    except Exception as error:
        raise UserError(f"{path} cannot be read as a MATLAB file ({type(error).__name__}: {error}): copy it again.") from error
    missing = [name for name in ("X", "y") if name not in content]
    if missing:
        raise UserError(f"{path} has no {' and no '.join(missing)}; SVHN's cropped digits (format 2) have X and y.")
    pixels, label = content["X"], content["y"].ravel()
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[:3] != (32, 32, 3):
        raise UserError(f"{path}: X is {pixels.dtype} {pixels.shape}, where uint8 [32, 32, 3, N] was wanted.")
    if label.dtype.kind not in "iuf":
        raise UserError(f"{path}: y is {label.dtype}, where numbers 1..10 were wanted.")
    if len(label) != pixels.shape[3]:
        raise UserError(f"{path}: y has {len(label)} labels for the {pixels.shape[3]} images of X.")
    _check_labels(path, label, 1, 10)
    return np.ascontiguousarray(pixels.transpose(3, 0, 1, 2)), label.astype(np.int64) % 10


def check_damaged(
    subject: str, names: Sequence[str], skip_damaged: bool, problem: str = "", mended: str = "copy it again"
) -> None:
    """Raise UserError where there are names of damaged images and they are not to be left out.

    Args:
      subject: the data set. problem: what was wrong with the first image. mended: what the user can do for it.
    """
    if names and not skip_damaged:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        raise UserError(
            f"The image {names[0]}{more} of {subject} cannot be read{f' ({problem})' if problem else ''}: {mended}, or leave "
            "out what is damaged with --skip_damaged."
        )


def _check_labels(path: Path, label: np.ndarray, low: int, high: int) -> None:
    if not len(label):
        raise UserError(f"{path} holds no examples.")
    # Asked this way round, NaN is wrong too.
    wrong = np.flatnonzero(~((label >= low) & (label <= high) & (label % 1 == 0)))
    if len(wrong):
        raise UserError(f"{path}: label {label[wrong[0]]} of example {wrong[0]} is none of {low}..{high}.")
