"""What a sweep leaves for its reader: table.md, table.csv and sweep.png in its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from mmtf.cli.sweeps import rerun
from mmtf.cli.sweeps.sweep import Sweep
from mmtf.errors import UserError
from mmtf.report import curves, figures, grids
from mmtf.runs import write_atomically

TABLE, CSV, PICTURE = "table.md", "table.csv", "sweep.png"
STEPS, SECONDS = f"{grids.TRAINING}steps", f"{grids.TRAINING}seconds"


def results(sweep: Sweep) -> list[grids.Result]:
    """Return what all trained runs of a sweep came to, by the order of their values: those of earlier calls too."""
    trained_runs = []
    for name, record in sweep.runs.items():
        path = sweep.folder / name
        training = _content(path / "training.json")
        if training:
            trained = {STEPS: training["steps"], SECONDS: training["seconds"]}
            trained_runs.append(grids.Result(record["values"], _measured(path, training) | trained))
    return sorted(trained_runs, key=lambda run: [_order(value) for value in run.values.values()])


def write(sweep: Sweep) -> str:
    """Write the tables and the picture, where there is one, and return the table; without any trained run, nothing."""
    runs = results(sweep)
    if not runs:
        return ""
    table = grids.table(runs)
    write_atomically(sweep.folder / TABLE, f"{table}\n".encode())
    write_atomically(sweep.folder / CSV, grids.as_csv(runs).encode())
    try:
        picture = grids.picture(runs)
        if picture:
            figures.save(picture, sweep.folder / PICTURE)
        else:
            # One of other numbers than those of the tables.
            (sweep.folder / PICTURE).unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"Cannot write {sweep.folder / PICTURE}: {error.strerror}.") from error
    return table


def _measured(path: Path, training: Mapping) -> dict[str, float]:
    """Return what mmtf evaluate measured of the run as it is now.

    Of a run that was not evaluated its terms at the end of training.
    """
    metrics = _content(path / "metrics.json")
    if metrics and "training" in metrics and rerun.is_of(metrics, training):
        return curves.summary(metrics)
    from mmtf.runs import events  # here: it takes seconds to load TensorFlow, which an evaluated sweep does without

    terms = {n: x for n, x in events.read_scalars(path / "logs").items() if not n.startswith(("schedule/", "coherence"))}
    return {f"{grids.TRAINING}{name}" if name == "loss" else name: values[-1] for name, (_, values) in terms.items()}


def _content(file: Path) -> dict | None:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _order(value) -> tuple:
    """Return numbers by size, before words."""
    return (0, value, "") if isinstance(value, int | float) else (1, 0, str(value))
