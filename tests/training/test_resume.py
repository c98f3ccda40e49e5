"""A run that was broken off goes on as if nothing had happened: weights, optimizers, reported means, TensorBoard."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from checkout import ROOT

from mmtf import distribution, evaluate, runtime, train
from mmtf.config import Config, DataConfig, ModelConfig, TrainConfig
from mmtf.data import from_arrays
from mmtf.errors import UserError
from mmtf.rundir import RunDirectory, events
from mmtf.rundir.checkpoint import Checkpoints
from mmtf.rundir.lock import locked
from mmtf.rundir.same_run import differences
from mmtf.training import monitor, saving, session


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return from_arrays({name: rng.normal(size=(90, 3)) for name in "ab"})


def config(model="mmjsd", **options):
    how = {"batch_size": 8, "steps": 23, "steps_per_epoch": 10, "steps_per_execution": 1, "checkpoint_every": 3}
    return Config(
        DataConfig("arrays"),
        ModelConfig(model, shared_dim=2, private_dim=2),
        TrainConfig(**how | {"panels_every": 0, "strategy": "one"} | options),
    )


def at_step(monkeypatch, step, act):
    """Has something happen after a step of training."""
    honest = monitor.Progress.on_train_batch_end

    def end(self, batch, logs=None):
        honest(self, batch, logs)
        if runtime.step_of(self.model.optimizer) == step:
            act()

    monkeypatch.setattr(monitor.Progress, "on_train_batch_end", end)


def power_cut():
    raise KeyboardInterrupt


def test_a_run_broken_off_within_an_epoch_ends_as_the_whole_one(tmp_path, monkeypatch, data):
    """Once between two checkpoints, once by a signal, which makes a checkpoint: every bit and every scalar as in one go."""
    monkeypatch.setattr(monitor, "SCALARS_EVERY", 4)
    wanted = config(validation_examples=16, histograms_every=2)
    whole = train.train(wanted, tmp_path / "whole", data=data)
    path = tmp_path / "cut"
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        at_step(patched, 17, power_cut)
        train.train(wanted, path, data=data)
    cut = RunDirectory.open(path)
    assert Checkpoints(cut.checkpoints, {}).steps == [10, 12, 15]
    assert events.read_scalars(cut.logs)["loss"][0] == [4, 8, 10, 12, 16]
    with monkeypatch.context() as patched, pytest.raises(saving.Stopped) as stopped:
        at_step(patched, 19, lambda: signal.raise_signal(signal.SIGTERM))
        train.train(wanted, path, data=data, resume=True)
    assert stopped.value.code == 128 + signal.SIGTERM
    assert cut.read_json("training.json")["steps"] == 19
    train.train(wanted, path, data=data, resume=True)
    assert events.read_scalars(whole.logs)["loss"][0] == [4, 8, 10, 12, 16, 20, 23]
    assert differences(whole.path, path) == []


@pytest.mark.parametrize(
    ("first", "steps", "expected"),
    [
        (0, 25, [(0, 2, 10), (2, 1, 5)]),
        (10, 25, [(1, 1, 10), (2, 1, 5)]),
        (13, 25, [(1, 1, 7), (2, 1, 5)]),
        (13, 18, [(1, 1, 5)]),
        (23, 25, [(2, 1, 2)]),
        (4, 40, [(0, 1, 6), (1, 3, 10)]),
    ],
)
def test_epochs_end_where_those_of_an_uninterrupted_run_do(first, steps, expected):
    assert session.stretches(first, steps, 10) == expected


def test_the_best_checkpoint_is_that_of_the_lowest_validation_loss_and_stays(tmp_path, data):
    how = {"validation_examples": 16, "steps_per_epoch": 2, "checkpoint_every": 0, "keep_checkpoints": 1, "learning_rate": 0.05}
    run = train.train(config(**how), tmp_path / "run", data=data)
    steps, losses = events.read_scalars(run.logs)["validation/loss"]
    best = steps[int(np.argmin(losses))]
    assert steps == [*range(2, 23, 2), 23]
    assert Checkpoints(run.checkpoints, {}).steps == sorted({best, 23})
    assert evaluate.load_model(run, "best")[1] == best
    assert evaluate.load_model(run)[1] == 23
    with pytest.raises(UserError, match=f"--checkpoint must be latest, best or one of the steps {best}.*, not '7'"):
        evaluate.load_model(run, "7")


def test_a_game_has_no_validation_loss():
    with pytest.raises(UserError, match="--validation_examples does nothing for --model=mmali"):
        config("mmali", validation_examples=4)


def test_a_run_goes_on_where_there_is_one_and_nobody_trains_in_it(tmp_path, data):
    """Always the same command, as of a job that is put back into the queue; checkpoints by the clock."""
    how = {"checkpoint_every": 0, "checkpoint_minutes": 1e-9}
    run = train.train(config(steps=3, **how), tmp_path / "new", data=data, resume=True)
    assert Checkpoints(run.checkpoints, {}).steps == [1, 2, 3]
    with locked(run.path), pytest.raises(UserError, match=f"is in use: process {os.getpid()} on .* is training in it"):
        train.train(config(steps=4), run.path, data=data, resume=True)
    assert run.config() == config(steps=3, **how)
    # As a kill before config.json leaves it.
    (run.path / "config.json").rename(run.path / ".config.json.half")
    for part in ("training.json", "checkpoints", "logs"):
        (run.path / part).rename(tmp_path / part)
    assert train.train(config(steps=2), run.path, data=data, resume=True).read_json("training.json")["steps"] == 2
    assert not list(run.path.glob(".*"))


def test_a_run_that_goes_on_elsewhere_is_told_so(tmp_path, caplog):
    run, strategy = RunDirectory(tmp_path), distribution.make_strategy("one")
    assert saving.say_what_differs(run, strategy) == []
    before = runtime.platform_of(strategy)
    run.write_json("training.json", {"platform": {k: v for k, v in before.items() if k != "cores"}})
    assert saving.say_what_differs(run, strategy) == []  # a run from before its cores were written down
    assert not caplog.records
    run.write_json("training.json", {"platform": before | {"tensorflow": "2.0"}})
    assert saving.say_what_differs(run, distribution.make_strategy("mirrored")) == [
        f"tensorflow was 2.0 and is {before['tensorflow']}",
        "replicas was 1 and is 2",
    ]
    assert "The run goes on elsewhere than it was (tensorflow was 2.0" in caplog.text


def test_a_run_is_told_that_fewer_threads_share_an_operation(tmp_path, monkeypatch):
    """As of a run of several at once, which goes on alone; and where Python does not know which processors it may use."""
    run, strategy = RunDirectory(tmp_path), distribution.make_strategy("one")
    monkeypatch.setattr(tf.config.threading, "get_intra_op_parallelism_threads", lambda: 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 11)
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "7")
    run.write_json("training.json", {"platform": runtime.platform_of(strategy)})
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "")
    assert saving.say_what_differs(run, strategy) == ["cores was 7 and is 11"]
    monkeypatch.setattr(tf.config.threading, "get_intra_op_parallelism_threads", lambda: 5)
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "7")
    assert saving.say_what_differs(run, strategy) == ["cores was 7 and is 5"]


def test_a_second_signal_ends_at_once_and_handlers_come_back():
    before = {number: signal.getsignal(number) for number in saving.SIGNALS}
    with saving.Interruption() as interruption:
        interruption.listen()
        signal.raise_signal(signal.SIGINT)
        assert interruption.asked == signal.SIGINT
        assert all(signal.getsignal(number) is signal.SIG_DFL for number in saving.SIGNALS)
    assert {number: signal.getsignal(number) for number in saving.SIGNALS} == before


@pytest.mark.parametrize(("last", "status"), [(8, None), (4, 128 + signal.SIGTERM)])
def test_a_signal_during_the_last_write_is_heard_and_loses_nothing(tmp_path, monkeypatch, data, last, status):
    """Of a run that ends then anyway, and of a session whose time is up, which says that it was stopped."""
    honest, unheard = tf.train.Checkpoint.write, []

    def slowly(self, prefix):
        if f"step-{last}/" in prefix:
            time.sleep(0.5)
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.5)
        return honest(self, prefix)

    monkeypatch.setattr(tf.train.Checkpoint, "write", slowly)
    before = signal.signal(signal.SIGTERM, lambda number, frame: unheard.append(number))
    seconds = 0.0 if status is None else 1e-9
    try:
        train.train(config(max_seconds=seconds, steps=8, steps_per_epoch=4, checkpoint_every=0), tmp_path / "run", data=data)
        found = None
    except saving.Stopped as stopped:
        found = stopped.code
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (found, unheard) == (status, [])
    assert Checkpoints(tmp_path / "run/checkpoints", {}).steps[-1] == last


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Arrays that need no time to be loaded or to be trained on."""
    path = tmp_path_factory.mktemp("arrays")
    rng = np.random.default_rng(0)
    for name in "ab":
        np.save(path / f"{name}.npy", rng.normal(size=(90, 3)))
    return path


