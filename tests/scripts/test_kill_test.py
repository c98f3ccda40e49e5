"""The script that kills a run: its kills, training that fails, and a run that ends before all kills are done."""

import shutil
import time

import pytest
import tensorflow as tf
from checkout import ROOT, call

# Stands for mmtf train: leaves all of the run at once, the first time before its end; and then refuses it as train.py does.
ENDS = """
import pathlib, shutil, sys, time
(run,) = [pathlib.Path(a.removeprefix("--run_dir=")) for a in sys.argv if a.startswith("--run_dir=")]
if run.exists():
    sys.exit("error: This run already has 4 steps")
pathlib.Path(shutil.copytree({whole!r}, run.with_suffix(".copy"))).rename(run)
time.sleep(1 if run.name == "whole" else 0)
"""
# The first of the two runs is whole; the other fails.
FAILS = ENDS.replace("if run.exists():", "if run.name == 'killed':").replace("already has 4 steps", "needs data")
# The second run reaches its end when it is begun for the third time, and waits to be killed before that.
WAITS = """
import pathlib, shutil, sys, time
(run,) = [pathlib.Path(a.removeprefix("--run_dir=")) for a in sys.argv if a.startswith("--run_dir=")]
assert sys.argv[-3:-1] == ["--deterministic", "--resume"] and "--steps=4" in sys.argv
step = len(list(run.glob("checkpoints/step-*"))) + 2 if run.name == "killed" else 4
if step < 4:
    shutil.copytree({whole!r} + "/checkpoints/step-4", run / "checkpoints" / f"step-{{step}}")
    time.sleep(600)
shutil.copytree({whole!r}, run, dirs_exist_ok=True)
time.sleep(1 if run.name == "whole" else 0)
"""


@pytest.fixture
def kills(tmp_path, monkeypatch):
    whole, folder = tmp_path / "whole", tmp_path / "scripts"
    folder.mkdir()
    shutil.copy(ROOT / "scripts/kill_test.py", folder)
    tf.train.Checkpoint(variables={"w": tf.Variable([1.0, 2.0])}).write(str(whole / "checkpoints/step-4/state"))
    (whole / "config.json").write_text("{}")
    (whole / "logs").mkdir()
    real = time.monotonic

    def run(program, kills=3, hurry=1):
        """hurry: by what the script takes the times of the whole run for longer than they are, and so its delays."""
        (folder / "train.py").write_text(program.format(whole=str(whole)))
        monkeypatch.setattr(time, "monotonic", lambda: hurry * real())
        try:
            return call(folder / "kill_test.py", f"--kills={kills}", f"--work_dir={tmp_path}/work", "--", "--steps=4")
        finally:
            monkeypatch.setattr(time, "monotonic", real)

    return run


def test_a_run_that_ended_before_its_kills_is_compared(kills):
    """It has half a minute to end by itself, and no need of it."""
    done = kills(ENDS, hurry=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "1: ended by itself; checkpoints [4]",
        "After 0 kills: all weights, optimizer states and scalars equal, bit for bit.",
    ]


def test_a_run_is_killed_and_resumed_until_its_end(kills):
    done = kills(WAITS, kills=2)
    assert done.returncode == 0, done.stderr
    *killed, last = done.stdout.splitlines()
    assert [line.split("; ")[1] for line in killed] == ["checkpoints [2]", "checkpoints [2, 3]"]
    assert all("killed" in line and "after its first checkpoint" in line for line in killed)
    assert last == "After 2 kills: all weights, optimizer states and scalars equal, bit for bit."


def test_training_that_fails_is_not_taken_for_an_end(kills, tmp_path):
    done = kills(FAILS, hurry=100)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"error: Training failed; see {tmp_path}/work/killed.log." in done.stderr
    assert "needs data" in (tmp_path / "work/killed.log").read_text()
