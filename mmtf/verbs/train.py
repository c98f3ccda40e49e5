"""Train a model: from a config to a run directory with a trained model in it.

[S]: Sutter, Daunhawer, Vogt 2020. [C]: Chen, Zhu 2022.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import keras
import tensorflow as tf

from mmtf import registry
from mmtf.config import Config, TrainConfig, check_profile, plugins, shared_flags
from mmtf.data import holdout, record
from mmtf.data.dataset import MultimodalData
from mmtf.distributed import platform, strategies
from mmtf.errors import UserError
from mmtf.modality import check_names
from mmtf.models import checks, own_networks
from mmtf.models.base import LatentModel
from mmtf.runs import RunDirectory, events
from mmtf.runs.checkpoint import Checkpoints
from mmtf.runs.directory import NETWORKS, PLUGIN
from mmtf.runs.lock import locked
from mmtf.runs.paths import of_user
from mmtf.tensorboard import profile
from mmtf.training import saving, session
from mmtf.training.adam import Adam
from mmtf.training.monitor import check_labels
from mmtf.training.plan import Length, Session, plan
from mmtf.verbs.load import kept_networks

log = logging.getLogger(__name__)


def train(
    config: Config,
    run_dir: str | Path,
    *,
    data: MultimodalData | None = None,
    networks: own_networks.Networks | None = None,
    start: LatentModel | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> RunDirectory:
    """Train the model of a config, and leave weights, logs and its record in a run directory.

    Args:
      run_dir: a new directory; see `RunDirectory.claim` for when an old one is accepted.
      data: in place of what the config's data set would load, such as what `mmtf.data.from_arrays` returned; its networks
        are those of the config's data set.
      networks: own networks, by part ("encoders", "decoders") and modality; a modality left out gets those of the data set.
      start: a model of the same config, with whose weights training starts.
      resume: continue from the newest checkpoint, exactly as if there had been no interruption; from the start where there is
        none yet.

    Raises:
      UserError: the config, the directory or the data cannot be used, or another process trains in the directory; nothing was
        trained, nothing was lost. Or another worker of the run stopped.
      monitor.NotFiniteError: a term became NaN or infinite; the last good checkpoint is kept.
      saving.Stopped: SIGTERM or Ctrl-C asked for an end; a checkpoint of what was done is kept.
    """
    plugins.load(config.train.plugin)
    registry.check_names(config)
    # Before all else: workers are joined when TensorFlow starts, and what one of them refuses all have to hear of.
    strategy = strategies.make_strategy(config.train.strategy, config.train.tpu, json.dumps(shared_flags(config)))
    with strategies.while_all_live(strategy), contextlib.ExitStack() as held:
        run = TrainingRun(config, of_user(run_dir), strategy, held, resume, overwrite, networks or {}, start)
        run.prepare(data)
        run.build()
        run.fit()
        return run.directory


@dataclasses.dataclass
class TrainingRun:
    """One call of `train`: `prepare` refuses what cannot be trained, `build` makes the model, `fit` trains it.

    Attributes:
      held: what ends with the training: the lock of the directory, the checkpoints.
      directory: where the run is written, once it is claimed.
      whole: the data set with the pairs that the run began with. data, validation: its parts.
      steps, per_epoch: as `plan` says.
    """

    config: Config
    path: Path
    strategy: tf.distribute.Strategy
    held: contextlib.ExitStack
    resume: bool
    overwrite: bool
    networks: own_networks.Networks
    start: LatentModel | None = None

    def prepare(self, data: MultimodalData | None) -> None:
        """Claim the directory, load the data, and refuse what cannot be trained, before anything is written."""
        config, train = self.config, self.config.train
        with strategies.agreed(self.strategy):
            self._claim()
            self._load(data)
            if not self.resume:
                _check_names(self.data.names)
            model = registry.model_class(config.model.model)
            each = model.batches_per_step()
            self.steps, self.per_epoch = plan(train, _usable(self.data, each), each)
            self.modalities = registry.configure(self.data.modalities, config.model)
            check_profile(train, self.steps)
            _check_values(self.data, self.modalities)
            _check_networks(self.networks, self.data.names)
            _check_batch(config, self.strategy, smallest=1 if each == 1 else len(self.modalities))
            platform.warn_without_onednn()
            platform.warn_of_bfloat16(train.precision)
            if train.deterministic:
                platform.be_deterministic()
            if train.microbatch:
                platform.leave_sums_as_they_are()
        _check_same_data(self.strategy, self.whole)

    def build(self) -> None:
        """Make the model with its optimizers, and bring back the newest checkpoint of a run that is resumed."""
        train = self.config.train
        with self.strategy.scope():
            networks = own_networks.copied(self.networks)
            self.model = registry.build_model(self.config, self.modalities, train.precision, **networks)
            compile_model(self.model, train, self.steps, self.per_epoch, self.strategy)
        if self.start is not None:
            _copy_weights(self.start, self.model)
        self.checkpoints = Checkpoints(self.directory.checkpoints, training_state(self.model), train.keep_checkpoints)
        self.held.callback(self.checkpoints.close)
        with strategies.agreed(self.strategy):
            first = self.checkpoints.restore() if self.resume and self.checkpoints.steps else 0
            if first >= self.steps:
                raise UserError(
                    f"This run already has {first} steps, and {self.steps} were asked for; raise --steps or --epochs to go on."
                )
        strategies.check_same(self.strategy, "The step to begin at", str(first))
        # Read by all before the chief begins to write.
        state = self.checkpoints.extra(first) if first else {}
        self.length = Length(first, self.steps, self.per_epoch, state)

    def fit(self) -> None:
        """Write what is about to be trained, and train it."""
        with strategies.agreed(self.strategy):
            if strategies.is_chief():
                self._begin()
        parts = self.model, self.data, self.validation, self.config, self.directory, self.checkpoints, self.length
        session.fit(Session(*parts))

    def _claim(self) -> None:
        """Hold the run directory for this process; workers that are not the chief only read it."""
        if self.resume:
            self.config = RunDirectory(of_user(self.path)).as_began(self.config)
        if not strategies.is_chief():
            self.directory = RunDirectory(self.path)
        else:
            self.held.enter_context(locked(self.path))
            self.directory = RunDirectory.claim(self.path, self.config, resume=self.resume, overwrite=self.overwrite)
            if self.resume and not self.directory.begun:
                log.info("--resume: %s holds no run yet; one starts there.", self.path)
        self.resume = self.resume and self.directory.begun
        if self.resume:
            self.networks = _same_networks(self.directory, self.networks)

    def _load(self, data: MultimodalData | None) -> None:
        self.whole = data or registry.load_data(self.config.data)
        check_labels(self.whole, self.config.train.coherence_every)
        if self.resume:
            self.whole = record.restored(self.directory, self.whole)
        self.data, self.validation = self.whole, None
        held_out = self.config.train.validation_examples
        if held_out:
            self.data, self.validation = holdout.held_out(self.whole, held_out, self.config.data.data_seed)

    def _begin(self) -> None:
        first, train = self.length.first, self.config.train
        if self.resume:
            saving.say_what_differs(self.directory, self.strategy)
            self.checkpoints.tidy(first)
            events.drop_after(self.directory.logs, first)
        profile.serve(train.profiler_port)
        files = record.files(self.whole)
        if self.networks:
            files[NETWORKS] = json.dumps(own_networks.to_json(self.networks)).encode()
        source = plugins.content(train.plugin)
        if source is not None:
            files[PLUGIN] = source
        self.directory.begin(self.config, self.modalities, files, overwrite=not self.resume)
        batch = f"batch {train.batch_size} on {strategies.described(self.strategy)}"
        name = self.config.model.model
        log.info("Training %s on %s: steps %d to %d, %s.", name, self.data.name, first, self.steps, batch)


def compile_model(
    model: keras.Model, config: TrainConfig, steps: int, per_epoch: int, strategy: tf.distribute.Strategy
) -> None:
    """Give the model its optimizers, Adam as in [S] C.3.2 and in [C], with all their variables made."""
    rate = config.learning_rate
    if config.learning_rate_schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(config.learning_rate, steps)
    adam = keras.optimizers.Adam if config.adam_form == "keras" else Adam
    optimizers = {name: adam(rate, config.adam_beta_1, epsilon=config.adam_epsilon) for name in model.learned()}
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


def _copy_weights(source: LatentModel, target: LatentModel) -> None:
    """Give a model the weights of another one that is built alike."""
    values = source.named_weights()
    for name, variable in target.named_weights().items():
        variable.assign(values[name])


def _same_networks(run: RunDirectory, networks: own_networks.Networks) -> own_networks.Networks:
    """Return the own networks that a run began with. Raises UserError where others are given."""
    given = own_networks.to_json(networks)
    kept = run.read_json(NETWORKS) if (run.path / NETWORKS).exists() else {}
    if networks and _architecture(given) != _architecture(kept):
        raise UserError(
            f"{run.path} was trained with other networks than those given; resume it without encoders and decoders, which "
            "it knows, or train in another directory."
        )
    return kept_networks(run, networks)


def _architecture(description: dict) -> str:
    return json.dumps(description, sort_keys=True)


def _check_networks(networks: own_networks.Networks, names: tuple[str, ...]) -> None:
    for part, each in networks.items():
        unknown = [name for name in each if name not in names]
        if unknown:
            raise UserError(f"{part} has a network for {unknown[0]!r}, but the modalities are {', '.join(names)}.")
    own_networks.to_json(networks)


def _check_values(data: MultimodalData, modalities) -> None:
    for m in modalities:
        # What a mask hides may be anything, in the pool too.
        used = data.train.rows[m.name][data.train.has([m.name])] if data.train.mask else slice(None)
        checks.check_values({m.name: data.train.pools[m.name][used]}, [m])


def _check_same_data(strategy: tf.distribute.Strategy, data: MultimodalData) -> None:
    """Raise UserError where workers loaded other values, or paired them otherwise."""
    if strategies.several_workers(strategy):
        files = record.files(data)
        # Where the values came from may differ.
        values = json.dumps(json.loads(files[record.DESCRIPTION])["digests"]).encode() + files[record.PAIRING]
        strategies.check_same(strategy, "The digest of the data set", hashlib.sha256(values).hexdigest()[:16])


def _check_names(names: Sequence[str]) -> None:
    try:
        check_names(names)
    except ValueError as error:
        raise UserError(str(error)) from error


def _usable(data: MultimodalData, batches_per_step: int) -> int:
    """Return how many training examples a model takes as pairs: an adversarial model only complete ones."""
    if batches_per_step == 1:
        return len(data.train)
    complete = int(data.train.has(data.names).sum())
    if not complete:
        every = ", ".join(data.names)
        raise UserError(
            f"None of the {len(data.train)} training examples of {data.name} has all of {every}: an adversarial model needs "
            "some complete ones. Choose others with --modalities, or train a VAE."
        )
    return complete


def _check_batch(config: Config, strategy: tf.distribute.Strategy, smallest: int) -> None:
    batch_size, microbatch, negatives = config.train.batch_size, config.train.microbatch, config.model.other_examples()
    each = batch_size // strategy.num_replicas_in_sync
    if batch_size % strategy.num_replicas_in_sync:
        raise UserError(
            f"--batch_size={batch_size} cannot be shared evenly by {strategies.described(strategy)}; choose a multiple of "
            f"{strategy.num_replicas_in_sync}."
        )
    # A device has one example at least, which is enough for all but adversarial models.
    if each < smallest:
        raise UserError(
            f"--batch_size={batch_size} gives a device {each} examples, but an adversarial model takes "
            f"{smallest} or more; raise it."
        )
    if microbatch and (each % microbatch or microbatch > each):
        raise UserError(
            f"--microbatch={microbatch} does not divide the {each} examples that --batch_size={batch_size} gives each device; "
            "choose a divisor of them."
        )
    if negatives >= each:
        raise UserError(
            f"--contrast_negatives={negatives} other examples must be on the same device, to which --batch_size={batch_size} "
            f"gives {each}; lower the one or raise the other."
        )
