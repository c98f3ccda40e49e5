"""Sweeps: a run for every combination of some flags' values, each trained and evaluated in a process of its own.

A sweep's folder holds a run under the name of each combination, such as `beta=5,seed=0`; `sweep.json`, which says what the
sweep is and how each run ended; and `output/`, what the processes said. Called again, a sweep goes on where it was, and more
values of its flags may be given then.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from mmtf.cli.sweeps import rerun
from mmtf.cli.sweeps.processes import STOPPED, Commands, in_turn, last_lines
from mmtf.config import Config
from mmtf.errors import UserError
from mmtf.report import flagfile
from mmtf.runs import write_atomically
from mmtf.runs.lock import NAME as LOCK
from mmtf.runs.lock import locked

FILE, OUTPUT = "sweep.json", "output"
TRAINED, EVALUATED, FAILED = "trained", "judged", "failed"
# Of all problems with the combinations; they are mostly one.
MOST_PROBLEMS = 5
LONGEST_NAME = 200
# What a record says of how a run ended.
ENDED = ("status", "reason", "last_lines")
# In the names of folders, beside letters and digits.
PLAIN = "+-._ "

SAYINGS = {
    rerun.TRAIN: "training",
    rerun.RESUME: "going on",
    rerun.EVALUATE: "trained before, evaluating",
    rerun.TAKEN: "as it is",
    rerun.DAMAGED: "damaged",
    rerun.OTHER: "made with other settings",
}


@dataclasses.dataclass(frozen=True)
class Axis:
    """A flag of training, and its values: as they are given on the command line, and as its config has them."""

    name: str
    texts: tuple[str, ...]
    values: tuple


@dataclasses.dataclass(frozen=True)
class Point:
    """A combination: its values by flag, and the run that has them."""

    values: Mapping[str, object]
    job: rerun.Job

    @property
    def name(self) -> str:
        return self.job.path.name


def axis(text: str) -> Axis:
    """`beta=1,2.5,5` as an axis; values that hold commas are parted by semicolons, as in `modalities=digit,word;digit`.

    Raises:
      UserError: not of that form, a flag that mmtf train does not have, a value that it does not take, none, or one twice.
    """
    name, equals, listed = text.partition("=")
    name = name.strip().removeprefix("--")
    if not (name and equals and listed.strip()):
        raise UserError(f"--sweep={text!r} wants a flag and its values, such as beta=1,2.5,5.")
    if name in ("flagfile", "help"):
        raise UserError(f"--sweep={text!r}: --{name} is no setting of a run; sweep over flags of mmtf train, such as beta.")
    parts = tuple(part.strip() for part in listed.split(";" if ";" in listed else ","))
    if "" in parts and ";" not in listed:
        raise UserError(f"--sweep={text!r} has an empty value; part values by semicolons where one of them is to be empty.")
    values = tuple(flagfile.parsed([f"--{name}={part}"], f"--sweep={text!r}")[name].value for part in parts)
    twice = next((v for v in values if values.count(v) > 1), None)
    if twice is not None:
        raise UserError(f"--sweep={text!r} has the value {twice!r} twice; leave one of them out.")
    return Axis(name, parts, values)


def points(base: Sequence[str], axes: Sequence[Axis], folder: Path) -> list[Point]:
    """Return the product of the axes, the last one fastest.

    Args:
      base: flags of mmtf train that all runs have; an axis overrides them.
      folder: of the sweep.

    Raises:
      UserError: there is no axis, two of one flag, or combinations that are refused; it names the first of these.
    """
    names = [a.name for a in axes]
    if not names:
        raise UserError("A sweep wants at least one --sweep, such as --sweep='beta=1,2.5,5'.")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UserError(f"--sweep names {twice} twice; give all of its values in one.")
    grid, problems = [], []
    for choice in itertools.product(*(zip(a.texts, a.values, strict=True) for a in axes)):
        given = dict(zip(names, choice, strict=True))
        name = ",".join(f"{n}={_readable(value)}" for n, (_, value) in given.items())
        if len(name) > LONGEST_NAME:
            raise UserError(f"{name} is too long for the name of a folder; sweep over fewer flags at once.")
        flags = (*base, *(f"--{n}={text}" for n, (text, _) in given.items()))
        try:
            config = flagfile.config_of(flags, name)
        except UserError as error:
            problems.append(f"{name}: {str(error).removeprefix(f'{name}: ')}")
            continue
        grid.append(Point({n: value for n, (_, value) in given.items()}, rerun.Job(flags, config, folder / name)))
    if problems:
        more = f"\nand {len(problems) - MOST_PROBLEMS} more" if len(problems) > MOST_PROBLEMS else ""
        raise UserError(
            f"{len(problems)} of {len(grid) + len(problems)} combinations cannot be trained; nothing was started.\n"
            + "\n".join(problems[:MOST_PROBLEMS])
            + more
        )
    return grid


@dataclasses.dataclass
class Sweep:
    """A sweep's folder and its record, which is written after every run.

    Attributes:
      common: what all runs have in common, of what changes their numbers, by flag.
      runs: by name, the values of a run, how it ended, and with what.
    """

    folder: Path
    axes: tuple[str, ...]
    common: Mapping[str, object]
    runs: dict[str, dict]
    _lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    @classmethod
    def claim(cls, folder: Path, todo: Sequence[Point]) -> Sweep:
        """A new sweep in a new or empty folder, or the sweep that is there; nothing is written yet.

        Raises:
          UserError: the folder is another sweep's, holds something else, or its record is damaged.
        """
        names, file = tuple(todo[0].values), folder / FILE
        common = _common(todo[0].job.config, names)
        if not file.exists():
            # What is there while a call begins, or was left of one that was killed then.
            beginning = (LOCK, f".{FILE}.")
            if folder.exists() and not (folder.is_dir() and all(p.name.startswith(beginning) for p in folder.iterdir())):
                raise UserError(f"--sweep_dir={folder} holds other files and no sweep; name an empty or a new directory.")
            return cls(folder, names, common, {})
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
            kept = cls(folder, tuple(record["axes"]), dict(record["common"]), dict(record["runs"]))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{file} is damaged ({error!r}); restore it, or name another --sweep_dir.") from error
        if kept.axes != names:
            changed = [f"it was over {', '.join(kept.axes)} and is over {', '.join(names)}"]
        else:
            # A flag that came later had its default.
            before = _fields(Config()) | kept.common
            changed = [f"--{n} was {before[n]!r} and is {value!r}" for n, value in common.items() if before[n] != value]
        if changed:
            raise UserError(
                f"--sweep_dir={folder} holds another sweep: {'; '.join(changed)}. Give the same flags, or another --sweep_dir."
            )
        return kept

    @classmethod
    @contextmanager
    def held(cls, folder: Path, todo: Sequence[Point]) -> Iterator[Sweep]:
        """As `claim`, and keeps a second call out of the folder. Raises UserError also where one is at work."""
        with locked(folder, "sweep_dir", "at work on it"):
            # Read here: what the call before added is in it.
            yield cls.claim(folder, todo)

    def note(self, point: Point, **entries) -> None:
        """Add entries to the record of a run, take those away that are None, and write it.

        A status replaces all that is said of how the run ended before.
        """
        with self._lock:
            replaced = dict.fromkeys(ENDED) if "status" in entries else {}
            record = self.runs.get(point.name, {"values": dict(point.values)}) | replaced | entries
            self.runs[point.name] = {name: entry for name, entry in record.items() if entry is not None}
            content = {"version": 1, "axes": self.axes, "common": self.common, "runs": self.runs}
            write_atomically(self.folder / FILE, (json.dumps(content, indent=2) + "\n").encode())

    def output(self, point: Point) -> Path:
        """Return the file with what a run's processes said."""
        return self.folder / OUTPUT / f"{point.name}.txt"


