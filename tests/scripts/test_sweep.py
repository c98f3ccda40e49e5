"""scripts/sweep.py as a user calls it: what it trains, evaluates and writes; mistakes; and that it can be stopped."""

import re
import shlex

import numpy as np
import pytest
from checkout import ROOT, call
from stand_ins import Commands

from mmtf.cli.sweeps import processes


@pytest.fixture
def stand_in(monkeypatch):
    """Stands for the scripts that the next calls start."""

    def use(scripts):
        monkeypatch.setattr(processes, "Commands", lambda jobs: scripts)
        return scripts

    return use


def sweep(folder, *arguments):
    return call("scripts/sweep.py", "--sweep_dir=new", *arguments, cwd=folder)


@pytest.mark.parametrize(("arguments", "message"), [
    (["--sweep=beta=1,2", "--parts=probe"], "--parts=probe does nothing without --evaluate"),
    (["--sweep=model=mmjsd,mmjds"], "Unknown --model='mmjds'"),
    (["--sweep=beta=1,2", "--evaluate", "--parts=prob"], "--parts names 'prob'"),
    (["--sweep=beta=1,2", "beta=3"], "is not a flag"),
    (["--sweep=beta=1,2", "--sweep_dir=/proc/nowhere/x"], "Cannot write to /proc/nowhere/x: No such file or directory. Name"),
])  # fmt: skip
def test_mistakes_get_a_sentence(tmp_path, arguments, message):
    done = sweep(tmp_path, *arguments)
    assert (done.returncode, list(tmp_path.iterdir())) == (2, [])
    assert message in done.stderr


def test_all_are_trained_and_evaluated_with_the_flags_that_were_given(tmp_path, stand_in):
    scripts = stand_in(Commands())
    given = ["--sweep=beta=2,1", "--steps=20", "--shared_dim=3", "--evaluate", "--parts=probe"]
    done = sweep(tmp_path, *given)
    assert (done.returncode, done.stderr) == (0, "")
    assert scripts.calls == [(script, f"beta={b}", False) for b in (2, 1) for script in ("train", "evaluate")]
    assert [(c.model.beta, c.model.shared_dim, c.train.steps) for c in scripts.configs.values()] == [(2.0, 3, 20), (1.0, 3, 20)]
    assert re.search(r"^\| 1.0 +\| +0.100 ", done.stdout, re.M)
    assert done.stdout.splitlines()[-1] == "Written: new. All runs: tensorboard --logdir=new"
    assert {path.name for path in (tmp_path / "new").iterdir()} >= {"table.md", "table.csv", "sweep.png", "sweep.json"}
    # Asked for the same, nothing is done; evaluated otherwise, they are evaluated again.
    assert sweep(tmp_path, *given).stdout.count("as it is") == 2
    assert len(scripts.calls) == 4
    dry = sweep(tmp_path, *given[:3], "--dry_run", "--evaluate")
    assert dry.stdout == "beta=2: trained before, evaluating\nbeta=1: trained before, evaluating\n"
    assert len(scripts.calls) == 4


def test_a_run_that_fails_is_named_at_the_end_and_counts(tmp_path, stand_in):
    stand_in(Commands(("train", "beta=1")))
    done = sweep(tmp_path, "--sweep=beta=1,2", "--steps=20", "--evaluate")
    assert done.returncode == 1
    assert "Not to the end:\nbeta=1: mmtf train ended with 1; the last lines of new/output/beta=1.txt:\n" in done.stderr
    assert done.stderr.endswith("    error: the disk is full\n")
    assert re.search(r"^\| 2.0 +\|", done.stdout, re.M)


def test_stopped_it_says_that_it_goes_on(tmp_path, stand_in):
    class Interrupted(Commands):
        def __call__(self, name, arguments, output=None):
            raise KeyboardInterrupt

    scripts = stand_in(Interrupted())
    done = sweep(tmp_path, "--sweep=beta=1,2", "--steps=20")
    assert (done.returncode, scripts.stopped) == (1, True)
    assert done.stderr == "\nStopped; what was trained is kept. The same command goes on from there.\n"
    # The folder is free again.
    assert "training" in sweep(tmp_path, "--sweep=beta=1,2", "--steps=20", "--dry_run").stdout


def documented():
    """The arguments of every command in the documentation."""
    text = (ROOT / "docs/sweeps.md").read_text().replace("\\\n", " ")
    return [shlex.split(line)[2:] for line in re.findall(r"^    mmtf sweep.*", text, re.M)]


def test_the_documentation_s_commands_say_what_they_would_do(tmp_path):
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    assert len(documented()) >= 3
    for arguments in documented():
        done = call("scripts/sweep.py", *arguments, "--dry_run", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count(": training") >= 2
    assert [path.name for path in tmp_path.iterdir()] == ["configs"]


@pytest.mark.slow
def test_the_true_train_py_does_what_it_is_called_for(tmp_path, monkeypatch):
    """Two runs of two steps, one of which cannot be trained on so few examples; then a longer list."""
    (tmp_path / "data").mkdir()
    for seed, name in enumerate(("height", "width")):
        np.save(tmp_path / "data" / f"{name}.npy", np.random.default_rng(seed).normal(size=(80, 3)).astype(np.float32))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    short = ["--dataset=arrays", "--data_dir=data", "--steps=2", "--shared_dim=2", "--panels_every=0"]
    done = sweep(tmp_path, *short, "--sweep=batch_size=16,2000")
    assert done.returncode == 1
    assert "Not to the end:\nbatch_size=2000: mmtf train ended with 2" in done.stderr
    assert "error: --batch_size=2000 is more than the 64 training examples" in done.stderr
    assert re.search(r"^\| 16 +\|", done.stdout, re.M)
    before = (tmp_path / "new/batch_size=16/training.json").stat().st_mtime_ns
    again = sweep(tmp_path, *short, "--sweep=batch_size=16")
    assert (again.returncode, "batch_size=16: as it is" in again.stdout) == (0, True)
    assert (tmp_path / "new/batch_size=16/training.json").stat().st_mtime_ns == before
    header, row = (tmp_path / "new/table.csv").read_text().splitlines()
    assert {"training/loss", "divergence", "log_likelihood/width", "training/steps"} <= set(header.split(","))
    assert row.startswith("16,")
