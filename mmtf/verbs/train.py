"""The first verb: from a config to a run directory with a trained model in it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from pathlib import Path

import keras
import tensorflow as tf

from mmtf import registry
from mmtf.config import Config, TrainConfig, check_profile, shared_flags
from mmtf.data import holdout, record
from mmtf.data.dataset import MultimodalData
from mmtf.distributed import platform, strategies
from mmtf.errors import UserError
from mmtf.models import checks
from mmtf.runs import RunDirectory, events
from mmtf.runs.checkpoint import Checkpoints
from mmtf.runs.lock import locked
from mmtf.tensorboard import profile
from mmtf.training import monitor, saving, session

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
      resume: continue from the newest checkpoint, exactly as if there had been no interruption; from the start where there is
        none yet.

    Raises:
      UserError: the config, the directory or the data cannot be used, or another process trains in the directory; nothing was
        trained, nothing was lost. Or another worker of the run stopped.
      monitor.NotFiniteError: a term became NaN or infinite; the last good checkpoint is kept.
      saving.Stopped: SIGTERM or Ctrl-C asked for an end; a checkpoint of what was done is kept.
    """
    registry.check_names(config)
    # Before all else: workers are joined when TensorFlow starts, and what one of them refuses all have to hear of.
    strategy = strategies.make_strategy(config.train.strategy, config.train.tpu, json.dumps(shared_flags(config)))
    with strategies.while_all_live(strategy), contextlib.ExitStack() as held:
        return _train(config, run_dir, data, resume, overwrite, strategy, held)


def _train(config: Config, run_dir, data, resume: bool, overwrite: bool, strategy, held: contextlib.ExitStack) -> RunDirectory:
    with strategies.agreed(strategy):
        run = _claimed(config, run_dir, resume, overwrite, held)
        resume = resume and run.begun
        whole = data or registry.load_data(config.data)
        monitor.check_labels(whole, config.train.coherence_every)
        if resume:
            whole = record.restored(run, whole)
        data, validation = whole, None
        if config.train.validation_examples:
            data, validation = holdout.held_out(whole, config.train.validation_examples, config.data.data_seed)
        batches_per_step = registry.model_class(config.model.model).batches_per_step()
        steps, per_epoch = plan(config.train, _usable(data, batches_per_step), batches_per_step)
        modalities = registry.configure(data.modalities, config.model)
        check_profile(config.train, steps)
        _check_values(data, modalities)
        _check_batch(config, strategy, smallest=1 if batches_per_step == 1 else len(modalities))
        if config.train.deterministic:
            platform.be_deterministic()
        if config.train.microbatch:
            platform.leave_sums_as_they_are()
    _check_same_data(strategy, whole)
    with strategy.scope():
        model = registry.build_model(config, modalities, config.train.precision)
        compile_model(model, config.train, steps, per_epoch, strategy)
    checkpoints = Checkpoints(run.checkpoints, training_state(model), config.train.keep_checkpoints)
    held.callback(checkpoints.close)
    with strategies.agreed(strategy):
        first = checkpoints.restore() if resume and checkpoints.steps else 0
        if first >= steps:
            raise UserError(
                f"This run already has {first} steps, and {steps} were asked for; raise --steps or --epochs to go on."
            )
    strategies.check_same(strategy, "The step to begin at", str(first))
    # Read by all before the chief begins to write.
    length = session.Length(first, steps, per_epoch, checkpoints.extra(first) if first else {})
    with strategies.agreed(strategy):
        if strategies.is_chief():
            if resume:
                saving.say_what_differs(run, strategy)
                checkpoints.tidy(first)
                events.drop_after(run.logs, first)
            profile.serve(config.train.profiler_port)
            run.begin(config, modalities, record.files(whole), overwrite=not resume)
            batch = f"batch {config.train.batch_size} on {strategies.described(strategy)}"
            log.info("Training %s on %s: steps %d to %d, %s.", config.model.model, data.name, first, steps, batch)
    session.fit(model, data, validation, config, run, checkpoints, length)
    return run


def plan(config: TrainConfig, examples: int, batches_per_step: int = 1) -> tuple[int, int]:
    """How many steps the run has, and how many of them make an epoch: a multiple of the steps of one execution.

    A checkpoint ends each epoch; so where one pass is short, several make an epoch.

    Args:
      turns: batches that one step takes.

    Raises:
      UserError: a batch holds more examples than there are.
    """
    taken = config.batch_size * batches_per_step
    if taken > examples:
        each = f", {batches_per_step} times in each step," if batches_per_step > 1 else ""
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
    model.compile(
        **optimizers,
        compile_gradients=platform.compile_inside(strategy) and not config.deterministic,
        jit_compile=platform.compile_with_xla(strategy) and not config.deterministic,
        steps_per_execution=min(config.steps_per_execution, per_epoch),
    )


def training_state(model: keras.Model) -> dict[str, keras.Variable]:
    """All that a checkpoint holds: weights, the optimizers' averages, and the step, of which noise and order are functions."""
    # By place: their names carry counters of the layers built so far in this process.
    optimizers = {f"{name}.{i}": v for name in model.learned() for i, v in enumerate(getattr(model, name).variables)}
    return model.named_weights() | optimizers


def _claimed(config: Config, run_dir, resume: bool, overwrite: bool, held: contextlib.ExitStack) -> RunDirectory:
    """The run directory, held for this process; on workers that are not the chief something to read."""
    if not strategies.is_chief():
        return RunDirectory(Path(run_dir))
    held.enter_context(locked(Path(run_dir)))
    run = RunDirectory.claim(run_dir, config, resume=resume, overwrite=overwrite)
    if resume and not run.begun:
        log.info("--resume: %s holds no run yet; one starts there.", run.path)
    return run


def _check_values(data: MultimodalData, modalities) -> None:
    for m in modalities:
        # What a mask hides may be anything, in the pool too.
        used = data.train.rows[m.name][data.train.has([m.name])] if data.train.mask else slice(None)
        checks.check_values({m.name: data.train.pools[m.name][used]}, [m])


def _check_same_data(strategy: tf.distribute.Strategy, data: MultimodalData) -> None:
    """Raises UserError where workers loaded other values, or paired them otherwise."""
    if strategies.several_workers(strategy):
        files = record.files(data)
        # Where the values came from may differ.
        values = json.dumps(json.loads(files[record.DESCRIPTION])["digests"]).encode() + files[record.PAIRING]
        strategies.check_same(strategy, "The digest of the data set", hashlib.sha256(values).hexdigest()[:16])


def _usable(data: MultimodalData, batches_per_step: int) -> int:
    """How many training examples a model takes as pairs: in a game complete ones."""
    if batches_per_step == 1:
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
    if batch_size % strategy.num_replicas_in_sync:
        raise UserError(
            f"--batch_size={batch_size} cannot be shared evenly by {strategies.described(strategy)}; choose a multiple of "
            f"{strategy.num_replicas_in_sync}."
        )
    # A device has one example at least, which is enough for all but games.
    if each < smallest:
        raise UserError(
            f"--batch_size={batch_size} gives a device {each} examples, but a game takes {smallest} or more; raise it."
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
