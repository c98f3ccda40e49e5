"""What makes a run safe to kill: checkpoints while it trains, what they hold to go on exactly, and an end on request."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from mmtf.distributed import platform, replicas, strategies
from mmtf.runs import RunDirectory
from mmtf.training.plan import Session

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(SystemExit):
    """Training ended because a signal asked for it; what was done is saved. A command ends with the status 128 + signal."""


class Interruption(contextlib.AbstractContextManager):
    """Remembers that SIGTERM or Ctrl-C asked for an end. A second signal ends the process at once, as it does without this.

    Attributes:
      asked: the signal, or None.
      idle: tells whether nothing is lost by an end at any place, as it is not before the first step; then `stop` is called.
      stop: raises `Stopped`.
    """

    def __init__(self):
        self.asked: int | None = None
        self.idle: Callable[[], bool] = lambda: False
        self.stop: Callable[[], None] = lambda: None
        self._before: dict[int, object] = {}

    def listen(self) -> None:
        """From here on, signals are remembered. Only the main thread can listen; and what is ignored stays ignored."""
        if self._before or threading.current_thread() is not threading.main_thread():
            return
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._ask)

    def __exit__(self, *exception):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number, frame):
        self.asked = number
        for each in self._before:
            signal.signal(each, signal.SIG_DFL)
        # Not by way of a logger, which may be in the middle of a line.
        os.write(2, f"\n{signal.Signals(number).name}: saving a checkpoint. A second one ends at once.\n".encode())
        if self.idle():
            self.stop()


class Continue(keras.callbacks.Callback):
    """Goes on with the means of an epoch that was broken off: Keras sets them to 0 at the start of each `fit`."""

    def __init__(self, first: int, per_epoch: int, saved: Mapping):
        """Args: first: step of the checkpoint. saved: what `means_of` found then; empty where nothing was saved."""
        super().__init__()
        begun = first - first % per_epoch
        # With other flags the epochs may have begun elsewhere; then these means are not of this epoch.
        fits = first > begun and saved.get("since") == begun
        self._saved = saved if fits else None
        # Step from which on the means are taken.
        self.since = begun

    def on_epoch_begin(self, epoch, logs=None):
        if self._saved:
            means = self.model.term_means
            for part in ("totals", "counts"):
                state = self._saved[part]
                getattr(means, part).assign(np.array([state.get(name, 0.0) for name in means.about], np.float32))
            self._saved = None
        else:
            self.since = replicas.step_of(self.model.optimizer)


def means_of(model, since: int) -> dict:
    """Return the sums of the running means, for state.json; JSON has enough digits to give every float32 back."""
    means = model.term_means
    parts = {part: tf.convert_to_tensor(getattr(means, part)).numpy() for part in ("totals", "counts")}
    return {"since": since} | {part: dict(zip(means.about, map(float, values), strict=True)) for part, values in parts.items()}


class Record(keras.callbacks.Callback):
    """Content of training.json: steps and seconds of all sessions of a run, the step at which it ends, and what it ran on.

    The seconds are those of training and feeding, without checkpoints, pictures and measurements.
    """

    def __init__(self, seconds: float, strategy: tf.distribute.Strategy, planned: int):
        """Args: seconds: of the sessions before, when their last checkpoint was written. planned: the last step."""
        super().__init__()
        self._seconds, self._strategy, self._planned = seconds, strategy, planned
        self._start: float | None = None

    @property
    def seconds(self) -> float:
        return self._seconds + (0.0 if self._start is None else time.monotonic() - self._start)

    def pause(self) -> None:
        self._seconds, self._start = self.seconds, None

    def go_on(self) -> None:
        self._start = time.monotonic()

    def on_epoch_begin(self, epoch, logs=None):
        self.go_on()

    def on_epoch_end(self, epoch, logs=None):
        self.pause()

    def content(self, step: int) -> dict:
        rate = round(step / self.seconds, 3) if self.seconds else 0.0
        record = {"steps": step, "seconds": round(self.seconds, 2), "steps_per_second": rate, "planned_steps": self._planned}
        return record | {"platform": platform.platform_of(self._strategy)}


class Save(keras.callbacks.Callback):
    """Checkpoints: at the end of each epoch, between by steps and by minutes, and when a signal asks for an end.

    The last of the callbacks: what others write about a step is on the disk when its checkpoint appears. All workers have it,
    since they save and stop after the same step and the running means are theirs together; the chief alone writes.
    """

    def __init__(
        self, session: Session, record: Record, means: Continue, interruption: Interruption, check: Callable[[], None]
    ):
        """Args: check: raises where the weights must not be saved."""
        super().__init__()
        self._run, self._checkpoints, self._record, self._means = session.run, session.checkpoints, record, means
        self._interruption, self._check = interruption, check
        config = session.config.train
        self._every, self._pause = config.checkpoint_every, config.checkpoint_minutes * 60.0
        self._saved, self._steps, self._per_epoch, _ = session.length
        self._time = time.monotonic()
        # What the next checkpoint holds besides, such as a validation loss.
        self.extra: dict = {}

    def on_epoch_begin(self, epoch, logs=None):
        # Several workers stop together, or the others would take it for a failure.
        alone = not strategies.several_workers(self.model.distribute_strategy)
        self._interruption.idle = lambda: alone and self._step() == self._saved < self._steps
        self._interruption.stop = self._stop
        self._interruption.listen()

    def on_train_batch_end(self, batch, logs=None):
        self._checkpoints.check()
        step = self._step()
        if step % self._per_epoch == 0 or step == self._steps:
            return  # the epoch's end saves it, with all that belongs to it
        if self._any(self._interruption.asked or self._due(step)):
            self._record.pause()
            self._save(step)
            self._record.go_on()
            if self._any(self._interruption.asked):
                self._stop()

    def on_epoch_end(self, epoch, logs=None):
        step = self._step()
        self._save(step)
        if step < self._steps and self._any(self._interruption.asked):
            self._stop()

    def _due(self, step: int) -> bool:
        by_steps = self._every and step // self._every > self._saved // self._every
        return bool(by_steps or (self._pause and time.monotonic() - self._time >= self._pause))

    def _save(self, step: int) -> None:
        self._check()
        content = self._record.content(step)
        extra = {"step": step, "seconds": self._record.seconds, "means": means_of(self.model, self._means.since)}
        if strategies.is_chief():
            # The record first: with a checkpoint there always is one.
            before = functools.partial(self._run.write_json, "training.json", content)
            self._checkpoints.start_saving(step, extra | self.extra, before)
        self._saved, self._time, self.extra = step, time.monotonic(), {}

    def _any(self, wanted) -> bool:
        return strategies.any_worker(self.model.distribute_strategy, bool(wanted))

    def _stop(self) -> None:
        self._checkpoints.wait()
        # Nobody leaves before the chief has written all.
        self._any(True)
        number = self._interruption.asked or signal.SIGTERM
        where = f"at step {self._saved}, which is saved" if self._saved else "before the first step"
        log.warning(
            "%s: stopped %s. Go on with the same command and --resume (--run_dir=%s).",
            signal.Signals(number).name, where, self._run.path,
        )  # fmt: skip
        raise Stopped(128 + number)

    def _step(self) -> int:
        # A signal can come while a graph is built.
        with tf.init_scope():
            return replicas.step_of(self.model.optimizer)


def say_what_differs(run: RunDirectory, strategy: tf.distribute.Strategy) -> list[str]:
    """Warn where a run goes on with other software or hardware than before; what differs."""
    if not (run.path / "training.json").exists():
        return []
    before, now = run.read_json("training.json").get("platform", {}), platform.platform_of(strategy)
    changed = [f"{name} was {before[name]} and is {now[name]}" for name in now if name in before and before[name] != now[name]]
    if changed:
        log.warning(
            "The run goes on elsewhere than it was (%s): it may differ in last digits from one without an interruption.",
            "; ".join(changed),
        )
    return changed
