"""What a run shows while it goes: progress, scalars, pictures, coherence, warnings; and when it stops by itself."""

import io
import itertools
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
import toys
from small_runs import config, poison, saved, steps

from mmtf.distributed import replicas
from mmtf.models.vae.mmjsd import MMJSD
from mmtf.runs import RunDirectory, events, same_run
from mmtf.training import monitor, saving
from mmtf.verbs import evaluate, train


def at(callback, step, **model):
    """The callback with a model that stands at a step."""
    callback.set_model(SimpleNamespace(optimizer=SimpleNamespace(iterations=tf.constant(step)), **model))
    return callback


# ---- TensorBoard -------------------------------------------------------------------------------------------------------


def test_tensorboard_has_every_term_under_its_own_name(watched):
    scalars = events.read_scalars(watched.logs)
    model, _ = evaluate.load_model(watched)
    assert set(model.term_modalities()) <= set(scalars)
    assert {"schedule/private_weight", "schedule/learning_rate"} <= set(scalars)
    assert scalars["loss"][0] == [2, 4]
    assert scalars["schedule/shared_weight"][1] == pytest.approx([5.0, 5.0])


def test_image_panels_are_written_every_so_many_epochs(watched):
    (file,) = watched.logs.glob("*.panels")
    found = {}
    for event in tf.compat.v1.train.summary_iterator(str(file)):
        found |= {value.tag: event.step for value in event.summary.value}
    wanted = {"random_picture", "random_word", "reconstruction", "from_picture", "from_word", "swap_picture"}
    assert wanted <= set(found)
    assert set(found.values()) == {4}


def test_coherence_is_measured_every_so_many_epochs(watched):
    scalars = events.read_scalars(watched.logs)
    assert scalars["coherence/word<-picture"][0] == [4]
    assert {"coherence/random", "coherence_likeliest/word<-picture"} <= set(scalars)


def test_scalars_between_epochs_are_those_of_a_step_each(tmp_path, monkeypatch):
    """Every so many steps, once where one of them ends an epoch, and of a session that goes on not for the step before it."""
    monkeypatch.setattr(monitor, "SCALARS_EVERY", 4)
    scalars = monitor.Scalars(tmp_path)
    model = {"schedule": lambda step: {"weight": step / 10.0}}
    at(scalars, 6, **model).on_train_begin()
    for step in range(7, 13):
        found = at(scalars, step, **model)
        found.model.optimizer.learning_rate = 0.5
        found.on_train_batch_end(step, {"loss": float(step)})
        if step == 12:
            found.on_epoch_end(0, {"loss": -1.0})
    read = events.read_scalars(tmp_path)
    assert read["loss"] == ([8, 12], [8.0, 12.0])
    assert read["schedule/weight"] == ([8, 12], pytest.approx([0.8, 1.2]))
    assert read["schedule/learning_rate"] == ([8, 12], [0.5, 0.5])


# ---- the console -------------------------------------------------------------------------------------------------------


