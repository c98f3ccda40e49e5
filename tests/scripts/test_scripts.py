"""All scripts: their help and their mistakes, most of which are told before TensorFlow is loaded."""

import json
import re
import subprocess
import sys

import pytest
from checkout import MMTF, ROOT, call, environment

import mmtf
from mmtf.cli import main
from mmtf.config import flag_files
from mmtf.config.names import DATASETS, MODELS

# In one process: what loads TensorFlow leaves it loaded.
WITHOUT_TENSORFLOW = """
import json, sys
from checkout import call
found = []
for name, *arguments in json.loads(sys.argv[1]):
    done = call(name, *arguments)
    found.append((done.returncode, done.stdout, done.stderr, [m for m in ("tensorflow", "keras", "torch") if m in sys.modules]))
json.dump(found, sys.stdout)
"""


def test_scripts_are_short():
    for path in (ROOT / "scripts").glob("*.py"):
        assert len(path.read_text().splitlines()) < 80, path


def test_what_needs_no_tensorflow_does_not_wait_for_it(tmp_path):
    """Help, wrong flags, flags that contradict one another, and lists: it takes seconds to load."""
    says = {path.name: path.read_text().split('"""')[1].strip() for path in (ROOT / "scripts").glob("*.py")}
    # Those that are a subcommand as well show that one's help.
    for name in main.COMMANDS:
        script = "prepare_data.py" if name == "prepare" else f"{name}.py"
        if script in says:
            says[script] = (ROOT / f"mmtf/cli/commands/{name}.py").read_text().split('"""')[1].strip()
    new, none = f"--run_dir={tmp_path}/new", f"--run_dir={tmp_path}/none"
    wanted = [([name, "--help"], 1, text) for name, text in says.items()]
    wanted += [([name, "--no_such_flag=1"], 1, "Unknown command line flag 'no_such_flag'") for name in says]
    wanted += [
        (["train.py", new, "--helpfull"], 1, "--[no]resume: Continue the run"),
        (["train.py", new, "--bata=2"], 1, "Unknown command line flag 'bata'. Did you mean: "),
        (["train.py", new, "beta=2"], 2, "error: 'beta=2' is not a flag; flags start with --"),
        (["train.py", new, "--mvae_subsets=2"], 2, "error: --mvae_subsets does nothing for --model=mmjsd"),
        (["train.py", new, "--beta=-1"], 2, "error: --beta must be at least 0"),
        (["train.py"], 1, "--run_dir"),
        (["evaluate.py"], 2, "error: Wanted --run_dir=RUN, or --samples=FOLDER"),
        (["evaluate.py", none, "--dataset=digits"], 2, "error: --dataset does nothing with --run_dir"),
        (["evaluate.py", none, "--likelihood_samples=0"], 2, "error: --likelihood_samples must be at least 1, not 0."),
        (["export.py", none], 1, "--export_dir"),
        (["report.py", none], 2, "holds no run"),
        (["compare.py", f"--runs={tmp_path}/none"], 2, "holds no run"),
        (["sweep.py", f"--sweep_dir={tmp_path}/new", "--sweep=bata=1"], 2, "Unknown command line flag 'bata'"),
        (["contest.py", "--systems=nothing.cfg"], 2, "error: --systems wants flag files"),
        (["prepare_data.py", "bird"], 2, "error: Name one data set to prepare"),
        (["load_test.py", f"--model_dir={tmp_path}"], 2, "holds no SavedModel"),
        (["benchmark.py", "--steps=15"], 2, "error: --steps must be a multiple of 10"),
        (["compare_multivae.py", "--seeds=1"], 2, "error: --seeds=1 says nothing about the noise"),
        (["kill_test.py", f"--work_dir={tmp_path}"], 2, "is there already; name a new one."),
        (["reproduce.py", "--list"], 0, "multimnist/mmali_joint_4.cfg; 250,000 steps"),
        (["reproduce.py", "--table=mmjds/9"], 2, "is --table=mmjsd/9 meant?"),
    ]
    calls = json.dumps([[f"scripts/{name}", *arguments] for (name, *arguments), _, _ in wanted])
    path = f"{ROOT}:{ROOT / 'tests/support'}"
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW, calls], env=environment(PYTHONPATH=path), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for (command, status, message), (returncode, out, err, loaded) in zip(wanted, json.loads(done.stdout), strict=True):
        assert (command, returncode, message in out + err, loaded) == (command, status, True, []), out + err
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_there_is():
    listed = call(MMTF, "list")
    assert listed.returncode == 0
    for name in (*MODELS, *DATASETS, *flag_files.names()):
        assert re.search(rf"^  {re.escape(name)} +\S", listed.stdout, re.M), name
    assert "divergence to a dynamic prior [Sutter, Daunhawer, Vogt 2020].\n" in listed.stdout
    assert call(MMTF, "list", "models").stdout in listed.stdout
    for given in (["--help"], []):
        assert all(name in call(MMTF, *given).stdout for name in main.COMMANDS)
    assert call(MMTF, "--version").stdout == f"mmtf {mmtf.__version__}\n"
    helped = call(MMTF, "train", "--help")
    assert "--[no]resume: Continue the run" in helped.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "error: mmtf has no command 'trian'. Did you mean mmtf train?"),
        (["xyz"], "error: mmtf has no command 'xyz'. There are: train, evaluate,"),
        (["list", "model"], "mmtf list shows models, datasets, flagfiles, metrics, and no 'model'. Did you mean models?"),
        (["train", "--flagfile=digits/mmjds.cfg"], "brings. Did you mean digits/mmjsd.cfg or"),
        (["train", "--flagfile=mmjsd_ms"], "is neither a file nor one of the flag files that mmtf brings. Did you mean"),
        (["train", "--flagfile=zzzz"], "brings. `mmtf list` shows them."),
        (["train", "--flagfile"], "error: --flagfile wants a file"),
        (["train", "--flagfile={}/self.cfg"], "contains itself"),
        (["train", "--flagfile={}/words.cfg"], "'beta=2' is not a flag"),
    ],
)
def test_mistakes_of_commands_and_flag_files_get_a_sentence(tmp_path, arguments, message):
    (tmp_path / "self.cfg").write_text(f"--beta=2\n--flagfile={tmp_path}/self.cfg\n")
    (tmp_path / "words.cfg").write_text("beta=2\n")
    done = call(MMTF, *(a.format(tmp_path) for a in arguments), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_a_flag_file_is_looked_up_as_a_path_first_and_may_name_another(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits/mmjsd.cfg").write_text("--beta=7\n# --beta=8\n// --beta=9\n\n")
    assert flag_files.expanded(["--seed=1", "--flagfile=digits/mmjsd.cfg", "--beta=3"]) == ["--seed=1", "--beta=7", "--beta=3"]
    assert flag_files.expanded(["--flagfile", "digits/mmjsd.cfg", "--", "--flagfile=x"]) == ["--beta=7", "--", "--flagfile=x"]
    (tmp_path / "own.cfg").write_text("--flagfile=quickstart.cfg\n--steps=3\n")
    flags = flag_files.expanded(["--flagfile=own.cfg"])
    assert flags[-1] == "--steps=3"
    assert flags[:-1] == flag_files.expanded(["--flagfile=configs/quickstart.cfg"])
    assert flag_files.value_of("steps", flags) == "3"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train.py", "--run_dir={}/new", "--model=mmjds"], "error: Unknown --model='mmjds'; there are: jmvae, mmali,"),
        (["evaluate.py", "--run_dir={}/none"], "holds no run (no config.json in it)"),
        (["export.py", "--run_dir={}/none", "--export_dir={}/out"], "holds no run (no config.json in it)"),
    ],
)
def test_mistakes_get_a_sentence_and_leave_nothing_behind(tmp_path, arguments, message):
    name, *flags = (a.format(tmp_path) for a in arguments)
    done = call(f"scripts/{name}", *flags)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []
