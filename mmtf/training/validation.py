"""The objective on held-out examples at the end of each epoch, by which the best checkpoint is known."""

from __future__ import annotations

from pathlib import Path

import keras
import tensorflow as tf

from mmtf import evaluation
from mmtf.config import EvaluateConfig
from mmtf.data.dataset import Split
from mmtf.distributed import replicas
from mmtf.runs.checkpoint import LOSS
from mmtf.training.saving import Save


class Validation(keras.callbacks.Callback):
    """Scalars `validation/loss` and so on, and the loss for the checkpoint of the same step.

    Every epoch sees the same examples with the same noise, and the weights of the divergences that hold after a warm-up: the
    losses of all epochs are of one objective.
    """

    def __init__(self, logs: Path, examples: Split | None, save: Save):
        super().__init__()
        self._writer = tf.summary.create_file_writer(str(logs), filename_suffix=".validation")
        self._examples, self._save = examples, save
        self._terms = None

    def on_epoch_end(self, epoch, logs=None):
        if self._examples is None:
            return
        self._terms = self._terms or evaluation.terms_of_batches(self.model)
        step = replicas.step_of(self.model.optimizer)
        at = max(step, self.model.settled_step())
        terms = evaluation.objective_terms(self.model, self._examples, at, EvaluateConfig(), self._terms)
        self._save.extra[LOSS] = terms["loss"]
        with self._writer.as_default(step=step):
            for name, value in terms.items():
                tf.summary.scalar(f"validation/{name}", value)
        self._writer.flush()
