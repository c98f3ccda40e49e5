"""What the runs of a sweep came to, by the values that were swept over: a table, its rows as CSV, and a picture."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from mmtf.report import curves
from mmtf.report.sections import ABSENT, markdown, number

SEED = "seed"
# How long a run took is in the tables; over a parameter it tells of the machine.
TRAINING = "training/"
# Whose numbers are of one scale.
TOGETHER = ("probe", "coherence", curves.JOINT, f"{curves.AREA}, random", f"{curves.AREA}, conditional")


class Result(NamedTuple):
    """A run: the values of the flags that were swept over, and what it came to, by name."""

    values: Mapping[str, object]
    numbers: Mapping[str, float]


def table(results: Sequence[Result]) -> str:
    """A Markdown row for each combination of values: means over its seeds, with sample standard deviations of several.

    Raises:
      ValueError: there are no results.
    """
    columns, groups = _columns(results), _groups(results)
    axes = _axes(results)
    seeds = [SEED + "s"] if SEED in results[0].values else []
    rows = []
    for values, runs in groups.items():
        counted = [str(len(runs))] if seeds else []
        rows.append([*map(str, values), *counted, *(_cell([run.numbers.get(c) for run in runs]) for c in columns)])
    return markdown([*axes, *seeds, *columns], rows)


def as_csv(results: Sequence[Result]) -> str:
    """A row for each run, with all digits."""
    columns, text = _columns(results), io.StringIO()
    names = list(results[0].values)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*names, *columns])
    writer.writerows([*run.values.values(), *(run.numbers.get(c, "") for c in columns)] for run in results)
    return text.getvalue()


def picture(results: Sequence[Result]) -> Figure | None:
    """Return what runs came to over the first flag whose values are numbers, or else over the first one.

    Where nothing else was varied but the seed, a panel shows what is of one scale, such as all probes; else it shows one
    number, with a line for each combination of the other values. Bars are sample standard deviations over seeds.

    Returns:
      None where there is nothing to draw: what was measured has no curves, such as the use of codes.

    Raises:
      ValueError: there are no results.
    """
    shown = [c for c in _columns(results) if not c.startswith(TRAINING) or c == f"{TRAINING}loss"]
    if not shown:
        return None
    axes = _axes(results) or [SEED]
    place = next((a for a in axes if all(_is_number(run.values[a]) for run in results)), axes[0])
    names = [] if _is_number(results[0].values[place]) else list(dict.fromkeys(str(run.values[place]) for run in results))
    others = [a for a in axes if a != place]
    points: dict[str, dict[str, dict[float, list[float]]]] = {}
    for run in results:
        x = float(names.index(str(run.values[place])) if names else run.values[place])
        combination = ", ".join(f"{a}={run.values[a]}" for a in others)
        for column in (c for c in shown if c in run.numbers):
            panel, _, line = column.rpartition("/")
            if others or panel not in TOGETHER:
                panel, line = column, combination
            points.setdefault(panel, {}).setdefault(line, {}).setdefault(x, []).append(run.numbers[column])
    panels = {panel: {line: _line(places) for line, places in lines.items()} for panel, lines in points.items()}
    return curves.drawn(panels, place, names)


def _line(places: Mapping[float, Sequence[float]]) -> tuple[list[float], list[float], list[float]]:
    """Return places in order, means, and deviations, NaN for that of one run."""
    ordered = dict(sorted(places.items()))
    deviations = [statistics.stdev(v) if len(v) > 1 else math.nan for v in ordered.values()]
    return list(ordered), [statistics.fmean(v) for v in ordered.values()], deviations


def _axes(results: Sequence[Result]) -> list[str]:
    return [name for name in results[0].values if name != SEED]


def _columns(results: Sequence[Result]) -> list[str]:
    if not results:
        raise ValueError("A sweep without runs has no results.")
    return list(dict.fromkeys(name for run in results for name in run.numbers))


def _groups(results: Sequence[Result]) -> dict[tuple, list[Result]]:
    """Runs that differ in their seeds alone."""
    groups: dict[tuple, list[Result]] = {}
    for run in results:
        groups.setdefault(tuple(run.values[a] for a in _axes(results)), []).append(run)
    return groups


def _cell(values: Sequence[float | None]) -> str:
    numbers = [v for v in values if v is not None]
    if not numbers:
        return ABSENT
    # Steps, of which all have as many.
    mean = number(numbers[0] if len(set(numbers)) == 1 else statistics.fmean(numbers))
    spread = f" ± {number(statistics.stdev(numbers))}" if len(set(numbers)) > 1 else ""
    return f"{mean}{spread}" + (f" ({len(numbers)} of {len(values)})" if len(numbers) < len(values) else "")


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
