"""One session of training: Keras' fit over what is left of a run, with all that watches, shows and saves."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from typing import NamedTuple

import keras
import tensorflow as tf

from mmtf.config import Config, TrainConfig, profile_window
from mmtf.data import pipeline
from mmtf.data.dataset import MultimodalData, Split
from mmtf.distributed import replicas, strategies
from mmtf.runs import RunDirectory
from mmtf.runs.checkpoint import Checkpoints
from mmtf.tensorboard import histograms, hparams, profile, projector
from mmtf.training import monitor, saving
from mmtf.training.validation import Validation


class Length(NamedTuple):
    """Attributes:
    first, steps: where the session begins, and the run ends. per_epoch: steps of an epoch.
    state: what the checkpoint at `first` holds besides variables; empty at the start of a run.
    """

    first: int
    steps: int
    per_epoch: int
    state: Mapping = {}


def fit(
    model: keras.Model,
    data: MultimodalData,
    validation: Split | None,
    config: Config,
    run: RunDirectory,
    checkpoints: Checkpoints,
    length: Length,
) -> None:
    """Runs Keras' fit over what is left of an epoch, over whole epochs (a checkpoint ends each), then over the last steps.

    Returns when all checkpoints are written.

    Args: validation: held-out examples whose loss ranks the checkpoints.
    """
    budget = monitor.Budget(config.train.max_seconds or math.inf, config.train.clock)
    first, steps, per_epoch, state = length
    seconds = state.get("seconds") or (run.read_json("training.json")["seconds"] if first else 0.0)
    record = saving.Record(seconds, model.distribute_strategy, steps)
    means = saving.Continue(first, per_epoch, state.get("means", {}))
    finite = monitor.StopWhenNotFinite(checkpoints)
    with contextlib.ExitStack() as opened:
        interruption = opened.enter_context(saving.Interruption())
        where = {"config": config.train, "first": first, "steps": steps, "per_epoch": per_epoch}
        save = saving.Save(run, checkpoints, record, means, interruption, check=finite.check_weights, **where)
        # What all workers do, they do together; `save` is last, since what others write about a step is to be there before it.
        callbacks = [means, budget, finite, record]
        if strategies.is_chief():
            callbacks += _shown(opened, data, config, run, first, steps)
            callbacks += [Validation(run.logs, validation, config.model.warmup_steps, save)]
        callbacks += [save]
        for epoch, count, size in stretches(first, steps, per_epoch):
            if not budget.spent:
                batches = _batches(model, data, config.train, replicas.step_of(model.optimizer), count * size)
                # A shorter epoch ends with its data, which may be in the middle of an execution; several replicas count their
                # parts of batches.
                one = model.distribute_strategy.num_replicas_in_sync == 1
                how = {} if one and size < per_epoch else {"steps_per_epoch": size}
                how |= {"initial_epoch": epoch, "epochs": epoch + count, "shuffle": False, "verbose": 0}
                model.fit(batches, callbacks=callbacks, **how)
        # While signals are still remembered. And nobody leaves before the chief has written all: its absence would be a failure
        # to the others, and theirs to it.
        with strategies.agreed(model.distribute_strategy):
            checkpoints.wait()


def stretches(first: int, steps: int, per_epoch: int) -> list[tuple[int, int, int]]:
    """What is left of a run, in stretches of equal epochs: number of the first epoch, how many, and the steps of each.

    Epochs end where those of an uninterrupted run do: at multiples of `per_epoch`, and at the last step.
    """
    begun = first % per_epoch
    head = min(per_epoch - begun, steps - first) if begun else 0
    whole, rest = divmod(steps - first - head, per_epoch)
    found = [(first // per_epoch, 1, head), ((first + head) // per_epoch, whole, per_epoch), (steps // per_epoch, 1, rest)]
    return [(epoch, count, length) for epoch, count, length in found if count and length]


def _shown(
    opened: contextlib.ExitStack, data: MultimodalData, config: Config, run: RunDirectory, first: int, steps: int
) -> list[keras.callbacks.Callback]:
    """What shows: the chief's alone. None of it computes with the other workers, who wait at the next step."""
    train = config.train
    return [
        opened.enter_context(monitor.Progress(first, steps)),
        opened.enter_context(hparams.Session(run.logs, config)),
        opened.enter_context(profile.Profile(run.logs, profile_window(train.profile_steps))),
        monitor.Warn(),
        monitor.Scalars(run.logs),
        monitor.Panels(run.logs, data, train.panels_every),
        monitor.Coherence(run.logs, data, train.coherence_every),
        histograms.Histograms(run.logs, data, train.histograms_every, train.batch_size),
        projector.Embeddings(run.logs, data, train.embeddings_every),
    ]


def _batches(model, data: MultimodalData, config: TrainConfig, first: int, count: int):
    """As many batches, from that step on, as the model's training step takes them; on several replicas shared out."""

    def shared(*share: int) -> tf.data.Dataset:
        how = (data.train, config.batch_size, config.seed, first, count)
        if model.batches_per_step() == 1:
            return pipeline.batches(*how, pipeline.Share(*share))
        return pipeline.phase_batches(
            *how, single=model.uses_unpaired_values(), count=model.batches_per_step(), share=pipeline.Share(*share)
        )

    return strategies.per_replica(model.distribute_strategy, shared)
