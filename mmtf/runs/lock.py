"""One process at a time in a directory, also where the one before was killed."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from mmtf.errors import UserError

log = logging.getLogger(__name__)

NAME = ".lock"


@contextlib.contextmanager
def locked(directory: Path, flag: str = "run_dir", work: str = "training in it") -> Iterator[None]:
    """Hold a directory for this process. The system lets go of it when the process ends, however it ends.

    A directory that is new is removed again where nothing was put into it.

    Args: flag, work: what messages say: the flag that names the directory, and what its holder is at.

    Raises:
      UserError: another process holds it, or it cannot be written to.
    """
    new = not directory.exists()
    file = _taken(directory, flag, work)
    try:
        yield
    finally:
        # Before it is let go of: whoever takes it afterwards makes a new one.
        (directory / NAME).unlink(missing_ok=True)
        file.close()
        if new:
            with contextlib.suppress(OSError):
                directory.rmdir()


def _taken(directory: Path, flag: str, work: str) -> IO:
    if directory.exists() and not directory.is_dir():
        raise UserError(f"--{flag}={directory} is a file; name a directory.")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        while True:
            file = open(directory / NAME, "a+", encoding="utf-8")  # noqa: SIM115 (held until the run ends)
            _lock(file, directory, flag, work)
            if _is_still_there(file, directory / NAME):
                break
            file.close()
        file.truncate(0)
        print(f"process {os.getpid()} on {socket.gethostname()}", file=file, flush=True)
    except OSError as error:
        raise UserError(f"Cannot write to {directory}: {error.strerror}. Name another --{flag}, or free some space.") from error
    return file


def _lock(file: IO, directory: Path, flag: str, work: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        who = file.read().strip() or "another process"
        raise UserError(
            f"{directory} is in use: {who} is {work}. Wait for its end or stop it, or name another --{flag}."
        ) from None
    except OSError as error:
        log.warning("%s cannot be locked (%s): see to it that no other process is %s.", directory, error.strerror, work)


def _is_still_there(file: IO, path: Path) -> bool:
    """Return whether the file is not one that its holder removed between our opening and locking it."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
