"""The run directory: everything that one run leaves behind, and the only thing that passes between train, evaluate and export.

config.json        the whole configuration         training.json   steps, seconds, platform
modalities.json    what the model models           metrics.json    what mmtf evaluate measured (metrics.1.json: before)
data.json          what it was trained on          pairing.npz     which examples belonged together
checkpoints/       weights, optimizer, step        logs/           TensorBoard
figures/           pictures (PNG)                  report.html     all of it on one page
networks.json      networks that the user brought
"""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmtf.config import Config, differences
from mmtf.errors import UserError
from mmtf.modality import Modality
from mmtf.runs.lock import NAME as LOCK
from mmtf.runs.paths import of_user

# Networks that the user brought; only in runs that have some.
NETWORKS = "networks.json"
# The user's own models and metrics; only in runs that were trained with --plugin=FILE.
PLUGIN = "plugin.py"
# Written before config.json, which makes a run of a directory.
BEGINNING = ("modalities.json", "data.json", "pairing.npz", NETWORKS, PLUGIN)
# In the order in which they are removed: what a kill leaves of it is a run that can be overwritten.
FILES = (
    "checkpoints",
    "training.json",
    "metrics.json",
    "logs",
    "figures",
    "report.html",
    *BEGINNING,
    "config.json",
)


