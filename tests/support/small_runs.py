"""Runs on two small vectors, which train in this process within seconds, and what tests do to them."""

from unittest import mock

import numpy as np
import tensorflow as tf

from mmtf.config import Config, DataConfig, ModelConfig, TrainConfig
from mmtf.data import from_arrays
from mmtf.distributed import replicas
from mmtf.runs import same_run
from mmtf.runs.checkpoint import Checkpoints
from mmtf.training import monitor

SHORT = {"batch_size": 8, "steps_per_epoch": 2, "steps_per_execution": 2, "panels_every": 0, "strategy": "one"}

# Of runs without `--deterministic`: rounding, and how far Adam moves a weight whose gradient is nothing but rounding.
LAST_DIGITS = {"rtol": 1e-4, "atol": 1e-5}
WHOLE_STEPS = {"rtol": 1e-4, "atol": 5e-3}


def arrays(labels=None, masks=None):
    """Two modalities of three numbers; 72 of the 90 examples are for training."""
    rng = np.random.default_rng(0)
    return from_arrays({name: rng.normal(size=(90, 3)) for name in "ab"}, labels, masks)


def config(steps=4, model=None, **train):
    """model: fields of `ModelConfig`; train: those of `TrainConfig`."""
    sizes = {"shared_dim": 2, "private_dim": 2}
    return Config(DataConfig("arrays"), ModelConfig(**sizes | (model or {})), TrainConfig(**SHORT | {"steps": steps} | train))


def steps(run):
    """Of the checkpoints that are there."""
    return Checkpoints(run.checkpoints, {}).steps


def saved(run, step=None):
    """All that a checkpoint holds, by default the newest: weights, the optimizers' variables, the step."""
    reader = tf.train.load_checkpoint(str(run.checkpoints / f"step-{step or steps(run)[-1]}/state"))
    names = [name for name in reader.get_variable_to_shape_map() if name.startswith("variables/")]
    # TensorFlow writes a dot of a name as two.
    return {name.split("/")[1].replace("..", "."): reader.get_tensor(name) for name in names}


def assert_alike(one, other):
    """Two runs ended alike: their newest checkpoints and all scalars, but for last digits.

    Those are promised with `--deterministic` alone, which is for a process as a whole: test_kills has it.
    """
    with mock.patch.object(same_run, "_same_bits", alike):
        assert same_run.differences(one.path, other.path) == []


def alike(one, other):
    """Whether two arrays are equal but for last digits; one number of sixteen may be off by some of Adam's steps."""
    if np.shape(one) != np.shape(other):
        return False
    off = ~np.isclose(one, other, **LAST_DIGITS)
    return np.mean(off) <= 1 / 16 and np.allclose(one, other, **WHOLE_STEPS)


def assert_equal(first, second):
    """Assert that two dicts have the same arrays, bit for bit."""
    assert set(first) == set(second)
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)


def assert_saved_alike(first, second):
    """Assert that two checkpoints, as `saved` returns them, are equal but for last digits."""
    assert set(first) == set(second)
    assert [name for name, value in first.items() if not alike(value, second[name])] == []


def at_step(monkeypatch, step, act):
    """Has something happen after a step of training."""
    honest = monitor.Progress.on_train_batch_end

    def end(self, batch, logs=None):
        honest(self, batch, logs)
        if replicas.step_of(self.model.optimizer) == step:
            act()

    monkeypatch.setattr(monitor.Progress, "on_train_batch_end", end)


def poison(monkeypatch, model_class, term, first):
    """From a step on, a term of the objective is no number."""
    honest = model_class.terms

    def terms(self, values, mask, noise, step):
        found = honest(self, values, mask, noise, step)
        return found | {term: found[term] + tf.where(step >= first, np.nan, 0.0)}

    monkeypatch.setattr(model_class, "terms", terms)
