"""Small pictures of examples on one sheet, from which TensorBoard's projector cuts the picture of each point."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from mmtf.report.canvas import Cell, lines

SIDE = 64  # px of a point's picture
MOST_SIDE = 8192  # px of a sheet that browsers take
BACKGROUND, INK = 255, 0


def sheet(tiles: Sequence[np.ndarray]) -> Image.Image:
    """Return tiles of one size `[S, S, 3]`, uint8, row by row on a square sheet, in the order in which the projector reads it.

    Raises:
      ValueError: there are none, they differ in size, or they are too many for a sheet that browsers take.
    """
    shapes = {tile.shape for tile in tiles}
    if len(shapes) != 1:
        raise ValueError(f"A sheet is made of tiles of one size, not of {sorted(shapes)}.")
    height, width, _ = shapes.pop()
    across = math.ceil(math.sqrt(len(tiles)))
    if across * max(height, width) > MOST_SIDE:
        raise ValueError(f"{len(tiles)} tiles of {height} x {width} make a sheet beyond {MOST_SIDE} pixels; take fewer.")
    pixels = np.full((across * height, across * width, 3), BACKGROUND, np.uint8)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, across)
        pixels[row * height : (row + 1) * height, column * width : (column + 1) * width] = tile
    return Image.fromarray(pixels)


def tile(shown: Sequence[Cell], side: int = SIDE) -> np.ndarray:
    """Pictures and texts of one example as one tile, uint8 `[side, side, 3]`: one fills it, several share it as a mosaic.

    Args: shown: uint8 images `[H, W, 3]`, strings, or None for what is missing.
    """
    across = math.ceil(math.sqrt(len(shown)))
    each = side // across
    pixels = Image.new("RGB", (side, side), (BACKGROUND,) * 3)
    for number, cell in enumerate(shown):
        row, column = divmod(number, across)
        if cell is not None:
            picture = _written(cell, each) if isinstance(cell, str) else _scaled(cell, each)
            pixels.paste(picture, (column * each, row * each))
    return np.asarray(pixels)


def _scaled(image: np.ndarray, side: int) -> Image.Image:
    picture = Image.fromarray(image)
    factor = side / max(picture.size)
    size = tuple(max(1, round(x * factor)) for x in picture.size)
    # Small images are magnified to squares, as in the other figures; large ones are averaged.
    return picture.resize(size, Image.Resampling.NEAREST if factor >= 1 else Image.Resampling.BOX)


def _written(text: str, side: int) -> Image.Image:
    """Return the text in lines, as large as they fit."""
    picture = Image.new("RGB", (side, side), (BACKGROUND,) * 3)
    draw, wrapped = ImageDraw.Draw(picture), "\n".join(line.strip() for line in lines(text))
    left, top, right, bottom = draw.multiline_textbbox((0, 0), wrapped, font_size=side)
    size = max(1.0, side * 0.94 * side / max(right - left, bottom - top, 1))
    draw.multiline_text((side / 2, side / 2), wrapped, (INK,) * 3, anchor="mm", align="center", font_size=size)
    return picture
