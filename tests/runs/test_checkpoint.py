"""Checkpoints hold every variable, and a damaged one is passed over."""

import os
import signal
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
import toys
from waiting import until

from mmtf.config import TrainConfig
from mmtf.distributed import strategies
from mmtf.errors import UserError
from mmtf.runs.checkpoint import Checkpoints
from mmtf.verbs.train import compile_model, training_state


def compiled(seed=0, **kwargs):
    model = toys.model("mmjsd", 2, seed=seed, **kwargs)
    compile_model(model, TrainConfig(), 10, 5, strategies.make_strategy("one"))
    return model


def variables():
    """Few of them stand for a model's and its optimizer's, whole numbers among them."""
    rng = np.random.default_rng(0)
    shapes = {"encoder.a.0.kernel": (3, 2), "encoder.a.0.bias": (2,), "decoder.b/c.kernel": (2, 2, 1), "optimizer.1": ()}
    return {name: keras.Variable(rng.normal(size=shape)) for name, shape in shapes.items()} | {
        "optimizer.0": keras.Variable(3, dtype="int64")
    }


def snapshot(variables):
    return {name: v.numpy().copy() for name, v in variables.items()}


def scramble(variables, seed):
    rng = np.random.default_rng(seed)
    for v in variables.values():
        v.assign(rng.integers(1, 100, size=v.shape).astype(v.dtype))


def test_the_state_is_all_weights_and_all_of_the_optimizer():
    model = compiled()
    state = training_state(model)
    # Networks: three encoders, heads and decoders; Adam: two averages per weight, its step and its rate.
    assert len(state) == len(model.weights) + 2 * len(model.trainable_variables) + 2
    assert {id(v) for v in state.values()} == {id(v) for v in [*model.weights, *model.optimizer.variables]}


def test_everything_is_restored(tmp_path):
    model = compiled()
    state = training_state(model)
    scramble(state, 1)
    before = snapshot(state)
    Checkpoints(tmp_path, state).save(7)
    scramble(state, 2)
    other, fresh = training_state(compiled(seed=5)), toys.model("mmjsd", 2, seed=9)
    for found in (state, other):
        checkpoints = Checkpoints(tmp_path, found)
        assert (checkpoints.steps, checkpoints.restore()) == ([7], 7)
        for name, value in snapshot(found).items():
            np.testing.assert_array_equal(value, before[name], err_msg=name)
    # Or the weights alone.
    assert Checkpoints(tmp_path, fresh.named_weights()).restore(partial=True) == 7
    for name, value in snapshot(fresh.named_weights()).items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)


def test_the_last_few_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path, variables(), keep=2)
    for step in (1, 2, 3):
        checkpoints.save(step)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-2", "step-3"]


