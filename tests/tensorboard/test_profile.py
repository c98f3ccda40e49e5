"""Profiles: whole executions of the steps asked for, one at a time, and ended where a run breaks off."""

import socket

import pytest
import tensorflow as tf
from small_runs import arrays, config

from mmtf.config import Config, TrainConfig, profile_window
from mmtf.errors import UserError
from mmtf.tensorboard import profile
from mmtf.verbs import train


def test_a_profile_of_the_steps_asked_for_names_the_model_s_operations(watched):
    (trace,) = (watched.logs / "plugins/profile").glob("*/*.xplane.pb")
    content = trace.read_bytes()
    assert len(content) > 10_000
    for name in (b"MatMul", b"Conv2D", b"picture_encoder", b"word_encoder", b"gradient_tape"):
        assert name in content, name


@pytest.mark.parametrize(("text", "found"), [("", None), ("3,7", (3, 7)), (" 5 , 5 ", (5, 5))])
def test_profile_steps_are_read(text, found):
    assert profile_window(text) == found


@pytest.mark.parametrize("text", ["3", "7,3", "0,3", "a,b", "3,", "3,4,5", "-1,2"])
def test_profile_steps_that_mean_nothing_are_refused(text):
    with pytest.raises(UserError, match="wants the first and the last step"):
        Config(train=TrainConfig(profile_steps=text))


def test_steps_that_a_run_does_not_have_are_refused():
    with pytest.raises(UserError, match="--profile_steps=10,30 is beyond the 20 steps"):
        Config(train=TrainConfig(profile_steps="10,30", steps=20))


class Step:
    """Stands for an optimizer at a step."""

    def __init__(self, step):
        self.iterations = tf.constant(step)


@pytest.mark.parametrize(
    ("each", "window", "traced"), [(1, (3, 4), [3, 4]), (2, (4, 5), [3, 4, 5, 6]), (10, (1, 1), range(1, 11))]
)
def test_whole_executions_are_traced(monkeypatch, tmp_path, each, window, traced):
    log = []
    monkeypatch.setattr(tf.profiler.experimental, "start", lambda logs: log.append("start"))
    monkeypatch.setattr(tf.profiler.experimental, "stop", lambda: log.append("stop"))
    with profile.Profile(tmp_path, window) as found:
        model = type("Model", (), {"steps_per_execution": each})()
        found._model = model
        for first in range(0, 20, each):
            model.optimizer = Step(first)
            found.on_train_batch_begin(0)
            log += range(first + 1, first + each + 1)
            model.optimizer = Step(first + each)
            found.on_train_batch_end(0)
    assert log[log.index("start") + 1 : log.index("stop")] == list(traced)
    assert (log.count("start"), log.count("stop")) == (1, 1)


def test_a_run_that_breaks_off_ends_its_profile(monkeypatch, tmp_path):
    log = []
    monkeypatch.setattr(tf.profiler.experimental, "start", lambda logs: log.append("start"))
    monkeypatch.setattr(tf.profiler.experimental, "stop", lambda: log.append("stop"))
    with pytest.raises(KeyboardInterrupt), profile.Profile(tmp_path, (1, 9)) as found:
        found._model = type("Model", (), {"steps_per_execution": 1, "optimizer": Step(0)})()
        found.on_train_batch_begin(0)
        raise KeyboardInterrupt
    assert log == ["start", "stop"]


def test_a_resumed_run_that_is_beyond_the_steps_to_trace_says_so(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(tf.profiler.experimental, "start", lambda logs: pytest.fail("traced"))
    for done, said in ((3, False), (4, True)):
        with profile.Profile(tmp_path, (3, 4)) as found:
            found._model = type("Model", (), {"steps_per_execution": 1, "optimizer": Step(done)})()
            found.on_train_begin()
            found.on_train_begin()
        assert caplog.text.count("--profile_steps=3,4 traces nothing: training goes on after step 4") == said


def test_training_goes_on_while_somebody_else_traces(tmp_path, caplog):
    """TensorFlow takes one trace of a process at a time."""
    tf.profiler.experimental.start(str(tmp_path / "other"))
    try:
        with profile.Profile(tmp_path / "own", (1, 9)) as found:
            found._model = type("Model", (), {"steps_per_execution": 1, "optimizer": Step(0)})()
            for _ in range(2):
                found.on_train_batch_begin(0)
                found.on_train_batch_end(0)
    finally:
        tf.profiler.experimental.stop()
    assert caplog.text.count("--profile_steps=1,9 is left out") == 1
    assert list((tmp_path / "other").rglob("*.xplane.pb"))
    assert not (tmp_path / "own").exists()


def test_a_port_that_is_taken_is_refused_before_anything_is_written(tmp_path):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"--profiler_port={port} cannot be listened on"):
            train.train(config(profiler_port=port), tmp_path / "run", data=arrays())
    assert not (tmp_path / "run").exists()
