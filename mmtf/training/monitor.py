"""What a run shows while it goes: progress, TensorBoard scalars and pictures, its record, and a stop when it breaks."""

from __future__ import annotations

import logging
import math
import time
from pathlib import Path

import keras
import tensorflow as tf

from mmtf import evaluation, progress
from mmtf.config import EvaluateConfig
from mmtf.data.dataset import MultimodalData
from mmtf.distributed import replicas, strategies
from mmtf.errors import UserError
from mmtf.evaluation import figures as model_figures
from mmtf.report import figures
from mmtf.runs.checkpoint import Checkpoints

log = logging.getLogger(__name__)

SCALARS_EVERY = 50
COHERENCE_EXAMPLES = 1000


class NotFiniteError(UserError):
    """A term of the objective became NaN or infinite."""


class StopWhenNotFinite(keras.callbacks.Callback):
    """Stops the run at the first term that is no number, before the next checkpoint could keep broken weights."""

    def __init__(self, checkpoints: Checkpoints):
        super().__init__()
        self._checkpoints = checkpoints

    def on_train_batch_end(self, batch, logs=None):
        if all(math.isfinite(float(value)) for value in logs.values()):
            return
        broken = self.model.term_means.not_finite()
        step = min(broken.values())
        names = ", ".join(name for name, at in broken.items() if at == step)
        raise NotFiniteError(f"At step {step} these terms became NaN or infinite: {names}. {self._advice()}")

    def check_weights(self) -> None:
        """The last update's terms were finite, but it may have broken the weights: look before they are saved."""
        broken = [n for n, v in self.model.named_weights().items() if not tf.reduce_all(tf.math.is_finite(v.value))]
        if broken:
            step = replicas.step_of(self.model.optimizer)
            raise NotFiniteError(f"The update before step {step} made weights NaN or infinite: {broken[0]}. {self._advice()}")

    def _advice(self) -> str:
        kept = self._checkpoints.steps
        where = (
            f"the last good checkpoint is step-{kept[-1]} in {self._checkpoints.directory}" if kept else "none was saved yet"
        )
        return f"Training stopped; {where}. Lower --learning_rate, or check the data for values that are no numbers."


class Warn(keras.callbacks.Callback):
    """Says once what the model thinks went wrong, from its terms at the start and at the end of each epoch."""

    def __init__(self):
        super().__init__()
        self._history: list[dict[str, float]] = []
        self._said = False

    def on_train_batch_end(self, batch, logs=None):
        if not self._history:
            self._history.append({name: float(value) for name, value in logs.items()})

    def on_epoch_end(self, epoch, logs=None):
        self._history.append({name: float(value) for name, value in logs.items()})
        problem = None if self._said else self.model.warning(self._history)
        if problem:
            self._said = True
            log.warning("After step %d: %s", replicas.step_of(self.model.optimizer), problem)


class Progress(keras.callbacks.Callback):
    """Steps per second, remaining time and the terms: on one line as it goes, and on a line that stays after each epoch.

    A context manager: it ends its line when training ends.
    """

    def __init__(self, first: int, steps: int):
        super().__init__()
        self._bar = progress.bar(steps, "", "step", first=first)
        self._begun = first, time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception):
        self._bar.close()

    def on_epoch_begin(self, epoch, logs=None):
        self._begun = replicas.step_of(self.model.optimizer), time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        done = replicas.step_of(self.model.optimizer) - self._bar.n
        progress.show_terms(self._bar, logs)
        self._bar.update(done)

    def on_epoch_end(self, epoch, logs=None):
        (first, start), now = self._begun, time.monotonic()
        progress.say(self._bar, progress.epoch_line(self._bar.n, self._bar.total, self._bar.n - first, now - start, logs))


