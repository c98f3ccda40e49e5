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
        self.directory = Path(directory)
        self._checkpoint = tf.train.Checkpoint(variables={name: v.value for name, v in variables.items()})
        self._manager = tf.train.CheckpointManager(self._checkpoint, str(directory), max_to_keep=keep, checkpoint_name="step")

    @property
    def latest_step(self) -> int | None:
        """Step of the newest checkpoint, None where there is none."""
        return _step(self._manager.latest_checkpoint) if self._manager.latest_checkpoint else None

    def save(self, step: int) -> None:
        """Writes the checkpoint of a step.

        Raises:
          UserError: it cannot be written; the checkpoints before it stay.
        """
        try:
            self._manager.save(checkpoint_number=step)
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
        if not self._manager.checkpoints:
            raise UserError(f"{self.directory} holds no checkpoint; the run ended before its first one. Train again.")
        problems = []
        for path in reversed(self._manager.checkpoints):
            try:
                self._read(path, partial)
                return _step(path)
            except (tf.errors.OpError, AssertionError, ValueError, OSError) as error:
                problems.append(f"{Path(path).name}: {_first_line(error)}")
                log.warning("Checkpoint %s cannot be read and is passed over: %s", path, _first_line(error))
        raise UserError(f"No checkpoint in {self.directory} can be read. {' '.join(problems)} Train again with --overwrite.")

    def _read(self, path: str, partial: bool) -> None:
        status = self._checkpoint.restore(path)
        if partial:
            status.assert_existing_objects_matched().expect_partial()
        else:
            status.assert_consumed()


def _step(path: str) -> int:
    return int(path.rsplit("-", 1)[1])


def _first_line(error: Exception) -> str:
    text = (getattr(error, "message", None) or str(error)).strip() or type(error).__name__
    return text.splitlines()[0][:300]
