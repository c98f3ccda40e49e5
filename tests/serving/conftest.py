"""One exported model of the digits for all tests of what lies beside a SavedModel and of how it is asked."""

import sys

import pytest
import tensorflow as tf
from checkout import ROOT

from mmtf import export, train
from mmtf.config import Config, DataConfig, ModelConfig, TrainConfig

# Scripts, which belong to no package.
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "docs/examples")]

SHORT = TrainConfig(batch_size=16, steps=2, panels_every=0, strategy="one")


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """The run, and the directory of its first version."""
    folder = tmp_path_factory.mktemp("served")
    config = Config(DataConfig(pairings=1), ModelConfig(shared_dim=4, private_dim=2), SHORT)
    run = train.train(config, folder / "run")
    return run, export.export(run.path, folder / "exported", tflite=True)


@pytest.fixture(scope="session")
def loaded(exported):
    """Once for all: the first call of each signature optimises its graph, which takes longer than the call."""
    return tf.saved_model.load(str(exported[1]))
