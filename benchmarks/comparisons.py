"""What the benchmark compares: contenders of one kind in turns, and our input pipeline by itself at the paper's size."""

from __future__ import annotations

import contextlib
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import interleaved

from mmtf.errors import UserError
from mmtf.runs import write_atomically

# The flags of scripts/benchmark.py, and the parts that read them.
READ_BY = {
    "rounds": ("step", "input", "scaling"),
    "steps": ("step", "input", "scaling"),
    "warm_up": ("step", "input"),
    "threads": ("step", "input"),
    "batch_size": ("step", "input"),
    "also": ("step",),
    "without_avx512": ("step",),
    "require": ("step",),
    "model": ("scaling",),
    "requests": ("serving",),
    "seeds": ("quality",),
}


class Length(NamedTuple):
    """Turns of each contender, steps of a turn, steps before the first, and threads of each library (0: its own choice)."""

    rounds: int
    steps: int
    warm_up: int
    threads: int = 0

    def check(self) -> None:
        """Raise UserError where steps are no multiple of those of an execution."""
        for name in ("steps", "warm_up"):
            if getattr(self, name) % 10:
                raise UserError(f"--{name} must be a multiple of 10, the steps per execution, not {getattr(self, name)}.")


def check_read(given: Sequence[str], parts: Sequence[str]) -> None:
    """Raise UserError where a flag is given that none of these parts reads."""
    for name in given:
        if not set(READ_BY[name]) & set(parts):
            needed = " or ".join(f"--part={part}" for part in READ_BY[name])
            raise UserError(f"--{name} does nothing for --part={','.join(parts)}; remove it, or add {needed}.")


def side_by_side(names: Sequence[str], batch_size: int, length: Length, *, until_agreed: bool = False) -> tuple[dict, dict]:
    """Return a row per contender, as `interleaved.summary` has them, in comparison with the second one; and the conditions."""
    with contextlib.ExitStack() as stack:
        running = [stack.enter_context(interleaved.Contender(n, batch_size, length.threads)) for n in names]
        race = interleaved.race(running, length.rounds, length.steps, length.warm_up, until_agreed=until_agreed)
    return interleaved.summary(race.turns, names[1]), race.conditions()


def inputs(batch_size: int, length: Length) -> dict[str, dict]:
    """`input`, the pipelines alone side by side, and `paper_input`; printed."""
    length = length._replace(steps=20 * length.steps)  # of which each is so short
    feeding, conditions = side_by_side(["mmtf_input", "torch_input"], batch_size, length)
    paper = paper_input(batch_size, length)
    print(
        f"\nInput pipelines alone\n\n{interleaved.table(feeding, 'torch_input')}\n\n{interleaved.circumstances(conditions)}\n"
        f"On data of the size of MNIST-SVHN-Text: {paper['batches_per_second']:.0f} batches/s, with {paper['peak_mb']:.0f} MB "
        "of memory at most.",
        flush=True,
    )
    settings = {"settings": length._asdict() | {"batch_size": batch_size}}
    return {"input": {"rows": feeding, "conditions": conditions} | settings, "paper_input": paper | settings}


def paper_input(batch_size: int, length: Length) -> dict[str, float]:
    """Return batches per second, and the highest memory in MB, on data of the size of MNIST-SVHN-Text."""
    with interleaved.Contender("mmtf_paper_input", batch_size, length.threads) as contender:
        race = interleaved.race([contender], length.rounds, length.steps, length.warm_up)
        rate = 1000 / statistics.median(turn.wall for turn in race.turns[contender.name])
        return {"batches_per_second": round(rate, 1), "peak_mb": round(contender.peak_mb)}


def written(path: Path) -> dict:
    """Return what stands in a file of results."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write(path: Path, results: Mapping) -> None:
    """Put these parts into a file of results; parts of other names that stand there stay."""
    write_atomically(path, (json.dumps({**written(path), **results}, indent=2) + "\n").encode())


def keep(path: Path, part: str, name: str, row: dict) -> None:
    """Put one row of a part into a file of results; what else stands there stays."""
    results = written(path)
    results.setdefault(part, {})[name] = row
    write_atomically(path, (json.dumps(results, indent=2) + "\n").encode())
