"""TensorBoard's HParams dashboard: a row for each run, with its hyper-parameters and what was measured of it.

Both are in a folder of their own below the run's logs, so that the dashboard's columns are those measurements, and not every
scalar of training. Which hyper-parameters differ, and their types, the dashboard finds out from the runs that it shows.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import keras
import tensorflow as tf
from tensorboard.plugins.hparams import api_pb2, summary

from mmtf.config import Config
from mmtf.distributed import replicas
from mmtf.report.runs import CONDUCT, PLACES

FOLDER = "hparams"
SESSION, EVALUATED = ".session", ".evaluated"
# Of what changes no number, the dashboard, which shows few columns at first, has these alone.
LEFT_OUT = {*CONDUCT, *PLACES} - {"seed", "data_seed", "max_seconds", "steps_per_epoch"}


class Session(keras.callbacks.Callback):
    """The latest session of training: hyper-parameters, start, end, how it ended, and its last loss. A context manager.

    A session that goes on or was killed has no end yet, and its status is shown as unknown.
    """

    def __init__(self, logs: Path, config: Config):
        super().__init__()
        self._folder, self._config = logs / FOLDER, config
        self._terms: Mapping[str, float] = {}
        self._step = 0

    def __enter__(self) -> Session:
        # TensorBoard keeps to the first start and the first end that it finds in a folder.
        _remove(self._folder, SESSION)
        self._writer = _writer(self._folder, SESSION)
        self._write(summary.session_start_pb(hyperparameters(self._config), start_time_secs=time.time()))
        self._writer.flush()
        return self

    def on_epoch_end(self, epoch, logs=None):
        self._terms, self._step = dict(logs), replicas.step_of(self.model.optimizer)

    def __exit__(self, kind, error, trace):
        if "loss" in self._terms:
            with self._writer.as_default(step=self._step):
                tf.summary.scalar("training/loss", self._terms["loss"])
        status = api_pb2.STATUS_SUCCESS if kind is None else api_pb2.STATUS_FAILURE
        self._write(summary.session_end_pb(status, end_time_secs=time.time()))
        self._writer.close()

    def _write(self, summary) -> None:
        with self._writer.as_default(step=0):
            tf.summary.experimental.write_raw_pb(summary.SerializeToString())


def hyperparameters(config: Config) -> dict[str, bool | float | str]:
    """The fields of a config by the names of their flags, but for what changes no number, and for what None leaves open."""
    fields = {name: value for concern in config.to_json().values() for name, value in concern.items()}
    return {name: value for name, value in fields.items() if name not in LEFT_OUT and value is not None}


def write_metrics(logs: Path, numbers: Mapping[str, float], step: int) -> None:
    """Put what was measured at a step into the run's row, in place of what was measured before."""
    before = list((logs / FOLDER).glob(f"*{EVALUATED}"))
    writer = _writer(logs / FOLDER, EVALUATED)
    with writer.as_default(step=step):
        for name, value in numbers.items():
            tf.summary.scalar(name, value)
    writer.close()
    for file in before:
        file.unlink()


def _writer(folder: Path, suffix: str) -> tf.summary.SummaryWriter:
    return tf.summary.create_file_writer(str(folder), filename_suffix=suffix)


def _remove(folder: Path, suffix: str) -> None:
    for file in folder.glob(f"*{suffix}"):
        file.unlink()
