"""A run for each combination; all that is wrong is found before the first; what is there is taken, the rest goes on."""

import contextlib
import dataclasses
import json
import os
import re
import shutil

import pytest
from stand_ins import SHORT, Commands, carried_out, combinations, leave

from mmtf.cli.sweeps import processes, sweep
from mmtf.config import Config
from mmtf.errors import UserError
from mmtf.runs import RunDirectory


def test_the_grid_is_the_product_in_order_under_readable_names(tmp_path):
    found = combinations(tmp_path, "beta=1,2.50", "seed=0,1,2")
    assert [p.name for p in found] == [f"beta={b},seed={s}" for b in ("1", "2.5") for s in (0, 1, 2)]
    assert [(p.job.config.model.beta, p.job.config.train.seed) for p in found] == [(b, s) for b in (1, 2.5) for s in range(3)]
    assert all(p.job.config.train.steps == 20 for p in found)
    assert found[5].values == {"beta": 2.5, "seed": 2}
    assert found[5].job.path == tmp_path / "beta=2.5,seed=2"


@pytest.mark.parametrize(
    ("axis", "names"),
    [
        ("modalities=digit,word;digit", ["modalities=digit%2Cword", "modalities=digit"]),
        ("learning_rate=1e-3,0.01", ["learning_rate=0.001", "learning_rate=0.01"]),
        ("unpaired_pools=true,false", ["unpaired_pools=True", "unpaired_pools=False"]),
        ("data_dir=/a/b,c", ["data_dir=%2Fa%2Fb", "data_dir=c"]),
        ("private_weights=;word=2", ["private_weights=", "private_weights=word%3D2"]),
    ],
)
def test_any_value_has_a_folder_of_its_own(tmp_path, axis, names):
    assert [p.name for p in combinations(tmp_path, axis, base=(*SHORT, "--private_dim=2"))] == names


def test_an_axis_overrides_the_flag_that_all_runs_have(tmp_path):
    assert combinations(tmp_path, "beta=3,4", base=("--beta=7",))[0].job.config.model.beta == 3


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ([], "wants at least one --sweep"),
        (["beta"], "wants a flag and its values"),
        (["beta="], "wants a flag and its values"),
        (["=1"], "wants a flag and its values"),
        (["beta=1,,2"], "has an empty value"),
        (["bata=1,2"], "Unknown command line flag 'bata'"),
        (["beta=1,x"], "--sweep='beta=1,x': flag --beta=x"),
        (["beta=5,1,5.0"], "has the value 5.0 twice"),
        (["beta=1,2", "beta=3"], "--sweep names beta twice"),
        (["flagfile=a,b"], "--flagfile is no setting of a run"),
        (
            ["beta=-1,2", "seed=0,1"],
            "2 of 4 combinations cannot be trained; nothing was started.\nbeta=-1,seed=0: --beta",
        ),
        (["model=mmjsd,mvae", "prior_weight=0.3"], "model=mvae,prior_weight=0.3: --prior_weight does nothing for --model=mvae"),
        (["epochs=1,2,50"], "2 of 3 combinations"),
        (["seed=" + ",".join(str(-n) for n in range(1, 9))], "and 3 more"),
        ([f"private_weights={';'.join('x' * n for n in (250, 251))}"], "too long for the name of a folder"),
    ],
)
def test_mistakes_are_found_before_anything_starts(tmp_path, axes, message):
    with pytest.raises(UserError, match=re.escape(message)):
        combinations(tmp_path / "new", *axes)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("jobs", [1, 3])
def test_all_are_trained_and_evaluated_and_left_alone_the_next_time(tmp_path, jobs):
    scripts = Commands()
    found, lost, _ = carried_out(tmp_path, scripts, "beta=1,2", "seed=0,1", jobs=jobs)
    assert lost == []
    names = [f"beta={b},seed={s}" for b in (1, 2) for s in (0, 1)]
    assert sorted(scripts.calls) == sorted((script, name, False) for name in names for script in ("train", "evaluate"))
    assert {name: run["status"] for name, run in found.runs.items()} == dict.fromkeys(names, sweep.EVALUATED)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json") if path.name != sweep.FILE}
    again = Commands()
    _, lost, said = carried_out(tmp_path, again, "beta=1,2", "seed=0,1", jobs=jobs)
    assert (again.calls, lost) == ([], [])
    assert len([line for line in said if line.endswith("as it is")]) == 4
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*.json") if path.name != sweep.FILE}


