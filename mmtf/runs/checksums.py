"""SHA-256 of all files of a folder, in a file that `sha256sum --check` reads.

TensorFlow checks what it reads of a checkpoint by itself, but not all of a folder is read by TensorFlow, and a flipped byte in
an index can surface as any kind of error.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

NAME = "SHA256SUMS"


def write_sums(folder: Path) -> None:
    """Has all files of a folder reach the disk, and their digests beside them."""
    files = sorted(folder.iterdir())
    for file in files:
        with open(file, "rb") as content:
            os.fsync(content.fileno())
    lines = [f"{_digest(file)}  {file.name}\n" for file in files]
    with open(folder / NAME, "w", encoding="utf-8") as sums:
        sums.writelines(lines)
        sums.flush()
        os.fsync(sums.fileno())


def check_sums(folder: Path) -> None:
    """Raise ValueError or OSError where a file is missing, is none of the folder's, or is not as it was written."""
    if not (folder / NAME).exists():
        raise ValueError(f"{NAME} is missing.")
    named = dict(line.split("  ", 1)[::-1] for line in (folder / NAME).read_text(encoding="utf-8").splitlines())
    present = {file.name for file in folder.iterdir()} - {NAME}
    for name in sorted(named.keys() | present):
        if name not in present:
            raise ValueError(f"{name} is missing.")
        if named.get(name) != _digest(folder / name):
            raise ValueError(f"{name} is not as it was written: its SHA-256 is another one than in {NAME}.")


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with open(file, "rb") as content:
        while block := content.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
