"""Commands in processes: what they say, what they end with, their share of the machine, and their end with ours."""

import os
import signal
import subprocess
import sys
import time

import pytest
from checkout import environment

from mmtf.cli.sweeps import processes

LIMIT = 300  # seconds for anything here, which takes one


@pytest.fixture
def folder(tmp_path):
    found = tmp_path / "scripts"
    found.mkdir()
    (found / "say.py").write_text("import sys\nprint('out', *sys.argv[1:])\nsys.stderr.write('err\\n')\nsys.exit(3)\n")
    (found / "threads.py").write_text("import os\nprint([os.environ.get(n) for n in " + repr(processes.THREADS) + "])\n")
    (found / "wait.py").write_text(
        "import pathlib, sys, time\n"
        "try:\n    pathlib.Path(sys.argv[1]).touch()\n    time.sleep(1000)\n"
        "except KeyboardInterrupt:\n    pathlib.Path(sys.argv[1] + '.ended').touch()\n    sys.exit(130)\n"
    )
    return found


def of(folder):
    return lambda name: [sys.executable, str(folder / name)]


def test_a_command_is_one_of_this_package(tmp_path):
    output = tmp_path / "said"
    assert processes.Commands()("list", ["models"], output) == 0
    assert "mmjsd" in output.read_text()


def test_status_and_output_are_kept_and_added_to(folder, tmp_path):
    run, output = processes.Commands(program=of(folder)), tmp_path / "output" / "a.txt"
    assert [run("say.py", [word], output) for word in "ab"] == [3, 3]
    assert sorted(output.read_text().split()) == sorted(["out", "a", "err", "out", "b", "err"])
    assert processes.last_lines(output, 1) == ["out b"] or processes.last_lines(output, 1) == ["err"]
    assert processes.last_lines(tmp_path / "none") == []


def test_several_share_the_processors(folder, tmp_path, monkeypatch):
    for name in processes.THREADS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    for jobs, each in ((1, None), (3, "2"), (16, "1")):
        output = tmp_path / f"{jobs}.txt"
        assert processes.Commands(jobs, of(folder))("threads.py", [], output) == 0
        assert output.read_text().strip() == str([each] * len(processes.THREADS))


def test_results_come_in_order_and_an_error_ends_all(folder, tmp_path):
    run = processes.Commands(program=of(folder))
    assert processes.in_turn(run, lambda x: (time.sleep(0.02 * (3 - x)), x)[1], [0, 1, 2], 3) == [0, 1, 2]

    def work(number):
        if number:
            until(lambda: (tmp_path / "here").exists())
            raise OSError("full")
        return run("wait.py", [str(tmp_path / "here")])

    with pytest.raises(OSError, match="full"):
        processes.in_turn(run, work, [0, 1], 2)
    assert (tmp_path / "here.ended").exists()
    assert run("say.py", []) == processes.STOPPED


@pytest.mark.parametrize(("number", "deaf"), [(signal.SIGINT, False), (signal.SIGTERM, False), (signal.SIGTERM, True)])
def test_processes_end_with_the_one_that_started_them(folder, tmp_path, number, deaf):
    """Also where a shell started it in the background, so that it and they are deaf to Ctrl-C: SIGTERM comes at once then."""
    program = (
        "import signal, sys; from pathlib import Path; from mmtf.cli.sweeps import processes\n"
        f"{deaf} and signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        f"run = processes.Commands(2, lambda name: [sys.executable, str(Path({str(folder)!r}) / name)])\n"
        f"processes.in_turn(run, lambda n: run('wait.py', [{str(tmp_path)!r} + '/' + n]), ['a', 'b', 'c'], 2)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], env=environment(), stderr=subprocess.PIPE, text=True)
    until(lambda: (tmp_path / "a").exists() and (tmp_path / "b").exists())
    parent.send_signal(number)
    assert "KeyboardInterrupt" in parent.communicate(timeout=LIMIT)[1]
    ended = set() if deaf else {"a.ended", "b.ended"}
    assert {path.name for path in tmp_path.iterdir()} == {"scripts", "a", "b"} | ended


def test_what_is_deaf_to_an_interrupt_is_ended_otherwise(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "GRACE", 0.3)
    deaf = (
        "import pathlib, signal, sys, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\npathlib.Path(sys.argv[1]).touch()\n"
    )
    (folder / "deaf.py").write_text(deaf + "time.sleep(1000)\n")
    run = processes.Commands(program=of(folder))

    def work(number):
        if number:
            until(lambda: (tmp_path / "here").exists())
            raise KeyboardInterrupt
        return run("deaf.py", [str(tmp_path / "here")])

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        processes.in_turn(run, work, [0, 1], 2)
    assert time.monotonic() - start < LIMIT


def until(true):
    end = time.monotonic() + LIMIT
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)
