"""What one session of training is about: how long it is, and everything that it works on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import keras

from mmtf.config import Config, TrainConfig
from mmtf.data.dataset import MultimodalData, Split
from mmtf.errors import UserError
from mmtf.runs import RunDirectory
from mmtf.runs.checkpoint import Checkpoints

SHORTEST_EPOCH = 100  # steps, unless --steps_per_epoch says otherwise


class Length(NamedTuple):
    """Attributes:
    first, steps: where the session begins, and the run ends.
    per_epoch: steps of an epoch.
    state: what the checkpoint at `first` holds besides variables; empty at the start of a run.
    """

    first: int
    steps: int
    per_epoch: int
    state: Mapping = {}


@dataclasses.dataclass(frozen=True)
class Session:
    """One session of training: from `length.first` to the end of the run, or to where it is stopped.

    Attributes:
      model: compiled, with the weights of the step at which the session begins.
      data: what is trained on.
      validation: held-out examples whose loss ranks the checkpoints; None for none.
      run, checkpoints: where it is written.
    """

    model: keras.Model
    data: MultimodalData
    validation: Split | None
    config: Config
    run: RunDirectory
    checkpoints: Checkpoints
    length: Length


def plan(config: TrainConfig, examples: int, batches_per_step: int = 1) -> tuple[int, int]:
    """Return how many steps the run has, and how many of them make an epoch: a multiple of the steps of one execution.

    A checkpoint ends each epoch; so where one pass is short, several make an epoch.

    Args:
      examples: those that a pass goes through.
      batches_per_step: as the model's method says.

    Raises:
      UserError: a batch holds more examples than there are.
    """
    taken = config.batch_size * batches_per_step
    if taken > examples:
        each = f", {batches_per_step} times in each step," if batches_per_step > 1 else ""
        raise UserError(f"--batch_size={config.batch_size}{each} is more than the {examples} training examples; lower it.")
    one_pass = examples // taken
    steps = config.steps or config.epochs * one_pass
    per_epoch = min(config.steps_per_epoch or max(one_pass, SHORTEST_EPOCH), steps)
    # Keras would run a started execution to its end, past the end of the epoch.
    return steps, per_epoch - per_epoch % min(config.steps_per_execution, per_epoch)