def test_it_goes_on_where_it_was_and_with_further_values(tmp_path):
    carried_out(tmp_path, Commands(), "beta=1,2", evaluation=None)
    leave(tmp_path / "beta=2", combinations(tmp_path, "beta=2")[0].job.config, steps=10)
    scripts = Commands()
    assert carried_out(tmp_path, scripts, "beta=1,2,3")[1] == []
    assert scripts.calls == [
        ("evaluate", "beta=1", False),
        ("train", "beta=2", True),
        ("evaluate", "beta=2", False),
        ("train", "beta=3", False),
        ("evaluate", "beta=3", False),
    ]
    # Evaluated otherwise, they are evaluated again, and not trained.
    otherwise = Commands()
    found, _, _ = carried_out(tmp_path, otherwise, "beta=3", evaluation=["--parts=probe"])
    assert otherwise.calls == [("evaluate", "beta=3", False)]
    assert list(found.runs) == ["beta=1", "beta=2", "beta=3"]


def test_a_run_that_ended_by_its_time_is_not_resumed(tmp_path):
    """It has fewer steps than its flags ask for, and mmtf train ended it."""
    base = (*SHORT, "--max_seconds=1")
    carried_out(tmp_path, Commands(spent=7), "beta=1,2", base=base)
    again = Commands()
    assert carried_out(tmp_path, again, "beta=1,2", base=base)[1] == []
    assert again.calls == []
    # What was evaluated lasts longer than its checkpoint, what was not does not.
    shutil.rmtree(tmp_path / "beta=1/checkpoints")
    assert carried_out(tmp_path, again, "beta=1,2", base=base)[1] == []
    assert again.calls == []
    carried_out(tmp_path / "unjudged", Commands(spent=7), "beta=1", base=base, evaluation=None)
    shutil.rmtree(tmp_path / "unjudged/beta=1/checkpoints")
    carried_out(tmp_path / "unjudged", again, "beta=1", base=base, evaluation=None)
    assert again.calls == [("train", "beta=1", True)]


@pytest.mark.parametrize("flags", [("--max_seconds=600",), (), ("--max_seconds=1", "--clock=cpu")])
def test_a_run_that_ended_by_its_time_goes_on_with_another_budget(tmp_path, flags):
    carried_out(tmp_path, Commands(spent=7), "beta=1,2", base=(*SHORT, "--max_seconds=1"))
    scripts = Commands(("train", "beta=2"))
    found, _, said = carried_out(tmp_path, scripts, "beta=1,2", base=(*SHORT, *flags))
    assert scripts.calls == [("train", "beta=1", True), ("evaluate", "beta=1", False), ("train", "beta=2", True)]
    assert said[0].endswith("going on (7 of 20 steps)")
    assert (found.runs["beta=1"]["status"], found.runs["beta=1"]["steps"]) == (sweep.EVALUATED, 20)
    # The one that failed was not evaluated as it may be now, and goes on the next time.
    assert found.runs["beta=2"]["status"] == sweep.FAILED
    next_time = Commands()
    assert carried_out(tmp_path, next_time, "beta=1,2", base=(*SHORT, *flags))[1] == []
    assert next_time.calls == [("train", "beta=2", True), ("evaluate", "beta=2", False)]


def test_a_run_that_lost_its_last_checkpoint_is_trained_and_evaluated_again(tmp_path):
    carried_out(tmp_path, Commands(), "beta=1")
    metrics = json.loads((tmp_path / "beta=1/metrics.json").read_text())
    (tmp_path / "beta=1/metrics.json").write_text(json.dumps(metrics | {"step": 10}))
    shutil.rmtree(tmp_path / "beta=1/checkpoints")
    stopped = Commands(("evaluate", "beta=1"))
    carried_out(tmp_path, stopped, "beta=1")
    scripts = Commands()
    found, _, _ = carried_out(tmp_path, scripts, "beta=1")
    assert stopped.calls == [("train", "beta=1", True), ("evaluate", "beta=1", False)]
    assert scripts.calls == [("evaluate", "beta=1", False)]
    assert found.runs["beta=1"]["judged"] == {"steps": 20, "flags": []}


def test_a_run_that_fails_is_reported_with_what_it_said_and_tried_again(tmp_path):
    fails = ("train", "beta=1"), ("evaluate", "beta=2")
    found, lost, _ = carried_out(tmp_path, Commands(*fails), "beta=1,2,3")
    assert [sentence.split(";")[0] for sentence in lost] == [
        "beta=1: mmtf train ended with 1",
        "beta=2: mmtf evaluate ended with 1",
    ]
    assert all(sentence.endswith("    reading\n    error: the disk is full") for sentence in lost)
    assert [run["status"] for run in found.runs.values()] == [sweep.FAILED, sweep.FAILED, sweep.EVALUATED]
    again = Commands()
    found, lost, _ = carried_out(tmp_path, again, "beta=1,2,3")
    assert lost == []
    assert [call[:2] for call in again.calls] == [("train", "beta=1"), ("evaluate", "beta=1"), ("evaluate", "beta=2")]
    assert {run["status"] for run in found.runs.values()} == {sweep.EVALUATED}
    assert not any({"reason", "last_lines"} & run.keys() for run in found.runs.values())
    assert json.loads((tmp_path / sweep.FILE).read_text())["runs"] == found.runs


