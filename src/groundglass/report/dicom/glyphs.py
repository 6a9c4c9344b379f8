"""Lines of letters as masks, put together from letters drawn once.

Pillow's own typeface comes with it and looks the same on every machine; it has plain letters only
and no kerning, so a line is its letters side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Mask = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class _Letter:
    """One letter: how much ink where, from the upper left corner of its place in the line."""

    ink: Mask
    left: int
    top: int


def width_of(line: str, size: int) -> int:
    """Width of a line in pixels.

    Parameters
    ----------
    line : str
        Printable ASCII.
    size : int
        Height of the letters in pixels.
    """
    return sum(_advance(letter, size) for letter in line)


def line_mask(line: str, size: int, stroke: int) -> tuple[Mask, tuple[int, int]]:
    """How much ink a line puts where.

    Parameters
    ----------
    line : str
        Printable ASCII.
    size : int
        Height of the letters in pixels.
    stroke : int
        By how many pixels they are thickened on every side.

    Returns
    -------
    ndarray of uint8, shape (rows, columns)
        0 to 255.
    tuple of int
        (x, y) of its upper left corner from that of the line's first letter.
    """
    letters = [_letter(letter, size, stroke) for letter in line]
    pens = list(accumulate((_advance(letter, size) for letter in line), initial=0))[:-1]
    placed = [
        (letter.ink, pen + letter.left, letter.top)
        for letter, pen in zip(letters, pens, strict=True)
    ]
    left = min((x for _, x, _ in placed), default=0)
    top = min((y for _, _, y in placed), default=0)
    right = max((x + ink.shape[1] for ink, x, _ in placed), default=0)
    bottom = max((y + ink.shape[0] for ink, _, y in placed), default=0)
    mask = np.zeros((bottom - top, right - left), dtype=np.uint8)
    for ink, x, y in placed:
        place = mask[y - top :, x - left :][: ink.shape[0], : ink.shape[1]]
        np.maximum(place, ink, out=place)
    return mask, (left, top)


@lru_cache(maxsize=4096)
def _letter(letter: str, size: int, stroke: int) -> _Letter:
    around = size + stroke  # no letter stands out further
    scratch = Image.new("L", (3 * around, 3 * around))
    ImageDraw.Draw(scratch).text(
        (around, around), letter, fill=255, font=_font(size), stroke_width=stroke
    )
    box = scratch.getbbox() or (around, around, around, around)
    return _Letter(np.asarray(scratch.crop(box), dtype=np.uint8), box[0] - around, box[1] - around)


@lru_cache(maxsize=4096)
def _advance(letter: str, size: int) -> int:
    return round(_font(size).getlength(letter))


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
