"""Held-out examples tell which checkpoint is the best."""

import numpy as np
import pytest
from small_runs import config, steps

from mmtf.errors import UserError
from mmtf.runs import events
from mmtf.verbs import evaluate, train


def test_the_best_checkpoint_is_that_of_the_lowest_validation_loss_and_stays(tmp_path, recwarn, data):
    """Of a run of exactly the steps asked for: its last epoch ends in the middle of an execution of two steps."""
    how = {"validation_examples": 16, "keep_checkpoints": 1, "learning_rate": 0.05}
    run = train.train(config(23, **how), tmp_path / "run", data=data)
    at, losses = events.read_scalars(run.logs)["validation/loss"]
    best = at[int(np.argmin(losses))]
    assert at == [*range(2, 23, 2), 23]
    assert events.read_scalars(run.logs)["loss"][0] == at
    assert run.read_json("training.json")["steps"] == 23
    assert not [w for w in recwarn if "ran out of data" in str(w.message)]
    assert best < 23
    assert steps(run) == [best, 23]
    assert evaluate.load_model(run, "best")[1] == best
    assert evaluate.load_model(run)[1] == 23
    with pytest.raises(UserError, match=f"--checkpoint must be latest, best or one of the steps {best}.*, not '7'"):
        evaluate.load_model(run, "7")


def test_an_adversarial_model_has_no_validation_loss():
    with pytest.raises(UserError, match="--validation_examples does nothing for --model=mmali"):
        config(4, {"model": "mmali"}, validation_examples=4)
