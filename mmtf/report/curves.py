"""Curves over what was varied: precision and recall of samples, and what runs measure over one of their parameters.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmtf.config import Config, differences
from mmtf.metrics.entries import METRICS
from mmtf.metrics.specs import ARROW
from mmtf.report.canvas import DPI, FONT

ACROSS = 3
# Weights whose effect is by factors.
BY_FACTORS = ("beta", "shared_beta", "private_beta", "alpha")
# What varies with a parameter by design: [S] C.3.5 takes private dimensions from the shared ones.
TOGETHER = {"private_dim": ("shared_dim",)}
JOINT, AREA = "log p(X), nats", "PRD area"
FALLBACK = "log_likelihood/"

# Per panel, per line: (places, means, sample standard deviations over seeds), NaN for the deviation of one seed.
Lines = dict[str, dict[str, tuple[list[float], list[float], list[float]]]]


def prd_figure(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> Figure:
    """Return precision over recall of distributions (Sajjadi et al. 2018), a line for each of the samples evaluated.

    Args:
      curves: per name, precisions and recalls in 0..1, both `[T]`; drawn in the order of the recalls. Names such as
        `scene scene<-digit` are drawn in a panel for each first word.

    Raises:
      ValueError: there are no curves, precisions and recalls differ in number, or one lies outside 0..1.
    """
    if not curves:
        raise ValueError("There are no curves of precision and recall to draw.")
    panels = {}
    for name, curve in curves.items():
        panel, _, label = name.rpartition(" ")
        panels.setdefault(panel, {})[label] = curve
    figure = Figure(figsize=(4.2 * len(panels), 4.6), dpi=DPI, facecolor="white", layout="constrained")
    for axes, (title, drawn) in zip(figure.subplots(1, len(panels), squeeze=False).flat, panels.items(), strict=True):
        axes.set_title(title, fontsize=FONT)
        _draw_prd(axes, drawn)
    return figure


def _draw_prd(axes: Axes, curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> None:
    for name, (precision, recall) in curves.items():
        precision, recall = np.asarray(precision, float), np.asarray(recall, float)
        if precision.shape != recall.shape or precision.ndim != 1 or not len(precision):
            raise ValueError(f"{name}: wanted as many precisions as recalls, not {precision.shape} and {recall.shape}.")
        if not (np.all((precision >= 0) & (precision <= 1)) and np.all((recall >= 0) & (recall <= 1))):
            raise ValueError(f"{name}: precisions and recalls lie in 0..1; these do not.")
        order = np.argsort(recall, kind="stable")
        axes.plot(recall[order], precision[order], linewidth=1.4, label=name)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="recall", ylabel="precision", aspect="equal")
    _finish(axes)


def sweep_curves(runs: Sequence[tuple[Config, Mapping]], parameter: str, entries: Sequence[str] = ()) -> Figure:
    """Return what runs measure over one of their parameters, as [S] Figures 1, 3 and 4: mean and deviation over seeds.

    Args:
      runs: of each its config and the content of its metrics.json.
      parameter: field of the config that differs, such as `beta`, `private_dim` or `prior_weight`.
      entries: as for `swept`.

    Raises:
      ValueError: as `swept`.
    """
    return drawn(swept(runs, parameter, entries), parameter)


def drawn(panels: Lines, parameter: str, names: Sequence[str] = ()) -> Figure:
    """A panel for each of these, with a line and a legend entry for each of its lines, over the parameter.

    Args: names: of the places 0, 1 and so on, where the parameter's values are no numbers.
    """
    across = min(ACROSS, len(panels))
    down = math.ceil(len(panels) / across)
    figure = Figure(figsize=(3.6 * across, 3.1 * down), dpi=DPI, facecolor="white", layout="constrained")
    for axes, (title, lines) in itertools.zip_longest(
        figure.subplots(down, across, squeeze=False).flat, panels.items(), fillvalue=("", {})
    ):
        if not title:
            axes.set_axis_off()
            continue
        for name, (places, means, deviations) in lines.items():
            # One seed has no deviation, and gets no bar.
            axes.errorbar(
                places, means, np.nan_to_num(deviations), fmt="o-", markersize=3.5, linewidth=1.2, capsize=2.5, label=name
            )
        places = sorted({x for line in lines.values() for x in line[0]})
        if parameter in BY_FACTORS and min(places) > 0:
            axes.set_xscale("log")
        axes.set_xticks(places, [names[int(x)] if names else f"{x:g}" for x in places])
        axes.minorticks_off()
        axes.set_title(title, fontsize=FONT, parse_math=False)
        axes.set_xlabel(parameter, fontsize=FONT)
        _finish(axes)
    return figure


def swept(runs: Sequence[tuple[Config, Mapping]], parameter: str, entries: Sequence[str] = ()) -> Lines:
    """Return the numbers of `sweep_curves`.

    A line of `probe` and of `coherence` is the mean over all sets of so many given modalities; coherence is that of
    modalities that were not given. Where likelihoods were not measured, the log-likelihoods among `test_terms` stand in for it.

    Args:
      entries: of metrics.json, such as `probe` or `test_terms/loss`; by default probes, coherence, likelihoods and PRD.

    Raises:
      ValueError: fewer than two values of the parameter, a parameter that does not exist or is no number, runs that differ in
        something else, two runs of one seed and value, or none of the entries was measured in all runs.
    """
    _check_alike(runs, parameter)
    panels_of_runs = [_panels(metrics, entries) for _, metrics in runs]
    lines: Lines = {}
    for title in panels_of_runs[0]:
        for name in panels_of_runs[0][title]:
            if all(name in panels.get(title, ()) for panels in panels_of_runs):
                values = [panels[title][name] for panels in panels_of_runs]
                lines.setdefault(title, {})[name] = _over_seeds([_value(c, parameter) for c, _ in runs], values)
    if not lines:
        raise ValueError(f"None of {', '.join(entries or METRICS.where(summary=True))} was measured in all {len(runs)} runs.")
    return lines


def summary(metrics: Mapping) -> dict[str, float]:
    """Return what a run came to in a few numbers: those that `sweep_curves` draws, such as `probe/2 given`, and the test loss.

    Args: metrics: the content of metrics.json, or of the parts of it that were measured.
    """
    panels = _panels(metrics, ())
    numbers = {
        title if title.endswith(f"/{name}") else f"{title}/{name}": value
        for title, lines in panels.items()
        for name, value in lines.items()
    }
    loss = _number(metrics.get("test_terms", {}).get("loss"))
    return numbers | ({} if loss is None else {"test_terms/loss": loss})


def _check_alike(runs: Sequence[tuple[Config, Mapping]], parameter: str) -> None:
    if not runs:
        raise ValueError("A sweep wants at least two runs; there are none.")
    first, places = runs[0][0], [(_value(config, parameter), config.train.seed) for config, _ in runs]
    if len({place for place, _ in places}) < 2:
        raise ValueError(f"All runs have {parameter}={places[0][0]:g}; give runs with at least two values of it.")
    twice = next((place for place in places if places.count(place) > 1), None)
    if twice:
        raise ValueError(f"Two runs have {parameter}={twice[0]:g} and seed {twice[1]}; leave one of them out.")
    varied = (parameter, "seed", *TOGETHER.get(parameter, ()))
    for config, _ in runs[1:]:
        other = differences(first, config, lambda f: f.name not in varied and not f.metadata["may_change"])
        if other:
            raise ValueError(f"The runs differ not only in {parameter}: {'; '.join(other)}. Leave those runs out.")


def _value(config: Config, parameter: str) -> float:
    fields = {name: x for concern in config.to_json().values() for name, x in concern.items()}
    if parameter not in fields:
        raise ValueError(f"There is no parameter {parameter!r}; there are: {', '.join(fields)}.")
    value = fields[parameter]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"--{parameter} is {value!r} in one of the runs; a sweep wants runs that were given a number.")
    return float(value)


def _over_seeds(places: Sequence[float], values: Sequence[float]) -> tuple[list[float], list[float], list[float]]:
    by_place = {x: [v for place, v in zip(places, values, strict=True) if place == x] for x in sorted(set(places))}
    deviations = [float(np.std(v, ddof=1)) if len(v) > 1 else math.nan for v in by_place.values()]
    return list(by_place), [float(np.mean(v)) for v in by_place.values()], deviations


def _panels(metrics: Mapping, entries: Sequence[str]) -> dict[str, dict[str, float]]:
    """Per panel, per line a number of one run."""
    if entries:
        entries_by_title = {entry: _entry(metrics, entry) for entry in entries}
    else:
        entries_by_title = {}
        for key in METRICS.where(summary=True):
            entries_by_title |= SUMMARIES.get(key, _as_it_is)(metrics, key) if metrics.get(key) else {}
        if JOINT not in entries_by_title:
            terms = {k: v for k, v in metrics.get("test_terms", {}).items() if k.startswith(FALLBACK)}
            entries_by_title |= {f"test_terms/{name}": value for name, value in terms.items()}
    panels = {title: _lines(title, value) for title, value in entries_by_title.items()}
    return {title: lines for title, lines in panels.items() if lines}


def _as_it_is(metrics: Mapping, key: str) -> dict:
    return {key: metrics[key]}


def _joint(metrics: Mapping, key: str) -> dict[str, dict]:
    """Return the likelihood of all modalities, by samples of their own posterior."""
    joint = metrics[key].get("joint")
    if not joint:
        return {}
    everything = max(joint, key=lambda key: key.count(","))
    return {JOINT: {f"K = {joint[everything].get('samples', '?')}": joint[everything]}}


def _areas(metrics: Mapping, key: str) -> dict[str, dict]:
    """The area under the PRD curve of each modality's samples: random ones, and the mean over those from other modalities."""
    panels = {"random": {}, "conditional": {}}
    for name, places in metrics[key].items():
        crossed = [area["area"] for place, area in places.items() if ARROW in place]
        panels["random"] |= {name: places["random"]["area"]} if "random" in places else {}
        panels["conditional"] |= {name: float(np.mean(crossed))} if crossed else {}
    return {f"{AREA}, {kind}": areas for kind, areas in panels.items() if areas}


