"""On which devices and machines a run trains, and what its workers agree on.

Every worker of a run is a process that does the same steps on other rows of the same batches. One of them, the chief, writes;
what has to be the same on all (to begin, to stop) is decided by all of them together.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator

import keras
import tensorflow as tf

from mmtf.config.schema import STRATEGIES
from mmtf.distributed.cluster import meet, read_cluster
from mmtf.errors import UserError, first_line

log = logging.getLogger(__name__)

# Of what one worker tells the others, in bytes.
LONGEST_PROBLEM = 2000


def make_strategy(name: str = "auto", tpu: str = "", flags: str = "{}") -> tf.distribute.Strategy:
    """Return the distribution strategy of that name.

    `one` device; `mirrored`, all devices of this machine; `multi_worker`, all devices of all machines that TF_CONFIG names;
    `tpu`. `auto` is multi_worker where TF_CONFIG names several workers, else mirrored where there are several devices, else
    one.

    Args:
      tpu: its name, or `local`; by default that of the environment variable TPU_NAME.
      flags: JSON of what has to be the same on all workers.

    Raises:
      UserError: there are no such devices, TF_CONFIG is not right, or not all workers came.
    """
    if name not in STRATEGIES:
        raise ValueError(f"--strategy must be one of {', '.join(STRATEGIES)}, not {name!r}.")
    if tpu and name != "tpu":
        raise UserError(f"--tpu={tpu} does nothing without --strategy=tpu; give both or neither.")
    cluster = read_cluster()
    if cluster and name not in ("auto", "multi_worker"):
        raise UserError(
            f"--strategy={name} on {len(cluster.addresses)} workers, which TF_CONFIG names, would train as many runs in one "
            "directory. Set --strategy=multi_worker, or unset TF_CONFIG and start one process."
        )
    if cluster:
        log.info("This is %s of %d; waiting for the others.", cluster.named(cluster.index), len(cluster.addresses))
        meet(cluster, flags)
        return _multi_worker()
    if name == "multi_worker":
        raise UserError(
            "--strategy=multi_worker needs the environment variable TF_CONFIG with several workers, different on each of them: "
            "docs/scaling.md shows it. On one machine set --strategy=mirrored."
        )
    return _on_tpu(tpu) if name == "tpu" else _on_this_machine(name)


def is_chief() -> bool:
    """Return whether this process writes: the run directory, the log, the progress bar, what is printed."""
    cluster = read_cluster()
    return cluster is None or cluster.is_chief


def several_workers(strategy: tf.distribute.Strategy) -> bool:
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def described(strategy: tf.distribute.Strategy) -> str:
    """Return the devices in words, for messages: '4 devices', '2 workers with 8 devices'."""
    count = strategy.num_replicas_in_sync
    devices = f"{count} device{'s' if count > 1 else ''}"
    cluster = read_cluster() if several_workers(strategy) else None
    return f"{len(cluster.addresses)} workers with {devices}" if cluster else devices


def per_replica(strategy: tf.distribute.Strategy, batches: Callable[[int, int, int], tf.data.Dataset]):
    """Data for `fit` of which every worker gathers only what its own replicas take.

    Args:
      batches: of the first of a worker's replicas, how many it has, and how many there are on all: the data set whose elements
        are, step by step, the parts of a batch of each of them in turn.
    """
    if strategy.num_replicas_in_sync == 1:
        return batches(0, 1, 1)

    def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
        own = context.num_replicas_in_sync // context.num_input_pipelines
        return batches(context.input_pipeline_id * own, own, context.num_replicas_in_sync)

    return strategy.distribute_datasets_from_function(of_worker)


def train_function(model: keras.Model) -> Callable:
    """Return what `fit` calls for one execution on several workers: the steps, and then what the metrics say.

    Keras 3 would reduce every term of every step over the workers, by a function that fails on scalars.
    """
    strategy, count = model.distribute_strategy, model.steps_per_execution

    def one_step(batch):
        model.train_step(batch)

    @tf.autograph.experimental.do_not_convert
    def steps(iterator):
        def step(done, batch):
            strategy.run(one_step, args=(batch.get_value(),))
            # No batch is taken that this execution does not use.
            return done + 1, tf.cond(done + 1 < count, iterator.get_next_as_optional, lambda: batch)

        def more(done, batch):
            return (done < count) & batch.has_value()

        return tf.while_loop(more, step, (0, iterator.get_next_as_optional()), parallel_iterations=1)[0]

    compiled = tf.function(steps, reduce_retracing=True)

    def execution(iterator):
        if not compiled(iterator):
            raise StopIteration
        return model.get_metrics_result()

    return execution


# ---- what the workers agree on -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def agreed(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """What fails on one worker fails on all, with that worker's message: without it the others would wait for it."""
    problem = None
    try:
        yield
    except Exception as error:
        if not several_workers(strategy):
            raise
        problem = error
    if several_workers(strategy):
        said = _said_by_all(strategy, f"{problem}" if problem else "")
        if problem:
            raise problem
        for index, text in enumerate(said):
            if text:
                raise UserError(f"Worker {index} failed: {text}")


