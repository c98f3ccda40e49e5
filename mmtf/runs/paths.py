"""Folders that a user names: `~` is the home folder, and no character of a name is a pattern."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

# TensorFlow takes the path of a checkpoint that it reads for a pattern, but writes it as it stands.
PATTERN = "[]*?\\"


def of_user(path: str | Path) -> Path:
    """Return a path as the user means it: `~` and `~name` are home folders."""
    return Path(path).expanduser()


def special(path: str | Path) -> str | None:
    """Return the first character of a path that TensorFlow takes for a part of a pattern; None where there is none."""
    return next((c for c in str(Path(path).absolute()) if c in PATTERN), None)


@contextlib.contextmanager
def literal(path: Path) -> Iterator[Path]:
    """Give a path of the same file, or the same beginning of files, that TensorFlow reads as it stands."""
    if special(path) is None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="mmtf-") as folder:
        link = Path(folder) / "link"
        os.symlink(path.parent.absolute(), link)
        yield link / path.name
