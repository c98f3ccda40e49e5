"""Checkpoints: every variable by name, written by TensorFlow with a checksum per tensor, the last few kept."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import keras
import tensorflow as tf

from mmtf.errors import UserError

log = logging.getLogger(__name__)


class Checkpoints:
    """The checkpoints of a run.

    Variables are stored under explicit names: `tf.train.Checkpoint(model=...)` skips, without a word, those of layers that a
    Keras 3 model holds in lists and dicts, and Keras' own paths carry counters that depend on what was built before.
    """

    def __init__(self, directory: Path, variables: Mapping[str, keras.Variable], keep: int = 3):
        """Args: variables: all that is to be saved, the optimizer's included, by name. keep: how many of the latest stay."""
        self.directory, self._keep = Path(directory), keep
        self._checkpoint = tf.train.Checkpoint(variables={name: v.value for name, v in variables.items()})

    @property
    def steps(self) -> list[int]:
        """Steps of the checkpoints that are there, in order. The index is written last: without one, none was finished."""
        return sorted(int(path.stem.rsplit("-", 1)[1]) for path in self.directory.glob("step-*.index"))

    def save(self, step: int) -> None:
        """Writes the checkpoint of a step.

        Raises:
          UserError: it cannot be written; the checkpoints before it stay.
        """
        try:
            self.directory.mkdir(exist_ok=True)
            self._checkpoint.write(self._path(step))
            for old in self.steps[: -self._keep]:
                self._remove(old)
        except (tf.errors.OpError, OSError) as error:
            raise UserError(
                f"Cannot write a checkpoint to {self.directory} at step {step}: {_first_line(error)} "
                "Free some space or mend the permissions, then go on with --resume."
            ) from error

    def restore(self, partial: bool = False) -> int:
        """Sets the variables to the newest checkpoint that is whole, and returns its step.

        A damaged one is passed over for the one before it, with a warning.

        Args:
          partial: whether the checkpoint may hold more than these variables, such as an optimizer's; never less.

        Raises:
          UserError: there is no checkpoint, none is whole, or they belong to a model of another shape.
        """
        if not self.steps:
            raise UserError(f"{self.directory} holds no checkpoint; the run ended before its first one. Train again.")
        problems = []
        for step in reversed(self.steps):
            try:
                self._read(self._path(step), partial)
                return step
            except (tf.errors.OpError, AssertionError, ValueError, OSError) as error:
                problems.append(f"step-{step}: {_first_line(error)}")
                log.warning("Checkpoint %s cannot be read and is passed over: %s", self._path(step), _first_line(error))
        raise UserError(f"No checkpoint in {self.directory} can be read. {' '.join(problems)} Train again with --overwrite.")

    def _read(self, path: str, partial: bool) -> None:
        status = self._checkpoint.read(path)
        if partial:
            status.assert_existing_objects_matched().expect_partial()
        else:
            status.assert_consumed()

    def _path(self, step: int) -> str:
        return str(self.directory / f"step-{step}")

    def _remove(self, step: int) -> None:
        """The index first, so that what a kill leaves behind is no checkpoint."""
        for file in sorted(self.directory.glob(f"step-{step}.*"), key=lambda path: path.suffix != ".index"):
            file.unlink()


def _first_line(error: Exception) -> str:
    text = (getattr(error, "message", None) or str(error)).strip() or type(error).__name__
    return text.splitlines()[0][:300]
