"""Processes that train and are killed or stopped: nothing of what they saved is lost."""

import json
import subprocess

import numpy as np
import pytest
from checkout import command, environment, run
from waiting import LONG, until

from mmtf.runs.checkpoint import Checkpoints

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Arrays that need no time to be loaded or to be trained on."""
    path = tmp_path_factory.mktemp("arrays")
    rng = np.random.default_rng(0)
    for name in "ab":
        np.save(path / f"{name}.npy", rng.normal(size=(90, 3)))
    return path


def flags_of(folder, steps):
    data = ("--dataset=arrays", f"--data_dir={folder}", "--shared_dim=2", "--private_dim=2", "--batch_size=8")
    epochs = ("--steps_per_epoch=50", "--steps_per_execution=2", "--checkpoint_every=4", "--panels_every=0", "--deterministic")
    return [*data, f"--steps={steps}", *epochs]


def test_a_run_that_is_killed_again_and_again_ends_as_the_whole_one(tmp_path, folder):
    """`kill -9` at random moments of two sessions, and a fresh process each time."""
    given = ("--kills=2", "--seed=3", f"--work_dir={tmp_path / 'kills'}", "--", *flags_of(folder, 400))
    done = run("scripts/kill_test.py", *given, timeout=LONG)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "After 2 kills: all weights, optimizer states and scalars equal, bit for bit." in done.stdout


def test_a_terminated_run_saves_and_says_how_to_go_on(tmp_path, folder):
    """The run has practically no end."""
    path = tmp_path / "run"
    started = command("scripts/train.py", f"--run_dir={path}", *flags_of(folder, 10_000_000))
    with (tmp_path / "said").open("w") as said, subprocess.Popen(started, env=environment(), stderr=said) as process:
        try:
            until((path / "training.json").exists, [process])
        finally:
            process.terminate()
            status = process.wait(LONG)
    said = (tmp_path / "said").read_text()
    assert status == 143, said
    steps = json.loads((path / "training.json").read_text())["steps"]
    assert f"stopped at step {steps}, which is saved. Go on with the same command and --resume" in said
    assert Checkpoints(path / "checkpoints", {}).steps[-1] == steps
    assert not (path / ".lock").exists()
