"""The script that kills a run: what it says of training that fails, and of a run that ends before all kills are done."""

import os
import shutil
import subprocess
import sys

import pytest
import tensorflow as tf
from checkout import ROOT

# Stands for train.py: leaves all of the run at once, the first time long before its end; and then refuses it as train.py does.
ENDS = """
import pathlib, shutil, sys, time
(run,) = [pathlib.Path(a.removeprefix("--run_dir=")) for a in sys.argv if a.startswith("--run_dir=")]
if run.exists():
    sys.exit("error: This run already has 4 steps")
pathlib.Path(shutil.copytree({whole!r}, run.with_suffix(".copy"))).rename(run)
time.sleep(3 if run.name == "whole" else 0)
"""
# The first of the two runs is whole; the other fails.
FAILS = ENDS.replace("if run.exists():", "if run.name == 'killed':").replace("already has 4 steps", "needs data")


@pytest.fixture
def kills(tmp_path):
    whole, folder = tmp_path / "whole", tmp_path / "scripts"
    folder.mkdir()
    shutil.copy(ROOT / "scripts/kill_test.py", folder)
    tf.train.Checkpoint(variables={"w": tf.Variable([1.0, 2.0])}).write(str(whole / "checkpoints/step-4/state"))
    (whole / "config.json").write_text("{}")
    (whole / "logs").mkdir()

    def run(program):
        (folder / "train.py").write_text(program.format(whole=str(whole)))
        command = [sys.executable, str(folder / "kill_test.py"), "--kills=3", f"--work_dir={tmp_path}/work", "--", "--steps=4"]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)

    return run


def test_a_run_that_ended_before_its_kills_is_compared(kills):
    done = kills(ENDS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "1: ended by itself; checkpoints [4]",
        "After 0 kills: all weights, optimizer states and scalars equal, bit for bit.",
    ]


def test_training_that_fails_is_not_taken_for_an_end(kills, tmp_path):
    done = kills(FAILS)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"error: Training failed; see {tmp_path}/work/killed.log." in done.stderr
    assert "needs data" in (tmp_path / "work/killed.log").read_text()