def script(name, *arguments):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    return [sys.executable, str(ROOT / "scripts" / name), *arguments], environment


def flags_of(folder, steps):
    return [
        *(
            "--dataset=arrays",
            f"--data_dir={folder}",
            "--shared_dim=2",
            "--private_dim=2",
            "--batch_size=8",
            f"--steps={steps}",
        ),
        *("--steps_per_epoch=50", "--steps_per_execution=2", "--checkpoint_every=4", "--panels_every=0", "--deterministic"),
    ]


def test_a_run_that_is_killed_again_and_again_ends_as_the_whole_one(tmp_path, folder):
    """`kill -9` at random moments of two sessions, and a fresh process each time."""
    given = ["--kills=2", "--seed=3", f"--work_dir={tmp_path / 'kills'}", "--", *flags_of(folder, 400)]
    command, environment = script("kill_test.py", *given)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "After 2 kills: all weights, optimizer states and scalars equal, bit for bit." in done.stdout


def test_a_terminated_run_saves_and_says_how_to_go_on(tmp_path, folder):
    run = tmp_path / "run"
    command, environment = script("train.py", f"--run_dir={run}", *flags_of(folder, 100_000))
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        end = time.monotonic() + 300
        while not (run / "training.json").exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        process.terminate()
        _, said = process.communicate(timeout=120)
    assert process.returncode == 143, said
    steps = json.loads((run / "training.json").read_text())["steps"]
    assert f"stopped at step {steps}, which is saved. Go on with the same command and --resume" in said
    assert Checkpoints(run / "checkpoints", {}).steps[-1] == steps
    assert not (run / ".lock").exists()
