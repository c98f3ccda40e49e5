"""Arrays that take long to prepare, kept in one file between runs: built once, by one process, and checked when read.

A file is NumPy's `.npz`, uncompressed. The CRC-32 that ZIP keeps of each array is the checksum; the archive's comment lists the
arrays, since a damaged directory can lose some of them without an error. Arrays are read into memory rather than mapped:
training then never waits for a disk, and a damaged file is found before the first step.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import logging
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

log = logging.getLogger(__name__)

CHUNK = 1 << 20


def folder(cache_dir: str = "") -> Path:
    """Where prepared files are kept: the given folder, or else MMTF_CACHE_DIR, or else ~/.cache/mmtf. It is not made here."""
    return Path(cache_dir or os.environ.get("MMTF_CACHE_DIR") or Path.home() / ".cache" / "mmtf").expanduser()


def arrays(path: Path, build: Callable[[], Mapping[str, np.ndarray]], subject: str) -> dict[str, np.ndarray]:
    """Return the arrays of a file, which is made by `build` where it is missing or damaged.

    Processes that want the same file at once agree by a lock beside it: one builds, the others wait and then read. The
    file appears whole, by renaming; a build that fails or is killed leaves none, and no lock that would hold up the next.

    Args:
      path: of the file; its name should hold a `digest` of all that the arrays depend on. The folder is made if need be.
      build: makes the arrays, of any type that needs no pickling.
      subject: what they are, for messages such as "Another process is preparing CelebA's images".

    Returns:
      Arrays by name, read-only. Where the folder cannot be written they are built all the same, with a warning.

    Raises:
      What `build` raises.
    """
    cached, _ = _read(path)
    if cached is not None:
        return cached
    with _locked(path, subject) as writable:
        # Another process may have finished while this one waited.
        cached, problem = _read(path)
        if cached is not None:
            return cached
        if problem:
            log.warning("The cached file %s cannot be used (%s); preparing %s again.", path, problem, subject)
        built = {name: np.asarray(array).view() for name, array in build().items()}
        if writable:
            _write(path, built, subject)
    return _read_only(built)


def digest(*parts: bytes | str | np.ndarray | Path) -> str:
    """SHA-256 over the parts, their kinds and their bounds, as 64 hexadecimal digits; of a Path its content, not its name.

    Raises:
      TypeError: a part of another kind, or an array of objects.
      OSError: a file cannot be read.
    """
    sha = hashlib.sha256()
    for part in parts:
        for piece in _pieces(part):
            sha.update(piece)
    return sha.hexdigest()


def _pieces(part) -> Iterator[bytes | memoryview]:
    """A header that says of which kind and how long a part is, and then its bytes."""
    if isinstance(part, Path):
        with part.open("rb") as file:
            yield f"file {os.fstat(file.fileno()).st_size}\n".encode()
            yield from iter(lambda: file.read(CHUNK), b"")
    elif isinstance(part, np.ndarray) and not part.dtype.hasobject:
        yield f"array {part.dtype.str} {part.shape}\n".encode()
        yield np.ascontiguousarray(part).reshape(-1).view(np.uint8).data
    elif isinstance(part, (bytes, str)):
        content = part.encode() if isinstance(part, str) else part
        yield f"{type(part).__name__} {len(content)}\n".encode()
        yield content
    else:
        raise TypeError(f"A digest is of bytes, strings, arrays of numbers and paths, not of {type(part).__name__}.")


def _read(path: Path) -> tuple[dict[str, np.ndarray] | None, str]:
    """Return the arrays of a file, or None and what is wrong with it: nothing if it does not exist."""
    by_name = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                with archive.open(name) as member:
                    by_name[name.removesuffix(".npy")] = np.lib.format.read_array(member, allow_pickle=False)
                    # ZIP compares the checksum at the end of a member; a damaged shape would let reading stop before it.
                    if member.read(1):
                        raise ValueError(f"{name} is longer than its header says")
            if _listing(by_name) != archive.comment:
                raise ValueError("arrays are missing")
    except (FileNotFoundError, NotADirectoryError):
        return None, ""
    # Damage shows as whatever ZIP or NumPy stumbles over first; all of it means the same here.
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"
    return _read_only(by_name), ""


def _listing(names) -> bytes:
    return "\n".join(names).encode()


def _read_only(by_name: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    for array in by_name.values():
        array.flags.writeable = False
    return by_name


def _write(path: Path, built: Mapping[str, np.ndarray], subject: str) -> None:
    """Write the file under another name and renames it. Only under the lock: the other name is always the same one, so
    that what a killed process left there is overwritten."""
    part = path.with_name(f"{path.name}.part")
    try:
        with zipfile.ZipFile(part, "w") as archive:
            for name, array in built.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
            archive.comment = _listing(built)
        part.replace(path)
    except OSError as error:
        _warn_not_kept(path, subject, error)
    finally:
        part.unlink(missing_ok=True)


def _warn_not_kept(path: Path, subject: str, error: OSError) -> None:
    log.warning(
        "Preparing %s, but not keeping the result: %s cannot be written (%s). Let MMTF_CACHE_DIR name a folder that can.",
        subject,
        path.parent,
        error,
    )


@contextlib.contextmanager
def _locked(path: Path, subject: str) -> Iterator[bool]:
    """Hold the lock of a file. Yields False, without one, where the folder cannot be written."""
    lock = path.with_name(f"{path.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = _acquired(lock, subject)
    except OSError as error:
        _warn_not_kept(path, subject, error)
        file = None
    try:
        yield file is not None
    finally:
        if file:
            # Removed while it is held: whoever waits for it sees that the name is gone, and takes a new file.
            lock.unlink(missing_ok=True)
            file.close()


def _acquired(lock: Path, subject: str) -> io.TextIOWrapper:
    """Return the open lock file, locked. The kernel lets go of the lock of a process that dies."""
    said = False
    while True:
        with contextlib.ExitStack() as on_failure:
            file = on_failure.enter_context(lock.open("w"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not said:
                    log.info("Another process is preparing %s; waiting for it.", subject)
                said = True
                fcntl.flock(file, fcntl.LOCK_EX)
            if _is_at(file, lock):
                on_failure.pop_all()
                return file


def _is_at(file: io.TextIOWrapper, path: Path) -> bool:
    """Return whether the path still names the open file, and not none or another one."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