def test_a_line_stays_after_each_epoch(monkeypatch):
    seconds = iter([0.0, 10.0, 12.0])
    monkeypatch.setattr(monitor, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with monitor.Progress(2, 8) as progress:
        at(progress, 2).on_epoch_begin(0)
        for step in (4, 6):
            at(progress, step).on_train_batch_end(0, {"loss": 3.5})
        progress.on_epoch_end(0, {"loss": 3.5, "divergence": 1.0})
    wanted = "step 6/8: 2.0 s, 2 steps/s, 00:01 remaining; loss 3.5, divergence 1"
    assert sys.stderr.getvalue().splitlines() == [wanted]


def test_a_warning_is_given_once_and_sees_the_terms_at_the_start_and_after_each_epoch(caplog):
    seen = []

    def warning(history):
        seen.append([terms["loss"] for terms in history])
        return "The loss rises." if history[-1]["loss"] > history[0]["loss"] else None

    warn = at(monitor.Warn(), 7, warning=warning)
    for epoch in ((5.0, 4.0), (9.0, 6.0), (9.0, 7.0)):
        for loss in epoch:
            warn.on_train_batch_end(0, {"loss": loss})
        warn.on_epoch_end(0, {"loss": epoch[-1]})
    assert seen == [[5.0, 4.0], [5.0, 4.0, 6.0]]
    assert [record.getMessage() for record in caplog.records] == ["After step 7: The loss rises."]


@pytest.mark.parametrize(
    ("log_likelihoods", "contrasts", "won"),
    [
        ((-90.0, -50.0, -80.0), (5.0, 4.0, 3.0), True),
        ((-90.0, -50.0, -80.0), (5.0, 2.0, 3.0), False),
        ((-90.0, -80.0, -50.0), (5.0, 4.0, 3.0), False),
        ((-90.0, -50.0, -51.0), (5.0, 4.0, 3.0), False),
        ((-50.0, -50.0, -50.5), (5.0, 4.0, 3.0), False),
        ((-50.0, -90.0, -80.0), (5.0, 4.0, 3.0), True),
    ],
)
def test_a_contrast_that_wins_is_warned_of(log_likelihoods, contrasts, won):
    """Where examples have become less likely, and others too: by the weighted sum of the likelihoods."""
    kinds = {"vector": 0.5, "image": 1.0}
    model = toys.model("mmvae", 0, 2, **toys.contrastive("cubo"))
    weight = sum(share * model.modalities[name].likelihood_weight for name, share in kinds.items())
    history = [
        {f"log_likelihood/{name}": value * share / weight for name, share in kinds.items()} | {"contrast": contrast}
        for value, contrast in zip(log_likelihoods, contrasts, strict=True)
    ]
    found = model.warning(history)
    assert bool(found) == won
    if won:
        best, now = f"{max(log_likelihoods):.1f}", f"{log_likelihoods[-1]:.1f}"
        assert found.startswith(f"The contrast is winning: the likelihood of the examples fell from {best} to {now} nats")
    assert toys.model("mmvae", 0, 2).warning(history) is None


# ---- stops -------------------------------------------------------------------------------------------------------------


def test_a_term_that_is_no_number_stops_the_run_and_keeps_the_last_good_checkpoint(tmp_path, monkeypatch, data):
    with monkeypatch.context() as patched, pytest.raises(monitor.NotFiniteError, match="At step 3 .*: log_likelihood/b. "):
        poison(patched, MMJSD, "log_likelihood/b", 3)
        train.train(config(8), tmp_path / "run", data=data)
    run = RunDirectory.open(tmp_path / "run")
    assert steps(run) == [2]
    assert all(np.all(np.isfinite(value)) for value in saved(run).values())


def test_broken_weights_are_not_saved(tmp_path, monkeypatch, data):
    """A last update with finite terms and a gradient that is none."""
    honest = saving.Record.on_epoch_begin

    def poisoned(self, epoch, logs=None):
        honest(self, epoch, logs)
        if replicas.step_of(self.model.optimizer) == 2:
            bias = self.model.coders.heads["a"].bias
            bias.assign(np.full(bias.shape, np.inf, np.float32))

    monkeypatch.setattr(saving.Record, "on_epoch_begin", poisoned)
    monkeypatch.setattr(monitor.StopWhenNotFinite, "on_train_batch_end", lambda self, batch, logs=None: None)
    with pytest.raises(monitor.NotFiniteError, match="made weights NaN or infinite.*last good checkpoint is step-2"):
        train.train(config(4), tmp_path / "run", data=data)
    assert steps(RunDirectory.open(tmp_path / "run")) == [2]


def clocks(monkeypatch):
    """Give a budget clocks that stand still until they are set."""
    now = {"wall": 100.0, "cpu": 200.0}
    stopped = SimpleNamespace(monotonic=lambda: now["wall"], process_time=lambda: now["cpu"])
    monkeypatch.setattr(monitor, "time", stopped)
    return now


@pytest.mark.parametrize("clock", ["wall", "cpu"])
def test_time_is_up_within_an_epoch(monkeypatch, clock):
    """An epoch that is longer than all of the time ends with the execution that fills it."""
    now = clocks(monkeypatch)
    budget, ended = monitor.Budget(2.0, clock), []
    at(budget, 0, distribute_strategy=None, stop_training=False).on_epoch_begin(0)
    for step in range(5):
        now[clock] += 40.0 if step == 0 else 0.6
        budget.on_train_batch_end(step)
        ended.append(budget.model.stop_training)
    # The graph, then 0.6, 1.2, 1.8 and 2.4 seconds.
    assert ended == [False, False, False, False, True]
    budget.on_epoch_end(0)
    assert budget.spent


def test_a_session_that_ran_out_of_time_within_an_epoch_goes_on_to_the_same_weights(tmp_path, data, monkeypatch):
    """By a clock that goes on by a second with each look at it, whatever the machine does."""
    how = {"steps_per_epoch": 6, "steps_per_execution": 1, "deterministic": True}
    train.train(config(12, **how), tmp_path / "whole", data=data)
    ticks = itertools.count()
    with monkeypatch.context() as patched:
        patched.setattr(monitor, "time", SimpleNamespace(monotonic=lambda: next(ticks), process_time=time.process_time))
        stopped = train.train(config(12, max_seconds=3.0, **how), tmp_path / "run", data=data)
    first = steps(stopped)
    assert first[-1] < 6
    assert stopped.read_json("training.json")["steps"] == first[-1]
    train.train(config(12, **how), tmp_path / "run", data=data, resume=True)
    tensors = [d for d in same_run.differences(tmp_path / "whole", tmp_path / "run") if d.startswith("The tensor")]
    assert tensors == []


@pytest.mark.parametrize("clock", ["wall", "cpu"])
def test_time_is_up_after_the_epochs_that_fill_it(monkeypatch, clock):
    """Of two seconds: neither the first execution counts, in which the graph is built, nor what is between epochs."""
    now = clocks(monkeypatch)
    budget, ended = monitor.Budget(2.0, clock), []
    for epoch in range(3):
        at(budget, 0, distribute_strategy=None, stop_training=False).on_epoch_begin(epoch)
        # The other clock races.
        for name in now:
            now[name] += (50.0 if epoch == 0 else 0.4) if name == clock else 1e3
        budget.on_train_batch_end(0)
        now[clock] += 0.75
        budget.on_epoch_end(epoch)
        ended.append((budget.spent, budget.model.stop_training))
        now[clock] += 50.0
    # 0.75, 1.9 and 3.05 seconds.
    assert ended == [(False, False), (False, False), (True, True)]
