"""A directory has one holder at a time, and nothing of a holder that is gone keeps others out."""

import os
import subprocess
import sys

import pytest

from mmtf.errors import UserError
from mmtf.rundir.lock import locked


def test_there_is_one_holder_at_a_time(tmp_path):
    path = tmp_path / "run"
    with locked(path):
        with pytest.raises(UserError, match=f"is in use: process {os.getpid()}"), locked(path):
            pass
        assert (path / ".lock").exists()
    assert not path.exists()
    with locked(path):
        (path / "mine").touch()
    assert [p.name for p in path.iterdir()] == ["mine"]


def test_a_holder_that_was_killed_holds_no_more(tmp_path):
    program = f"""
import os, signal
from pathlib import Path
from mmtf.rundir.lock import locked
with locked(Path({str(tmp_path)!r})):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", program], env=environment, check=False, timeout=60).returncode == -9
    assert (tmp_path / ".lock").exists()
    with locked(tmp_path):
        pass
    assert not (tmp_path / ".lock").exists()


def test_what_cannot_be_held_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a file; name a directory"), locked(tmp_path / "file"):
        pass
    with pytest.raises(UserError, match="Cannot write to /proc/nowhere"), locked(tmp_path / "/proc/nowhere"):
        pass
