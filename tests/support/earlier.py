"""Runs and exports that an earlier version made, which every later version still reads.

`python tests/support/earlier.py NAME` adds `tests/fixtures/NAME.tar.xz`, made with the code as it is now. Add one whenever the
format of a run or an export changes, and keep the older ones.
"""

import contextlib
import dataclasses
import sys
import tarfile
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import tensorflow as tf
from checkout import ROOT

from mmtf.config import Config, DataConfig, EvaluateConfig, ModelConfig, TrainConfig
from mmtf.data import from_arrays
from mmtf.data.arrays import builders
from mmtf.networks import vector
from mmtf.networks.adversarial import vector as adversarial
from mmtf.networks.sizes import JointDiscriminatorSizes
from mmtf.verbs.evaluate import evaluate
from mmtf.verbs.export import export
from mmtf.verbs.load import load_model
from mmtf.verbs.train import train

FIXTURES = ROOT / "tests/fixtures"
SHORT = TrainConfig(batch_size=8, steps=4, steps_per_epoch=2, steps_per_execution=2, panels_every=0, strategy="one", seed=3)
CONFIGS = {
    "vae": Config(
        DataConfig("arrays"), ModelConfig(model="mmjsd", shared_dim=3, private_dim=2, likelihood_weights="b=2"), SHORT
    ),
    "game": Config(DataConfig("arrays"), ModelConfig(model="mmali", shared_dim=3, private_dim=2), SHORT),
}
PARTS = EvaluateConfig(parts="terms,probe,coherence,codes", likelihood_samples=4)
SEED = [5, 6]


def data():
    """Numbers and classes of 90 examples of three classes."""
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=90)
    numbers = rng.normal(size=(90, 3)) + 2 * labels[:, None]
    classes = (labels[:, None] + rng.integers(2, size=(90, 2))) % 4
    return from_arrays({"a": numbers.astype(np.float32), "b": classes}, labels, likelihoods={"b": "categorical"})


@contextlib.contextmanager
def narrow():
    """Make the networks of these models so small that a run takes some kilobytes; enter it to build one of them."""
    arrays = dataclasses.replace(builders.ARRAYS, joint_sizes=JointDiscriminatorSizes((4,), None, (4,)))
    with (
        mock.patch.multiple(adversarial, NARROWEST=4, CODE=4, TRUNK=4),
        mock.patch.object(vector, "NARROWEST", 4),
        mock.patch.object(builders, "ARRAYS", arrays),
    ):
        yield


def answers(model):
    """Return what a model says of four test examples, as arrays by name."""
    values = data().test.take(range(4))
    with_seed = model.translate({"a": values["a"]}, seed=SEED, mean=True)
    found = {"posterior": model.posterior(values).mean(), "generated": model.generate(4, seed=SEED, mean=True)["a"]}
    return {name: np.asarray(x) for name, x in (found | {"translated": with_seed["b"]}).items()}


def served(path):
    """Return what an exported model says of the same examples."""
    values = data().test.take(range(4))
    signatures = tf.saved_model.load(str(path)).signatures
    found = signatures["reconstruct"](**{name: tf.constant(x) for name, x in values.items()})
    return {name: np.asarray(x) for name, x in found.items()}


def make(folder):
    """Write a run, an export and the answers of both, for each kind of model."""
    for kind, config in CONFIGS.items():
        with narrow():
            run = train(config, folder / kind / "run", data=data())
            evaluate(run.path, PARTS, data=data())
            np.savez(folder / kind / "answers.npz", **answers(load_model(run)[0]))
            np.savez(folder / kind / "served.npz", **served(export(run.path, folder / kind / "export")))


def kept(entry):
    """Leave out what evaluation draws again."""
    return None if entry.name.endswith(("/figures", "/report.html", "projector")) else entry


def unpacked(archive, folder):
    """Unpack an archive into a folder; return the folder."""
    with tarfile.open(archive) as files:
        files.extractall(folder, filter="data")
    return folder


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        make(Path(place))
        with tarfile.open(FIXTURES / f"{sys.argv[1]}.tar.xz", "w:xz") as files:
            for kind in CONFIGS:
                files.add(Path(place) / kind, kind, filter=kept)
