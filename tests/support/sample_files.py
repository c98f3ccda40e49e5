"""Folders of samples, and data of which a number of each value tells the class."""

import functools

import numpy as np
from small_evaluations import FirstNumber, data_of

from mmtf import evaluation
from mmtf.data.dataset import Split
from mmtf.metrics import prd
from mmtf.modality import Modality

NAMES, WIDTH = ("a", "b", "c"), 4
TRAINING, TEST = 900, 700


def split(n, seed, read_rightly=0.8):
    """Vectors that show their class, now and then another one, and share a number with the others of their example."""
    rng = np.random.default_rng(seed)
    label, common = np.arange(n) % 10, rng.normal(size=(n, 1))
    values = {}
    for name in NAMES:
        shown = np.where(rng.uniform(size=n) < read_rightly, label, rng.integers(0, 10, n))[:, None]
        values[name] = np.concatenate([shown, common, rng.normal(size=(n, WIDTH - 2))], axis=1).astype(np.float32)
    return Split(values, {name: np.arange(n) for name in NAMES}, label)


def of(train, test, class_names=tuple("0123456789")):
    return data_of([Modality(n, (WIDTH,), "normal") for n in NAMES], train, test, class_names, "arrays")


def data():
    return of(split(TRAINING, 0), split(TEST, 1))


def write(folder, **sets):
    """Files by `random` or by what was given (`from_a,b`); in them values by modality."""
    for name, values in sets.items():
        (folder / name).mkdir(parents=True)
        for modality, array in values.items():
            np.save(folder / name / f"{modality}.npy", array)
    return folder


def told_by(monkeypatch, classifier=FirstNumber):
    """The classes are read by a stand-in, and nobody trains a classifier."""
    for module in (evaluation.generation, evaluation.labels):
        monkeypatch.setattr(module, "classifier", classifier)
    monkeypatch.setattr(evaluation.context, "train_classifiers", lambda data, config: dict.fromkeys(data.names))


def of_one_run(monkeypatch):
    """Precision and recall of one clustering each: the mean over several says the same, and takes as many times as long."""
    monkeypatch.setattr(evaluation.quality.prd, "prd_curve", functools.partial(prd.prd_curve, runs=1))