@dataclasses.dataclass(frozen=True)
class RunDirectory:
    """A directory that holds a run; make one with `claim` (to train) or `open` (to read)."""

    path: Path

    @classmethod
    def claim(cls, path: str | Path, config: Config, *, resume: bool = False, overwrite: bool = False) -> RunDirectory:
        """Check that a run may be written here; what a run that is there holds stays until `begin`.

        Raises:
          UserError: it already holds a run (and neither resume nor overwrite is asked for), holds other files, cannot be
            written to, or is to be resumed with another config. Without a run in it there is nothing to resume, and one
            may start.
        """
        run = cls(of_user(path))
        if resume and overwrite:
            raise UserError("--resume and --overwrite contradict one another; give one of them.")
        if resume and run.begun:
            run._check_same(config)
        else:
            run._check_free(overwrite)
        run.check_writable()
        return run

    def begin(
        self, config: Config, modalities: Sequence[Modality], files: Mapping[str, bytes], *, overwrite: bool = False
    ) -> None:
        """Write what the run is about to train; with overwrite, after removing the run that was here, or what began to be one.

        Args:
          files: content by name, of what the run is trained on.
        """
        if overwrite:
            self._clear()
        for name, content in files.items():
            write_atomically(self.path / name, content)
        self.write_json("modalities.json", [dataclasses.asdict(m) for m in modalities])
        # Last: a directory with a config.json is a run.
        self.write_json("config.json", self._without_younger(config.to_json()))

    def _without_younger(self, parts: dict) -> dict:
        """Return the config without the options that the run's own lacks, which is older: another resumption reads it, too."""
        if not self.begun:
            return parts
        kept, own = self.read_json("config.json"), self.config()
        return {
            name: {
                key: value
                for key, value in fields.items()
                if key in kept.get(name, {}) or not _is_younger(getattr(own, name), key)
            }
            for name, fields in parts.items()
        }

    def as_began(self, config: Config) -> Config:
        """Return a config with which the run is to go on, with the former values of options that it began without."""
        return config.as_began(self.read_json("config.json")) if self.begun else config

    @classmethod
    def open(cls, path: str | Path) -> RunDirectory:
        """A run that mmtf train made.

        Raises:
          UserError: there is none.
        """
        run = cls(of_user(path))
        if not run.begun:
            raise UserError(f"{path} holds no run (no config.json in it); train one with mmtf train --run_dir={path}.")
        return run

    def config(self) -> Config:
        return Config.from_json(self.read_json("config.json"), self.path / PLUGIN)

    def modalities(self) -> tuple[Modality, ...]:
        """Return the modalities of the trained model, in order.

        Raises:
          UserError: modalities.json is missing or is not what a run writes.
        """
        parts = self.read_json("modalities.json")
        try:
            return tuple(Modality.from_json(m) for m in parts)
        except (TypeError, KeyError, ValueError) as error:
            raise UserError(f"{self.path / 'modalities.json'} is damaged ({error!r}); restore it, or train again.") from error

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    def read_json(self, name: str):
        """The content of one of the run's JSON files.

        Raises:
          UserError: it is missing or damaged.
        """
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(f"{self.path} has no {name}; was the run started by mmtf train, and did it finish?") from None
        except ValueError as error:
            raise UserError(f"{self.path / name} is damaged ({error}); restore it, or train again.") from None

    def write_json(self, name: str, content) -> None:
        """Write to a temporary name and renames, so that the file is whole at every moment."""
        write_atomically(self.path / name, (json.dumps(content, indent=2) + "\n").encode())

    @property
    def begun(self) -> bool:
        """Whether there is a run, if only its beginning."""
        return (self.path / "config.json").is_file()

    @property
    def free(self) -> bool:
        """Whether nothing is there but what a run leaves that was killed before it began."""
        if self.path.is_dir():
            return not self.begun and all(_is_beginning(path.name) for path in self.path.iterdir())
        return not self.path.exists()

    def _check_same(self, config: Config) -> None:
        changed = differences(self.config(), config, lambda field: not field.metadata["may_change"])
        if config.train.learning_rate_schedule == "cosine":
            # The rate is a function of the step and of the last step: another length would be another run.
            changed += differences(self.config(), config, lambda field: field.name in ("steps", "epochs"))
        if changed:
            raise UserError(
                f"--resume: this run was started otherwise: {'; '.join(changed)}. Give the same flags, or another --run_dir."
            )

    def _check_free(self, overwrite: bool) -> None:
        if self.begun and not overwrite:
            raise UserError(
                f"{self.path} already holds a run; continue it with --resume, replace it with --overwrite, or name "
                "another --run_dir."
            )
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"--run_dir={self.path} is a file; name a directory.")
        if not self.begun and not self.free:
            raise UserError(f"{self.path} holds other files and no run; name an empty or a new directory.")

    def check_writable(self) -> None:
        """Raise UserError where files cannot be written, before any long work. A directory that it had to make is removed."""
        new = not self.path.exists()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.path, prefix=f"{LOCK}.") as probe:
                probe.write(b"0" * 4096)
                probe.flush()
            if new:
                self.path.rmdir()
        except OSError as error:
            raise UserError(
                f"Cannot write to {self.path}: {error.strerror}. Name another --run_dir, or free some space."
            ) from error

    def _clear(self) -> None:
        # Only what a run is made of: a file that somebody else put here stays.
        kept = [path.name for path in self.path.glob("metrics.*.json")]
        for part in (*FILES, *kept):
            target = self.path / part
            shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
            for unfinished in self.path.glob(f".{part}.*"):
                unfinished.unlink()


def _is_beginning(name: str) -> bool:
    """Return whether a file is one that a run which was killed before it began may have left."""
    return name in BEGINNING or name.startswith((LOCK, *(f".{part}." for part in (*BEGINNING, "config.json"))))


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under a temporary name beside it and renames it; on an error the old file stays.

    Raises:
      UserError: the disk is full or the folder cannot be written to.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not by `tempfile`, whose files are private to their owner: this one has the usual permissions of a new file.
        with open(path.with_name(f".{path.name}.{secrets.token_hex(8)}"), "xb") as file:
            temporary = Path(file.name)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if temporary:
            temporary.unlink(missing_ok=True)
        raise UserError(f"Cannot write {path}: {error.strerror}. Free some space, or choose another place.") from error


def _is_younger(concern, name: str) -> bool:
    """Return whether an option has a former value, which runs without it have."""
    return any(field.name == name and field.metadata.get("former") is not None for field in dataclasses.fields(concern))
