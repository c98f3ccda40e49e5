"""Checkpoints: every variable by name, each in a folder of its own that appears as a whole, the last few and the best kept.

step-N/state.index, state.data-*   the variables, as TensorFlow writes them
step-N/state.json                  what else belongs to that step
step-N/SHA256SUMS                  of these files, as `sha256sum --check` reads it
"""

from __future__ import annotations

import concurrent.futures
import json
import logging
import math
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from mmtf.errors import UserError, first_line
from mmtf.runs.checksums import check_sums, write_sums
from mmtf.runs.paths import literal

log = logging.getLogger(__name__)

STATE, EXTRA = "state", "state.json"
# In state.json: what the best checkpoint has the lowest of.
LOSS = "validation_loss"
DAMAGED = "damaged-"


class Checkpoints:
    """The checkpoints of a run.

    Variables are stored under explicit names: `tf.train.Checkpoint(model=...)` skips, without a word, those of layers that a
    Keras 3 model holds in lists and dicts, and Keras' own paths carry counters that depend on what was built before.
    """

    def __init__(self, directory: Path, variables: Mapping[str, keras.Variable], keep: int = 3):
        """Args: variables: all that is to be saved, the optimizer's included, by name. keep: how many of the latest stay."""
        self.directory, self._keep = Path(directory), keep
        self._variables = {name: v.value for name, v in variables.items()}
        self._checkpoint = tf.train.Checkpoint(variables=self._variables)
        self._copies: dict[str, tf.Variable] = {}
        self._writer = concurrent.futures.ThreadPoolExecutor(1, "checkpoint")
        self._pending: concurrent.futures.Future | None = None

    @property
    def steps(self) -> list[int]:
        """Steps of the checkpoints that are there, in order."""
        # Until 0.1.0 a checkpoint was a few files side by side, of which the index was written last.
        names = [path.name for path in self.directory.glob("step-*") if path.is_dir() or path.suffix == ".index"]
        matches = (re.fullmatch(r"step-(\d+)(\.index)?", name) for name in names)
        return sorted({int(match[1]) for match in matches if match})

    @property
    def best(self) -> int | None:
        """Step of the checkpoint with the lowest validation loss; None where none has one."""
        ranked = self._by_loss()
        return ranked[0] if ranked else None

    def extra(self, step: int) -> dict:
        """Return what was saved beside the variables of a step; empty for a checkpoint from before there was such a thing."""
        file = self.directory / f"step-{step}" / EXTRA
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

    def save(self, step: int, extra: Mapping | None = None) -> None:
        """Write the checkpoint of a step.

        Raises:
          UserError: it cannot be written; the checkpoints before it stay.
        """
        self.start_saving(step, extra)
        self.wait()

    def start_saving(self, step: int, extra: Mapping | None = None, before: Callable[[], None] | None = None) -> None:
        """Copy the variables as they are now, and have the copies written while the caller goes on.

        Waits for the checkpoint before this one, of which the copies are no longer needed then.

        Args:
          extra: what else belongs to the step, as JSON has it.
          before: called by the writer when all is written, just before the checkpoint appears.

        Raises:
          UserError: the one before could not be written.
        """
        self.wait()
        values = {name: np.array(tf.convert_to_tensor(v)) for name, v in self._variables.items()}
        if not self._copies:
            with tf.device("CPU:0"):
                self._copies = {name: tf.Variable(value) for name, value in values.items()}
        for name, value in values.items():
            self._copies[name].assign(value)
        self._pending = self._writer.submit(self._write, step, dict(extra or {}), before)

    def check(self) -> None:
        """Raise UserError where a checkpoint that was started could not be written; does not wait for one."""
        if self._pending and self._pending.done():
            self.wait()

    def wait(self) -> None:
        """Return when no checkpoint is being written any more; raises what `check` raises."""
        try:
            # Kept until then: a signal may come here, and what it calls waits, too.
            if self._pending:
                self._pending.result()
        finally:
            self._pending = None

    def close(self) -> None:
        """Let the writer finish, without raising anything: where something else went wrong already."""
        self._writer.shutdown()

    def restore(self, partial: bool = False, which: str = "latest") -> int:
        """Set the variables to a checkpoint that is whole, and return its step.

        A damaged one is passed over for the next one, with a warning.

        Args:
          partial: whether the checkpoint may hold more than these variables, such as an optimizer's; never less.
          which: `latest`; `best`, the one with the lowest validation loss; or a step, and then no other.

        Raises:
          UserError: there is no checkpoint, none is whole, or they belong to a model of another shape.
        """
        problems = []
        for step in self._candidates(which):
            try:
                self._read(step, partial)
                return step
            except UserError:
                raise
            except (tf.errors.OpError, AssertionError, ValueError, LookupError, OSError) as error:
                problems.append(f"step-{step}: {first_line(error)}")
                log.warning("Checkpoint %s cannot be read and is passed over: %s", self._folder(step), first_line(error))
        raise UserError(f"No checkpoint in {self.directory} can be read. {' '.join(problems)} Train again with --overwrite.")

    def tidy(self, newest: int) -> None:
        """Remove what a kill left unfinished, and rename what is newer than the step restored, and so is damaged.

        For the one process that trains.
        """
        for path in self.directory.glob(".step-*"):
            _delete(path)
        for path in (path for step in self.steps if step > newest for path in self._files(step)):
            damaged = path.with_name(DAMAGED + path.name)
            _delete(damaged)
            path.rename(damaged)

    def _candidates(self, which: str) -> list[int]:
        """Return steps, what is wanted most first."""
        steps = self.steps
        if not steps:
            raise UserError(f"{self.directory} holds no checkpoint; the run ended before its first one. Train again.")
        if which == "latest":
            return steps[::-1]
        if which == "best":
            if not (ranked := self._by_loss()):
                raise UserError(
                    f"--checkpoint=best: no checkpoint in {self.directory} has a validation loss; train with "
                    "--validation_examples, or choose latest or one of the steps "
                    f"{', '.join(map(str, steps))}."
                )
            return ranked
        if not which.isdecimal() or int(which) not in steps:
            raise UserError(
                f"--checkpoint must be latest, best or one of the steps {', '.join(map(str, steps))}, not {which!r}."
            )
        return [int(which)]

    def _by_loss(self) -> list[int]:
        losses = {}
        for step in self.steps:
            try:
                loss = self.extra(step).get(LOSS)
            except (ValueError, OSError):
                continue  # damaged: `restore` says so
            if loss is not None and math.isfinite(loss):
                losses[step] = loss
        return sorted(losses, key=losses.get)

    def _write(self, step: int, extra: dict, before: Callable[[], None] | None) -> None:
        """Under a name that nothing looks for, until all of it is on the disk."""
        try:
            folder, unfinished = self._folder(step), self.directory / f".step-{step}"
            _delete(unfinished)
            unfinished.mkdir(parents=True)
            tf.train.Checkpoint(variables=self._copies).write(str(unfinished / STATE))
            (unfinished / EXTRA).write_text(json.dumps(extra), encoding="utf-8")
            write_sums(unfinished)
            if before:
                before()
            self._remove(step)
            unfinished.rename(folder)
            _sync(self.directory)
            for old in self.steps[: -self._keep]:
                if old != self.best:
                    self._remove(old)
        except (tf.errors.OpError, OSError) as error:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise UserError(
                f"Cannot write a checkpoint to {self.directory} at step {step}: {first_line(error)} "
                "Free some space or mend the permissions, then go on with --resume."
            ) from error

    def _read(self, step: int, partial: bool) -> None:
        folder = self._folder(step)
        if folder.is_dir():
            check_sums(folder)
        with literal(folder / STATE if folder.is_dir() else folder) as prefix:
            self._check_shapes(str(prefix), folder, partial)
            status = self._checkpoint.read(str(prefix))
            if partial:
                status.assert_existing_objects_matched().expect_partial()
            else:
                status.assert_consumed()

    def _check_shapes(self, prefix: str, folder: Path, partial: bool) -> None:
        """Raise UserError where the file is whole and of another model."""
        kept, wanted = _shapes(prefix), {name: tuple(v.shape) for name, v in self._variables.items()}
        problems = [f"it has no {name}" for name in wanted if name not in kept]
        problems += [f"it has {name} too" for name in sorted(kept) if name not in wanted and not partial]
        problems += [
            f"{name} has the shape {kept[name]} there and {shape} in this run"
            for name, shape in wanted.items()
            if kept.get(name, shape) != shape
        ]
        if problems:
            raise UserError(f"{folder} is of another model: {problems[0]}. {_ADVICE}")

    def _folder(self, step: int) -> Path:
        return self.directory / f"step-{step}"

    def _files(self, step: int) -> list[Path]:
        """Return the folder of a step, or the files that a checkpoint was once, the index first."""
        folder = self._folder(step)
        files = sorted(self.directory.glob(f"step-{step}.*"), key=lambda path: path.suffix != ".index")
        return ([folder] if folder.is_dir() else []) + files

    def _remove(self, step: int) -> None:
        """Renamed first, so that what a kill leaves behind is no checkpoint."""
        for path in self._files(step):
            gone = path.with_name(f".{path.name}.removed")
            _delete(gone)
            _delete(path.rename(gone))


_ADVICE = "Put the run's own checkpoints back, or train again with --overwrite."


def _shapes(prefix: str) -> dict[str, tuple[int, ...]]:
    """Of every variable in a file of `Checkpoints`, by its name."""
    shapes = tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
    parts = ((key.split("/"), shape) for key, shape in shapes.items())
    # TensorFlow writes a slash of a name as .S and a dot as two.
    return {
        re.sub(r"\.(\.|S)", lambda m: "/" if m[1] == "S" else ".", path[1]): tuple(shape)
        for path, shape in parts
        if path[0] == "variables"
    }


def _delete(path: Path) -> None:
    """A folder, a file, or nothing."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(directory: Path) -> None:
    """Has a renaming reach the disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
