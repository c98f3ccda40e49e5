"""Grids of images and texts, laid out in whole pixels: every pixel of an image becomes one square block of the figure."""

from __future__ import annotations

import dataclasses
import math
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Cell = np.ndarray | str | None  # a uint8 image [H, W, 3], a text, or nothing

DPI = 120
SIDE = 96  # px: small images are magnified by a whole factor to about this size
GAP, GROUP_GAP, MARGIN = 6, 18, 12  # px: between cells, between groups of columns, around all
FONT = 9  # points, of texts and titles
CHARACTER = 9  # px: advance of DejaVu Sans Mono, which matplotlib brings, at 9 points and 120 dpi
LINE = 18  # px: height of a line of text
SHORTEST_LINE = 12  # characters that are never wrapped
BYTES_LIMIT = 16.0  # a float image beyond it is no decoder's overshoot: it holds 0..255
TEXT_BACKGROUND = 244
SPACE_COLOUR = "0.6"


@dataclasses.dataclass(frozen=True)
class Group:
    """Columns of a grid that share a title; each column is a list of cells, all of one length."""

    title: str
    columns: Sequence[Sequence[Cell]]
    subtitles: Sequence[str] = ()


def cells(values, name: str, *, magnified: bool = True) -> list[Cell]:
    """Return values of one modality as cells: texts as they are, images as magnified uint8 `[H, W, 3]`.

    Args:
      values: images `[N, H, W, C]` with C 1 or 3, uint8 or float (clipped to 0..1), or a list of N strings.
      name: how the error message calls them.
      magnified: whether small images are magnified to about `SIDE`.

    Raises:
      ValueError: they are neither, there are none, or an image holds NaN or floats far beyond 0..1.
    """
    if len(values) and all(isinstance(value, str) for value in values):
        return [str(value) for value in values]
    images = np.asarray(values)
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or not images.size:
        raise ValueError(f"{name}: wanted images [N, H, W, 1 or 3] or a list of str, but the shape is {images.shape}.")
    images_as_bytes = _as_bytes(images, name)
    return list(_magnified(images_as_bytes) if magnified else np.broadcast_to(images_as_bytes, (*images_as_bytes.shape[:3], 3)))


def _as_bytes(images: np.ndarray, name: str) -> np.ndarray:
    if images.dtype.kind == "f":
        peak = np.abs(images).max()
        if not peak <= BYTES_LIMIT:  # NaN fails this too
            raise ValueError(f"{name}: float images lie in 0..1, bytes must be uint8; these floats reach {peak:.4g}.")
        return np.rint(np.clip(images, 0.0, 1.0) * 255.0).astype(np.uint8)
    if images.dtype != np.uint8:
        raise ValueError(f"{name}: wanted uint8 or float images, but the type is {images.dtype}.")
    return images


def _magnified(images: np.ndarray) -> np.ndarray:
    factor = max(1, round(SIDE / max(images.shape[1:3])))
    grey_to_rgb = np.broadcast_to(images, (*images.shape[:3], 3))
    return grey_to_rgb.repeat(factor, axis=1).repeat(factor, axis=2)


def lines(text: str) -> list[str]:
    """Return the text in lines of about one shape, whatever its length; all spaces are kept, and show where they are."""
    width = max(SHORTEST_LINE, math.ceil(2 * math.sqrt(len(text))))
    return textwrap.wrap(text, width, drop_whitespace=False, expand_tabs=False) or [""]


