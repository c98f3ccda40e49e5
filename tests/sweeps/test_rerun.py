"""What a table lacks is trained and judged, what is there is taken or left alone, and it goes on where it was stopped."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import absl.flags
import pytest
from checkout import ROOT
from judged import CONFIGS, config_of, judged, started, trained, with_checkpoint

from mmtf import config
from mmtf.errors import UserError
from mmtf.report import published
from mmtf.sweeps import processes, rerun

MVAE, TABLE = "mnist_svhn_text/mvae.cfg", published.table("mmjsd/11").only(["mvae", "mmjsd_ms"])


class Scripts:
    """Stands for the scripts: notes what is called, and leaves the runs that it would leave; `fails` end with 1."""

    def __init__(self, *fails):
        self.calls, self._fails = [], fails

    def __call__(self, name, arguments):
        (path,) = [Path(a.removeprefix("--run_dir=")) for a in arguments if a.startswith("--run_dir=")]
        self.calls.append((name, path.parent.name, path.name, "--resume" in arguments))
        if (name, path.parent.name, path.name) in self._fails:
            return 1
        if name == "train.py":
            file, *flags = [a for a in arguments if not a.startswith(("--run_dir", "--resume"))]
            file = Path(file.removeprefix("--flagfile=")).relative_to(CONFIGS)
            if "--resume" in arguments:
                shutil.rmtree(path)
            trained(path, file, *flags)
        else:
            training = json.loads((path / "training.json").read_text())
            (path / "metrics.json").write_text(json.dumps({"step": training["steps"], "training": training}))
        return 0


def carried_out(root, scripts, *train_flags, table=TABLE, seeds=(0, 1), **how):
    said = []
    todo = rerun.jobs(table, root, seeds, train_flags, CONFIGS)
    return rerun.carry_out(todo, scripts, said.append, **how), said


def test_all_runs_are_trained_and_judged_and_taken_the_next_time(tmp_path):
    scripts = Scripts()
    assert carried_out(tmp_path, scripts)[0] == []
    runs = [(model, f"seed_{seed}") for model in ("mvae", "mmjsd_ms") for seed in (0, 1)]
    assert scripts.calls == [(name, *run, False) for run in runs for name in ("train.py", "evaluate.py")]
    left = json.loads((tmp_path / "mnist_svhn_text/mmjsd_ms/seed_1/config.json").read_text())
    assert (left["train"]["seed"], left["train"]["epochs"], left["model"]["private_dim"]) == (1, 100, 4)
    again = Scripts()
    lost, said = carried_out(tmp_path, again)
    assert (lost, again.calls) == ([], [])
    assert all(line.endswith("judged before") for line in said)


def test_it_goes_on_where_it_was_stopped(tmp_path):
    folder = tmp_path / "mnist_svhn_text/mvae"
    judged(folder / "seed_0", MVAE)
    trained(folder / "seed_1", MVAE, "--seed=1")
    trained(folder / "seed_2", MVAE, "--seed=2", steps=100)
    started(folder / "seed_3", MVAE, "--seed=3")
    (folder / "seed_4").mkdir()
    scripts = Scripts()
    assert carried_out(tmp_path, scripts, table=TABLE.only(["mvae"]), seeds=range(6))[0] == []
    assert scripts.calls == [
        ("evaluate.py", "mvae", "seed_1", False),
        ("train.py", "mvae", "seed_2", True),
        ("evaluate.py", "mvae", "seed_2", False),
        ("train.py", "mvae", "seed_3", True),
        ("evaluate.py", "mvae", "seed_3", False),
        ("train.py", "mvae", "seed_4", False),
        ("evaluate.py", "mvae", "seed_4", False),
        ("train.py", "mvae", "seed_5", False),
        ("evaluate.py", "mvae", "seed_5", False),
    ]


def test_a_run_that_was_trained_on_after_it_was_judged_is_judged_again(tmp_path):
    run = judged(tmp_path / "mnist_svhn_text/mvae/seed_0", MVAE)
    run.write_json("metrics.json", run.read_json("metrics.json") | {"step": 100, "training": {"steps": 100}})
    scripts = Scripts()
    carried_out(tmp_path, scripts, table=TABLE.only(["mvae"]), seeds=[0])
    assert scripts.calls == [("evaluate.py", "mvae", "seed_0", False)]


def test_a_run_that_was_judged_at_an_earlier_checkpoint_is_taken(tmp_path):
    run = judged(tmp_path / "mnist_svhn_text/mvae/seed_0", MVAE)
    run.write_json("metrics.json", run.read_json("metrics.json") | {"step": 100})
    scripts = Scripts()
    carried_out(tmp_path, scripts, table=TABLE.only(["mvae"]), seeds=[0])
    assert scripts.calls == []


@pytest.mark.parametrize("lost", ["gone", "never there", "damaged", "incomplete"])
@pytest.mark.parametrize("earlier", [False, True], ids=["unjudged", "judged before it"])
def test_a_run_without_its_last_checkpoint_is_trained_to_its_end(tmp_path, lost, earlier):
    """A kill can come between training.json and the checkpoint that it tells of."""
    run = judged(tmp_path / "mnist_svhn_text/mvae/seed_0", MVAE)
    steps = run.read_json("training.json")["steps"]
    run.write_json("metrics.json", run.read_json("metrics.json") | {"step": steps - 1})
    if not earlier:
        (run.path / "metrics.json").unlink()
    with_checkpoint(run.path, steps - 1)
    last = run.checkpoints / f"step-{steps}"
    if lost == "damaged":
        (last / "state.json").write_text("{ }")
    elif lost == "incomplete":
        (last / "SHA256SUMS").unlink()
    else:
        shutil.rmtree(last)
        if lost == "never there":
            (run.checkpoints / f".step-{steps}").mkdir()
    (job,) = rerun.jobs(TABLE.only(["mvae"]), tmp_path, [0], [], CONFIGS)
    assert rerun.state(job) == (rerun.RESUME, f"the checkpoint of step {steps} is missing or damaged")
    scripts = Scripts()
    carried_out(tmp_path, scripts, table=TABLE.only(["mvae"]), seeds=[0])
    assert scripts.calls == [("train.py", "mvae", "seed_0", True), ("evaluate.py", "mvae", "seed_0", False)]
    assert rerun.state(job)[0] == rerun.TAKEN


def test_a_run_that_was_judged_at_its_end_needs_no_checkpoint(tmp_path):
    run = judged(tmp_path / "mnist_svhn_text/mvae/seed_0", MVAE)
    shutil.rmtree(run.checkpoints)
    (job,) = rerun.jobs(TABLE.only(["mvae"]), tmp_path, [0], [], CONFIGS)
    assert rerun.state(job) == (rerun.TAKEN, "")


def test_what_was_judged_before_the_end_was_trained_again_is_judged_again(tmp_path):
    """Its steps are the same; its seconds are not."""
    run = judged(tmp_path / "mnist_svhn_text/mvae/seed_0", MVAE)
    run.write_json("training.json", run.read_json("training.json") | {"seconds": 3601.5})
    (job,) = rerun.jobs(TABLE.only(["mvae"]), tmp_path, [0], [], CONFIGS)
    assert rerun.state(job) == (rerun.JUDGE, "")


@pytest.mark.parametrize(
    ("flags", "steps", "has_metrics", "expected"),
    [
        ((), None, True, (rerun.TAKEN, "")),
        ((), None, False, (rerun.JUDGE, "")),
        ((), 100, False, (rerun.RESUME, "100 of 234350 steps")),
        (("--validation_examples=10",), 100, True, (rerun.TAKEN, "")),
        (("--validation_examples=10",), 100, False, (rerun.RESUME, "100 steps; only train.py can tell of how many")),
    ],
)
def test_a_run_from_before_its_length_was_written_down(tmp_path, flags, steps, has_metrics, expected):
    run = judged(tmp_path / "mnist_svhn_text/mvae/seed_0", MVAE, "--seed=0", *flags, steps=steps or 234_350)
    run.write_json("training.json", {k: v for k, v in run.read_json("training.json").items() if k != "planned_steps"})
    if not has_metrics:
        (run.path / "metrics.json").unlink()
    (job,) = rerun.jobs(TABLE.only(["mvae"]), tmp_path, [0], flags, CONFIGS)
    assert rerun.state(job) == expected


def test_checkpoints_of_files_side_by_side_are_kept_too(tmp_path):
    assert not rerun.kept(tmp_path, 3)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/step-3.index").touch()
    assert rerun.kept(tmp_path, 3)
    assert not rerun.kept(tmp_path, 2)


def test_a_run_that_was_killed_before_it_began_is_trained(tmp_path):
    folder = tmp_path / "mnist_svhn_text/mvae/seed_0"
    folder.mkdir(parents=True)
    for name in ("modalities.json", ".config.json.x1", ".lock"):
        (folder / name).write_text("{")
    scripts = Scripts()
    assert carried_out(tmp_path, scripts, table=TABLE.only(["mvae"]), seeds=[0])[0] == []
    assert scripts.calls == [("train.py", "mvae", "seed_0", False), ("evaluate.py", "mvae", "seed_0", False)]


def test_what_is_damaged_or_of_other_settings_is_named_and_left_alone(tmp_path):
    folder = tmp_path / "mnist_svhn_text/mvae"
    (judged(folder / "seed_0", MVAE).path / "config.json").write_text("{")
    judged(folder / "seed_1", MVAE, "--seed=1").write_json("training.json", {})
    (folder / "seed_2").mkdir()
    (folder / "seed_2/notes.txt").write_text("mine")
    judged(folder / "seed_3", MVAE, "--seed=3", "--beta=1")
    trained(folder / "seed_4", MVAE, "--seed=4", "--steps=20")
    judged(folder / "seed_5", MVAE, "--seed=6")
    (folder / "seed_6").write_text("a file")
    (judged(folder / "seed_7", MVAE, "--seed=7").path / "data.json").unlink()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    scripts = Scripts()
    lost, _ = carried_out(tmp_path, scripts, table=TABLE.only(["mvae"]), seeds=range(8))
    assert scripts.calls == []
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for sentence, reason in zip(
        lost,
        (
            "damaged",
            "KeyError('steps')",
            "holds no run",
            "--beta was 1.0 and is 5.0",
            "--steps was 20 and is 0",
            "--seed was 6 and is 5",
            "holds no run",
            "has no data.json",
        ),
        strict=True,
    ):
        assert "was left alone" in sentence
        assert reason in sentence


def test_one_run_that_fails_does_not_keep_the_others(tmp_path):
    scripts = Scripts(("train.py", "mvae", "seed_0"), ("evaluate.py", "mvae", "seed_1"))
    lost, _ = carried_out(tmp_path, scripts)
    assert [sentence.split(": ")[1] for sentence in lost] == ["train.py ended with 1", "evaluate.py ended with 1"]
    assert ("evaluate.py", "mvae", "seed_0", False) not in scripts.calls
    assert ("evaluate.py", "mmjsd_ms", "seed_1", False) in scripts.calls
    # What was trained is kept for the next time.
    next_time = Scripts()
    assert carried_out(tmp_path, next_time)[0] == []
    assert next_time.calls == [
        ("train.py", "mvae", "seed_0", False),
        ("evaluate.py", "mvae", "seed_0", False),
        ("evaluate.py", "mvae", "seed_1", False),
    ]


def test_further_flags_override_those_of_the_flag_file_its_epochs_too(tmp_path):
    (job,) = rerun.jobs(TABLE.only(["mmjsd_ms"]), tmp_path, [3], ["--steps=20", "--batch_size=16"], CONFIGS)
    assert (job.config.train.steps, job.config.train.batch_size, job.config.train.seed) == (20, 16, 3)
    # As train.py itself reads them.
    assert config_of("mnist_svhn_text/mmjsd_ms.cfg", *job.flags[1:]) == job.config
    scripts = Scripts()
    assert carried_out(tmp_path, scripts, "--steps=20", evaluate_flags=["--test_examples=50"])[0] == []
    assert rerun.state(rerun.jobs(TABLE, tmp_path, [0], ["--steps=20"], CONFIGS)[0])[0] == rerun.TAKEN
    assert rerun.state(rerun.jobs(TABLE, tmp_path, [0], ["--steps=30"], CONFIGS)[0]) == (
        rerun.OTHER,
        "--steps was 20 and is 30",
    )
    # What changes no number is no reason to leave a run alone.
    assert rerun.state(rerun.jobs(TABLE, tmp_path, [0], ["--steps=20", "--panels_every=0"], CONFIGS)[0])[0] == rerun.TAKEN


@pytest.mark.parametrize(
    "flag", ["--seed=3", "--max_seconds=5", "--clock=cpu", "--flagfile=x", "--bata=3", "--run_dir=x", "steps=2"]
)
def test_flags_that_belong_elsewhere_are_refused_before_any_work(tmp_path, flag):
    with pytest.raises(UserError, match=r"--train_flags"):
        rerun.jobs(TABLE, tmp_path, [0], [flag], CONFIGS)


def test_a_row_that_refuses_the_flags_keeps_all_from_starting(tmp_path):
    with pytest.raises(UserError, match="--alpha does nothing for --model=mvae"):
        rerun.jobs(TABLE, tmp_path, [0], ["--alpha=2"], CONFIGS)


def reproduce(*arguments, cwd=ROOT, **environment):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""} | environment
    command = [sys.executable, str(ROOT / "scripts/reproduce.py"), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_the_script_lists_and_prints_and_writes(tmp_path):
    assert "configs/multimnist/mmali_joint_4.cfg; 250,000 steps" in reproduce("--list").stdout
    joint = {"mnist,svhn,text": {"value": -1900.5, "standard_error": 2.0}}
    judged(tmp_path / "runs/a", MVAE, likelihood={"joint": joint})
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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_training_ends_with_the_script(tmp_path, number):
    folder = tmp_path / "scripts"
    folder.mkdir()
    (tmp_path / "configs").symlink_to(CONFIGS)
    shutil.copy(ROOT / "scripts/reproduce.py", folder)
    (folder / "train.py").write_text(
        "import pathlib, sys, time\n"
        f"here = pathlib.Path({str(tmp_path)!r})\n"
        "try:\n    (here / 'began').touch()\n    time.sleep(90)\n"
        "except KeyboardInterrupt:\n    (here / 'ended').touch()\n    sys.exit(130)\n"
    )
    command = [sys.executable, str(folder / "reproduce.py"), "--table=mmjsd/11", "--run", f"--runs={tmp_path}/runs"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    script = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while not (tmp_path / "began").exists():
        assert script.poll() is None, script.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)
    script.send_signal(number)
    said, error = script.communicate(timeout=60)
    assert (tmp_path / "ended").exists()
    assert (script.returncode, said.count("to be trained")) == (1, 1)
    assert error == "\nStopped; what was trained is kept. The same command goes on from there.\n"


def documented():
    """The arguments of every command in the documentation."""
    text = (ROOT / "docs/reproduce.md").read_text().replace("\\\n", " ")
    return [shlex.split(line)[2:] for line in re.findall(r"^    python scripts/reproduce.py.*", text, re.M)]


def test_the_documentation_s_commands_run(tmp_path):
    """Those that train are read as far as the jobs that they describe."""
    judged(tmp_path / "runs/a", "mnist_svhn_text/mmjsd.cfg", coherence={"random": 0.25})
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


def test_train_py_does_what_it_is_called_for(tmp_path, monkeypatch):
    """The true train.py on generated images: trained once, and after it was stopped, resumed; evaluate.py is stood for."""
    from original_files import write_mnist, write_svhn

    write_mnist(tmp_path / "data")
    write_svhn(tmp_path / "data")
    monkeypatch.setenv("MMTF_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    stands, call, table = Scripts(), processes.Scripts(ROOT / "scripts"), TABLE.only(["mmjsd_ms"])

    def scripts(name, arguments):
        return call(name, arguments) if name == "train.py" else stands(name, arguments)

    flags = ["--steps=4", "--batch_size=16", "--steps_per_epoch=2", "--panels_every=0"]
    assert carried_out(tmp_path / "runs", scripts, *flags, table=table, seeds=[0])[0] == []
    path = tmp_path / "runs/mnist_svhn_text/mmjsd_ms/seed_0"
    assert json.loads((path / "training.json").read_text())["steps"] == 4
    _stopped_after(path, 2)
    lost, said = carried_out(tmp_path / "runs", scripts, *flags, table=table, seeds=[0])
    assert (lost, "to be resumed and judged (2 of 4 steps)" in said[0]) == ([], True)
    assert json.loads((path / "training.json").read_text())["steps"] == 4
    assert "judged before" in carried_out(tmp_path / "runs", scripts, *flags, table=table, seeds=[0])[1][0]


def _stopped_after(path, step):
    """Makes the run what it was at this step."""
    for folder in (path / "checkpoints").iterdir():
        if folder.name != f"step-{step}":
            shutil.rmtree(folder)
    record = json.loads((path / "training.json").read_text())
    (path / "training.json").write_text(json.dumps(record | {"steps": step}))
    (path / "metrics.json").unlink()
