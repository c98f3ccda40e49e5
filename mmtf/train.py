"""The first verb: from a config to a run directory with a trained model in it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import math
from pathlib import Path

import keras
import tensorflow as tf

from mmtf import catalog, checks, distribution, judge, monitor, runtime
from mmtf.checkpoint import Checkpoints
from mmtf.config import Config, TrainConfig, shared_flags
from mmtf.data import pipeline, record
from mmtf.data.dataset import MultimodalData
from mmtf.errors import UserError
from mmtf.rundir import RunDirectory

log = logging.getLogger(__name__)

SHORTEST_EPOCH = 100  # steps, unless --steps_per_epoch says otherwise


def train(
    config: Config,
    run_dir: str | Path,
    *,
    data: MultimodalData | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> RunDirectory:
    """Trains the model of a config, and leaves weights, logs and its record in a run directory.

    Args:
      run_dir: a new directory; see `RunDirectory.claim` for when an old one is accepted.
      data: in place of what the config's data set would load, such as what `mmtf.data.from_arrays` returned; its networks
        are those of the config's data set.
      resume: continue from the newest checkpoint, exactly as if there had been no interruption.

    Raises:
      UserError: the config, the directory or the data cannot be used; nothing was trained, nothing was lost.
      monitor.NotFiniteError: a term became NaN or infinite; the last good checkpoint is kept.
    """
    catalog.check_names(config)
    # Before all else: workers are joined when TensorFlow starts, and what one of them refuses all have to hear of.
    strategy = distribution.make_strategy(config.train.strategy, config.train.tpu, json.dumps(shared_flags(config)))
    with distribution.while_all_live(strategy):
        return _train(config, run_dir, data, resume, overwrite, strategy)


def _train(config, run_dir, data, resume: bool, overwrite: bool, strategy: tf.distribute.Strategy) -> RunDirectory:
    with distribution.agreed(strategy):
        run = _claimed(config, run_dir, resume, overwrite)
        data = data or catalog.load_data(config.data)
        if config.train.coherence_every and judge.score_name(data) is None:
            raise UserError(f"--coherence_every does nothing for {data.name}, which has no labels; remove it.")
        if resume:
            data = record.restored(run, data)
        turns = catalog.model_class(config.model.model).turns
        steps, per_epoch = plan(config.train, _usable(data, turns), turns)
        modalities = catalog.configure(data.modalities, config.model)
        for m in modalities:
            # What a mask hides may be anything, in the pool too.
            used = data.train.rows[m.name][data.train.has([m.name])] if data.train.mask else slice(None)
            checks.check_values({m.name: data.train.pools[m.name][used]}, [m])
        if config.train.microbatch:
            runtime.leave_sums_as_they_are()
        _check_batch(config, strategy, smallest=1 if turns == 1 else len(modalities))
    _check_same_data(strategy, data)
    with strategy.scope():
        model = catalog.build_model(config, modalities)
        compile_model(model, config.train, steps, per_epoch, strategy)
    with distribution.agreed(strategy):
        checkpoints = Checkpoints(run.checkpoints, training_state(model), config.train.keep_checkpoints)
        first = checkpoints.restore() if resume and checkpoints.steps else 0
        if first >= steps:
            raise UserError(
                f"This run already has {first} steps, and {steps} were asked for; raise --steps or --epochs to go on."
            )
    distribution.check_same(strategy, "The step to begin at", str(first))
    with distribution.agreed(strategy):
        if distribution.is_chief():
            run.begin(config, modalities, record.files(data), overwrite=overwrite)
            batch = f"batch {config.train.batch_size} on {distribution.described(strategy)}"
            log.info("Training %s on %s: steps %d to %d, %s.", config.model.model, data.name, first, steps, batch)
    _fit(model, data, config, run, checkpoints, first, steps, per_epoch)
    # Nobody leaves before the chief has written all: its absence would be a failure to the others, and theirs to it.
    with distribution.agreed(strategy):
        return run


def _claimed(config: Config, run_dir: str | Path, resume: bool, overwrite: bool) -> RunDirectory:
    """The run directory; on workers that are not the chief as something to read, which it is when there is a run to resume."""
    if distribution.is_chief():
        return RunDirectory.claim(run_dir, config, resume=resume, overwrite=overwrite)
    return RunDirectory.open(run_dir) if resume else RunDirectory(Path(run_dir))


def _check_same_data(strategy: tf.distribute.Strategy, data: MultimodalData) -> None:
    """Raises UserError where workers loaded other values, or paired them otherwise."""
    if distribution.several_workers(strategy):
        files = record.files(data)
        # Where the values came from may differ.
        values = json.dumps(json.loads(files[record.DESCRIPTION])["digests"]).encode() + files[record.PAIRING]
        distribution.check_same(strategy, "The digest of the data set", hashlib.sha256(values).hexdigest()[:16])


def plan(config: TrainConfig, examples: int, turns: int = 1) -> tuple[int, int]:
    """How many steps the run has, and how many of them make an epoch: a multiple of the steps of one execution.

    A checkpoint ends each epoch; so where one pass is short, several make an epoch.

    Args:
      turns: batches that one step takes.

    Raises:
      UserError: a batch holds more examples than there are.
    """
    taken = config.batch_size * turns
    if taken > examples:
        each = f", {turns} times in each step," if turns > 1 else ""
        raise UserError(f"--batch_size={config.batch_size}{each} is more than the {examples} training examples; lower it.")
    one_pass = examples // taken
    steps = config.steps or config.epochs * one_pass
    per_epoch = min(config.steps_per_epoch or max(one_pass, SHORTEST_EPOCH), steps)
    # Keras would run a started execution to its end, past the end of the epoch.
    return steps, per_epoch - per_epoch % min(config.steps_per_execution, per_epoch)


def compile_model(
    model: keras.Model, config: TrainConfig, steps: int, per_epoch: int, strategy: tf.distribute.Strategy
) -> None:
    """Gives the model its optimizers, Adam as in [S] C.3.2 and in [C], with all their variables made."""
    rate = config.learning_rate
    if config.learning_rate_schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(config.learning_rate, steps)
    optimizers = {name: keras.optimizers.Adam(rate, config.adam_beta_1) for name in model.learned()}
    for name, variables in model.learned().items():
        optimizers[name].build(variables)
    model.compiles_inside = runtime.compile_inside(strategy)
    model.compile(
        **optimizers,
        jit_compile=runtime.compile_with_xla(strategy),
        steps_per_execution=min(config.steps_per_execution, per_epoch),
    )


def training_state(model: keras.Model) -> dict[str, keras.Variable]:
    """All that a checkpoint holds: weights, the optimizers' averages, and the step, of which noise and order are functions."""
    # By place: their names carry counters of the layers built so far in this process.
    optimizers = {f"{name}.{i}": v for name in model.learned() for i, v in enumerate(getattr(model, name).variables)}
    return model.named_weights() | optimizers