def draw_grid(groups: Sequence[Group], lead_rows: int = 0) -> Figure:
    """A figure of the groups side by side; the first `lead_rows` rows stand a little apart from the others."""
    spans, lefts, widths, right = _columns(groups)
    header = LINE * any(g.title for g in groups) + LINE * any(g.subtitles for g in groups)
    rows = list(zip(*(column for group in groups for column in group.columns), strict=True))
    heights = [max(_size(cell)[1] for cell in row) for row in rows]
    tops = [MARGIN + header + sum(heights[:r]) + GAP * r + (GROUP_GAP - GAP) * (0 < lead_rows <= r) for r in range(len(rows))]
    axes, pixels = _blank(right + MARGIN, tops[-1] + heights[-1] + MARGIN)
    for group, span in zip(groups, spans, strict=True):
        _draw_titles(axes, group, span, lefts, widths)
    for row, top, height in zip(rows, tops, heights, strict=True):
        for cell, left, width in zip(row, lefts, widths, strict=True):
            _draw_cell(axes, pixels, cell, left, top, width, height)
    axes.imshow(pixels, interpolation="nearest", extent=(0, pixels.shape[1], pixels.shape[0], 0), aspect="auto")
    return axes.figure


def _columns(groups: Sequence[Group]) -> tuple[list[range], list[int], list[int], int]:
    """Return which columns each group has, where every column begins, how wide it is, and where the last one ends, in px."""
    spans, lefts, widths, left = [], [], [], MARGIN
    for group in groups:
        spans.append(range(len(lefts), len(lefts) + len(group.columns)))
        title_share = math.ceil(CHARACTER * len(group.title) / len(group.columns))
        subtitle = CHARACTER * max(map(len, group.subtitles), default=0)
        for column in group.columns:
            lefts.append(left)
            widths.append(max(title_share, subtitle, *(_size(cell)[0] for cell in column)))
            left += widths[-1] + GAP
        left += GROUP_GAP - GAP
    return spans, lefts, widths, left - GROUP_GAP


def _size(cell: Cell) -> tuple[int, int]:
    """Return width and height in px."""
    if cell is None:
        return 0, 0
    if isinstance(cell, str):
        wrapped = lines(cell)
        return CHARACTER * (max(map(len, wrapped)) + 1), LINE * len(wrapped) + GAP
    return cell.shape[1], cell.shape[0]


def _blank(width: int, height: int) -> tuple[Axes, np.ndarray]:
    # Of a size such as 123 px, matplotlib's inches times dpi lose the last pixel; that is margin, and nothing else moves.
    axes = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white").add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    return axes, np.full((height, width, 3), 255, np.uint8)


def _draw_titles(axes: Axes, group: Group, span: range, lefts: list[int], widths: list[int]) -> None:
    right = lefts[span[-1]] + widths[span[-1]]
    if group.title:
        axes.text((lefts[span[0]] + right) / 2, MARGIN + LINE * 0.5, group.title, ha="center", size=FONT, parse_math=False)
    for column, subtitle in zip(span, group.subtitles, strict=False):
        middle = lefts[column] + widths[column] / 2
        axes.text(middle, MARGIN + LINE * 1.4, subtitle, ha="center", size=FONT, color="0.4", parse_math=False)


def _draw_cell(axes: Axes, pixels: np.ndarray, cell: Cell, left: int, top: int, width: int, height: int) -> None:
    own_width, own_height = _size(cell)
    x, y = left + (width - own_width) // 2, top + (height - own_height) // 2
    if isinstance(cell, str):
        pixels[top : top + height, left : left + width] = TEXT_BACKGROUND
        for number, line in enumerate(lines(cell)):
            _draw_line(axes, line, x + CHARACTER / 2, y + GAP / 2 + LINE * (number + 0.7), _blanks_matter(cell))
    elif cell is not None:
        pixels[y : y + own_height, x : x + own_width] = cell


def _blanks_matter(text: str) -> bool:
    """Return whether it has blanks at an end or several in a row, which would not be seen; those of a sentence are."""
    return text.startswith(" ") or text.endswith(" ") or "  " in text


def _draw_line(axes: Axes, line: str, x: float, y: float, mark_blanks: bool) -> None:
    style = {"family": "DejaVu Sans Mono", "size": FONT, "ha": "left", "va": "baseline", "parse_math": False}
    axes.text(x, y, line, color="black", **style)
    if mark_blanks and " " in line:
        axes.text(x, y, "".join("·" if c == " " else " " for c in line), color=SPACE_COLOUR, **style)
