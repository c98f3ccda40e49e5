"""Published tables beside evaluated runs: which run belongs to which row, means over seeds, and what has to be said with them.

A run belongs to a row by what it is (`defining`), compared with the row's flag file. Runs of one row are averaged over seeds
where all else is the same; other settings make a line of their own, with a footnote that names them.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmtf.config import Config, differences
from mmtf.report import flagfile
from mmtf.report.published import Printed, Table
from mmtf.report.runs import Run, defining, settings


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
    used = {id(run) for group in matched.values() for run in group}
    notes += [f"{run.path} belongs to no row: {_named(run.config)}." for run in runs if id(run) not in used]
    groups = {}
    for file, group in matched.items():
        groups[file], twice = _groups(group)
        notes += twice
    lines = {row: _lines(table, row, protocol, groups, wanted) for row in table.rows}
    notes += _missing(table, protocol, matched) + _about_data(table, matched) + _about_evaluation(matched)
    return Comparison(table, protocol, lines, tuple(dict.fromkeys(notes)))


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
    for group in itertools.zip_longest(*(groups[file] for file in files)):
        of_file = dict(zip(files, group, strict=True))
        cells = {
            column: _estimate(table, row, column, protocol, of_file[table.flag_file(row, column)]) for column in table.columns
        }
        notes = [note for file, runs in of_file.items() if runs for note in _departures(file, wanted[file], runs)]
        lines.append(Line({column: x for column, x in cells.items() if x}, tuple(notes)))
    return tuple(lines)


def _estimate(table: Table, row: str, column: str, protocol: str, runs: Sequence[Run] | None) -> Estimate | None:
    factor = table.unit_of(column).factor
    measured = [x for run in runs or () if (x := _value(run, table.place(row, column, protocol))) is not None]
    if not measured:
        return None
    values = [factor * value for value, _ in measured]
    errors = [factor * error for _, error in measured if error is not None]
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return Estimate(statistics.fmean(values), deviation, len(values), max(errors, default=None))


def _value(run: Run, place: str) -> tuple[float, float | None] | None:
    """A number of metrics.json and its standard error where it has one; None where it is not there or is not finite."""
    if place == "epochs":
        return (run.step * run.config.train.batch_size / run.examples, None) if run.examples else None
    entry = run.metrics
    for key in place.split("/"):
        entry = entry.get(key) if isinstance(entry, Mapping) else None
    if isinstance(entry, Mapping):
        value, error = entry.get("value"), entry.get("standard_error")
    else:
        value, error = entry, None
    return (float(value), float(error) if _is_number(error) else None) if _is_number(value) else None


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _departures(file: str, wanted: Config, runs: Sequence[Run]) -> list[str]:
    """Return how runs with the same settings differ from their flag file."""
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
        f"Not in metrics.json of {', '.join(paths)}: {places}. Evaluate the run again, with a version that measures it."
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
    """Return how many examples the measurements took, and how good the classifiers of coherence are."""
    runs = {id(run): run for group in matched.values() for run in group}.values()
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
