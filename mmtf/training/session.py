"""One session of training: Keras' fit over what is left of a run, with all that watches, shows and saves."""

from __future__ import annotations

import contextlib
import math

import keras
import tensorflow as tf

from mmtf.config import TrainConfig, profile_window
from mmtf.data import pipeline
from mmtf.data.dataset import MultimodalData
from mmtf.distributed import replicas, strategies
from mmtf.tensorboard import histograms, hparams, profile, projector
from mmtf.training import monitor, saving
from mmtf.training.plan import Session
from mmtf.training.validation import Validation


def fit(session: Session) -> None:
    """Run Keras' fit over what is left of an epoch, over whole epochs (a checkpoint ends each), then over the last steps.

    Returns when all checkpoints are written.
    """
    model, train, (first, steps, per_epoch, state) = session.model, session.config.train, session.length
    budget = monitor.Budget(train.max_seconds or math.inf, train.clock)
    seconds = state.get("seconds") or (session.run.read_json("training.json")["seconds"] if first else 0.0)
    record = saving.Record(seconds, model.distribute_strategy, steps)
    means = saving.Continue(first, per_epoch, state.get("means", {}))
    finite = monitor.StopWhenNotFinite(session.checkpoints)
    with contextlib.ExitStack() as opened:
        interruption = opened.enter_context(saving.Interruption())
        save = saving.Save(session, record, means, interruption, check=finite.check_weights)
        # What all workers do, they do together; `save` is last, since what others write about a step is to be there before it.
        callbacks = [means, budget, finite, record]
        if strategies.is_chief():
            callbacks += _shown(opened, session)
            callbacks += [Validation(session.run.logs, session.validation, save)]
        callbacks += [save]
        for epoch, count, size in stretches(first, steps, per_epoch):
            if not budget.spent:
                batches = _batches(model, session.data, train, replicas.step_of(model.optimizer), count * size)
                # A shorter epoch ends with its data, which may be in the middle of an execution; several replicas count their
                # parts of batches.
                one = model.distribute_strategy.num_replicas_in_sync == 1
                how = {} if one and size < per_epoch else {"steps_per_epoch": size}
                how |= {"initial_epoch": epoch, "epochs": epoch + count, "shuffle": False, "verbose": 0}
                model.fit(batches, callbacks=callbacks, **how)
        # While signals are still remembered. And nobody leaves before the chief has written all: its absence would be a failure
        # to the others, and theirs to it.
        with strategies.agreed(model.distribute_strategy):
            session.checkpoints.wait()


def stretches(first: int, steps: int, per_epoch: int) -> list[tuple[int, int, int]]:
    """Return what is left of a run, in stretches of equal epochs: number of the first epoch, how many, and the steps of each.

    Epochs end where those of an uninterrupted run do: at multiples of `per_epoch`, and at the last step.
    """
    begun = first % per_epoch
    head = min(per_epoch - begun, steps - first) if begun else 0
    whole, rest = divmod(steps - first - head, per_epoch)
    parts = [(first // per_epoch, 1, head), ((first + head) // per_epoch, whole, per_epoch), (steps // per_epoch, 1, rest)]
    return [(epoch, count, length) for epoch, count, length in parts if count and length]


def _shown(opened: contextlib.ExitStack, session: Session) -> list[keras.callbacks.Callback]:
    """Return what shows: the chief's alone. None of it computes with the other workers, who wait at the next step."""
    train, logs, data = session.config.train, session.run.logs, session.data
    return [
        opened.enter_context(monitor.Progress(session.length.first, session.length.steps)),
        opened.enter_context(hparams.Session(logs, session.config)),
        opened.enter_context(profile.Profile(logs, profile_window(train.profile_steps))),
        monitor.Warn(),
        monitor.Scalars(logs),
        monitor.Panels(logs, data, train.panels_every),
        monitor.Coherence(logs, data, train.coherence_every),
        histograms.Histograms(logs, data, train.histograms_every, train.batch_size),
        projector.Embeddings(logs, data, train.embeddings_every),
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
