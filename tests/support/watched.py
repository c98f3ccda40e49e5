"""A short run with all that can be watched, which tests of TensorBoard's parts and of callbacks read."""

from unittest import mock

import numpy as np
from shared import once

from mmtf import evaluation, registry
from mmtf.config import Config, DataConfig, ModelConfig, TrainConfig
from mmtf.data import from_arrays
from mmtf.runs import RunDirectory
from mmtf.training import monitor
from mmtf.verbs import train

CLASSES = ("red", "green", "blue")
CONFIG = Config(
    DataConfig("arrays"),
    ModelConfig(shared_dim=4, private_dim=2),
    TrainConfig(
        batch_size=16, steps=4, steps_per_epoch=2, steps_per_execution=1, strategy="one", panels_every=2, coherence_every=2,
        histograms_every=2, embeddings_every=1, profile_steps="3,4",
    ),
)  # fmt: skip


def data():
    """Small grey pictures and words of three classes."""
    rng, label = np.random.default_rng(0), np.arange(90) % 3
    pictures = rng.integers(0, 80, (90, 8, 8)) + 80 * label[:, None, None]
    return from_arrays({"picture": pictures.astype(np.uint8), "word": np.array(CLASSES)[label]}, label, class_names=CLASSES)


def watched(place):
    """The run, in a folder of its own. Its coherence is that of untrained classifiers."""
    return RunDirectory.open(once(place, "watched", lambda folder: _train(folder / "run")) / "run")


def _train(path):
    def untrained(data, how):
        return {m.name: registry.classifier_of(data.name, m)(m, len(CLASSES), seed=1) for m in data.modalities}

    with mock.patch.object(evaluation, "train_classifiers", untrained), mock.patch.object(monitor, "COHERENCE_EXAMPLES", 10):
        train.train(CONFIG, path, data=data())
