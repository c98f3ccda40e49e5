"""Published tables beside judged runs: which run belongs to which row, means over seeds, and what has to be said with them.

A run belongs to a row by what it is (`defining`), compared with the row's flag file. Runs of one row are averaged over seeds
where all else is the same; other settings make a line of their own, with a footnote that names them.
"""

from __future__ import annotations

import dataclasses
import glob
import itertools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mmtf.config import Config, TrainConfig, differences
from mmtf.errors import UserError
from mmtf.report import flagfile
from mmtf.report.published import Printed, Table
from mmtf.rundir import RunDirectory

IDENTITY = ("model", "dataset", "seed", "step")
# What does not change the numbers: where files are, what is shown, how the work is cut up. How long was trained is told by the
# step, and seeds are what is averaged over.
PLACES = {"data_dir": "", "download": False, "features_dir": "", "data_seed": 0}
CONDUCT = (
    "seed",
    "steps_per_epoch",
    "panels_every",
    "coherence_every",
    "keep_checkpoints",
    "steps_per_execution",
    "strategy",
    "max_seconds",
    "clock",
)
LENGTH = ("steps", "epochs")
# Of a batch, which decides who the other examples of a contrastive loss are.
WORK = "microbatch"


@dataclasses.dataclass(frozen=True)
class Run:
    """A judged run."""

    path: Path
    config: Config
    metrics: Mapping

    @property
    def step(self) -> int:
        return self.metrics["step"]

    @property
    def examples(self) -> int | None:
        """Training examples, where metrics.json says how many."""
        return self.metrics.get("data", {}).get("training_examples")


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Mean over runs in the column's unit, sample standard deviation where there are several, largest standard error."""

    mean: float
    deviation: float | None
    count: int
    standard_error: float | None = None

    def difference(self, printed: Printed | None) -> float | None:
        """Ours - published."""
        return None if printed is None else self.mean - printed.value


