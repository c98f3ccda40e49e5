"""A directory has one holder at a time, and nothing of a holder that is gone keeps others out."""

import errno
import fcntl
import os
import subprocess
import sys

import pytest
from waiting import LONG

from mmtf.errors import UserError
from mmtf.runs.lock import locked


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
from mmtf.runs.lock import locked
with locked(Path({str(tmp_path)!r})):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", program], env=environment, check=False, timeout=LONG).returncode == -9
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


def test_messages_name_the_flag_and_the_work(tmp_path):
    (tmp_path / "file").touch()
    names = ("sweep_dir", "at work on it")
    with pytest.raises(UserError, match="--sweep_dir=.* is a file"), locked(tmp_path / "file", *names):
        pass
    with pytest.raises(UserError, match="Name another --sweep_dir"), locked(tmp_path / "/proc/nowhere", *names):
        pass
    with locked(tmp_path, *names), pytest.raises(UserError) as refused, locked(tmp_path, *names):
        pass
    assert f"process {os.getpid()}" in str(refused.value)
    assert "is at work on it. Wait for its end or stop it, or name another --sweep_dir." in str(refused.value)


def test_where_the_system_has_no_locks_work_goes_on_with_a_warning(tmp_path, monkeypatch, caplog):
    def unsupported(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with locked(tmp_path / "new", "sweep_dir", "at work on it"):
        pass
    assert "cannot be locked (No locks available): see to it that no other process is at work on it." in caplog.text