def check_same(strategy: tf.distribute.Strategy, subject: str, value: str) -> None:
    """Raise UserError on all workers where something, such as the step to begin at, is not the same on all of them."""
    if several_workers(strategy):
        said = _said_by_all(strategy, value)
        other = next((i for i, text in enumerate(said) if text != said[0]), None)
        if other is not None:
            raise UserError(
                f"{subject} is {said[0]} on worker 0 and {said[other]} on worker {other}. All need the same data, and one run "
                "directory that they share."
            )


def any_worker(strategy: tf.distribute.Strategy, flag: bool) -> bool:
    """Return whether something is so on some worker, such as that its time is up; the same answer on all."""
    if not several_workers(strategy):
        return flag
    return int(strategy.reduce(tf.distribute.ReduceOp.SUM, tf.constant(int(flag)), axis=None)) > 0


@contextlib.contextmanager
def while_all_live(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Say in words that another worker went away, which TensorFlow notices within about ten seconds.

    Raises:
      UserError: it did; the run can be resumed.
    """
    try:
        yield
    except tf.errors.OpError as error:
        if not several_workers(strategy) or not _is_about_workers(error):
            raise
        raise UserError(
            "Another worker of this run stopped or cannot be reached any more; its own output says why. Start all workers "
            f"again with --resume: they go on from the newest checkpoint. (TensorFlow: {_reason(error)})"
        ) from error


def _is_about_workers(error: tf.errors.OpError) -> bool:
    lost = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError, tf.errors.CancelledError)
    return isinstance(error, lost) or "Collective ops is aborted" in error.message


def _reason(error: tf.errors.OpError) -> str:
    _, _, aborted = error.message.partition("Collective ops is aborted by: ")
    return first_line(error) if not aborted else aborted.splitlines()[0][:200]


def _said_by_all(strategy: tf.distribute.Strategy, text: str) -> list[str]:
    """Return what every worker says, in their order; it takes all of them to call it."""
    cluster = read_cluster()
    mine = text.encode()[:LONGEST_PROBLEM]
    rows = [[0] * LONGEST_PROBLEM for _ in cluster.addresses]
    rows[cluster.index][: len(mine)] = mine
    gathered = strategy.reduce(tf.distribute.ReduceOp.SUM, tf.constant(rows), axis=None).numpy()
    return [bytes(row[row > 0].tolist()).decode(errors="replace") for row in gathered]


# ---- the devices -------------------------------------------------------------------------------------------------------


def _on_this_machine(name: str) -> tf.distribute.Strategy:
    """ReductionToOneDevice stands in for the default reduction, which fails with several steps per execution."""
    accelerators = tf.config.list_logical_devices("GPU")
    devices = [d.name for d in (accelerators or tf.config.list_logical_devices("CPU"))]
    if name == "one" or (name == "auto" and len(devices) == 1):
        return tf.distribute.OneDeviceStrategy(devices[0])
    if len(devices) == 1:
        log.info("--strategy=mirrored on a machine with one device, %s, does what --strategy=one does.", devices[0])
    return tf.distribute.MirroredStrategy(devices, cross_device_ops=tf.distribute.ReductionToOneDevice())


def _multi_worker() -> tf.distribute.Strategy:
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise UserError(
            f"The workers cannot be joined ({error}). TensorFlow joins them before it does anything else: begin training on "
            "several workers in a process of its own, as mmtf train does."
        ) from error
    except tf.errors.OpError as error:
        raise UserError(f"The workers cannot be joined: {_reason(error)}. Start all of them again.") from error


def _on_tpu(name: str) -> tf.distribute.Strategy:
    name = name or os.environ.get("TPU_NAME", "")
    if not name:
        raise UserError("--strategy=tpu needs --tpu=local on a TPU VM, or the TPU's name there or in the variable TPU_NAME.")
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=name)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    except (tf.errors.OpError, ValueError, RuntimeError, ImportError, OSError) as error:
        raise UserError(
            f"--strategy=tpu: no TPU {name!r} can be used ({first_line(error)}). Run on a TPU VM with --tpu=local and "
            "a TensorFlow that was built for TPUs, or choose another --strategy."
        ) from error