def test_a_checkpoint_that_was_not_finished_is_none(tmp_path):
    checkpoints = Checkpoints(tmp_path, variables())
    checkpoints.save(1)
    for name in (".step-2", ".step-1.removed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "state.index").write_bytes(b"half")
    assert (checkpoints.steps, checkpoints.restore()) == ([1], 1)
    checkpoints.save(2)
    checkpoints.tidy(newest=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-1", "step-2"]


def test_the_values_saved_are_those_of_the_call_and_appear_at_once(tmp_path):
    """Training goes on while they are written."""
    state = variables()
    checkpoints = Checkpoints(tmp_path, state)
    for step in (1, 2):  # the second time into the same copies
        scramble(state, step)
        before, goes_on = snapshot(state), threading.Event()
        checkpoints.start_saving(step, {"seconds": 0.1 + step}, before=goes_on.wait)
        scramble(state, 10 + step)
        assert checkpoints.steps == list(range(1, step))
        goes_on.set()
        checkpoints.wait()
        assert checkpoints.extra(step) == {"seconds": 0.1 + step}
        assert checkpoints.restore() == step
        for name, value in snapshot(state).items():
            np.testing.assert_array_equal(value, before[name], err_msg=name)


def test_a_writer_s_failure_is_raised_by_the_next_call(tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints", variables())
    (tmp_path / "checkpoints").write_bytes(b"a file")
    checkpoints.start_saving(1)
    with pytest.raises(UserError, match="Cannot write a checkpoint to .* at step 1: .*go on with --resume"):
        checkpoints.start_saving(2)
    checkpoints.check()
    checkpoints.close()


def flipped(place):
    def damage(file):
        content = bytearray(file.read_bytes())
        content[int(place * (len(content) - 1))] ^= 0x40
        file.write_bytes(content)

    return damage


DAMAGES = {
    "flipped at the start": flipped(0.0),
    "flipped within": flipped(0.61),
    "flipped at the end": flipped(0.98),
    "truncated": lambda file: file.write_bytes(file.read_bytes()[:-5]),
    "empty": lambda file: file.write_bytes(b""),
    "missing": lambda file: file.unlink(),
}


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path, caplog):
    """Whichever of its files is damaged, and however."""
    state = variables()
    checkpoints = Checkpoints(tmp_path, state)
    checkpoints.save(1)
    before = snapshot(state)
    scramble(state, 1)
    checkpoints.save(2)
    files = sorted((tmp_path / "step-2").iterdir())
    assert [f.name for f in files] == ["SHA256SUMS", "state.data-00000-of-00001", "state.index", "state.json"]
    for file in files:
        whole = file.read_bytes()
        for kind, damage in DAMAGES.items():
            damage(file)
            caplog.clear()
            assert Checkpoints(tmp_path, state).restore() == 1, (file.name, kind)
            assert "step-2 cannot be read and is passed over" in caplog.text
            file.write_bytes(whole)
    for name, value in snapshot(state).items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)
    assert Checkpoints(tmp_path, state).restore() == 2
    for file in tmp_path.glob("step-*/state.data*"):
        file.write_bytes(file.read_bytes()[:10])
    with pytest.raises(UserError, match=r"No checkpoint .* can be read"):
        Checkpoints(tmp_path, state).restore()


def test_what_is_newer_than_the_step_gone_on_from_is_put_aside(tmp_path):
    """Else the damaged one would be the one kept, and each new one be removed as the older."""
    checkpoints = Checkpoints(tmp_path, variables(), keep=1)
    checkpoints.save(4)
    flipped(0.5)(tmp_path / "step-4/state.index")
    checkpoints.tidy(newest=2)
    checkpoints.save(3)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["damaged-step-4", "step-3"]
    assert checkpoints.restore() == 3


def test_the_best_one_stays_beside_the_last(tmp_path):
    state = variables()
    checkpoints = Checkpoints(tmp_path, state, keep=1)
    checkpoints.save(1)
    with pytest.raises(UserError, match="--checkpoint=best: no checkpoint .* has a validation loss"):
        checkpoints.restore(which="best")
    for step, loss in ((2, 3.0), (3, 1.0), (4, 2.0), (5, np.nan), (6, None)):
        checkpoints.save(step, {} if loss is None else {"validation_loss": loss})
    assert (checkpoints.steps, checkpoints.best) == ([3, 6], 3)
    found = [checkpoints.restore(which=which) for which in ("best", "latest", "3")]
    assert found == [3, 6, 3]
    with pytest.raises(UserError, match="one of the steps 3, 6, not 'bset'"):
        checkpoints.restore(which="bset")


def test_checkpoints_from_before_they_were_folders_are_read_and_removed(tmp_path):
    state = variables()
    scramble(state, 1)
    before = snapshot(state)
    tf.train.Checkpoint(variables={name: v.value for name, v in state.items()}).write(str(tmp_path / "step-7"))
    scramble(state, 2)
    checkpoints = Checkpoints(tmp_path, state, keep=1)
    assert (checkpoints.steps, checkpoints.restore(), checkpoints.extra(7)) == ([7], 7, {})
    for name, value in snapshot(state).items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)
    checkpoints.save(8)
    assert [p.name for p in tmp_path.iterdir()] == ["step-8"]


def test_no_checkpoint_is_said(tmp_path):
    with pytest.raises(UserError, match="holds no checkpoint"):
        Checkpoints(tmp_path, variables()).restore()


def test_a_signal_s_handler_that_waits_sees_the_checkpoint_that_was_waited_for(tmp_path, monkeypatch):
    honest, wait, waiting, entered, seen = tf.train.Checkpoint.write, Checkpoints.wait, [], threading.Event(), []
    checkpoints = Checkpoints(tmp_path, {"a": keras.Variable(1.0)})

    def noted(self):
        waiting.append(self._pending)
        wait(self)

    def slowly(self, prefix):
        # Not before there is one who waits for this, and not further before the signal is heard.
        until(lambda: checkpoints._pending and checkpoints._pending in waiting)
        os.kill(os.getpid(), signal.SIGUSR1)
        until(entered.is_set)
        return honest(self, prefix)

    def handler(number, frame):
        entered.set()
        checkpoints.wait()
        seen.append(checkpoints.steps)

    monkeypatch.setattr(Checkpoints, "wait", noted)
    monkeypatch.setattr(tf.train.Checkpoint, "write", slowly)
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        checkpoints.save(7)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen == [[7]]


def test_a_checkpoint_of_another_model_is_refused_by_the_name_of_a_variable(tmp_path):
    whole, few = variables(), variables()
    del few["decoder.b/c.kernel"]
    Checkpoints(tmp_path / "whole", whole).save(1)
    with pytest.raises(UserError, match=r"is of another model: it has decoder\.b/c\.kernel too"):
        Checkpoints(tmp_path / "whole", few).restore()
    assert Checkpoints(tmp_path / "whole", few).restore(partial=True) == 1
    Checkpoints(tmp_path / "few", few).save(1)
    for partial in (False, True):
        with pytest.raises(UserError, match=r"is of another model: it has no decoder\.b/c\.kernel"):
            Checkpoints(tmp_path / "few", whole).restore(partial=partial)
    wider = variables() | {"decoder.b/c.kernel": keras.Variable(np.zeros((2, 3, 1)))}
    with pytest.raises(UserError, match=r"b/c\.kernel has the shape \(2, 2, 1\) there and \(2, 3, 1\) in this run"):
        Checkpoints(tmp_path / "whole", wider).restore(partial=True)
