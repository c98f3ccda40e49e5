"""The scripts as a user runs them: the README's own commands, its Python, and mistakes."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import ROOT

from mmtf.config import Config
from mmtf.rundir import RunDirectory

# Appended to the README's training command, so that the test takes seconds; a later flag overrides the flag file.
SHORTER = ["--steps=2", "--pairings=1", "--batch_size=16", "--panels_every=0"]


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)


def execute(command, cwd, **environment):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""} | environment
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def script(name, *arguments, cwd=ROOT):
    return execute([sys.executable, str(ROOT / "scripts" / name), *arguments], cwd)


@pytest.fixture(scope="module")
def readme(tmp_path_factory):
    """A folder in which the README's shell commands were run, and what they printed."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("scripts", "configs"):
        (folder / name).symlink_to(ROOT / name)
    said = []
    for line in "".join(blocks("bash")).splitlines():
        program, *arguments = shlex.split(line)
        if program == "tensorboard":  # a server: it would not end
            continue
        extra = SHORTER if arguments[0].endswith("train.py") else []
        path = sys.executable if program == "python" else str(Path(sys.executable).with_name(program))
        done = execute([path, *arguments, *extra], folder, MMTF_CACHE_DIR=str(folder / "cache"))
        assert done.returncode == 0, f"{line}\n{done.stderr[-3000:]}"
        said.append((line, done))
    return folder, said


def test_readme_commands_run_without_a_warning_that_matters(readme):
    folder, said = readme
    assert (folder / "runs/first/metrics.json").exists()
    assert (folder / "samples/word.npy").exists()
    for line, done in said:
        if line.startswith("python"):
            noise = [text for text in done.stderr.splitlines() if re.search(r"warn|error|deprecat", text, re.I)]
            assert not noise, f"{line}\n{done.stderr[-3000:]}"
    assert "coherence" in next(done for line, done in said if "evaluate" in line).stdout


def test_readme_python_runs(readme):
    folder, _ = readme
    program = "\n".join(blocks("python"))
    assert program.count("import") >= 8
    done = execute([sys.executable, "-c", program], folder)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[0] == "(5, 20)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["train.py", "--run_dir={}/new", "--model=mmjds"],
            "error: Unknown --model='mmjds'; there are: jmvae, mmali,",
        ),
        (["train.py", "--run_dir={}/new", "--bata=2"], "Unknown command line flag 'bata'"),
        (["train.py", "--run_dir={}/new", "beta=2"], "error: 'beta=2' is not a flag; flags start with --"),
        (["train.py", "--run_dir={}/new", "--mvae_subsets=2"], "error: --mvae_subsets does nothing for --model=mmjsd"),
        (["train.py"], "--run_dir"),
        (["evaluate.py", "--run_dir={}/none"], "holds no run (no config.json in it)"),
        (["export.py", "--run_dir={}/none", "--export_dir={}/out"], "holds no run (no config.json in it)"),
    ],
)
def test_mistakes_get_a_sentence_and_leave_nothing_behind(tmp_path, arguments, message):
    done = script(*(a.format(tmp_path) for a in arguments))
    assert done.returncode != 0
    assert message in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_scripts_are_short():
    for path in (ROOT / "scripts").glob("*.py"):
        assert len(path.read_text().splitlines()) < 80, path


def test_a_contest_goes_on_with_the_runs_that_are_there(tmp_path):
    """Both systems were judged before: the table is made of what they have, in the order asked for."""
    files = [str(ROOT / "configs/digits" / f"{name}.cfg") for name in ("mvae", "mmjsd")]
    for name, steps in (("mvae", 200), ("mmjsd", 300)):
        run = RunDirectory.claim(tmp_path / name, Config())
        run.begin(Config(), (), {})
        found = {"model": name, "dataset": "digits", "protocol": "corrected", "seed": 0, "probe": {"digit": steps / 1000}}
        run.write_json("metrics.json", found | {"training": {"steps": steps, "seconds": 9.6, "steps_per_second": 31.25}})
    table = tmp_path / "table.md"
    done = script("contest.py", f"--systems={','.join(files)}", f"--run_dir={tmp_path}", f"--table={table}")
    assert done.returncode == 0, done.stderr
    rows = table.read_text().splitlines()
    assert [row.split()[1] for row in rows[2:]] == ["mvae", "mmjsd"]
    assert "0.300" in rows[3]
    assert rows[3] in done.stdout


def test_a_contest_of_what_is_not_there_is_refused(tmp_path):
    done = script("contest.py", "--systems=nothing.cfg", f"--run_dir={tmp_path}")
    assert (done.returncode, "not nothing.cfg" in done.stderr) == (2, True)


def test_a_contest_leaves_a_run_that_was_not_judged_as_it_is(tmp_path):
    run = RunDirectory.claim(tmp_path / "mvae", Config())
    run.begin(Config(), (), {})
    done = script("contest.py", f"--systems={ROOT / 'configs/digits/mvae.cfg'}", f"--run_dir={tmp_path}")
    assert "mvae: train.py ended with 2" in done.stdout
    assert "Not to the end: mvae." in done.stdout
    assert RunDirectory.open(run.path).config() == Config()
