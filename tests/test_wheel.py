"""The wheel: installed where there are the dependencies but no checkout, it does everything from an empty folder."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from checkout import ROOT

from mmtf.config import flag_files

SOURCES = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "mmtf", "configs")
# Also a checkout's path must not reach it.
ENVIRONMENT = {name: x for name, x in os.environ.items() if name != "PYTHONPATH"}
SHORT = ["--steps=2", "--pairings=1", "--batch_size=16", "--panels_every=0", "--steps_per_execution=1"]
SOONER = ["--test_examples=60", "--probe_examples=60", "--random_samples=60", "--quality_samples=60", "--likelihood_samples=2"]


def done(*command, cwd):
    found = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=ENVIRONMENT | {"MMTF_CACHE_DIR": str(cwd / "cache"), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, f"{command}\n{found.stdout[-2000:]}\n{found.stderr[-3000:]}"
    return found.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    done(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", "out", ".", cwd=folder)
    (found,) = (folder / "out").glob("*.whl")
    return found


@pytest.fixture(scope="module")
def programs(wheel, tmp_path_factory):
    """The folder of the environment's programs."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / "bin/python"
    pip = [sys.executable, "-m", "pip", "--python", python]
    done(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
    packages = Path(done(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    # As a path alone: what points from there to the checkout is not read.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


@pytest.mark.slow
def test_the_wheel_has_flag_files_and_tables_and_says_what_it_is(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name for name in names if name.endswith(".cfg")} == {f"mmtf/configs/{name}" for name in flag_files.names()}
    assert "mmtf/report/paper_tables.json" in names
    (metadata,) = [name for name in names if name.endswith("METADATA")]
    text = zipfile.ZipFile(wheel).read(metadata).decode()
    for minor in (10, 11, 12, 13):
        assert f"Classifier: Programming Language :: Python :: 3.{minor}\n" in text
    for line in ("Project-URL: ", "Requires-Python: >=3.10", "Provides-Extra: tables", "License: Apache-2.0"):
        assert line in text
    assert not [name for name in names if name.startswith(("tests", "scripts", "benchmarks"))]


@pytest.mark.slow
def test_it_trains_evaluates_exports_and_reports_without_the_checkout(programs, tmp_path):
    mmtf = programs / "mmtf"
    where = done(programs / "python", "-c", "import mmtf; print(mmtf.__file__)", cwd=tmp_path)
    assert where.startswith(str(programs.parent))
    assert "digits/mmjsd_ms.cfg" in done(mmtf, "list", cwd=tmp_path)
    done(mmtf, "train", "--flagfile=digits/mmjsd_ms.cfg", "--run_dir=runs/first", *SHORT, cwd=tmp_path)
    assert "probe" in done(mmtf, "evaluate", "--run_dir=runs/first", "--parts=terms,probe,codes", *SOONER, cwd=tmp_path)
    done(mmtf, "export", "--run_dir=runs/first", "--export_dir=exports", cwd=tmp_path)
    (tmp_path / "runs/first/report.html").unlink()
    done(mmtf, "report", "--run_dir=runs/first", cwd=tmp_path)
    assert "mmjsd" in done(mmtf, "compare", "--runs=runs/first", cwd=tmp_path)
    assert "mnist_svhn_text/mmjsd.cfg" in done(mmtf, "reproduce", "--list", cwd=tmp_path)
    sweep = ["--flagfile=digits/mmjsd.cfg", "--sweep=beta=1,2", "--sweep_dir=runs/beta", *SHORT]
    assert "beta=2" in done(mmtf, "sweep", *sweep, cwd=tmp_path)
    program = "import mmtf; print(mmtf.load('exports').generate(2)['word'].shape); print(mmtf.load('runs/first').shared_dim)"
    assert done(programs / "python", "-c", program, cwd=tmp_path).startswith("(2, 8)")
    assert json.loads((tmp_path / "runs/first/metrics.json").read_text())["model"] == "mmjsd"
    assert (tmp_path / "runs/first/report.html").exists()


@pytest.mark.slow
def test_it_says_when_another_package_of_its_name_is_there(programs, tmp_path):
    package = Path(done(programs / "python", "-c", "import mmtf; print(mmtf.__path__[0])", cwd=tmp_path).strip())
    theirs, own = package / "api", package / "__init__.py"
    text = own.read_text()
    theirs.mkdir()
    (theirs / "mmtf_reader.py").touch()
    try:
        command = [programs / "python", "-c", "import mmtf"]
        found = subprocess.run(command, env=ENVIRONMENT, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert found.stderr.splitlines()[-1].startswith("ImportError: mmtf-python, ")
        # Installed after ours it has overwritten the beginning of the package.
        own.write_text("from .api import mmtf_reader\n")
        found = subprocess.run([programs / "mmtf", "list"], env=ENVIRONMENT, cwd=tmp_path, capture_output=True, text=True)
        assert (found.returncode, found.stderr.startswith("error: mmtf-python, ")) == (2, True), found.stderr
    finally:
        own.write_text(text)
        shutil.rmtree(theirs)
