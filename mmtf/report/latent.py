"""Figures of latent codes: where examples lie, and what changes along one dimension after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from sklearn.manifold import TSNE

from mmtf.report.canvas import DPI, FONT, Group, cells, draw_grid

PERPLEXITY = 30.0  # scikit-learn's default
FEWEST = 4  # points of which t-SNE can make a map
PANEL, NARROWEST, LEGEND_LINE = 2.6, 3.6, 0.2  # inches
LETTERS, LETTERS_OF_MARK = 13, 7  # of the legend: in an inch, and as wide as a mark with the space around it
ACROSS = 4
MOST_COLOURS = 20  # classes that can be told apart; of more, the most frequent
POINT = 9.0
GREY, FAINT = "0.7", "0.9"


def latent_map(codes: Mapping[str, np.ndarray], label=None, class_names: Sequence[str] = (), *, seed: int = 0) -> Figure:
    """t-SNE (van der Maaten, Hinton 2008) of posterior means, a panel for each set of modalities that they come from.

    All panels are one map, with the codes of the other panels in faint grey: where a class has the same codes from two
    modalities, it lies at the same place of both panels. How far apart distant clusters lie, and how large they are,
    means nothing in such a map.

    Args:
      codes: per panel, such as `digit` or `digit,word`, means of q(c|X_K) of the same N examples, `[N, D]`.
      label: class of each example, `[N]` integers; None draws all points in one colour.
      class_names: for the legend; by default the numbers of the classes.
      seed: of t-SNE.

    Raises:
      ValueError: there are no codes, they differ in shape, are not finite, or do not have a label each; or they are too few.
    """
    label = None if label is None else np.asarray(label)
    _check(codes, label)
    count = len(next(iter(codes.values())))
    places = embedded(np.concatenate(list(codes.values())), seed=seed).reshape(len(codes), count, 2)
    across, down, classes = min(len(codes), ACROSS), -(-len(codes) // ACROSS), _classes(label, class_names, count)
    width = max(PANEL * across, NARROWEST)
    columns = max(1, int(width * LETTERS / (LETTERS_OF_MARK + max(len(title) for title, _, _ in classes))))
    height = PANEL * down + LEGEND_LINE * -(-len(classes) // columns)
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white", layout="constrained")
    panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).flat
    for axes in list(panels)[len(codes) :]:
        axes.set_axis_off()
    for axes, name, points in zip(figure.axes, codes, places, strict=False):
        axes.set_title(name, fontsize=FONT, parse_math=False)
        axes.set(xticks=(), yticks=())
        if len(codes) > 1:
            axes.scatter(*places.reshape(-1, 2).T, s=POINT / 2, color=FAINT, linewidths=0, label="_all")
        for title, colour, chosen in classes:
            axes.scatter(*points[chosen].T, s=POINT, color=colour, linewidths=0, label=title)
    if label is not None:
        entries = figure.axes[0].get_legend_handles_labels()
        style = {"fontsize": FONT - 1, "markerscale": 2, "frameon": False}
        legend = figure.legend(*entries, loc="outside lower center", ncols=columns, **style)
        for text in legend.get_texts():
            text.set_parse_math(False)
    return figure


def embedded(codes: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """A map of codes `[N, D]` by scikit-learn's t-SNE, `[N, 2]`; the same for a seed. Raises ValueError for fewer than 4."""
    if len(codes) < FEWEST:
        raise ValueError(f"A map wants at least {FEWEST} codes, not {len(codes)}.")
    perplexity = min(PERPLEXITY, (len(codes) - 1) / 3)
    # Principal components to start from take two dimensions; random ones are placed as widely as those would be.
    start = "pca" if codes.shape[1] > 1 else "random"
    return TSNE(perplexity=perplexity, init=start, random_state=seed).fit_transform(codes.astype(np.float64))


def most_varied(means: np.ndarray, count: int) -> np.ndarray:
    """Return the `count` dimensions in which means `[N, D]` vary most, most first; those that vary little carry nothing."""
    return np.argsort(-np.var(means, axis=0, dtype=np.float64), kind="stable")[:count]


def along(code: np.ndarray, dimensions: Sequence[int], at: Sequence[float]) -> np.ndarray:
    """Return codes that differ from `code` `[D]` in one dimension each: `[len(dimensions), len(at), D]`."""
    codes = np.tile(code, (len(dimensions), len(at), 1))
    for row, dimension in enumerate(dimensions):
        codes[row, :, dimension] = at
    return codes


def traversal_grid(rows: Mapping[str, Sequence], at: Sequence[float]) -> Figure:
    """Return what is decoded along dimensions of a code: a row for each, a column for each place on it.

    Args:
      rows: per title, such as `shared 3`, one value of a modality for each place: images `[n, H, W, C]` or n strings.
      at: the places, in standard deviations of the prior, `[n]`.

    Raises:
      ValueError: there are no rows, a row has another number of values, or they are neither images nor texts.
    """
    if not rows:
        raise ValueError("A traversal wants at least one dimension.")
    shown = [cells(values, title) for title, values in rows.items()]
    if {len(row) for row in shown} != {len(at)}:
        raise ValueError(f"Each row wants {len(at)} values, one for each place, not {[len(row) for row in shown]}.")
    columns = list(zip(*shown, strict=True))
    return draw_grid([Group("", [list(rows)]), Group("standard deviations", columns, [f"{x:+g}" if x else "0" for x in at])])


def _check(codes: Mapping[str, np.ndarray], label: np.ndarray | None) -> None:
    shapes = {np.shape(x) for x in codes.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2:
        raise ValueError(f"Wanted codes [N, D] of the same examples in every panel, not {sorted(shapes)}.")
    if not all(np.isfinite(x).all() for x in codes.values()):
        raise ValueError("Codes must be finite numbers; some are NaN or infinite.")
    ((count, _),) = shapes
    if label is not None and label.shape != (count,):
        raise ValueError(f"Wanted one class for each of {count} codes, but labels of shape {label.shape} came.")


def _classes(label: np.ndarray | None, names: Sequence[str], count: int) -> list[tuple[str, object, np.ndarray]]:
    """Return title, colour and members of each class; beyond `MOST_COLOURS` classes, the rarer ones in grey, and first."""
    if label is None:
        return [("", colormaps["tab10"].colors[0], np.ones(count, bool))]
    classes, sizes = np.unique(label, return_counts=True)
    told = sorted(classes[np.argsort(-sizes, kind="stable")][:MOST_COLOURS])
    colours = colormaps["tab10" if len(told) <= 10 else "tab20"].colors
    other = ~np.isin(label, told)
    grey = [("others", GREY, other)] if other.any() else []
    return grey + [(str(names[c]) if len(names) else str(c), colours[i], label == c) for i, c in enumerate(told)]