def _fit(
    model: keras.Model,
    data: MultimodalData,
    config: Config,
    run: RunDirectory,
    checkpoints: Checkpoints,
    first: int,
    steps: int,
    per_epoch: int,
) -> None:
    """Runs Keras' fit over whole epochs (a checkpoint ends each), then over the steps that are left."""
    budget = monitor.Budget(config.train.max_seconds or math.inf, config.train.clock)
    # What all workers do: they stop together.
    callbacks = [budget, monitor.StopWhenNotFinite(checkpoints)]
    with contextlib.ExitStack() as opened:
        if distribution.is_chief():
            callbacks += _writers(opened, data, config, run, checkpoints, first, steps)
        whole, rest = divmod(steps - first, per_epoch)
        for epochs, length in ((whole, per_epoch), (min(rest, 1), rest)):
            if epochs and not budget.spent:
                done = runtime.step_of(model.optimizer)
                batches = _batches(model, data, config.train, done, epochs * length)
                # The last, shorter epoch ends with its data, which may be in the middle of an execution; several replicas count
                # their parts of batches.
                one = model.distribute_strategy.num_replicas_in_sync == 1
                per_fit = {} if one and length < per_epoch else {"steps_per_epoch": length}
                model.fit(batches, epochs=epochs, callbacks=callbacks, shuffle=False, verbose=0, **per_fit)


def _writers(
    opened: contextlib.ExitStack, data: MultimodalData, config: Config, run: RunDirectory, checkpoints, first: int, steps: int
) -> list[keras.callbacks.Callback]:
    """What shows and writes: the chief's alone. None of it computes with the other workers, who wait at the next step."""
    return [
        opened.enter_context(monitor.Progress(first, steps)),
        monitor.Warn(),
        monitor.Record(run, first),
        monitor.Scalars(run.logs),
        monitor.Save(checkpoints),
        monitor.Panels(run.logs, data, config.train.panels_every),
        monitor.Coherence(run.logs, data, config.train.coherence_every),
    ]


def _batches(model, data: MultimodalData, config: TrainConfig, first: int, count: int):
    """As many batches, from that step on, as the model's training step takes them; on several replicas shared out."""

    def shared(*share: int) -> tf.data.Dataset:
        how = (data.train, config.batch_size, config.seed, first, count)
        if model.turns == 1:
            return pipeline.batches(*how, pipeline.Share(*share))
        return pipeline.turns(*how, single=model.takes_single, count=model.turns, share=pipeline.Share(*share))

    return distribution.per_replica(model.distribute_strategy, shared)


def _usable(data: MultimodalData, turns: int) -> int:
    """How many training examples a model takes as pairs: in a game complete ones."""
    if turns == 1:
        return len(data.train)
    complete = int(data.train.has(data.names).sum())
    if not complete:
        raise UserError(
            f"None of the {len(data.train)} training examples of {data.name} has all of {', '.join(data.names)}: a game needs "
            "some complete ones. Choose others with --modalities, or train a VAE."
        )
    return complete


def _check_batch(config: Config, strategy: tf.distribute.Strategy, smallest: int) -> None:
    batch_size, microbatch, negatives = config.train.batch_size, config.train.microbatch, config.model.contrast_negatives
    each = batch_size // strategy.num_replicas_in_sync
    if each < smallest:
        raise UserError(
            f"--batch_size={batch_size} gives a device {each} examples, but a game takes {smallest} or more; raise it."
        )
    if batch_size % strategy.num_replicas_in_sync:
        raise UserError(
            f"--batch_size={batch_size} cannot be shared evenly by {distribution.described(strategy)}; choose a multiple of "
            f"{strategy.num_replicas_in_sync}."
        )
    if microbatch and (each % microbatch or microbatch > each):
        raise UserError(
            f"--microbatch={microbatch} does not divide the {each} examples that --batch_size={batch_size} gives each device; "
            "choose a divisor of them."
        )
    if config.model.contrast != "none" and negatives >= each:
        raise UserError(
            f"--contrast_negatives={negatives} other examples must be on the same device, to which --batch_size={batch_size} "
            f"gives {each}; lower the one or raise the other."
        )
