"""Trains and evaluates what a published table lacks, by commands, so that it can be stopped and goes on where it was.

A run's folder is its flag file's path and its seed: `<root>/mnist_svhn_text/mmjsd/seed_0`. Nothing that is there is replaced.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mmtf.config import Config, TrainConfig, differences, flag_files
from mmtf.errors import UserError
from mmtf.report import flagfile
from mmtf.report.published import Table
from mmtf.report.runs import settings
from mmtf.runs import RunDirectory
from mmtf.runs.checksums import check_sums

TRAIN, RESUME, EVALUATE, TAKEN, DAMAGED, OTHER = "train", "resume", "evaluate", "taken", "damaged", "other"
# A budget of time does not leave behind whether it was spent.
NOT_HERE = ("seed", "max_seconds", "clock")

# Runs a command such as "train" with arguments, and returns its exit status.
Call = Callable[[str, Sequence[str]], int]


@dataclasses.dataclass(frozen=True)
class Job:
    """One run of a table: which flags, and where."""

    flags: tuple[str, ...]
    config: Config
    path: Path


def jobs(table: Table, root: Path, seeds: Sequence[int], train_flags: Sequence[str], configs: Path) -> list[Job]:
    """Return the runs of a table, each row's flag files with each seed.

    Args:
      root: the folder that all runs are below.
      train_flags: further flags of mmtf train for all runs, such as `--steps=20`; they override the flag files.
      configs: the folder of the flag files.

    Raises:
      UserError: a flag that mmtf train does not have or that a flag file contradicts, or one that says what is said elsewhere.
    """
    if flag_files.value_of(flag_files.FLAG, train_flags) is not None:
        raise UserError("--train_flags must not have --flagfile: each run has that of its row.")
    given = flagfile.parsed(train_flags, "--train_flags")
    for name in NOT_HERE:
        if given[name].present:
            raise UserError(f"--train_flags must not have --{name}: seeds are given in --seeds, and a length in --steps.")
    # A flag file with --epochs contradicts --steps, and a flag can only be taken back by its default.
    back = [f"--epochs={TrainConfig.epochs}"] if given["steps"].value else []
    files = dict.fromkeys(file for row in table.rows for file in table.flag_files(row))
    return [
        _job(configs / file, root / file.removesuffix(".cfg"), [*back, *train_flags], seed) for file in files for seed in seeds
    ]


def _job(file: Path, folder: Path, further: Sequence[str], seed: int) -> Job:
    flags = [*further, f"--seed={seed}"]
    return Job((f"--flagfile={file}", *flags), flagfile.read(file, flags), folder / f"seed_{seed}")


def state(job: Job) -> tuple[str, str]:
    """Return what a run needs: train, resume, evaluate.

    Or nothing, since it is taken, damaged or of other settings; and why.
    """
    run = RunDirectory(job.path)
    if run.free:
        return TRAIN, ""
    try:
        run = RunDirectory.open(job.path)
        config = run.config()
        examples = run.read_json("data.json")["examples"]["train"]  # without which it can neither go on nor be evaluated
        training = run.read_json("training.json") if (job.path / "training.json").exists() else None
        metrics = run.read_json("metrics.json") if (job.path / "metrics.json").exists() else None
        done = 0 if training is None else training["steps"]
        # A training.json from before it was written there does not say it.
        planned = (training or {}).get("planned_steps") or flagfile.planned_steps(job.config, examples)
        evaluated = bool(training and metrics) and is_of(metrics, training) and is_finished(metrics)
        at_end = evaluated and metrics["step"] == done
    except (UserError, OSError, KeyError, TypeError) as error:
        return DAMAGED, str(error) if isinstance(error, UserError) else f"its records lack something ({error!r})"
    changed = differences(with_length(config), with_length(job.config))
    if changed:
        return OTHER, "; ".join(changed)
    if training is None:
        return RESUME, "no step is saved"
    if planned and done < planned:
        return RESUME, f"{done} of {planned} steps"
    if not planned and not evaluated:
        return RESUME, f"{done} steps; only mmtf train can tell of how many"
    if not at_end and not kept(job.path, done):
        # An older one would be evaluated in its place.
        return RESUME, f"the checkpoint of step {done} is missing or damaged"
    return (TAKEN, "") if evaluated else (EVALUATE, "")


def is_of(metrics: Mapping, training: Mapping) -> bool:
    """Return whether a run was evaluated as it is now, whichever of its checkpoints.

    A run whose last checkpoint was lost is trained to the same step again, in other seconds.

    Args: metrics, training: content of its metrics.json and training.json.
    """
    evaluated = metrics["training"]
    return evaluated["steps"] == training["steps"] and evaluated.get("seconds") in (None, training["seconds"])


def is_finished(metrics: Mapping) -> bool:
    """Return whether all parts that an evaluation was asked for were measured: it writes metrics.json after each of them.

    A file from before the parts were written down counts as finished.
    """
    return set(metrics.get("asked", ())) <= set(metrics.get("parts", ()))


def kept(path: Path, step: int) -> bool:
    """Return whether a run's checkpoint of a step is there, and whole; training.json is written before it appears."""
    folder = path / "checkpoints" / f"step-{step}"
    if not folder.is_dir():
        # Until 0.1.0 a checkpoint was a few files side by side.
        return folder.with_name(f"{folder.name}.index").is_file()
    try:
        check_sums(folder)
    except (OSError, ValueError):
        return False
    return True


