"""The figures of a report, as matplotlib `Figure` objects made without pyplot: no backend and no global state is touched.

Values of a modality are images `[N, H, W, C]` (C 1 or 3; uint8, or float in 0..1 and clipped to it) or a list of N
strings. A text is set in monospace; blanks at an end, or several in a row, show as grey middle dots.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mmtf.metrics.specs import ARROW
from mmtf.modality import check_subset, subset_key, subsets
from mmtf.report.canvas import DPI, FONT, Cell, Group, cells, draw_grid

BLUE = "#3b6ea5"
CURVE_COLUMNS = 3  # small multiples side by side
ROW_FILL = 0.8  # share of a row's height that its bars take
DARK_BELOW = 0.6  # numbers on cells of the heat map below this value are white


def sample_grid(values, columns: int = 10) -> Figure:
    """Return the values of one modality, row by row.

    Raises:
      ValueError: `columns` is below 1, or the values are neither images nor texts.
    """
    if columns < 1:
        raise ValueError(f"columns must be 1 or more, not {columns}.")
    shown = cells(values, "values")
    rows = [shown[i : i + columns] for i in range(0, len(shown), columns)]
    return draw_grid([Group("", list(itertools.zip_longest(*rows)))])


def examples_grid(examples: Mapping[str, object], count: int = 8) -> Figure:
    """Return the first `count` examples: a row for each, with its modalities side by side.

    Raises:
      ValueError: there are no modalities, fewer than `count` examples, or values that are neither images nor texts.
    """
    return draw_grid([Group(name, [column]) for name, column in _first(examples, count, "examples").items()])


def reconstruction_grid(originals: Mapping[str, object], reconstructions: Mapping[str, object], count: int = 8) -> Figure:
    """Return the first `count` examples: for every modality the original and, beside it, what the model decodes from it.

    Raises:
      ValueError: the two name different modalities, hold fewer than `count` examples, or neither images nor texts.
    """
    if set(originals) != set(reconstructions):
        raise ValueError(f"Originals are of {', '.join(originals)}, but reconstructions of {', '.join(reconstructions)}.")
    left, right = _first(originals, count, "originals"), _first(reconstructions, count, "reconstructions")
    return draw_grid([Group(name, [left[name], right[name]], ("original", "decoded")) for name in left])


def cross_generation_grid(source_name: str, sources, targets: Mapping[str, Sequence]) -> Figure:
    """Return what the model generates from one modality: a row per source, and in it several samples of every target.

    Args:
      source_name: name of the given modality, the title of the first column.
      sources: its N values.
      targets: per generated modality, for each source n samples: an array `[N, n, H, W, C]`, or N lists of n strings.

    Raises:
      ValueError: the number of sources or samples differs within a modality, or values are neither images nor texts.
    """
    given = cells(sources, source_name)
    groups = [Group(source_name, [given], ("given",))]
    for name, samples in targets.items():
        groups.append(Group(name, list(zip(*_nested(samples, len(given), name), strict=True))))
    return draw_grid(groups)


def columns_grid(columns: Mapping[str, Mapping[str, object]]) -> Figure:
    """A row for each example: per modality some values of it under titles of their own, side by side.

    Args:
      columns: per modality and title N values.

    Raises:
      ValueError: the number of values differs, or they are neither images nor texts.
    """
    groups = [Group(name, [cells(x, f"{name}, {t}") for t, x in part.items()], tuple(part)) for name, part in columns.items()]
    if len({len(column) for group in groups for column in group.columns}) > 1:
        raise ValueError("columns_grid wants equally many values in each column.")
    return draw_grid(groups)


def swap_grid(contents, styles, decoded: Sequence) -> Figure:
    """Return every content in every style: the top row gives the shared code, the left column the private one.

    Args:
      contents: the values in the top row, one per column; of any modality.
      styles: the values in the left column, one per row; of the decoded modality.
      decoded: for each style, one value per content: an array `[styles, contents, H, W, C]`, or lists of strings.

    Raises:
      ValueError: `decoded` has another number of rows or columns, or values are neither images nor texts.
    """
    top, left = cells(contents, "contents"), cells(styles, "styles")
    rows = _nested(decoded, len(left), "decoded")
    if len(rows[0]) != len(top):
        raise ValueError(f"decoded: wanted one value for each of {len(top)} contents, but there are {len(rows[0])}.")
    content_columns = [[content, *column] for content, *column in zip(top, *rows, strict=True)]
    return draw_grid([Group("style", [[None, *left]]), Group("content", content_columns)], lead_rows=1)


def coherence_matrix(coherence: Mapping[str, float], names: Sequence[str]) -> Figure:
    """A heat map of conditional coherence: rows are the given subsets, columns the generated modalities.

    Args:
      coherence: shares in 0..1 under keys such as `word<-digit` or `scene<-digit,word`; keys without `<-`, such as
        `random`, are not drawn, and neither are missing combinations.
      names: the modalities, in order.

    Raises:
      ValueError: no key has an arrow, a key names an unknown modality, or a share lies outside 0..1.
    """
    shares = {_parsed(key, names): share for key, share in coherence.items() if ARROW in key}
    if not shares or not all(0.0 <= share <= 1.0 for share in shares.values()):
        raise ValueError(f"Wanted shares in 0..1 under keys such as 'word<-digit', not {dict(coherence)}.")
    given = [key for key in (subset_key(s, names) for s in subsets(names)) if any(key == row for _, row in shares)]
    table = np.array([[shares.get((target, row), np.nan) for target in names] for row in given])
    figure = _chart(1.5 + 0.9 * len(names) + 0.08 * max(map(len, given)), 0.9 + 0.38 * len(given))
    axes = figure.subplots()
    axes.imshow(table, vmin=0.0, vmax=1.0, cmap="viridis", aspect="auto", interpolation="nearest")
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(given)), given)
    axes.set(xlabel="generated", ylabel="given")
    for row, column in zip(*np.nonzero(np.isfinite(table)), strict=True):
        colour = "white" if table[row, column] < DARK_BELOW else "black"
        axes.text(column, row, f"{table[row, column]:.2f}", ha="center", va="center", color=colour)
    return figure


def probe_bars(probe: Mapping[str, float], score: str = "accuracy") -> Figure:
    """Return one bar per subset of modalities: the score of a linear classifier on its latent codes.

    Args:
      score: what is measured, for the axis.

    Raises:
      ValueError: there are no bars, or a score lies outside 0..1.
    """
    if not probe or not all(0.0 <= share <= 1.0 for share in probe.values()):
        raise ValueError(f"Wanted accuracies or other scores in 0..1 by subset of modalities, not {dict(probe)}.")
    figure = _chart(5.0 + 0.08 * max(map(len, probe)), 0.8 + 0.3 * len(probe))
    axes = figure.subplots()
    bars = axes.barh(list(probe), list(probe.values()), color=BLUE)
    axes.bar_label(bars, fmt="%.3f", padding=3, fontsize=FONT)
    # Room beyond 1 for the number at the end of a full bar.
    axes.set(xlim=(0.0, 1.12), xticks=np.linspace(0.0, 1.0, 6), xlabel=f"{score} of a linear classifier")
    axes.invert_yaxis()
    _without_frame(axes)
    return figure


def label_bars(
    panels: Mapping[str, Mapping[str, Mapping[str, float]]],
    prevalence: Mapping[str, float],
    ceilings: Mapping[str, Mapping[str, float]] | None = None,
) -> Figure:
    """Return average precision of each attribute, the most frequent on top: a bar per given subset, in panels side by side.

    Args:
      panels: by generated modality ("" for none: a probe), then by given subset, then by attribute, shares in 0..1. An
        attribute that is nowhere has no row.
      prevalence: share of the examples that have each attribute, marked as the average precision of random scores.
      ceilings: by generated modality and attribute, the classifier's average precision on real values, marked where given.

    Raises:
      ValueError: there are no bars, a share lies outside 0..1, or an attribute has no prevalence.
    """
    bars = [scores for panel in panels.values() for scores in panel.values()]
    labels = set().union(*bars)
    if not labels or not all(0.0 <= share <= 1.0 for scores in bars for share in scores.values()):
        raise ValueError(f"Wanted shares in 0..1 by panel, by subset of modalities, and by attribute, not {dict(panels)}.")
    if labels - set(prevalence):
        raise ValueError(f"The prevalence of these attributes is missing: {', '.join(sorted(labels - set(prevalence)))}.")
    rows = sorted(labels, key=lambda label: (-prevalence[label], label))
    series = list(dict.fromkeys(itertools.chain(*panels.values())))
    figure = _chart(2.0 + 3.5 * len(panels), 1.2 + (0.1 + 0.06 * len(series)) * len(rows))
    places = np.arange(len(rows))
    for axes, (title, panel) in zip(
        figure.subplots(1, len(panels), sharey=True, squeeze=False).flat, panels.items(), strict=True
    ):
        _draw_label_bars(axes, rows, series, panel)
        _mark(axes, places, [prevalence[label] for label in rows], "black", "solid", "share of examples that have it")
        if ceilings:
            _mark(
                axes,
                places,
                [ceilings.get(title, {}).get(label, np.nan) for label in rows],
                "red",
                "dotted",
                "classifier, on test data",
            )
        axes.set_title(title and f"generated {title}", fontsize=FONT, parse_math=False)
    handles = {label: handle for axes in figure.axes for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles, loc="outside upper center", ncols=3, fontsize=FONT, frameon=False)
    return figure


def training_curves(history: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> Figure:
    """Return small multiples: one panel per logged quantity, over the training step. NaN and infinite values leave gaps.

    Args:
      history: per quantity, its steps and its values, both `[T]`.

    Raises:
      ValueError: there is nothing to draw, or steps and values differ in length.
    """
    for name, (steps, values) in history.items():
        if len(steps) != len(values):
            raise ValueError(f"{name}: there are {len(steps)} steps, but {len(values)} values.")
    if not history:
        raise ValueError("The history is empty; nothing was logged.")
    columns = min(CURVE_COLUMNS, len(history))
    rows = math.ceil(len(history) / columns)
    figure = _chart(3.2 * columns, 0.3 + 2.0 * rows)
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, (name, (steps, values)) in itertools.zip_longest(panels, history.items(), fillvalue=("", ((), ()))):
        _draw_curve(axes, name, steps, values)
    figure.supxlabel("step", fontsize=FONT)
    return figure


def save(figure: Figure, path: str | os.PathLike) -> None:
    """Write the figure as a PNG of 120 dpi; whoever reads `path` meanwhile finds the old file or the new one, whole.

    Raises:
      ValueError: the name does not end in .png.
      OSError: the folder does not exist or cannot be written.
    """
    path = Path(path).expanduser()
    if path.suffix != ".png":
        raise ValueError(f"Figures are saved as .png, not as {path.name!r}.")
    # A plain file rather than tempfile's: that one only its owner may read, also after the rename.
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        figure.savefig(partial, format="png", dpi=DPI)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def to_image(figure: Figure) -> np.ndarray:
    """Return the figure's pixels, uint8 `[H, W, 3]`, as `tf.summary.image` takes them (with a batch axis in front)."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def _first(values: Mapping[str, object], count: int, argument: str) -> dict[str, list[Cell]]:
    """Return the first `count` cells of every modality."""
    if not values or count < 1:
        raise ValueError(f"{argument}: wanted at least one modality and one row, not {len(values)} and {count}.")
    for name, column in values.items():
        if len(column) < count:
            raise ValueError(f"{argument}: {count} rows were asked for, but {name} has {len(column)} values.")
    return {name: cells(column[:count], name) for name, column in values.items()}


