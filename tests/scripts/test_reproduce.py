"""scripts/reproduce.py as a user calls it: lists, tables, what is trained for them, mistakes; and that it can be stopped."""

import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import absl.flags
import pytest
from checkout import CONFIGS, ROOT, call, environment
from evaluated import evaluated, trained

from mmtf import config
from mmtf.cli.sweeps import processes, rerun
from mmtf.report import published

MVAE = "mnist_svhn_text/mvae.cfg"
LIMIT = 300  # seconds for what takes one


def reproduce(*arguments, cwd=ROOT):
    return call("scripts/reproduce.py", *arguments, cwd=cwd)


def test_it_lists_and_prints_and_writes(tmp_path):
    assert "configs/multimnist/mmali_joint_4.cfg; 250,000 steps" in reproduce("--list").stdout
    joint = {"mnist,svhn,text": {"value": -1900.5, "standard_error": 2.0}}
    evaluated(tmp_path / "runs/a", MVAE, likelihood={"joint": joint})
    tables = "--table=mmjsd/11,mmali/2/20%"
    done = reproduce(tables, f"--runs={tmp_path}/runs/*", f"--output={tmp_path}/out", "--protocol=both")
    assert done.returncode == 0, done.stderr
    assert "-1900.5" in done.stdout
    written = {
        f"{t}_{p}.{s}" for t in ("mmjsd_11", "mmali_2_20pct") for p in ("corrected", "published") for s in ("md", "tex", "csv")
    }
    assert {path.name for path in (tmp_path / "out").iterdir()} == written
    assert (tmp_path / "out/mmjsd_11_corrected.md").read_text() in done.stdout


@pytest.mark.parametrize(("arguments", "message"), [
    ([], "Name a table in --table, of mmjsd/8,"),
    (["--table=mmjds/9"], "is --table=mmjsd/9 meant?"),
    (["--table=mmjsd/9", "--runs=nothing"], "--runs=nothing names no run"),
    (["--table=mmjsd/9", "--run", "--runs=a,b"], "names the one folder"),
    (["--table=mmjsd/9", "--run", "--seeds=0,x"], "--seeds wants numbers"),
])  # fmt: skip
def test_mistakes_get_a_sentence(tmp_path, arguments, message):
    done = reproduce(*arguments, cwd=tmp_path)
    assert (done.returncode, list(tmp_path.iterdir())) == (2, [])
    assert message in done.stderr


def test_what_a_table_lacks_is_trained_and_evaluated_before_it_is_shown(tmp_path, monkeypatch):
    calls = []

    def stand_in(name, arguments):
        calls.append((name, arguments))
        (path,) = [tmp_path / a.removeprefix("--run_dir=") for a in arguments if a.startswith("--run_dir=")]
        if path.name == "seed_5":
            return 3
        if name == "train":
            trained(path, MVAE, *arguments[1:-1])
        else:
            joint = {"mnist,svhn,text": {"value": -1900.5, "standard_error": 2.0}}
            evaluated(tmp_path / "other", MVAE, *calls[0][1][1:-1], likelihood={"joint": joint})
            shutil.copy(tmp_path / "other/metrics.json", path)
        return 0

    monkeypatch.setattr(processes, "Commands", lambda: stand_in)
    given = ["--table=mmjsd/11", "--rows=mvae", "--run", "--runs=runs", "--seeds=4,5", "--train_flags=--steps=20 --beta=5"]
    done = reproduce(*given, "--evaluate_flags=--parts=likelihood", cwd=tmp_path)
    path = "runs/mnist_svhn_text/mvae/seed_4"
    further = ["--steps=20", "--beta=5", "--seed=4", f"--run_dir={path}"]
    assert [name for name, _ in calls] == ["train", "evaluate", "train"]
    assert calls[0][1][0] == f"--flagfile={CONFIGS / MVAE}"
    assert calls[0][1][-len(further) :] == further
    assert calls[1][1] == [f"--run_dir={path}", "--parts=likelihood"]
    assert f"[1/2] {path}: to be trained and evaluated\n" in done.stdout
    assert (done.returncode, "-1900.5" in done.stdout) == (1, True)
    assert done.stderr == "Not to the end:\nruns/mnist_svhn_text/mvae/seed_5: mmtf train ended with 3\n"


def _stopped(tmp_path, number):
    """What the script said on both streams, and its status, after a signal while its mmtf train was at work."""
    (tmp_path / "train.py").write_text(
        "import pathlib, sys, time\n"
        f"here = pathlib.Path({str(tmp_path)!r})\n"
        f"try:\n    (here / 'began').touch()\n    time.sleep({2 * LIMIT})\n"
        "except KeyboardInterrupt:\n    (here / 'ended').touch()\n    sys.exit(130)\n"
    )
    program = (
        "import sys\nfrom mmtf.cli import main\nfrom mmtf.cli.sweeps import processes\n"
        f"processes.subcommand = lambda name: [sys.executable, {str(tmp_path / 'train.py')!r}]\nmain.run('reproduce')"
    )
    command = [sys.executable, "-c", program, "--table=mmjsd/11", "--run", f"--runs={tmp_path}/runs"]
    script = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + LIMIT
    while not (tmp_path / "began").exists():
        assert script.poll() is None, script.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)
    script.send_signal(number)
    said, error = script.communicate(timeout=LIMIT)
    return said, error, script.returncode


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_training_ends_with_the_script(tmp_path, number):
    said, error, status = _stopped(tmp_path, number)
    assert (tmp_path / "ended").exists()
    assert (status, said.count("to be trained")) == (1, 1)
    assert error == "\nStopped; what was trained is kept. The same command goes on from there.\n"


def documented():
    """The arguments of every command in the documentation."""
    text = (ROOT / "docs/reproduce.md").read_text().replace("\\\n", " ")
    return [shlex.split(line)[2:] for line in re.findall(r"^    mmtf reproduce.*", text, re.M)]


def test_the_documentation_s_commands_run(tmp_path):
    """Those that train are read as far as the jobs that they describe."""
    evaluated(tmp_path / "runs/a", "mnist_svhn_text/mmjsd.cfg", coherence={"random": 0.25})
    assert len(documented()) == 5
    for arguments in documented():
        if "--run" not in arguments:
            done = reproduce(*arguments, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
            continue
        flags = dict(argument.removeprefix("--").split("=", 1) for argument in arguments if "=" in argument)
        table = published.table(flags["table"])
        rows = table.only(flags["rows"].split(",")) if "rows" in flags else table
        seeds = [int(seed) for seed in flags["seeds"].split(",")]
        found = rerun.jobs(rows, tmp_path, seeds, shlex.split(flags.get("train_flags", "")), CONFIGS)
        assert len(found) == len(rows.rows) * len(seeds)
        config.read_flags(config.EvaluateConfig, _evaluation(flags.get("evaluate_flags", "")))
    assert "0.250" in (tmp_path / "tables/mmjsd_10_corrected.md").read_text()


def _evaluation(text):
    values = absl.flags.FlagValues()
    config.define_flags([config.EvaluateConfig], values)
    assert values(["program", *shlex.split(text)]) == ["program"]
    return values
