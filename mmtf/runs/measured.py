"""metrics.json while it is measured: whole at every moment, so that an evaluation that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Collection, Mapping

import numpy as np

from mmtf.errors import UserError
from mmtf.runs import RunDirectory

log = logging.getLogger(__name__)

FILE = "metrics.json"
# Of the form of the file, and of what its numbers mean: raise it when either changes, so that none is taken for the other.
VERSION = 2


class Measured:
    """The content of metrics.json, written after each part of it.

    `measured_of` in it is a fingerprint of all that the numbers depend on: parts under another one, or of another version, are
    measured anew, and the file that holds them is kept under another name.
    """

    def __init__(
        self,
        run: RunDirectory,
        about: Mapping,
        of: str,
        *,
        again: Collection[str] = (),
        renamed: Mapping[str, str] | None = None,
    ):
        """Args:
        about: entries that identify the run.
        of: the fingerprint.
        again: parts to measure anew; a file that has one of them is kept under another name, too.
        renamed: the names that parts have now, by those that an older file may have.
        """
        self._run = run
        self._content = {**about, "version": VERSION, "measured_of": of, "parts": {}}
        old = _read(run)
        if old is None:
            return
        if old.get("version") != VERSION:
            _keep(run, "by another version, or is damaged", "everything")
        elif old.get("measured_of") != of:
            _keep(run, "with other settings, weights or samples", "everything")
        else:
            by_name = {(renamed or {}).get(name, name): part for name, part in old["parts"].items()}
            parts = {name: part for name, part in by_name.items() if name not in again}
            if len(parts) < len(by_name):
                _keep(run, "with the same settings", ", ".join(name for name in by_name if name in again))
            entries = [key for part in parts.values() for key in part["entries"]]
            self._content |= {key: old[key] for key in entries} | {"parts": parts}

    def part(self, name: str, measure: Callable[[], Mapping]) -> None:
        """Add what a part finds, unless it is there; and write the file."""
        if name in self._content["parts"]:
            log.info("%s: measured before.", name)
            return
        start, start_cpu = time.monotonic(), time.process_time()
        entries = dict(measure())
        seconds, cpu = (round(x, 2) for x in (time.monotonic() - start, time.process_time() - start_cpu))
        self._content |= entries
        self._content["parts"][name] = {"seconds": seconds, "cpu_seconds": cpu, "entries": list(entries)}
        self._run.write_json(FILE, self._content)
        log.info("%s: measured in %.1f s.", name, seconds)

    def content(self) -> dict:
        return self._content


def fingerprint(*parts) -> str:
    """SHA-256 of JSON values and arrays, in order."""
    sha = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            sha.update(f"{part.dtype.str}{part.shape}".encode())
            sha.update(np.ascontiguousarray(part).data)
        else:
            # With an end, so that 1 and 23 are not 12 and 3.
            sha.update(json.dumps(part, sort_keys=True).encode() + b"\n")
    return sha.hexdigest()


def _read(run: RunDirectory) -> dict | None:
    if not (run.path / FILE).exists():
        return None
    try:
        content = run.read_json(FILE)
    except UserError:
        return {}
    return content if isinstance(content, dict) else {}


def _keep(run: RunDirectory, how: str, anew: str) -> None:
    """Move the file aside, under the first name that is free."""
    number = 1
    while (kept := run.path / f"metrics.{number}.json").exists():
        number += 1
    (run.path / FILE).rename(kept)
    log.warning("%s was measured %s; it is kept as %s, and %s is measured anew.", FILE, how, kept.name, anew)