def _nested(samples: Sequence, count: int, name: str) -> list[list[Cell]]:
    """For each of `count` rows its cells, equally many."""
    if len(samples) != count:
        raise ValueError(f"{name}: wanted samples for {count} rows, but there are {len(samples)}.")
    rows = [cells(row, name) for row in samples]
    if len({len(row) for row in rows}) > 1:
        raise ValueError(f"{name}: every row must have equally many samples, not {[len(row) for row in rows]}.")
    return rows


def _parsed(key: str, names: Sequence[str]) -> tuple[str, str]:
    """`scene<-digit,word` as the generated modality and the key of the given subset."""
    target, _, given = key.partition(ARROW)
    return check_subset(target, names)[0], subset_key(given.split(","), names)


def _chart(width: float, height: float) -> Figure:
    """Return an empty figure of so many inches, whose labels do not overlap."""
    return Figure(figsize=(width, height), dpi=DPI, facecolor="white", layout="constrained")


def _draw_curve(axes: Axes, name: str, steps, values) -> None:
    if not name:
        axes.set_axis_off()
        return
    axes.plot(steps, np.where(np.isfinite(values), values, np.nan), color=BLUE, linewidth=1.2)
    axes.set_title(name, fontsize=FONT, parse_math=False)
    axes.tick_params(labelsize=FONT - 1)
    axes.yaxis.offsetText.set_fontsize(FONT - 1)
    axes.grid(alpha=0.3)
    _without_frame(axes)


def _draw_label_bars(axes: Axes, rows: Sequence[str], series: Sequence[str], panel: Mapping[str, Mapping[str, float]]) -> None:
    """A group of thin bars for every row, in the order of `series`; what a subset lacks is a gap."""
    thickness, colours = ROW_FILL / len(series), colormaps["tab20"].colors
    for number, given in enumerate(series):
        if given in panel:
            lengths = [panel[given].get(label, np.nan) for label in rows]
            places = np.arange(len(rows)) + thickness * (number - (len(series) - 1) / 2)
            axes.barh(places, lengths, thickness, color=colours[number % len(colours)], label=f"given {given}")
    axes.set_yticks(np.arange(len(rows)), rows, fontsize=FONT - 1, parse_math=False)
    axes.set(xlim=(0.0, 1.0), ylim=(len(rows) - 0.5, -0.5), xlabel="average precision")
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    _without_frame(axes)


def _mark(axes: Axes, places: np.ndarray, shares: Sequence[float], colour: str, style: str, label: str) -> None:
    """A short upright line in every row."""
    half = ROW_FILL / 2
    axes.vlines(shares, places - half, places + half, colors=colour, linestyles=style, linewidth=1.3, label=label)


def _without_frame(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
