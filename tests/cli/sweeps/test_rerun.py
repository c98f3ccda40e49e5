"""What a table lacks is trained and evaluated, what is there is taken or left alone, and it goes on where it was stopped."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from checkout import CONFIGS, call
from evaluated import config_of, evaluated, started, trained, with_checkpoint

from mmtf.cli.sweeps import rerun
from mmtf.errors import UserError
from mmtf.report import published

MVAE, TABLE = "mnist_svhn_text/mvae.cfg", published.table("mmjsd/11").only(["mvae", "mmjsd_ms"])


class Commands:
    """Stands for the scripts: notes what is called, and leaves the runs that it would leave; `fails` end with 1."""

    def __init__(self, *fails):
        self.calls, self._fails = [], fails

    def __call__(self, name, arguments):
        (path,) = [Path(a.removeprefix("--run_dir=")) for a in arguments if a.startswith("--run_dir=")]
        self.calls.append((name, path.parent.name, path.name, "--resume" in arguments))
        if (name, path.parent.name, path.name) in self._fails:
            return 1
        if name == "train":
            file, *flags = [a for a in arguments if not a.startswith(("--run_dir", "--resume"))]
            file = Path(file.removeprefix("--flagfile=")).relative_to(CONFIGS)
            if "--resume" in arguments:
                shutil.rmtree(path)
            trained(path, file, *flags)
        else:
            training = json.loads((path / "training.json").read_text())
            (path / "metrics.json").write_text(json.dumps({"step": training["steps"], "training": training}))
        return 0


def carried_out(root, scripts, *train_flags, table=TABLE, seeds=(0, 1), configs=CONFIGS, **how):
    said = []
    todo = rerun.jobs(table, root, seeds, train_flags, configs)
    return rerun.carry_out(todo, scripts, said.append, **how), said


def test_all_runs_are_trained_and_evaluated_and_taken_the_next_time(tmp_path):
    scripts = Commands()
    assert carried_out(tmp_path, scripts)[0] == []
    runs = [(model, f"seed_{seed}") for model in ("mvae", "mmjsd_ms") for seed in (0, 1)]
    assert scripts.calls == [(name, *run, False) for run in runs for name in ("train", "evaluate")]
    left = json.loads((tmp_path / "mnist_svhn_text/mmjsd_ms/seed_1/config.json").read_text())
    assert (left["train"]["seed"], left["train"]["epochs"], left["model"]["private_dim"]) == (1, 100, 4)
    again = Commands()
    lost, said = carried_out(tmp_path, again)
    assert (lost, again.calls) == ([], [])
    assert all(line.endswith("evaluated before") for line in said)


def test_it_goes_on_where_it_was_stopped(tmp_path):
    folder = tmp_path / "mnist_svhn_text/mvae"
    evaluated(folder / "seed_0", MVAE)
    trained(folder / "seed_1", MVAE, "--seed=1")
    trained(folder / "seed_2", MVAE, "--seed=2", steps=100)
    started(folder / "seed_3", MVAE, "--seed=3")
    (folder / "seed_4").mkdir()
    scripts = Commands()
    assert carried_out(tmp_path, scripts, table=TABLE.only(["mvae"]), seeds=range(6))[0] == []
    assert scripts.calls == [
        ("evaluate", "mvae", "seed_1", False),
        ("train", "mvae", "seed_2", True),
        ("evaluate", "mvae", "seed_2", False),
        ("train", "mvae", "seed_3", True),
        ("evaluate", "mvae", "seed_3", False),
        ("train", "mvae", "seed_4", False),
        ("evaluate", "mvae", "seed_4", False),
        ("train", "mvae", "seed_5", False),
        ("evaluate", "mvae", "seed_5", False),
    ]


def test_a_run_that_was_trained_on_after_it_was_evaluated_is_evaluated_again(tmp_path):
    run = evaluated(tmp_path / "mnist_svhn_text/mvae/seed_0", MVAE)
    run.write_json("metrics.json", run.read_json("metrics.json") | {"step": 100, "training": {"steps": 100}})
    scripts = Commands()
    carried_out(tmp_path, scripts, table=TABLE.only(["mvae"]), seeds=[0])
    assert scripts.calls == [("evaluate", "mvae", "seed_0", False)]


@pytest.mark.parametrize("measured", [["terms"], [], ["terms", "probe"]])
def test_an_evaluation_that_was_stopped_is_not_taken_for_a_whole_one(tmp_path, measured):
    """Rule: what is half written never counts as whole. metrics.json is written after each part."""
    run = evaluated(tmp_path / "mnist_svhn_text/mvae/seed_0", MVAE)
    stopped = {"asked": ["terms", "probe", "coherence"], "parts": {name: {} for name in measured}}
    run.write_json("metrics.json", run.read_json("metrics.json") | stopped)
    scripts = Commands()
    carried_out(tmp_path, scripts, table=TABLE.only(["mvae"]), seeds=[0])
    assert scripts.calls == [("evaluate", "mvae", "seed_0", False)]
    whole = stopped | {"parts": {name: {} for name in stopped["asked"]}}
    run.write_json("metrics.json", run.read_json("metrics.json") | whole)
    again = Commands()
    carried_out(tmp_path, again, table=TABLE.only(["mvae"]), seeds=[0])
    assert again.calls == []


def test_a_run_that_was_evaluated_at_an_earlier_checkpoint_is_taken(tmp_path):
    run = evaluated(tmp_path / "mnist_svhn_text/mvae/seed_0", MVAE)
    run.write_json("metrics.json", run.read_json("metrics.json") | {"step": 100})
    scripts = Commands()
    carried_out(tmp_path, scripts, table=TABLE.only(["mvae"]), seeds=[0])
    assert scripts.calls == []


@pytest.mark.parametrize("lost", ["gone", "never there", "damaged", "incomplete"])
@pytest.mark.parametrize("earlier", [False, True], ids=["unjudged", "evaluated before it"])
def test_a_run_without_its_last_checkpoint_is_trained_to_its_end(tmp_path, lost, earlier):
    """A kill can come between training.json and the checkpoint that it tells of."""
    run = evaluated(tmp_path / "mnist_svhn_text/mvae/seed_0", MVAE)
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
    scripts = Commands()
    carried_out(tmp_path, scripts, table=TABLE.only(["mvae"]), seeds=[0])
    assert scripts.calls == [("train", "mvae", "seed_0", True), ("evaluate", "mvae", "seed_0", False)]
    assert rerun.state(job)[0] == rerun.TAKEN


def test_a_run_that_was_evaluated_at_its_end_needs_no_checkpoint(tmp_path):
    run = evaluated(tmp_path / "mnist_svhn_text/mvae/seed_0", MVAE)
    shutil.rmtree(run.checkpoints)
    (job,) = rerun.jobs(TABLE.only(["mvae"]), tmp_path, [0], [], CONFIGS)
    assert rerun.state(job) == (rerun.TAKEN, "")


def test_what_was_evaluated_before_the_end_was_trained_again_is_evaluated_again(tmp_path):
    """Its steps are the same; its seconds are not."""
    run = evaluated(tmp_path / "mnist_svhn_text/mvae/seed_0", MVAE)
    run.write_json("training.json", run.read_json("training.json") | {"seconds": 3601.5})
    (job,) = rerun.jobs(TABLE.only(["mvae"]), tmp_path, [0], [], CONFIGS)
    assert rerun.state(job) == (rerun.EVALUATE, "")


@pytest.mark.parametrize(
    ("flags", "steps", "has_metrics", "expected"),
    [
        ((), None, True, (rerun.TAKEN, "")),
        ((), None, False, (rerun.EVALUATE, "")),
        ((), 100, False, (rerun.RESUME, "100 of 234350 steps")),
        (("--validation_examples=10",), 100, True, (rerun.TAKEN, "")),
        (("--validation_examples=10",), 100, False, (rerun.RESUME, "100 steps; only mmtf train can tell of how many")),
    ],
)
def test_a_run_from_before_its_length_was_written_down(tmp_path, flags, steps, has_metrics, expected):
    run = evaluated(tmp_path / "mnist_svhn_text/mvae/seed_0", MVAE, "--seed=0", *flags, steps=steps or 234_350)
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
    scripts = Commands()
    assert carried_out(tmp_path, scripts, table=TABLE.only(["mvae"]), seeds=[0])[0] == []
    assert scripts.calls == [("train", "mvae", "seed_0", False), ("evaluate", "mvae", "seed_0", False)]


def test_what_is_damaged_or_of_other_settings_is_named_and_left_alone(tmp_path):
    folder = tmp_path / "mnist_svhn_text/mvae"
    (evaluated(folder / "seed_0", MVAE).path / "config.json").write_text("{")
    evaluated(folder / "seed_1", MVAE, "--seed=1").write_json("training.json", {})
    (folder / "seed_2").mkdir()
    (folder / "seed_2/notes.txt").write_text("mine")
    evaluated(folder / "seed_3", MVAE, "--seed=3", "--beta=1")
    trained(folder / "seed_4", MVAE, "--seed=4", "--steps=20")
    evaluated(folder / "seed_5", MVAE, "--seed=6")
    (folder / "seed_6").write_text("a file")
    (evaluated(folder / "seed_7", MVAE, "--seed=7").path / "data.json").unlink()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    scripts = Commands()
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
    scripts = Commands(("train", "mvae", "seed_0"), ("evaluate", "mvae", "seed_1"))
    lost, _ = carried_out(tmp_path, scripts)
    assert [sentence.split(": ")[1] for sentence in lost] == ["mmtf train ended with 1", "mmtf evaluate ended with 1"]
    assert ("evaluate", "mvae", "seed_0", False) not in scripts.calls
    assert ("evaluate", "mmjsd_ms", "seed_1", False) in scripts.calls
    # What was trained is kept for the next time.
    next_time = Commands()
    assert carried_out(tmp_path, next_time)[0] == []
    assert next_time.calls == [
        ("train", "mvae", "seed_0", False),
        ("evaluate", "mvae", "seed_0", False),
        ("evaluate", "mvae", "seed_1", False),
    ]


def test_further_flags_override_those_of_the_flag_file_its_epochs_too(tmp_path):
    (job,) = rerun.jobs(TABLE.only(["mmjsd_ms"]), tmp_path, [3], ["--steps=20", "--batch_size=16"], CONFIGS)
    assert (job.config.train.steps, job.config.train.batch_size, job.config.train.seed) == (20, 16, 3)
    # As mmtf train itself reads them.
    assert config_of("mnist_svhn_text/mmjsd_ms.cfg", *job.flags[1:]) == job.config
    scripts = Commands()
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


def test_train_py_does_what_it_is_called_for(tmp_path):
    """The true mmtf train on a row of our own: trained once, and after it was stopped, resumed; evaluate.py is stood for."""
    data, configs, table = tmp_path / "data", tmp_path / "configs", TABLE.only(["mmjsd_ms"])
    data.mkdir()
    for seed, name in enumerate(("height", "width")):
        np.save(data / f"{name}.npy", np.random.default_rng(seed).normal(size=(80, 3)).astype(np.float32))
    (configs / "mnist_svhn_text").mkdir(parents=True)
    (configs / "mnist_svhn_text/mmjsd_ms.cfg").write_text(
        f"--dataset=arrays\n--data_dir={data}\n--shared_dim=2\n--epochs=9\n--batch_size=32\n--strategy=one\n"
    )
    stands = Commands()

    def scripts(name, arguments):
        if name == "evaluate":
            return stands(name, arguments)
        done = call(f"scripts/{name}.py", *arguments)
        assert "Trained 4 steps in" in done.stdout, done.stderr
        return done.returncode

    def bring_on():
        return carried_out(
            tmp_path / "runs",
            scripts,
            "--steps=4",
            "--batch_size=16",
            "--steps_per_epoch=2",
            "--panels_every=0",
            table=table,
            seeds=[3],
            configs=configs,
        )

    assert bring_on()[0] == []
    path = tmp_path / "runs/mnist_svhn_text/mmjsd_ms/seed_3"
    assert json.loads((path / "training.json").read_text())["steps"] == 4
    _stopped_after(path, 2)
    lost, said = bring_on()
    assert (lost, "to be resumed and evaluated (2 of 4 steps)" in said[0]) == ([], True)
    assert json.loads((path / "training.json").read_text())["steps"] == 4
    assert "evaluated before" in bring_on()[1][0]


def _stopped_after(path, step):
    """Makes the run what it was at this step."""
    for folder in (path / "checkpoints").iterdir():
        if folder.name != f"step-{step}":
            shutil.rmtree(folder)
    record = json.loads((path / "training.json").read_text())
    (path / "training.json").write_text(json.dumps(record | {"steps": step}))
    (path / "metrics.json").unlink()
