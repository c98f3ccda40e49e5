"""Checkpoints hold every variable, and a damaged one is passed over."""

import numpy as np
import pytest
import toys

from mmtf import distribution
from mmtf.checkpoint import Checkpoints
from mmtf.config import TrainConfig
from mmtf.errors import UserError
from mmtf.train import compile_model, training_state


def compiled(seed=0, **kwargs):
    model = toys.model("mmjsd", 2, seed=seed, **kwargs)
    compile_model(model, TrainConfig(), 10, 5, distribution.make_strategy("one"))
    return model


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
    state = training_state(compiled())
    scramble(state, 1)
    before = snapshot(state)
    Checkpoints(tmp_path, state).save(7)
    scramble(state, 2)
    other = training_state(compiled(seed=5))
    for variables in (state, other):
        checkpoints = Checkpoints(tmp_path, variables)
        assert (checkpoints.steps, checkpoints.restore()) == ([7], 7)
        for name, value in snapshot(variables).items():
            np.testing.assert_array_equal(value, before[name], err_msg=name)


def test_the_last_few_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path, training_state(compiled()), keep=2)
    for step in (1, 2, 3):
        checkpoints.save(step)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        f"step-{n}.{end}" for n in (2, 3) for end in ("data-00000-of-00001", "index")
    ]


def test_a_checkpoint_that_was_not_finished_is_none(tmp_path):
    checkpoints = Checkpoints(tmp_path, training_state(compiled()))
    checkpoints.save(1)
    (tmp_path / "step-2.data-00000-of-00001").write_bytes(b"half")
    (tmp_path / "step-3.data-00000-of-00001.tempstate1").write_bytes(b"half")
    assert (checkpoints.steps, checkpoints.restore()) == ([1], 1)


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path, caplog):
    state = training_state(compiled())
    checkpoints = Checkpoints(tmp_path, state)
    checkpoints.save(1)
    before = snapshot(state)
    scramble(state, 1)
    checkpoints.save(2)
    data = tmp_path / "step-2.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    for position in range(0, len(content), 97):
        content[position] ^= 255
    data.write_bytes(content)
    assert Checkpoints(tmp_path, state).restore() == 1
    assert "step-2" in caplog.text
    for name, value in snapshot(state).items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)
    for file in tmp_path.glob("step-1*"):
        file.write_bytes(file.read_bytes()[:10])
    with pytest.raises(UserError, match=r"No checkpoint .* can be read"):
        Checkpoints(tmp_path, state).restore()


def test_no_checkpoint_is_said(tmp_path):
    with pytest.raises(UserError, match="holds no checkpoint"):
        Checkpoints(tmp_path, training_state(compiled())).restore()


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    Checkpoints(tmp_path, training_state(compiled())).save(1)
    with pytest.raises(UserError, match="can be read"):
        Checkpoints(tmp_path, training_state(toys_with_two())).restore()


def test_weights_alone_can_be_read_from_a_whole_state(tmp_path):
    model = compiled()
    Checkpoints(tmp_path, training_state(model)).save(3)
    fresh = toys.model("mmjsd", 2, seed=9)
    assert Checkpoints(tmp_path, fresh.named_weights()).restore(partial=True) == 3
    for name, value in snapshot(fresh.named_weights()).items():
        np.testing.assert_array_equal(value, snapshot(model.named_weights())[name])


def toys_with_two():
    return compiled(count=2)
