"""Times contenders in turns, A B A B ..., each in a process of its own, so that what else the machine does hits all alike.

CPU seconds are the measure: they count work, where wall seconds also count waiting. Both depend on what else is running;
hence the ratios, each of two neighbouring turns.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
# Of every contender's process. The benchmark is of CPUs. OpenMP's threads, which PyTorch uses, spin while they wait for one
# another: beside other load they spin for long, and CPU time is no longer a measure of work (seen: 1,083 ms a step in place
# of 235). Sleeping instead is to the favour of PyTorch's CPU time, not of its wall time: on a quiet machine 228 instead of
# 236 ms of CPU, 138 instead of 119 ms of wall.
ENVIRONMENT = {"CUDA_VISIBLE_DEVICES": "-1", "OMP_WAIT_POLICY": "PASSIVE", "TF_CPP_MIN_LOG_LEVEL": "2"}
THREAD_LIMITS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


class Turn(NamedTuple):
    """What a contender did in one turn, per step: milliseconds of CPU (all threads, user and system) and of wall."""

    cpu: float
    wall: float


class Contender:
    """A process that runs steps when asked to, and waits otherwise; `peak_mb` is its highest memory. A context manager."""

    def __init__(self, name: str, batch_size: int, threads: int = 0):
        """Args: threads: of its library's operations; 0 for as many as the library chooses."""
        limits = dict.fromkeys(THREAD_LIMITS, str(threads)) if threads else {}
        self.name = name
        self.peak_mb = 0.0
        self._process = subprocess.Popen(
            [sys.executable, HERE / "contenders.py", name, f"--batch_size={batch_size}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | limits | ENVIRONMENT,
            text=True,
        )

    def run(self, steps: int) -> Turn:
        """Raise RuntimeError if the process has died; its own message is on standard error."""
        with contextlib.suppress(BrokenPipeError):  # a dead process gives no answer, which is reported below
            self._process.stdin.write(f"{steps}\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"The benchmark's process {self.name!r} ended early, with status {self._process.wait()}.")
        measured = json.loads(answer)
        self.peak_mb = measured["peak_mb"]
        return Turn(*(1000 * measured[clock] / measured["steps"] for clock in Turn._fields))

    def __enter__(self) -> Contender:
        return self

    def __exit__(self, *exception):
        self._process.kill()
        self._process.communicate()


def race(contenders: Sequence[Contender], rounds: int, steps: int, warm_up: int) -> dict[str, list[Turn]]:
    """Return every contender's turns, in order. Round by round the contenders take turns, in alternating order.

    Args:
      steps: of each turn. warm_up: steps of each contender before the first round, not counted.
    """
    for contender in contenders:
        contender.run(warm_up)
    turns = {contender.name: [] for contender in contenders}
    for number in range(rounds):
        for contender in contenders if number % 2 == 0 else reversed(contenders):
            turns[contender.name].append(contender.run(steps))
    return turns


def summary(turns: Mapping[str, Sequence[Turn]], base: str) -> dict[str, dict[str, float | list[float]]]:
    """Per contender: medians of CPU and wall per step, and the CPU ratio to `base` of the same round: median, [min, max]."""
    rows = {}
    for name, own in turns.items():
        ratios = [turn.cpu / other.cpu for turn, other in zip(own, turns[base], strict=True)]
        rows[name] = {
            "cpu_ms": round(statistics.median(t.cpu for t in own), 2),
            "wall_ms": round(statistics.median(t.wall for t in own), 2),
            "cpu_ratio": round(statistics.median(ratios), 3),
            "cpu_ratio_range": [round(min(ratios), 3), round(max(ratios), 3)],
        }
    return rows


def table(rows: Mapping[str, Mapping], base: str) -> str:
    """Markdown of a `summary`."""
    lines = [f"| contender | CPU ms/step | wall ms/step | CPU / {base}: median [min, max] |", "|---|---:|---:|---:|"]
    for name, row in rows.items():
        low, high = row["cpu_ratio_range"]
        ratio = f"{row['cpu_ratio']:.2f} [{low:.2f}, {high:.2f}]"
        lines.append(f"| {name} | {row['cpu_ms']:.1f} | {row['wall_ms']:.1f} | {ratio} |")
    return "\n".join(lines)


def machine() -> dict[str, str | int | float]:
    """Return what it ran on; the load is that of the minute before."""
    packages = {name: metadata.version(name) for name in ("tensorflow", "keras", "tensorflow-probability", "torch")}
    model = next((line.split(":")[1].strip() for line in _cpu_info() if line.startswith("model name")), platform.machine())
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **packages,
    }


def _cpu_info() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