@dataclasses.dataclass(frozen=True)
class Line:
    """Ours in one row: an estimate per column, and footnotes on how these runs differ from the flag file."""

    cells: Mapping[str, Estimate]
    notes: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A published table beside ours.

    Attributes:
      lines: per row; none where no run belongs to it.
      notes: of the whole table.
    """

    table: Table
    protocol: str
    lines: Mapping[str, tuple[Line, ...]]
    notes: tuple[str, ...]


def find_runs(places: Iterable[str]) -> tuple[list[Run], list[str]]:
    """The judged runs at these places, and a sentence on each run that cannot be used.

    Args:
      places: runs, folders that hold runs at any depth, or patterns of them such as `runs/*/seed_*`.

    Raises:
      UserError: a place holds no run.
    """
    paths = []
    for place in places:
        found = [path for start in _expanded(place) for path in _runs_below(start)]
        if not found:
            raise UserError(f"--runs={place} names no run and no folder of runs; a run is a directory with a config.json.")
        paths += found
    runs, problems = [], []
    for path in {path.resolve(): path for path in paths}.values():
        try:
            runs.append(_read(path))
        except UserError as error:
            problems.append(f"Left out: {error}")
    return runs, problems


def compare(table: Table, runs: Sequence[Run], protocol: str, configs: Path, problems: Sequence[str] = ()) -> Comparison:
    """A published table beside the runs that belong to it.

    Args:
      protocol: `corrected` or `published`.
      configs: the folder of the flag files.
      problems: sentences on runs that could not be used, which become notes.

    Raises:
      UserError: a flag file is missing or is not one.
    """
    wanted = {file: flagfile.read(configs / file) for row in table.rows for file in table.flag_files(row)}
    matched = {file: [run for run in runs if defining(run.config) == defining(config)] for file, config in wanted.items()}
    notes = [*problems]
    used = {id(run) for found in matched.values() for run in found}
    notes += [f"{run.path} belongs to no row: {_named(run.config)}." for run in runs if id(run) not in used]
    groups = {}
    for file, found in matched.items():
        groups[file], twice = _groups(found)
        notes += twice
    lines = {row: _lines(table, row, protocol, groups, wanted) for row in table.rows}
    notes += _missing(table, protocol, matched) + _about_data(table, matched) + _about_evaluation(matched)
    return Comparison(table, protocol, lines, tuple(dict.fromkeys(notes)))


def defining(config: Config) -> dict:
    """What makes a run one of a row, whatever its sizes, weights and length."""
    return {
        "dataset": config.data.dataset,
        "modalities": config.data.modalities,
        "num_modalities": config.data.num_modalities,
        "data_fraction": config.data.data_fraction,
        "model": config.model.model,
        "private codes": config.model.private_dim > 0,
        "contrast": config.model.contrast,
    }


def settings(config: Config) -> Config:
    """The config without what does not change the numbers, and without seeds and the length of training."""
    default = TrainConfig()
    left_out = (*CONDUCT, *(() if config.train.learning_rate_schedule == "cosine" else LENGTH))
    left_out += (WORK,) if config.model.contrast == "none" else ()
    return dataclasses.replace(
        config,
        data=dataclasses.replace(config.data, **PLACES),
        train=dataclasses.replace(config.train, **{name: getattr(default, name) for name in left_out}),
    )


def _expanded(place: str) -> list[Path]:
    return [Path(place)] if Path(place).exists() else [Path(path) for path in sorted(glob.glob(place, recursive=True))]


def _runs_below(start: Path) -> list[Path]:
    if (start / "config.json").is_file():
        return [start]
    return sorted(path.parent for path in start.rglob("config.json"))


def _read(path: Path) -> Run:
    run = RunDirectory.open(path)
    if not (path / "metrics.json").is_file():
        raise UserError(f"{path} was not judged yet; run python scripts/evaluate.py --run_dir={path}.")
    config, metrics = run.config(), run.read_json("metrics.json")
    missing = [key for key in IDENTITY if not isinstance(metrics, Mapping) or key not in metrics]
    if missing:
        raise UserError(f"{path / 'metrics.json'} lacks {', '.join(missing)}: another version wrote it. Judge the run again.")
    if (metrics["model"], metrics["dataset"]) != (config.model.model, config.data.dataset):
        raise UserError(
            f"{path / 'metrics.json'} is of {metrics['model']} on {metrics['dataset']}, and config.json of "
            f"{config.model.model} on {config.data.dataset}. Judge the run again."
        )
    return Run(path, config, metrics)


def _named(config: Config) -> str:
    return ", ".join(f"{name} {value}" for name, value in defining(config).items() if value != "")


def _groups(runs: Sequence[Run]) -> tuple[list[list[Run]], list[str]]:
    """Runs that differ in their seeds alone, the longest trained first; and notes on second runs of one seed, left out."""
    groups, notes = {}, []
    for run in runs:
        key = settings(run.config), run.step, run.examples
        seeds = groups.setdefault(key, {})
        seed = run.config.train.seed, run.config.data.data_seed
        if seed in seeds:
            notes.append(f"Left out: {run.path} has settings and seed of {seeds[seed].path}; means are over different seeds.")
        else:
            seeds[seed] = run
    return [list(groups[key].values()) for key in sorted(groups, key=lambda key: -key[1])], notes


def _lines(
    table: Table, row: str, protocol: str, groups: Mapping[str, list[list[Run]]], wanted: Mapping[str, Config]
) -> tuple[Line, ...]:
    """A line for the first group of each of the row's flag files, one for the second, and so on."""
    files = table.flag_files(row)
    lines = []
    for found in itertools.zip_longest(*(groups[file] for file in files)):
        of_file = dict(zip(files, found, strict=True))
        cells = {
            column: _estimate(table, row, column, protocol, of_file[table.flag_file(row, column)]) for column in table.columns
        }
        notes = [note for file, runs in of_file.items() if runs for note in _departures(file, wanted[file], runs)]
        lines.append(Line({column: x for column, x in cells.items() if x}, tuple(notes)))
    return tuple(lines)


def _estimate(table: Table, row: str, column: str, protocol: str, runs: Sequence[Run] | None) -> Estimate | None:
    factor = table.unit_of(column).factor
    found = [x for run in runs or () if (x := _value(run, table.place(row, column, protocol))) is not None]
    if not found:
        return None
    values = [factor * value for value, _ in found]
    errors = [factor * error for _, error in found if error is not None]
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return Estimate(statistics.fmean(values), deviation, len(values), max(errors, default=None))


