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

import conditions

from mmtf import processor

HERE = Path(__file__).parent
# Of every contender's process. The benchmark is of CPUs. OpenMP's threads, which PyTorch uses, spin while they wait for one
# another: beside other load they spin for long, and CPU time is no longer a measure of work (seen: 1,083 ms a step in place
# of 235). Sleeping instead is to the favour of PyTorch's CPU time, not of its wall time: on a quiet machine 228 instead of
# 236 ms of CPU, 138 instead of 119 ms of wall.
ENVIRONMENT = {"CUDA_VISIBLE_DEVICES": "-1", "OMP_WAIT_POLICY": "PASSIVE", "TF_CPP_MIN_LOG_LEVEL": "2"}
# From the least to the greatest ratio of a race whose rounds agree, as a part of their median; and how many times as many
# rounds a race may take until they do.
AGREED, PATIENCE = 0.1, 4
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


class Race(NamedTuple):
    """Attributes:
    turns: every contender's, in order, of the last rounds.
    run: how many rounds there were.
    agreed: whether the ratio of the first two contenders agrees in the rounds that `turns` has; None where it was not asked.
    others: the part of the processor's time that went to other work meanwhile; None where the system does not tell.
    """

    turns: dict[str, list[Turn]]
    run: int
    agreed: bool | None
    others: float | None

    def conditions(self) -> dict:
        """Return what a table says beside its rows, and a file of results keeps."""
        busy = {} if self.others is None else {"others": round(self.others, 3)}
        return {"rounds_run": self.run, "rounds_agree": self.agreed} | busy


def race(contenders: Sequence[Contender], rounds: int, steps: int, warm_up: int, *, until_agreed: bool = False) -> Race:
    """Have contenders take turns round by round, in alternating order.

    Args:
      rounds: as many are returned, the last ones.
      steps: of each turn. warm_up: steps of each contender before the first round, not counted.
      until_agreed: whether further rounds follow, `PATIENCE` times as many at most, until in the last ones the ratio of the
        first contender to the second varies by less than `AGREED`.
    """
    for contender in contenders:
        contender.run(warm_up)
    meanwhile, own = conditions.Meanwhile(), 0.0
    turns = {contender.name: [] for contender in contenders}
    agreed, number = None, 0
    while number < rounds or (until_agreed and not agreed and number < PATIENCE * rounds):
        for contender in contenders if number % 2 == 0 else reversed(contenders):
            turn = contender.run(steps)
            own += turn.cpu * steps / 1000
            turns[contender.name].append(turn)
        number += 1
        if until_agreed and number >= rounds:
            agreed = spread(*(turns[contender.name][-rounds:] for contender in contenders[:2])) < AGREED
    return Race({name: each[-rounds:] for name, each in turns.items()}, number, agreed, meanwhile.share(own))


def spread(ours: Sequence[Turn], theirs: Sequence[Turn]) -> float:
    """Return greatest less least ratio of CPU times, as a part of their median."""
    ratios = [turn.cpu / other.cpu for turn, other in zip(ours, theirs, strict=True)]
    return (max(ratios) - min(ratios)) / statistics.median(ratios)


def circumstances(measured: Mapping) -> str:
    """Return what `Race.conditions` has, as a sentence."""
    busy = measured.get("others")
    others = "" if busy is None else f" Other work took {busy:.0%} of the processor's time meanwhile."
    if busy is not None and busy >= AGREED:
        others += " The machine was busy: measure again next to nothing else."
    run = f"{measured['rounds_run']} rounds"
    if measured["rounds_agree"] is None:
        return f"{run}.{others}"
    if measured["rounds_agree"]:
        return f"{run}, in the last of which, shown here, the first ratio varies by less than {AGREED:.0%}.{others}"
    return f"After {run} the first ratio still varied by {AGREED:.0%} or more in the last ones, shown here.{others}"


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
    return {
        "processor": processor.name() or platform.machine(),
        "instructions": conditions.instructions(),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **packages,
    }