def with_length(config: Config) -> Config:
    """What must be the same for a run to be the one asked for: what changes its numbers, how long it trains, and its seed."""
    lengths = {name: getattr(config.train, name) for name in ("steps", "epochs", "seed")}
    same = settings(config)
    # With --steps, --epochs says nothing.
    lengths["epochs"] = TrainConfig.epochs if config.train.steps else lengths["epochs"]
    return dataclasses.replace(
        same,
        data=dataclasses.replace(same.data, data_seed=config.data.data_seed),
        train=dataclasses.replace(same.train, **lengths),
    )


def carry_out(
    todo: Sequence[Job], call: Call, say: Callable[[str], None] = print, evaluate_flags: Sequence[str] = ()
) -> list[str]:
    """Bring every run to where it is evaluated; one that fails does not keep the others.

    Args:
      call: runs a command, see `processes.Commands`.
      say: is told what happens to each run.
      evaluate_flags: further flags of mmtf evaluate.

    Returns:
      A sentence per run that is not evaluated now.
    """
    lost = []
    for number, job in enumerate(todo, 1):
        needs, why = state(job)
        say(f"[{number}/{len(todo)}] {job.path}: {_SAYINGS[needs]}{f' ({why})' if why else ''}")
        if needs in (DAMAGED, OTHER):
            lost.append(f"{job.path} was left alone, {_SAYINGS[needs]}: {why}")
            continue
        failed = _failed(job, needs, call, evaluate_flags)
        if failed:
            say(f"{job.path}: {failed}")
            lost.append(f"{job.path}: {failed}")
    return lost


def _failed(job: Job, needs: str, call: Call, evaluate_flags: Sequence[str]) -> str:
    """Do what a run needs; what failed, or nothing."""
    at = f"--run_dir={job.path}"
    steps = []
    if needs in (TRAIN, RESUME):
        steps.append(("train", [*job.flags, at, *(["--resume"] if needs == RESUME else [])]))
    if needs != TAKEN:
        steps.append(("evaluate", [at, *evaluate_flags]))
    for name, arguments in steps:
        status = call(name, arguments)
        if status:
            return f"mmtf {name} ended with {status}"
    return ""


_SAYINGS = {
    TRAIN: "to be trained and evaluated",
    RESUME: "to be resumed and evaluated",
    EVALUATE: "trained, to be evaluated",
    TAKEN: "evaluated before",
    DAMAGED: "damaged",
    OTHER: "made with other settings",
}