def _value(run: Run, place: str) -> tuple[float, float | None] | None:
    """A number of metrics.json and its standard error where it has one; None where it is not there or is not finite."""
    if place == "epochs":
        return (run.step * run.config.train.batch_size / run.examples, None) if run.examples else None
    found = run.metrics
    for key in place.split("/"):
        found = found.get(key) if isinstance(found, Mapping) else None
    if isinstance(found, Mapping):
        value, error = found.get("value"), found.get("standard_error")
    else:
        value, error = found, None
    return (float(value), float(error) if _is_number(error) else None) if _is_number(value) else None


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _departures(file: str, wanted: Config, runs: Sequence[Run]) -> list[str]:
    """How runs with the same settings differ from their flag file."""
    run, notes = runs[0], []
    changed = differences(settings(wanted), settings(run.config))
    if changed:
        notes.append(f"From configs/{file} to these runs: {'; '.join(changed)}.")
    steps = flagfile.planned_steps(wanted, run.examples)
    if steps and steps > run.step:
        notes.append(f"Trained for {run.step:,} of the {steps:,} steps that configs/{file} comes to on this data.")
    elif steps and steps < run.step:
        notes.append(f"Trained for {run.step:,} steps, more than the {steps:,} that configs/{file} comes to on this data.")
    return notes


def _missing(table: Table, protocol: str, matched: Mapping[str, Sequence[Run]]) -> list[str]:
    """A note per number that some run's metrics.json lacks."""
    lacking = {}
    for row, column in itertools.product(table.rows, table.columns):
        place = table.place(row, column, protocol)
        for run in matched[table.flag_file(row, column)]:
            if _value(run, place) is None:
                lacking.setdefault(str(run.path), []).append(place)
    by_places = {}
    for path, places in lacking.items():
        by_places.setdefault(", ".join(dict.fromkeys(places)), []).append(path)
    return [
        f"Not in metrics.json of {', '.join(paths)}: {places}. Judge the run again, with a version that measures it."
        for places, paths in by_places.items()
    ]


def _about_data(table: Table, matched: Mapping[str, Sequence[Run]]) -> list[str]:
    """A note per set of data that runs had, with the rows that had it."""
    rows_of = {}
    for row in table.rows:
        for file in table.flag_files(row):
            for sentence in dict.fromkeys(_data_sentence(run.metrics) for run in matched[file]):
                rows_of.setdefault(sentence, {})[row] = None
    return [f"Data of {', '.join(rows)}: {sentence}" for sentence, rows in rows_of.items() if sentence]


def _data_sentence(metrics: Mapping) -> str:
    data = metrics.get("data", {})
    if "training_examples" not in data:
        return "metrics.json does not say."
    sources = "".join(f"; {name}: {sentence}" for name, sentence in data.get("sources", {}).items())
    return f"{data['training_examples']:,} training and {data.get('test_examples', 0):,} test examples{sources}."


def _about_evaluation(matched: Mapping[str, Sequence[Run]]) -> list[str]:
    """How many examples the measurements took, and how good the classifiers of coherence are."""
    runs = {id(run): run for found in matched.values() for run in found}.values()
    notes = []
    for key in ("test_examples", "probe_examples", "random_samples"):
        counts = sorted({run.metrics.get("evaluation", {}).get(key) for run in runs} - {None})
        if counts:
            notes.append(f"{key} {' or '.join(f'{count:,}' for count in counts)}")
    said = [f"Evaluation: {', '.join(notes)}."] if notes else []
    scores = {}
    for run in runs:
        for name, score in run.metrics.get("classifier_accuracy", {}).items():
            scores.setdefault(name, []).append(score)
    ranges = [f"{name} {_range(values)}" for name, values in scores.items()]
    return [*said, *([f"Accuracy of the classifiers of coherence on test data: {', '.join(ranges)}."] if ranges else [])]


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.3f}", f"{max(values):.3f}"
    return low if low == high else f"{low} to {high}"