class Scalars(keras.callbacks.Callback):
    """Every term under its own name, the weights of the divergences and the learning rate, by step, for TensorBoard."""

    def __init__(self, logs: Path):
        super().__init__()
        self._writer = tf.summary.create_file_writer(str(logs))
        self._last = self._written = 0

    def on_train_begin(self, logs=None):
        self._last = replicas.step_of(self.model.optimizer)

    def on_train_batch_end(self, batch, logs=None):
        step = replicas.step_of(self.model.optimizer)
        if step // SCALARS_EVERY > self._last // SCALARS_EVERY:
            self._write(step, logs)
        self._last = step

    def on_epoch_end(self, epoch, logs=None):
        self._write(replicas.step_of(self.model.optimizer), logs)

    def _write(self, step: int, terms) -> None:
        if step == self._written:
            return  # the end of an epoch may be one of the steps between
        self._written = step
        with self._writer.as_default(step=step):
            for name, value in terms.items():
                tf.summary.scalar(name, value)
            for name, value in self.model.schedule(step).items():
                tf.summary.scalar(f"schedule/{name}", value)
            tf.summary.scalar("schedule/learning_rate", self.model.optimizer.learning_rate)
        # A checkpoint may follow; what is not on the disk then would be missing after a kill.
        self._writer.flush()


class Panels(keras.callbacks.Callback):
    """Pictures of the test split in TensorBoard: reconstructions, cross generations, random samples; text as text."""

    def __init__(self, logs: Path, data: MultimodalData, every: int):
        super().__init__()
        self._writer = tf.summary.create_file_writer(str(logs), filename_suffix=".panels")
        self._data, self._every = data, every

    def on_epoch_end(self, epoch, logs=None):
        if self._every and (epoch + 1) % self._every == 0:
            with self._writer.as_default(step=replicas.step_of(self.model.optimizer)):
                for name, figure in model_figures.of_model(self.model, self._data.test, self._data.show).items():
                    tf.summary.image(name, figures.to_image(figure)[None])
            self._writer.flush()


def check_labels(data: MultimodalData, coherence_every: int) -> None:
    """Raise UserError where coherence is to be measured on data without labels."""
    if coherence_every and evaluation.score_name(data) is None:
        raise UserError(f"--coherence_every does nothing for {data.name}, which has no labels; remove it.")


class Coherence(keras.callbacks.Callback):
    """Coherence on the test split as it develops, as TensorBoard scalars `coherence/word<-digit` and so on."""

    def __init__(self, logs: Path, data: MultimodalData, every: int):
        super().__init__()
        check_labels(data, every)
        self._writer = tf.summary.create_file_writer(str(logs), filename_suffix=".coherence")
        self._every, self._data, self._evaluate = every, data, None

    def on_train_begin(self, logs=None):
        if self._every and self._evaluate is None:
            how = EvaluateConfig()
            classifiers = evaluation.train_classifiers(self._data, how)
            self._evaluate = evaluation.Coherence(self.model, self._data.test.first(COHERENCE_EXAMPLES), classifiers, how)

    def on_epoch_end(self, epoch, logs=None):
        if self._every and (epoch + 1) % self._every == 0:
            scores = self._evaluate.measure()
            with self._writer.as_default(step=replicas.step_of(self.model.optimizer)):
                for kind, shares in scores.items():
                    for name, share in shares.items():
                        tf.summary.scalar(f"{kind}/{name}", share)
            self._writer.flush()


class Budget(keras.callbacks.Callback):
    """Ends training after the execution in which its time is up; an epoch may take longer than all of it.

    What is between epochs, such as pictures, does not count, nor does the first execution, in which the graph is built. What
    ends an epoch follows the last execution: its checkpoint, which a later session goes on from, and its measurements.
    """

    def __init__(self, seconds: float, clock: str):
        super().__init__()
        self._clock = {"wall": time.monotonic, "cpu": time.process_time}[clock]
        self._limited = math.isfinite(seconds)
        self._left, self._start = seconds, 0.0
        self._built = self.spent = False

    def on_epoch_begin(self, epoch, logs=None):
        self._start = self._clock()

    def on_train_batch_end(self, batch, logs=None):
        if not self._built:
            self._built, self._start = True, self._clock()
        elif self._limited:
            self._end_if(self._left <= self._clock() - self._start)

    def on_epoch_end(self, epoch, logs=None):
        self._left -= self._clock() - self._start
        if self._limited:
            self._end_if(self._left <= 0.0)

    def _end_if(self, time_is_up: bool) -> None:
        # Clocks of several workers differ; all have to end after the same execution.
        if strategies.any_worker(self.model.distribute_strategy, time_is_up):
            self.spent = self.model.stop_training = True
