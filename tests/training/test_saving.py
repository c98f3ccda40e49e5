"""A run that was broken off goes on as if nothing had happened: weights, optimizers, reported means, TensorBoard."""

import os
import signal

import pytest
import tensorflow as tf
from small_runs import assert_alike, at_step, config, steps
from waiting import until

from mmtf.distributed import platform, replicas, strategies
from mmtf.errors import UserError
from mmtf.runs import RunDirectory, events
from mmtf.runs.checkpoint import Checkpoints
from mmtf.runs.lock import locked
from mmtf.tensorboard import projector
from mmtf.training import monitor, saving
from mmtf.verbs import train


def power_cut():
    raise KeyboardInterrupt


def test_a_run_broken_off_within_an_epoch_ends_as_the_whole_one(tmp_path, monkeypatch, caplog, data):
    """Once between two checkpoints, once by a signal, which makes a checkpoint: every bit and every scalar as in one go.

    Weights and rate are functions of the step, and what is watched every second epoch is so every second one of the run.
    What a kill left unfinished is gone, and other software is warned of.
    """
    monkeypatch.setattr(monitor, "SCALARS_EVERY", 4)
    embedded, write = [], projector.write

    def noted(logs, found, *rest, **how):
        embedded.append((logs.parent.name, replicas.step_of(found.optimizer)))
        write(logs, found, *rest, **how)

    monkeypatch.setattr(projector, "write", noted)
    watch = {"validation_examples": 16, "histograms_every": 2, "embeddings_every": 2, "learning_rate_schedule": "cosine"}
    how = {"steps_per_epoch": 10, "steps_per_execution": 1, "checkpoint_every": 3} | watch
    wanted = config(23, {"warmup_steps": 20, "private_beta_start": 9.0}, **how)
    whole = train.train(wanted, tmp_path / "whole", data=data)
    path = tmp_path / "cut"
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        at_step(patched, 17, power_cut)
        train.train(wanted, path, data=data)
    cut = RunDirectory.open(path)
    assert steps(cut) == [10, 12, 15]
    assert events.read_scalars(cut.logs)["loss"][0] == [4, 8, 10, 12, 16]
    with monkeypatch.context() as patched, pytest.raises(saving.Stopped) as stopped:
        at_step(patched, 19, lambda: signal.raise_signal(signal.SIGTERM))
        train.train(wanted, path, data=data, resume=True)
    assert stopped.value.code == 128 + signal.SIGTERM
    assert cut.read_json("training.json")["steps"] == 19
    before = cut.read_json("training.json")
    cut.write_json("training.json", before | {"platform": before["platform"] | {"tensorflow": "2.0"}})
    (cut.checkpoints / ".step-21").mkdir()
    train.train(wanted, path, data=data, resume=True)
    assert "The run goes on elsewhere than it was (tensorflow was 2.0" in caplog.text
    assert steps(cut) == steps(whole)
    assert not list(cut.checkpoints.glob(".*"))
    scalars = events.read_scalars(whole.logs)
    assert scalars["loss"][0] == [4, 8, 10, 12, 16, 20, 23]
    weights = dict(zip(*scalars["schedule/private_weight"], strict=True))
    assert [weights[step] for step in (4, 10, 20, 23)] == pytest.approx([5 * 7.4, 5 * 5.0, 5.0, 5.0])
    assert_alike(whole, cut)
    assert embedded == [("whole", 20), ("cut", 20)]


def test_a_run_goes_on_where_there_is_one_and_nobody_trains_in_it(tmp_path, data):
    """Always the same command, as of a job that is put back into the queue; checkpoints by the clock."""
    how = {"steps_per_epoch": 10, "steps_per_execution": 1, "checkpoint_minutes": 1e-9}
    run = train.train(config(3, **how), tmp_path / "new", data=data, resume=True)
    assert steps(run) == [1, 2, 3]
    with locked(run.path), pytest.raises(UserError, match=f"is in use: process {os.getpid()} on .* is training in it"):
        train.train(config(4), run.path, data=data, resume=True)
    assert run.config() == config(3, **how)
    # As a kill before config.json leaves it.
    (run.path / "config.json").rename(run.path / ".config.json.half")
    for part in ("training.json", "checkpoints", "logs"):
        (run.path / part).rename(tmp_path / part)
    assert train.train(config(2), run.path, data=data, resume=True).read_json("training.json")["steps"] == 2
    assert not list(run.path.glob(".*"))


def test_a_full_disk_during_the_last_checkpoint_is_said(tmp_path, monkeypatch, data):
    def full(self, path):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.train.Checkpoint, "write", full)
    with pytest.raises(UserError, match="Cannot write a checkpoint .* at step 2: No space left"):
        train.train(config(2), tmp_path / "run", data=data)


def test_a_run_that_goes_on_elsewhere_is_told_so(tmp_path, caplog):
    run, strategy = RunDirectory(tmp_path), strategies.make_strategy("one")
    assert saving.say_what_differs(run, strategy) == []
    before = platform.platform_of(strategy)
    run.write_json("training.json", {"platform": {k: v for k, v in before.items() if k != "cores"}})
    assert saving.say_what_differs(run, strategy) == []  # a run from before its cores were written down
    assert not caplog.records
    run.write_json("training.json", {"platform": before | {"tensorflow": "2.0"}})
    assert saving.say_what_differs(run, strategies.make_strategy("mirrored")) == [
        f"tensorflow was 2.0 and is {before['tensorflow']}",
        "replicas was 1 and is 2",
    ]
    assert "The run goes on elsewhere than it was (tensorflow was 2.0" in caplog.text


def test_a_run_is_told_that_fewer_threads_share_an_operation(tmp_path, monkeypatch):
    """As of a run of several at once, which goes on alone; and where Python does not know which processors it may use."""
    run, strategy = RunDirectory(tmp_path), strategies.make_strategy("one")
    monkeypatch.setattr(tf.config.threading, "get_intra_op_parallelism_threads", lambda: 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 11)
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "7")
    run.write_json("training.json", {"platform": platform.platform_of(strategy)})
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "")
    assert saving.say_what_differs(run, strategy) == ["cores was 7 and is 11"]
    monkeypatch.setattr(tf.config.threading, "get_intra_op_parallelism_threads", lambda: 5)
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "7")
    assert saving.say_what_differs(run, strategy) == ["cores was 7 and is 5"]


# ---- signals -----------------------------------------------------------------------------------------------------------


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
    write, wait, unheard, waited_for = Checkpoints._write, Checkpoints.wait, [], []

    def noted(self):
        waited_for.append(self._pending)
        wait(self)

    def slowly(self, step, *rest):
        if step == last:
            # Not before training is over and waits for this; and not further before it has heard.
            until(lambda: self._pending and self._pending in waited_for)
            os.kill(os.getpid(), signal.SIGTERM)
            until(lambda: unheard or signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
        write(self, step, *rest)

    monkeypatch.setattr(Checkpoints, "wait", noted)
    monkeypatch.setattr(Checkpoints, "_write", slowly)
    before = signal.signal(signal.SIGTERM, lambda number, frame: unheard.append(number))
    # An execution that fills the epoch: its time is up at the end of the first.
    limit = {} if status is None else {"max_seconds": 1e-9, "clock": "cpu", "steps_per_execution": 4}
    how = {"steps_per_epoch": 4, "steps_per_execution": 1} | limit
    try:
        train.train(config(8, **how), tmp_path / "run", data=data)
        found = None
    except saving.Stopped as stopped:
        found = stopped.code
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (found, unheard) == (status, [])
    assert steps(RunDirectory.open(tmp_path / "run"))[-1] == last
