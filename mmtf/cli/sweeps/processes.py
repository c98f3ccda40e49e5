"""Commands in processes of their own: several at once, what they say in a file, and all of them ended when this one is."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

Item, Found = TypeVar("Item"), TypeVar("Found")

# Seconds that an interrupted process has for ending by itself, such as for a checkpoint that it is writing.
GRACE = 30.0
STOPPED = -signal.SIGINT  # what a process that was not started any more is said to have ended with
THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")


def subcommand(name: str) -> list[str]:
    """Return what runs a subcommand of `mmtf`, such as "train", in the Python that runs this one."""
    return [sys.executable, "-m", "mmtf", name]


class Commands:
    """Runs commands such as `mmtf train`, each in a process of its own.

    Args:
      jobs: how many are to run at once: each gets its share of the processors as threads.
      program: from a command's name to what starts it; by default `subcommand`.
    """

    def __init__(self, jobs: int = 1, program: Callable[[str], list[str]] | None = None):
        self._program = program or subcommand
        # This package, also in a checkout where it is not installed.
        path = os.pathsep.join(filter(None, [str(Path(__file__).resolve().parents[3]), os.environ.get("PYTHONPATH")]))
        self._environment = os.environ | {"PYTHONPATH": path} | _threads(jobs)
        self._running: set[subprocess.Popen] = set()
        self._lock, self.stopped = threading.Lock(), False

    def __call__(self, name: str, arguments: Sequence[str], output: Path | None = None) -> int:
        """Return the exit status of a command. Args: output: what it says is added to this file; None shows it."""
        if output is None:
            return self._run(name, arguments, None)
        output.parent.mkdir(parents=True, exist_ok=True)
        with output.open("ab") as file:
            return self._run(name, arguments, file)

    def stop(self) -> None:
        """Interrupt what runs, as Ctrl-C does; end what goes on after that; and start nothing any more."""
        with self._lock:
            self.stopped, running = True, list(self._running)
        # What a shell started in the background is deaf to the first, and so is all that it starts.
        deaf = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        for number in (*(() if deaf else (signal.SIGINT,)), signal.SIGTERM, signal.SIGKILL):
            running = [process for process in running if process.poll() is None]
            for process in running:
                process.send_signal(number)
            end = time.monotonic() + GRACE
            while any(process.poll() is None for process in running) and time.monotonic() < end:
                time.sleep(0.1)

    def _run(self, name: str, arguments: Sequence[str], file) -> int:
        command, process = [*self._program(name), *arguments], None
        try:
            with self._lock:
                if self.stopped:
                    return STOPPED
                # In a session of its own, so that Ctrl-C reaches it once, from `stop`.
                process = subprocess.Popen(
                    command, env=self._environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
                )
                self._running.add(process)
            return process.wait()
        except BaseException:
            self.stop()
            raise
        finally:
            self._running.discard(process)


def in_turn(commands: Commands, work: Callable[[Item], Found], items: Sequence[Item], jobs: int) -> list[Found]:
    """Return what `work` returns for each item, so many at once.

    Interrupted, it stops the commands that work started, and raises.

    Raises:
      KeyboardInterrupt: by Ctrl-C, or by a signal to end, as schedulers send it.
    """
    with ends_as_interrupts(), concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        waiting = [pool.submit(work, item) for item in items]
        try:
            concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_EXCEPTION)
            failed = [future for future in waiting if future.done() and future.exception()]
            return [future.result() for future in failed or waiting]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            commands.stop()
            raise


def last_lines(file: Path, count: int = 3) -> list[str]:
    """Return the last lines of a file that are not blank; none where it is not there."""
    if not file.is_file():
        return []
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line.rstrip() for line in lines if line.strip()][-count:]


@contextmanager
def ends_as_interrupts() -> Iterator[None]:
    """SIGTERM and SIGHUP as Ctrl-C, so that processes end with the one that started them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number, frame):
        raise KeyboardInterrupt

    # nohup has the second one ignored, which stays so.
    caught = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in caught}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _threads(jobs: int) -> dict[str, str]:
    """As many threads as each of several processes may have; one alone decides by itself."""
    if jobs == 1:
        return {}
    each = max(1, len(os.sched_getaffinity(0)) // jobs) if hasattr(os, "sched_getaffinity") else 1
    return dict.fromkeys(THREADS, str(each))
