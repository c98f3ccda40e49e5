"""scripts/contest.py: systems trained for the same time, runs that are there, and what is not brought to its end."""

import sys

import pytest
from checkout import CONFIGS, call
from stand_ins import Commands

from mmtf.cli.sweeps import processes
from mmtf.config import Config
from mmtf.runs import RunDirectory


def contest(folder, *names, **flags):
    files = ",".join(str(CONFIGS / "digits" / f"{name}.cfg") for name in names)
    return call(
        "scripts/contest.py",
        f"--systems={files}",
        f"--run_dir={folder}",
        *(f"--{name}={value}" for name, value in flags.items()),
    )


def begun(path):
    """A run that was not evaluated."""
    run = RunDirectory.claim(path, Config())
    run.begin(Config(), (), {})
    return run


def test_all_are_trained_as_long_at_constant_rates_and_evaluated(tmp_path, monkeypatch):
    scripts = Commands(spent=150)
    monkeypatch.setattr(processes, "Commands", lambda jobs: scripts)
    done = contest(tmp_path, "mvae", "mmjsd", max_seconds=7.5, clock="cpu", seed=3)
    assert (done.returncode, done.stderr) == (0, "")
    assert scripts.calls == [(script, name, False) for name in ("mvae", "mmjsd") for script in ("train", "evaluate")]
    for config in scripts.configs.values():
        train = config.train
        assert (train.max_seconds, train.clock, train.seed, train.learning_rate_schedule) == (7.5, "cpu", 3, "constant")
        assert (train.steps_per_epoch, train.steps > 1_000_000) == (50, True)
    assert [scripts.configs[name].model.model for name in ("mvae", "mmjsd")] == ["mvae", "mmjsd"]
    assert "mmjsd: 150 steps in 2 s" in done.stdout


def test_it_goes_on_with_the_runs_that_are_there(tmp_path):
    """Both systems were evaluated before: the table is made of what they have, in the order asked for."""
    for name, steps in (("mvae", 200), ("mmjsd", 300)):
        found = {"model": name, "dataset": "digits", "protocol": "corrected", "seed": 0, "probe": {"digit": steps / 1000}}
        training = {"steps": steps, "seconds": 9.6, "steps_per_second": 31.25}
        begun(tmp_path / name).write_json("metrics.json", found | {"training": training})
    table = tmp_path / "table.md"
    done = contest(tmp_path, "mvae", "mmjsd", table=table)
    assert done.returncode == 0, done.stderr
    rows = table.read_text().splitlines()
    assert [row.split()[1] for row in rows[2:]] == ["mvae", "mmjsd"]
    assert "0.300" in rows[3]
    assert rows[3] in done.stdout


def test_what_is_not_there_is_refused(tmp_path):
    done = call("scripts/contest.py", "--systems=nothing.cfg", f"--run_dir={tmp_path}")
    assert (done.returncode, "not nothing.cfg" in done.stderr) == (2, True)


def test_a_run_that_was_not_evaluated_is_left_alone_and_named(tmp_path, monkeypatch):
    """As mmtf train refuses it: its last line is shown."""
    (tmp_path / "train.py").write_text("import sys\nprint(sys.argv)\nprint('error: it is there')\nsys.exit(2)\n")
    monkeypatch.setattr(processes, "subcommand", lambda name: [sys.executable, str(tmp_path / f"{name}.py")])
    run = begun(tmp_path / "runs/mvae")
    done = contest(tmp_path / "runs", "mvae")
    assert "mvae: mmtf train ended with 2: error: it is there" in done.stdout
    assert "Not to the end: mvae." in done.stdout
    assert "'--resume'" not in (output := (tmp_path / "runs/output/mvae.txt").read_text())
    assert "'--overwrite'" not in output
    assert RunDirectory.open(run.path).config() == Config()


@pytest.mark.slow
def test_the_true_train_py_refuses_a_run_that_is_there(tmp_path):
    begun(tmp_path / "mvae")
    done = contest(tmp_path, "mvae")
    assert "mvae: mmtf train ended with 2" in done.stdout
