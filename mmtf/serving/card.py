"""The model card beside a SavedModel: what it was trained on and how, what was measured of it, and what it is not for."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from mmtf import __version__, registry
from mmtf.config import OF_A_MACHINE
from mmtf.metrics.entries import METRICS
from mmtf.metrics.specs import BESIDE
from mmtf.runs import RunDirectory, write_atomically

LICENCE = "Apache-2.0"
# Where files lay on the machine of the run, under whatever key: nobody else's business, and of no use to them.
PLACES = (*OF_A_MACHINE, "cache_dir", "inception_weights", "plugin")
USE = (
    "Research on, and demonstrations of, learning from several modalities: encoding, completing, translating and generating "
    "values like those that it was trained on."
)
LIMITS = (
    "It knows nothing but its training data, and repeats what they are skewed to; values from elsewhere are encoded without a "
    "warning.",
    "What it generates is no evidence of anything: not of a person's looks, and not of a fact.",
    "Log-likelihoods, of models that have them, are estimates whose effective sample size says when not to trust them; they do "
    "not tell reliably whether a value is like the training data.",
    "It was not examined for fairness between groups of people; do not decide about people by it.",
)


def write_card(folder: Path, run: RunDirectory, step: int) -> None:
    """Write `model_card.json` and, for people, `model_card.md`."""
    card = model_card(run, step)
    write_atomically(folder / "model_card.json", (json.dumps(card, indent=2) + "\n").encode())
    write_atomically(folder / "model_card.md", as_markdown(card).encode())


def model_card(run: RunDirectory, step: int) -> dict:
    """Return what the run directory knows, and what holds for all models of this project.

    Raises:
      UserError: one of the run's files is damaged.
    """
    config = run.config()
    dataset = config.data.dataset
    data, training, metrics = (_there(run, name) for name in ("data.json", "training.json", "metrics.json"))
    return {
        "model": {"name": config.model.model, "step": step, "modalities": [dataclasses.asdict(m) for m in run.modalities()]},
        "data": data | {"dataset": dataset, "licence": list(registry.licences_of(dataset))},
        "configuration": without_places(config.to_json()),
        "training": training,
        "metrics": without_places(metrics),
        "intended_use": USE,
        "limits": list(LIMITS),
        "software": {"mmtf": __version__, "licence": LICENCE},
    }


def without_places(entries: Mapping) -> dict:
    """Return the same, nested, without folders and files of the machine."""
    rest = {key: x for key, x in entries.items() if key not in PLACES}
    return {key: without_places(x) if isinstance(x, Mapping) else x for key, x in rest.items()}


def as_markdown(card: Mapping) -> str:
    """Return the card as people read it."""
    model, data = card["model"], card["data"]
    shapes = [f"`{m['name']}` {list(m['event_shape'])}, {m['likelihood']}" for m in model["modalities"]]
    parts = [
        f"# {model['name']} on {data['dataset']}, step {model['step']}",
        f"Models {'; '.join(shapes)}.",
        _section("Intended use", [card["intended_use"]]),
        _section("Limits", [f"- {limit}" for limit in card["limits"]]),
        _section("Data", _lines(data, "digests", "classes", "licence", "dataset") + [f"- {x}" for x in data["licence"]]),
        _section("Digests of the values", _lines(data.get("digests", {}))),
        _section("Training", _trained(card["training"], model["step"])),
        _section("Measured on the test split", _measured(card["metrics"], model["step"])),
        _section("Configuration", ["```json", json.dumps(card["configuration"], indent=2), "```"]),
        _section("Software", [f"mmtf {card['software']['mmtf']}, licence {card['software']['licence']}."]),
    ]
    return "\n\n".join(parts) + "\n"


def _there(run: RunDirectory, name: str) -> dict:
    return run.read_json(name) if (run.path / name).is_file() else {}


def _section(title: str, lines: list[str]) -> str:
    return f"## {title}\n\n" + "\n".join(lines)


def _lines(entries: Mapping, *without: str) -> list[str]:
    rest = {key: x for key, x in entries.items() if key not in without}
    return [f"- {' '.join(path)}: {value}" for path, value in _leaves(rest)]


def _trained(training: Mapping, step: int) -> list[str]:
    if not training:
        return ["No training.json: it was not trained by `train`, which writes one with every checkpoint."]
    steps, planned = training.get("steps"), training.get("planned_steps")
    said = _of_another(steps, step)
    if None not in (steps, planned) and steps < planned:
        said = [*said, f"Training stopped at step {steps} of {planned} planned.", ""]
    return said + _lines(training)


def _of_another(measured_step: int | None, step: int) -> list[str]:
    return [] if measured_step == step else [f"These numbers are of step {measured_step}.", ""]


def _measured(metrics: Mapping, step: int) -> list[str]:
    """A table of every number, with its 95 % interval where there is one."""
    if not metrics:
        return ["Nothing was measured: `mmtf evaluate` had not been run."]
    numbers = list(_numbers(metrics))
    rows = [f"| {' '.join(path)} | {value} | {interval} |" for path, value, interval in numbers]
    table = ["| | value | 95 % interval |", "|---|---:|---|", *rows]
    return [*_of_another(metrics.get("step"), step), *table, "", *_meanings({path[0] for path, _, _ in numbers}, metrics)]


def _meanings(keys: Collection[str], metrics: Mapping) -> list[str]:
    """Return what the entries that are shown mean, a line each."""
    score = metrics.get("score", "accuracy")
    shown = [(key, spec) for key, spec in METRICS.items() if key in keys]
    return [
        f"- `{key}`, {spec.title}{f' ({spec.unit})' if spec.unit else ''}: {METRICS.meaning(key, score)}" for key, spec in shown
    ]


def _numbers(metrics: Mapping) -> Iterator[tuple[tuple[str, ...], object, str]]:
    for key, entry in metrics.items():
        spec = METRICS.get(key)
        if (spec is not None and spec.section is None) or key.endswith(BESIDE):
            continue
        intervals = metrics.get(f"{key}_interval", {})
        for path, value in _leaves({key: entry}):
            shown = intervals.get(path[-1]) if len(path) == 2 else None
            if isinstance(value, Mapping):
                shown, value = ([value["low"], value["high"]] if "low" in value else None), value["value"]
            yield path, value, "" if shown is None else f"[{shown[0]}, {shown[1]}]"


def _leaves(entries: Mapping, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Everything that is no dict, and measurements with their uncertainty, under the keys that lead there."""
    for key, x in entries.items():
        if isinstance(x, Mapping) and "value" not in x:
            yield from _leaves(x, (*path, str(key)))
        else:
            yield (*path, str(key)), x
