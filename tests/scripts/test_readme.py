"""The README's own commands and its Python, as a user runs them; and the commands of all pages, as far as their flags."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
from absl import app, flags
from checkout import MMTF, ROOT, call, environment

from mmtf import config
from mmtf.cli import main

# Appended to the README's commands, so that they take seconds; a later flag overrides the flag file.
SHORTER = {
    "train": ["--steps=2", "--pairings=1", "--batch_size=16", "--panels_every=0"],
    "evaluate": [
        "--test_examples=60",
        "--probe_examples=60",
        "--random_samples=60",
        "--quality_samples=60",
        "--likelihood_samples_many=24",
        "--likelihood_examples_many=20",
        "--retrieval_candidates=40",
        "--retrieval_likelihood_candidates=10",
    ],
}
PATTERNS = ("*.md", "benchmarks/*.md", "docs/**/*.md", "scripts/*.py", "mmtf/cli/commands/*.py")
PAGES = [path for pattern in PATTERNS for path in ROOT.glob(pattern)]


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)


def execute(command, cwd, **variables):
    return subprocess.run(command, cwd=cwd, env=environment(**variables), capture_output=True, text=True, check=False)


def test_readme_python_can_be_read():
    program = "\n".join(blocks("python"))
    assert program.count("import ") >= 6
    compile(program, "README.md", "exec")


def commands(page):
    """The programs of this checkout that a page calls, or a script's description of itself, each with its arguments."""
    text = page.read_text().split('"""')[1] if page.suffix == ".py" else page.read_text()
    text = text.replace("\\\n", " ")
    found = re.findall(r"python ((?:scripts|docs/examples)/\w+\.py[^\n`]*)", text)
    found += [f"{MMTF} {line}" for line in re.findall(rf"\bmmtf ((?:{'|'.join(main.COMMANDS)}) [^\n`]*--[^\n`]*)", text)]
    return [shlex.split(line, comments=True) for line in found if "--help" not in line]


def test_the_commands_of_all_pages_are_understood():
    """Flags that there are, with values that they take, and flag files that there are; nothing is done."""

    def read(argv):
        if {"steps", "beta"} <= set(flags.FLAGS):
            config.from_flags()

    def only_read(main):
        run(read)

    run, found = app.run, [(page, command) for page in PAGES for command in commands(page)]
    of_commands = {command[1] for _, command in found if command[0] == MMTF}
    assert of_commands >= set(main.COMMANDS) - {"list"}
    alone = {path.name for path in (ROOT / "scripts").glob("*.py") if "from mmtf.cli import main" not in path.read_text()}
    assert {command[0] for _, command in found} >= {f"scripts/{name}" for name in alone}
    for page, command in found:
        with mock.patch.object(app, "run", only_read):
            done = call(*command)
        assert done.returncode == 0, f"{page}: {' '.join(command)}\n{done.stderr}"


@pytest.fixture(scope="module")
def readme(tmp_path_factory):
    """A folder in which the README's shell commands were run, and what they printed."""
    folder = tmp_path_factory.mktemp("readme")
    said = []
    for line in "".join(blocks("bash")).splitlines():
        program, *arguments = shlex.split(line)
        if program == "tensorboard":  # a server: it would not end
            continue
        extra = SHORTER.get(arguments[0], [])
        path = str(Path(sys.executable).with_name(program))
        done = execute([path, *arguments, *extra], folder, MMTF_CACHE_DIR=str(folder / "cache"))
        assert done.returncode == 0, f"{line}\n{done.stderr[-3000:]}"
        said.append((line, done))
    return folder, said


@pytest.mark.slow
def test_readme_commands_run_without_a_warning_that_matters(readme):
    folder, said = readme
    assert (folder / "runs/first/metrics.json").exists()
    assert (folder / "samples/word.npy").exists()
    for line, done in said:
        if line.startswith("mmtf"):
            noise = [text for text in done.stderr.splitlines() if re.search(r"warn|error|deprecat", text, re.I)]
            assert not noise, f"{line}\n{done.stderr[-3000:]}"
    assert "coherence" in next(done for line, done in said if "evaluate" in line).stdout


@pytest.mark.slow
def test_readme_python_runs(readme):
    folder, _ = readme
    # Of training on arrays; all else as it stands.
    program = re.sub(r"\bsteps=\d+", "steps=20", "\n".join(blocks("python")))
    done = execute([sys.executable, "-c", program], folder, MMTF_CACHE_DIR=str(folder / "cache"))
    assert done.returncode == 0, done.stderr[-3000:]
    assert "(5, 16)" in done.stdout.splitlines()
