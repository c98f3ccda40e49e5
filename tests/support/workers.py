"""One of the two workers of tests/distributed/test_workers.py: writes every result to a file.

Run as `python tests/support/workers.py FOLDER`, with TF_CONFIG set.
"""

import os
import signal
import sys
from pathlib import Path
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import adversarial_toys
import keras
import numpy as np
import tensorflow as tf
import toys
from sklearn.datasets import load_wine

from mmtf.config import Config, DataConfig, ModelConfig, TrainConfig
from mmtf.data import from_arrays, pipeline
from mmtf.data.dataset import Split
from mmtf.distributed import random, replicas, strategies
from mmtf.errors import UserError
from mmtf.models.vae.mmvae import MMVAE
from mmtf.training import monitor, saving
from mmtf.verbs import evaluate, train

BATCH, STEPS, EXAMPLES = 12, 4, 61
# By name: what to build, whether values are missing, steps per execution.
VAES = {
    "masks": ("mmjsd", {}, True, 1),
    "strata": ("mmvae", {"microbatch": 3}, False, 3),
    "contrast": ("mvae", toys.contrastive("iwae", 2.0, 1, 1), False, 2),
}
# Of whole runs: six steps, the last two of which are half of an execution; and eight, with which the six are compared.
RUN = {"batch_size": 16, "steps": 6, "steps_per_epoch": 4, "steps_per_execution": 4, "panels_every": 0}
LONG = {"steps": 8, "steps_per_epoch": 6, "steps_per_execution": 2}


def split(masked):
    """Made-up examples of the toys' modalities."""
    pools = toys.values(EXAMPLES, seed=9, count=2)
    rng = np.random.default_rng(3)
    mask = {n: rng.uniform(size=EXAMPLES) > 0.3 for n in pools} if masked else None
    if masked:
        mask["vector"] |= ~mask["image"]
    return Split(pools, {n: np.arange(EXAMPLES) for n in pools}, np.arange(EXAMPLES), mask)


def fitted(strategy, model, batches, per_execution, **optimizers):
    """Weights and reported terms after `fit`."""
    with strategy.scope():
        model.compile(**optimizers, jit_compile=False, steps_per_execution=per_execution)
    data = strategies.per_replica(strategy, lambda *share: batches(pipeline.Share(*share)))
    history = model.fit(data, epochs=1, steps_per_epoch=STEPS, shuffle=False, verbose=0).history
    weights = {f"weight/{name}": v.numpy() for name, v in model.named_weights().items()}
    return weights | {f"term/{name}": np.float32(values[-1]) for name, values in history.items()}


def vae(strategy, name):
    kind, options, masked, per_execution = VAES[name]
    with strategy.scope():
        model, optimizer = toys.model(kind, 2, count=2, **options), keras.optimizers.SGD(0.01)
    examples = split(masked)
    return fitted(
        strategy, model, lambda s: pipeline.batches(examples, BATCH, 5, 2, STEPS, s), per_execution, optimizer=optimizer
    )


def game(strategy, per_execution=2):
    with strategy.scope():
        model = adversarial_toys.model("classes", count=2, **adversarial_toys.NO_REGULARISERS | {"unimodal_weight": 0.3})
        optimizers = {name: keras.optimizers.SGD(0.02) for name in model.learned()}
    examples = split(True)
    return fitted(
        strategy,
        model,
        lambda s: pipeline.phase_batches(examples, 8, 5, 2, STEPS, single=True, share=s),
        per_execution,
        **optimizers,
    )


def trained(folder, resume=False, **changes):
    """A whole run on the two halves of wine's columns."""
    x, labels = load_wine(return_X_y=True)
    data = from_arrays({"acids": x[:, :6].astype(np.float32), "rest": x[:, 6:].astype(np.float32)}, labels)
    model = ModelConfig(model="mmvae", shared_dim=4, private_dim=2)
    settings = Config(DataConfig(dataset="arrays"), model, TrainConfig(**(RUN | changes)))
    return train.train(settings, folder, data=data, resume=resume)


def weights(run, step):
    return {name: v.numpy() for name, v in evaluate.load_model(run, str(step))[0].named_weights().items()}


def assert_as(found, wanted):
    """What `fitted` returns, of the same training computed in two ways."""
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-3 if "gradient_norm" in name else 1e-4, atol=1e-5, err_msg=name)


def main(folder: Path):
    index = strategies.read_cluster().index
    strategy = strategies.make_strategy("auto")
    # There is one cluster in a process.
    strategies.make_strategy = lambda *_: strategy
    for name in VAES:
        np.savez(folder / f"{name}.{index}.npz", **vae(strategy, name))
    np.savez(folder / f"game.{index}.npz", **game(strategy))
    draws(strategy, folder / f"draws.{index}.npz")
    agreements(strategy, folder / f"agreements.{index}.npz", index)
    runs(folder, index)


def draws(strategy, file):
    def draw():
        noise = random.Noise(tf.constant([3, 4]), 5)
        return noise.normal("a", 2), noise.strata("b")

    normal, strata = tf.function(lambda: strategy.run(draw))()
    np.savez(file, normal=normal, strata=strata, replicas=strategy.num_replicas_in_sync)


def agreements(strategy, file, index):
    """What one worker finds, both say."""
    said = [str(strategies.any_worker(strategy, flag)) for flag in (False, index == 1)]
    for what in (lambda: refused_by(strategy, index, 1), lambda: strategies.check_same(strategy, "It", str(index))):
        try:
            what()
        except ValueError as error:
            said.append(str(error))
    np.savez(file, said=said)


def refused_by(strategy, index, one):
    with strategies.agreed(strategy):
        if index == one:
            raise ValueError("no disk")


def runs(folder, index):
    """A run that ends as the time of worker 1 is up, and goes on; values that are none; a full disk; a signal."""
    found = {"time_up_at": timed(folder / "run", index)}
    trained(folder / "run", resume=True, panels_every=2, coherence_every=2)
    found |= {"problem": broken(folder / "broken", index), "unwritten": unwritten(folder / "unwritten")}
    np.savez(folder / f"runs.{index}.npz", **found, code=signalled(folder / "signalled", index))


def timed(folder, index):
    """The step at which the run ends."""

    def late(self, logs=None):
        if index == 1:
            self._left = -1.0

    with mock.patch.object(monitor.Budget, "on_train_begin", late):
        run = trained(folder, panels_every=2, coherence_every=2, max_seconds=1e9)
    return run.read_json("training.json")["steps"]


def broken(folder, index):
    """What a worker says where the rows of worker 1 give a value that is none."""
    terms = MMVAE.terms

    def poisoned(self, values, mask, noise, step):
        found = terms(self, values, mask, noise, step)
        bad = (step >= 5) & (index == 1)
        return found | {"log_likelihood/rest": found["log_likelihood/rest"] + tf.where(bad, np.nan, 0.0)}

    with mock.patch.object(MMVAE, "terms", poisoned):
        return said_of(lambda: trained(folder, steps=8))


def unwritten(folder):
    """What a worker says where the chief cannot write the last checkpoint."""

    def full(self, path):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    with mock.patch.object(tf.train.Checkpoint, "write", full):
        return said_of(lambda: trained(folder, steps=2))


def said_of(act):
    try:
        act()
    except UserError as error:
        return str(error)
    return "none"


def signalled(folder, index):
    """SIGTERM to worker 1 within an epoch; the status with which this worker would end, and the run's resumption."""
    honest = monitor.Budget.on_train_batch_end

    def asked(self, batch, logs=None):
        honest(self, batch, logs)
        if index == 1 and replicas.step_of(self.model.optimizer) == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    code = 0
    with mock.patch.object(monitor.Budget, "on_train_batch_end", asked):
        try:
            trained(folder, **LONG)
        except saving.Stopped as stopped:
            code = stopped.code
    trained(folder, resume=True, **LONG)
    return code


if __name__ == "__main__":
    main(Path(sys.argv[1]))