# What is shown of an entry with more numbers than fit, as panels of their own.
SUMMARIES = {"likelihood": _joint, "prd": _areas}


def _entry(metrics: Mapping, entry: str):
    """`test_terms/log_likelihood/word` of nested dicts whose keys may hold slashes; {} where it was not measured."""
    if entry in metrics:
        return metrics[entry]
    for key, value in metrics.items():
        if entry.startswith(f"{key}/") and isinstance(value, Mapping):
            return _entry(value, entry.removeprefix(f"{key}/"))
    return {}


def _lines(title: str, value) -> dict[str, float]:
    """Return the numbers of an entry, those of equally many given modalities as their mean."""
    if not isinstance(value, Mapping) or "value" in value:
        number = _number(value)
        return {} if number is None else {title.rsplit("/", 1)[-1]: number}
    groups: dict[str, list[float]] = {}
    by_count = any("," in key or ARROW in key for key in value)
    for key, leaf in value.items():
        target, arrow, given = key.partition(ARROW)
        given = (given if arrow else key).split(",")
        number = _number(leaf)
        if number is None or (arrow and target in given):
            continue
        counted = by_count and (arrow or key != "random")
        groups.setdefault(f"{len(given)} given" if counted else key, []).append(number)
    return {name: float(np.mean(numbers)) for name, numbers in groups.items()}


def _number(leaf) -> float | None:
    """A number, or the value of one that stands with its error."""
    leaf = leaf.get("value") if isinstance(leaf, Mapping) else leaf
    return float(leaf) if isinstance(leaf, int | float) and not isinstance(leaf, bool) else None


def _finish(axes: Axes) -> None:
    axes.tick_params(labelsize=FONT - 1)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if len(axes.get_legend_handles_labels()[1]) > 1:
        for text in axes.legend(fontsize=FONT - 1, frameon=False).get_texts():
            text.set_parse_math(False)