@pytest.mark.parametrize("status", [130, 143, -9, processes.STOPPED])
def test_a_run_that_was_stopped_has_not_failed(tmp_path, status):
    class Stopped(Commands):
        def __call__(self, name, arguments, output=None):
            super().__call__(name, arguments, output)
            self.stopped = True
            return status

    carried_out(tmp_path, Commands(("train", "beta=1")), "beta=1")
    scripts = Stopped()
    found, lost, _ = carried_out(tmp_path, scripts, "beta=1")
    assert (scripts.calls, lost) == ([("train", "beta=1", False)], [])
    assert found.runs == {"beta=1": {"values": {"beta": 1.0}}}


def test_a_script_that_was_stopped_by_another_has_failed(tmp_path):
    class Killed(Commands):
        def __call__(self, name, arguments, output=None):
            return 143

    found, _, _ = carried_out(tmp_path, Killed(), "beta=1")
    assert found.runs["beta=1"]["reason"] == "mmtf train ended with 143"


def test_a_run_of_other_settings_and_a_damaged_one_are_left_alone(tmp_path):
    carried_out(tmp_path, Commands(), "beta=1,2")
    (tmp_path / "beta=1/config.json").write_text("{")
    changed = dataclasses.replace(RunDirectory.open(tmp_path / "beta=2").config().model, shared_dim=3)
    RunDirectory(tmp_path / "beta=2").write_json("config.json", Config(model=changed).to_json())
    scripts = Commands()
    _, lost, _ = carried_out(tmp_path, scripts, "beta=1,2")
    assert scripts.calls == []
    assert "beta=1 was left alone, damaged" in lost[0]
    assert "beta=2 was left alone, made with other settings: --shared_dim was 3 and is 20" in lost[1]


def test_the_folder_of_another_sweep_or_of_something_else_is_refused(tmp_path):
    carried_out(tmp_path / "sweep", Commands(), "beta=1,2", "seed=0,1")
    for axes, base, message in [
        (("beta=1,2",), SHORT, "it was over beta, seed and is over beta"),
        (("seed=0,1", "beta=1,2"), SHORT, "it was over beta, seed and is over seed, beta"),
        (("beta=1,2", "seed=0,1"), (*SHORT, "--shared_dim=5"), "--shared_dim was 20 and is 5"),
        (("beta=1,2", "seed=0,1"), ("--steps=30", "--batch_size=16"), "--steps was 20 and is 30"),
    ]:
        with pytest.raises(UserError, match=message):
            sweep.Sweep.claim(tmp_path / "sweep", combinations(tmp_path / "sweep", *axes, base=base))
    # What changes no number may change.
    todo = combinations(tmp_path / "sweep", "beta=1", "seed=0", base=(*SHORT, "--panels_every=0"))
    assert len(sweep.Sweep.claim(tmp_path / "sweep", todo).runs) == 4
    (tmp_path / "sweep" / sweep.FILE).write_text("{}")
    with pytest.raises(UserError, match=r"sweep.json is damaged"):
        sweep.Sweep.claim(tmp_path / "sweep", todo)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match="holds other files and no sweep"):
        sweep.Sweep.claim(tmp_path, todo)


def test_two_calls_at_once_are_refused(tmp_path):
    claimed = tmp_path / "sweep", combinations(tmp_path / "sweep", "beta=1,2")
    message = f"process {os.getpid()} .* is at work on it.*another --sweep_dir"
    with sweep.Sweep.held(*claimed), pytest.raises(UserError, match=message), sweep.Sweep.held(*claimed):
        pass
    assert not (tmp_path / "sweep").exists()
    with sweep.Sweep.held(*claimed):
        pass


def test_what_the_call_before_noted_is_kept(tmp_path, monkeypatch):
    """Also when it ends just before this one takes the folder."""
    one, other = combinations(tmp_path / "sweep", "beta=1,2")

    @contextlib.contextmanager
    def late(*_):
        sweep.Sweep.claim(tmp_path / "sweep", [one]).note(one, status=sweep.TRAINED)
        yield

    monkeypatch.setattr(sweep, "locked", late)
    with sweep.Sweep.held(tmp_path / "sweep", [other]) as found:
        found.note(other, status=sweep.TRAINED)
    assert list(json.loads((tmp_path / "sweep" / sweep.FILE).read_text())["runs"]) == ["beta=1", "beta=2"]


def test_a_folder_in_which_a_call_was_killed_as_it_began_is_taken(tmp_path):
    for name in (".lock", ".sweep.json.x1"):
        (tmp_path / name).touch()
    with sweep.Sweep.held(tmp_path, combinations(tmp_path, "beta=1")) as found:
        assert found.runs == {}