def needs(point: Point, record: Mapping, evaluation: Sequence[str] | None) -> tuple[str, str]:
    """Return what a run of a sweep needs, as `rerun.state` says it, and why.

    A run that mmtf train ended is trained, also where a budget of time ended it; with another budget it goes on.
    """
    state, why = rerun.state(point.job)
    steps = _steps(point.job.path)
    if state == rerun.RESUME and steps is not None and _ended(point, record, steps):
        state, why = rerun.EVALUATE, ""
    if state not in (rerun.EVALUATE, rerun.TAKEN):
        return state, why
    if evaluation is None:
        return rerun.TAKEN, ""
    as_asked = record.get("judged") == {"steps": steps, "flags": list(evaluation)}
    return (rerun.TAKEN if as_asked and (point.job.path / "metrics.json").is_file() else rerun.EVALUATE), ""


def carry_out(
    sweep: Sweep,
    todo: Sequence[Point],
    commands: Commands,
    jobs: int,
    evaluation: Sequence[str] | None = None,
    say: Callable[[str], None] = print,
) -> list[str]:
    """Train every run, and evaluate it where that is asked for; one that fails does not keep the others.

    Args:
      jobs: processes at once.
      evaluation: flags of mmtf evaluate; None for no evaluating.
      say: is told what happens to each run.

    Returns:
      A sentence for each run that is not at its end, with the last lines of what it said.
    """
    for point in todo:
        sweep.note(point)

    def one(numbered: tuple[int, Point]) -> str:
        number, point = numbered
        state, why = needs(point, sweep.runs[point.name], evaluation)
        said = f"[{number}/{len(todo)}] {point.name}: "
        say(f"{said}{SAYINGS[state]}{f' ({why})' if why else ''}")
        if state in (rerun.DAMAGED, rerun.OTHER):
            return f"{point.name} was left alone, {SAYINGS[state]}: {why}"
        failed = _brought_on(sweep, point, state, commands, evaluation)
        if commands.stopped:
            return ""
        if state != rerun.TAKEN:
            say(f"{said}{failed.splitlines()[0] if failed else 'done'}")
        return f"{point.name}: {failed}" if failed else ""

    return [sentence for sentence in in_turn(commands, one, list(enumerate(todo, 1)), jobs) if sentence]


