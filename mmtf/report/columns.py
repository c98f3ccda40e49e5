"""How the columns of a table are distributed: in the data, and in what a model generates."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

MOST = 32  # columns of a figure that can still be read
ACROSS = 4
BINS = 24
DATA_COLOUR, MODEL_COLOUR = "0.75", "#3b6ea5"
# What lies further out than these quantiles of the data would squeeze the rest into a few bins.
LOWEST, HIGHEST = 0.005, 0.995


def distributions(data: np.ndarray, generated: np.ndarray) -> Figure:
    """A histogram per column: grey, of the data; a line, of the generated values, over the same bins.

    Args:
      data: `[N, D]`, D at most `MOST`; NaN is left out.
      generated: `[n, D]`; values outside the range of the data are counted in the outermost bins.

    Raises:
      ValueError: the two are not tables of the same width, there are too many columns, or a column holds no value.
    """
    if data.ndim != 2 or generated.ndim != 2 or data.shape[1] != generated.shape[1] or data.shape[1] > MOST:
        raise ValueError(f"wanted two tables of one width, at most {MOST}, not {data.shape} and {generated.shape}.")
    if np.isnan(data).all(axis=0).any():
        raise ValueError(f"column {np.isnan(data).all(axis=0).argmax()} holds no value.")
    down = math.ceil(data.shape[1] / ACROSS)
    figure = Figure(figsize=(10, 1.9 * down + 0.4), dpi=100, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    for column, (of_data, of_model) in enumerate(zip(data.T, generated.T, strict=True)):
        axes = figure.add_subplot(down, ACROSS, column + 1)
        edges = _edges(of_data)
        axes.stairs(_shares(of_data[~np.isnan(of_data)], edges), edges, fill=True, color=DATA_COLOUR, label="test data")
        axes.stairs(_shares(of_model, edges), edges, color=MODEL_COLOUR, label="generated")
        axes.set_title(f"column {column}", size=9)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_yticks([])
    figure.axes[0].legend(fontsize=8, frameon=False)
    return figure


def _edges(column: np.ndarray) -> np.ndarray:
    low, high = np.nanquantile(column.astype(np.float64), [LOWEST, HIGHEST])
    room = (high - low) * 0.15 or max(abs(high), 1.0) * 0.1
    return np.linspace(low - room, high + room, BINS + 1)


def _shares(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return share of the values in each bin."""
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    return counts / len(values)
