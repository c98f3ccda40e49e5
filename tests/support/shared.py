"""Runs that many tests only read: made once in a session, by whichever worker asks first."""

import fcntl
import shutil

from mmtf.config import Config, DataConfig, ModelConfig, TrainConfig
from mmtf.runs import RunDirectory
from mmtf.verbs import export, train

SHORT = TrainConfig(batch_size=16, steps=2, panels_every=0, strategy="one", seed=3)
DIGITS = Config(DataConfig(pairings=1), ModelConfig(shared_dim=4, private_dim=2), SHORT)


def folder(tmp_path_factory, worker):
    """One folder for all workers of a session."""
    own = tmp_path_factory.getbasetemp()
    return own if worker is None else own.parent


def once(place, name, make):
    """The folder `place / name` with what `make(folder)` has written there; made only if no worker has made it before."""
    done = place / f"{name}.done"
    with (place / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(place / name, ignore_errors=True)
            make(place / name)
            done.touch()
    return place / name


def digits_run(place):
    """mmJSD with private codes after two steps on the embedded digits. Not to be written to: `copied` for that."""
    return RunDirectory.open(once(place, "digits_run", lambda path: train.train(DIGITS, path)))


def digits_export(place):
    """The first version of that run's exports, with TFLite."""
    run = digits_run(place)
    return once(place, "digits_export", lambda path: export.export(run.path, path, tflite=True)) / "1"


def copied(run, path):
    """A run of the test's own."""
    shutil.copytree(run.path, path)
    return RunDirectory.open(path)
