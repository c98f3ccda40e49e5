"""What `make quickstart` runs, and the three lines that it ends with."""

import shlex
import subprocess

import numpy as np
import pytest
from checkout import ROOT, call

from mmtf.report import flagfile
from mmtf.runs import RunDirectory


@pytest.fixture(scope="module")
def printed():
    """The commands of the quickstart, one a line, installed before."""
    command = ["make", "--dry-run", "--no-print-directory", "--assume-old=.venv/.installed", "quickstart"]
    done = subprocess.run([*command, "RUN=runs/one", "EXPORT=saved_models/one"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [shlex.split(line) for line in done.stdout.splitlines()]


def scripts(printed):
    return {words[1]: words[2:] for words in printed if words[0].endswith("bin/mmtf")}


def test_it_trains_evaluates_and_exports_one_run(printed, monkeypatch):
    monkeypatch.chdir(ROOT)
    found = scripts(printed)
    assert list(found) == ["train", "evaluate", "export"]
    assert all("--run_dir=runs/one" in arguments for arguments in found.values())
    config = flagfile.config_of([a for a in found["train"] if "run_dir" not in a], "Makefile")
    assert (config.model.model, config.data.dataset) == ("mmjsd", "digits")
    assert config.model.private_dim > 0
    assert "--export_dir=saved_models/one" in found["export"]


def test_it_ends_by_saying_where_to_look_and_what_to_do_next(printed):
    page, board, own = (words[1] for words in printed[-3:])
    assert "runs/one/report.html" in page
    assert "tensorboard --logdir=runs/one/logs" in board
    assert "mmtf train --dataset=arrays --data_dir=FOLDER" in own
    assert (ROOT / "docs/data.md").exists()
    assert "docs/data.md" in own


@pytest.mark.slow
def test_what_it_says_of_own_data_works(printed, tmp_path):
    for name in "ab":
        np.save(tmp_path / f"{name}.npy", np.random.default_rng(0).normal(size=(400, 3)))
    command = printed[-1][1].split("mmtf train ")[1].split(" (")[0]
    arguments = shlex.split(command.replace("FOLDER", str(tmp_path)).replace("runs/own", str(tmp_path / "own")))
    done = call("scripts/train.py", *arguments, "--epochs=1", "--panels_every=0")
    assert done.returncode == 0, done.stderr
    assert RunDirectory.open(tmp_path / "own").read_json("training.json")["steps"] >= 1