def _brought_on(sweep: Sweep, point: Point, state: str, commands: Commands, evaluation: Sequence[str] | None) -> str:
    """Do what a run needs and notes it; what failed, or nothing."""
    at = f"--run_dir={point.job.path}"
    if state in (rerun.TRAIN, rerun.RESUME):
        resumed = ["--resume"] if state == rerun.RESUME else []
        # Neither will be true of it any more, however this ends.
        sweep.note(point, status=None, judged=None)
        status = commands("train", [*point.job.flags, at, *resumed], sweep.output(point))
        if status:
            return _failure(sweep, point, commands, "train", status)
        sweep.note(point, status=TRAINED, steps=_steps(point.job.path), budget=_budget(point))
    if evaluation is None or state == rerun.TAKEN:
        return ""
    status = commands("evaluate", [at, *evaluation], sweep.output(point))
    if status:
        return _failure(sweep, point, commands, "evaluate", status)
    steps = _steps(point.job.path)
    sweep.note(point, status=EVALUATED, steps=steps, judged={"steps": steps, "flags": list(evaluation)})
    return ""


def _failure(sweep: Sweep, point: Point, commands: Commands, command: str, status: int) -> str:
    # One that was interrupted saves, and ends with a status of its own.
    if commands.stopped or status == STOPPED:
        return f"mmtf {command} was stopped"
    said = last_lines(sweep.output(point))
    sweep.note(point, status=FAILED, reason=f"mmtf {command} ended with {status}", last_lines=said)
    return "\n".join(
        [f"mmtf {command} ended with {status}; the last lines of {sweep.output(point)}:", *(f"    {x}" for x in said)]
    )


def _ended(point: Point, record: Mapping, steps: int) -> bool:
    """Return whether mmtf train ended a run at these steps by itself, and would do so again."""
    path = point.job.path
    # A record from before budgets were written down counts as of this one.
    same = record.get("steps") == steps and record.get("budget", _budget(point)) == _budget(point)
    return same and (_entry(path / "metrics.json", "step") == steps or rerun.kept(path, steps))


def _budget(point: Point) -> dict[str, object]:
    return {"max_seconds": point.job.config.train.max_seconds, "clock": point.job.config.train.clock}


def _steps(path: Path) -> int | None:
    return _entry(path / "training.json", "steps")


def _entry(file: Path, name: str) -> int | None:
    try:
        return json.loads(file.read_text(encoding="utf-8"))[name]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _common(config: Config, axes: Sequence[str]) -> dict[str, object]:
    """Return what changes a run's numbers, by flag, but for the axes."""
    return {name: value for name, value in _fields(rerun.with_length(config)).items() if name not in axes}


def _fields(config: Config) -> dict[str, object]:
    return {name: value for concern in config.to_json().values() for name, value in concern.items()}


def _readable(value) -> str:
    """A value in the name of a folder: 5 of 5.0, no separators of paths or of the name's own parts."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    return urllib.parse.quote(str(value), safe=PLAIN)
