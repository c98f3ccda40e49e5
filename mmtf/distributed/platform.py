"""What the numbers are computed with: processor, XLA, precision and determinism."""

from __future__ import annotations

import contextlib
import logging
import os
import platform
from collections.abc import Iterator

import keras
import tensorflow as tf

import mmtf
from mmtf import processor

log = logging.getLogger(__name__)


@contextlib.contextmanager
def networks_compute_in(precision: str) -> Iterator[None]:
    """Layers that are made in this context compute with `float32`, or with `bfloat16` on float32 variables.

    Of half precisions bfloat16 alone: it has the range of float32, so that no loss overflows or has to be scaled.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy({"float32": "float32", "bfloat16": "mixed_bfloat16"}[precision])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def leave_sums_as_they_are() -> None:
    """Keep TensorFlow's optimizer of graphs from rearranging arithmetic, for this process.

    In a loop inside of a step it adds the parts of a loss up in another order each time that the graph is built, so that a
    resumed run differs in the last digit; and it has taken terms that are broadcast for terms of the others' shape.
    """
    tf.config.optimizer.set_experimental_options({"arithmetic_optimization": False})


def be_deterministic() -> None:
    """Has TensorFlow take kernels that give the same bits again, and build the same graph again, for this process.

    It disables XLA without a word, and refuses random numbers without a seed.
    """
    tf.config.experimental.enable_op_determinism()
    leave_sums_as_they_are()


def platform_of(strategy: tf.distribute.Strategy) -> dict[str, str | int | list[str]]:
    """Return what the bits of a result depend on beside seed and settings: versions of the software, and the hardware."""
    details = [tf.config.experimental.get_device_details(d) for d in tf.config.list_physical_devices("GPU")]
    return {
        "mmtf": mmtf.__version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "machine": platform.machine(),
        "processor": processor.name() or platform.processor(),
        "cores": _cores(),
        "onednn": has_onednn(),
        "devices": [d.device_type for d in tf.config.list_logical_devices()],
        "accelerators": [found.get("device_name", "unknown") for found in details],
        "replicas": strategy.num_replicas_in_sync,
    }


def has_onednn() -> bool:
    """Return whether TensorFlow computes with oneDNN in this process. Nothing public tells what its import found."""
    try:
        from tensorflow.python.util import _pywrap_util_port
    except ImportError:
        return False
    return bool(_pywrap_util_port.IsMklEnabled())


def warn_without_onednn() -> bool:
    """Warn where training computes without oneDNN because TensorFlow was imported before mmtf could turn it on; whether so."""
    slow = mmtf.ONEDNN_CAME_TOO_LATE and not has_onednn() and not tf.config.list_physical_devices("GPU")
    if slow:
        log.warning(
            "TensorFlow was imported before mmtf, and computes without oneDNN on this processor, which is slower. Import mmtf "
            "first, or set TF_ENABLE_ONEDNN_OPTS=1 in the environment."
        )
    return slow


def warn_of_bfloat16(precision: str) -> bool:
    """Warn where networks compute in bfloat16 on a processor that has no instructions for it; whether so."""
    slow = precision == "bfloat16" and processor.multiplies_bfloat16() is False
    slow = slow and not tf.config.list_physical_devices("GPU")
    if slow:
        known = processor.instructions()
        log.warning(
            "--precision=bfloat16: this processor has %s, and no instructions for bfloat16. A training step takes about %.3g "
            "times as long as in float32; leave --precision out.",
            known,
            processor.IN_BFLOAT16[known],
        )
    return slow


def _cores() -> int:
    """How many threads share the work of one operation: as TensorFlow finds it, from its settings, else the environment."""
    asked = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    told = tf.config.threading.get_intra_op_parallelism_threads() or (int(asked) if asked.isdecimal() else 0)
    # Linux alone knows which processors this process may use.
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return told or allowed or 1


def compile_with_xla(strategy: tf.distribute.Strategy) -> bool:
    """Return whether XLA pays for a whole step: on one accelerator.

    On CPU it makes these convolutions slower; on several it fails.
    """
    return bool(tf.config.list_logical_devices("GPU")) and strategy.num_replicas_in_sync == 1


def compile_inside(strategy: tf.distribute.Strategy) -> bool:
    """Return whether XLA is for losses and gradients alone (`compiled`): on several accelerators."""
    return bool(tf.config.list_logical_devices("GPU")) and strategy.num_replicas_in_sync > 1
