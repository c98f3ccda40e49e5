"""How far the posterior of each dimension of a code is from the prior: which dimensions a model does not use."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmtf.report.canvas import DPI, FONT

ACROSS = 3
USED_COLOUR, COLLAPSED_COLOUR = "#3b6ea5", "0.75"


def kl_by_dimension(kl: Mapping[str, np.ndarray], threshold: float) -> Figure:
    """A panel for each code with a bar for each of its dimensions, on a logarithmic axis: grey below the threshold.

    Args:
      kl: by code, the mean KL of each dimension's posterior to the prior `[D]`, in nats.
      threshold: nats below which a dimension counts as collapsed.

    Raises:
      ValueError: there are no codes.
    """
    if not kl:
        raise ValueError("There are no codes to draw.")
    across, down = min(ACROSS, len(kl)), math.ceil(len(kl) / ACROSS)
    figure = Figure(figsize=(3.6 * across, 2.2 * down), dpi=DPI, facecolor="white", layout="constrained")
    panels = list(figure.subplots(down, across, squeeze=False, sharey=True).flat)
    lowest = threshold / 30
    for axes, (name, by_dimension) in zip(panels, kl.items(), strict=False):
        used = by_dimension >= threshold
        colours = np.where(used, USED_COLOUR, COLLAPSED_COLOUR)
        axes.bar(np.arange(len(by_dimension)), np.maximum(by_dimension, lowest) - lowest, bottom=lowest, color=list(colours))
        axes.axhline(threshold, color="0.4", linewidth=0.8, linestyle=":")
        axes.set_yscale("log")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_title(f"{name}: {used.sum()} of {len(used)} above {threshold:.2g}", fontsize=FONT, parse_math=False)
        axes.tick_params(labelsize=FONT - 1)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[len(kl) :]:
        axes.set_axis_off()
    figure.supxlabel("dimension", fontsize=FONT)
    figure.supylabel("mean KL to the prior, nats", fontsize=FONT)
    return figure
