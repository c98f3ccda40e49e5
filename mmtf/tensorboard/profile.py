"""Profiles of training: of some steps that a flag names, and on demand while training goes on."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

import keras
import tensorflow as tf

from mmtf.distributed import replicas
from mmtf.errors import UserError

log = logging.getLogger(__name__)


class Profile(keras.callbacks.Callback):
    """Trace steps FIRST to LAST (the first step is 1), and write below logs/plugins/profile. A context manager.

    Whole executions are traced: those that FIRST and LAST are in.
    """

    def __init__(self, logs: Path, window: tuple[int, int] | None):
        super().__init__()
        self._logs, self._window = logs, window
        self._on = False

    def __enter__(self) -> Profile:
        return self

    def __exit__(self, *exception):
        self._stop()

    def on_train_begin(self, logs=None):
        done = replicas.step_of(self.model.optimizer)
        if self._window and done >= self._window[1]:
            log.warning("--profile_steps=%d,%d traces nothing: training goes on after step %d.", *self._window, done)
            self._window = None

    def on_train_batch_begin(self, batch, logs=None):
        done = replicas.step_of(self.model.optimizer)
        if self._window and not self._on and self._window[0] - self.model.steps_per_execution <= done < self._window[1]:
            self._start()

    def on_train_batch_end(self, batch, logs=None):
        if self._on and replicas.step_of(self.model.optimizer) >= self._window[1]:
            self._stop()

    def _start(self) -> None:
        try:
            tf.profiler.experimental.start(str(self._logs))
            self._on = True
        except tf.errors.AlreadyExistsError:
            log.warning(
                "--profile_steps=%d,%d is left out: this process is being traced already, such as through --profiler_port.",
                *self._window,
            )
            self._window = None

    def _stop(self) -> None:
        if self._on:
            tf.profiler.experimental.stop()
            self._on, self._window = False, None


def serve(port: int) -> None:
    """Start the profiler's server, which traces when TensorBoard or a program asks for it; port 0 starts none.

    Raises:
      UserError: the port is taken.
    """
    if not port:
        return
    # TensorFlow only logs that it cannot have the port, and trains on without the server.
    with socket.socket(socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            raise UserError(f"--profiler_port={port} cannot be listened on: {error.strerror}; choose another.") from error
    tf.profiler.experimental.server.start(port)
