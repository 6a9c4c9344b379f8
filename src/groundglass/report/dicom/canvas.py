"""Drawing text and pictures on a page of pixels, for receivers that show nothing but images."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from groundglass.report.dicom.glyphs import line_mask, width_of

Rgb = tuple[int, int, int]
Picture = NDArray[np.uint8]

WHITE: Rgb = (235, 238, 242)
GREY: Rgb = (150, 158, 168)
DIM: Rgb = (62, 68, 76)
AMBER: Rgb = (245, 190, 70)
BLACK: Rgb = (0, 0, 0)
_BACKGROUND: Rgb = (12, 14, 18)
#: Height of a line over the size of its letters.
_LEADING = 1.28
_PLAIN = str.maketrans(
    {"−": "-", "–": "-", "—": "-", "×": "x", "≥": ">=", "≤": "<=", "²": "2", "³": "3",
     "‘": "'", "’": "'", "“": '"', "”": '"', "ß": "ss", "æ": "ae", "ø": "o", "µ": "u", "·": "-"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Type:
    """How letters look.

    Parameters
    ----------
    size : int
        Height in pixels.
    colour : tuple of int
        RGB.
    bold : bool
        Drawn with a thicker line.
    """

    size: int
    colour: Rgb = WHITE
    bold: bool = False

    @property
    def line(self) -> int:
        """Distance of two lines in pixels."""
        return round(self.size * _LEADING)


class Canvas:
    """A dark page; (0, 0) is its upper left corner, coordinates are (x, y) in pixels.

    Parameters
    ----------
    width, height : int
        In pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self._image = Image.new("RGB", (width, height), _BACKGROUND)
        self._draw = ImageDraw.Draw(self._image)

    @property
    def pixels(self) -> Picture:
        """The page, shape (height, width, 3), RGB."""
        return np.asarray(self._image, dtype=np.uint8)

    def text(self, at: tuple[int, int], words: str, kind: Type) -> None:
        """One line whose upper left corner is `at`."""
        self._ink(at, plain(words), kind, 1 if kind.bold else 0)

    def label(self, at: tuple[int, int], words: str, kind: Type) -> None:
        """One line on a picture, edged in black to be read on any grey."""
        self._ink(at, plain(words), Type(kind.size, BLACK), 3)
        self._ink(at, plain(words), kind, 0)

    def text_right(self, at: tuple[int, int], words: str, kind: Type) -> None:
        """One line whose upper right corner is `at`."""
        self.text((at[0] - width_of(plain(words), kind.size), at[1]), words, kind)

    def paragraph(self, at: tuple[int, int], words: str, kind: Type, width: int) -> int:
        """Lines of at most `width` pixels from `at` down; where the next one would begin."""
        x, y = at
        for line in wrapped(words, kind.size, width):
            self.text((x, y), line, kind)
            y += kind.line
        return y

    def fitted(self, at: tuple[int, int], words: str, kind: Type, room: tuple[int, int]) -> int:
        """A paragraph that fits into (width, height): smaller letters first, then cut off.

        Says where the next line would begin.
        """
        width, height = room
        for size in range(kind.size, 11, -1):
            smaller = Type(size, kind.colour, kind.bold)
            lines = wrapped(words, size, width)
            if len(lines) * smaller.line <= height:
                break
        fits = max(1, height // smaller.line)
        if len(lines) > fits:
            lines = [*lines[: fits - 1], f"{lines[fits - 1]} ..."]
        for number, line in enumerate(lines):
            self.text((at[0], at[1] + number * smaller.line), line, smaller)
        return at[1] + len(lines) * smaller.line

    def fill(self, box: tuple[int, int, int, int], colour: Rgb) -> None:
        """A filled rectangle (left, top, right, bottom)."""
        self._draw.rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill=colour)

    def paste(self, at: tuple[int, int], picture: Picture) -> None:
        """A picture, shape (rows, columns, 3), its upper left corner at `at`."""
        self._image.paste(Image.fromarray(np.ascontiguousarray(picture)), at)

    def _ink(self, at: tuple[int, int], line: str, kind: Type, stroke: int) -> None:
        mask, (left, top) = line_mask(line, kind.size, stroke)
        self._image.paste(kind.colour, (at[0] + left, at[1] + top), Image.fromarray(mask))


def plain(words: str) -> str:
    """Words in the letters the typeface has; ? for what has no plain form."""
    parts = unicodedata.normalize("NFKD", words.translate(_PLAIN))
    kept = "".join(c for c in parts if not unicodedata.combining(c))
    return "".join(c if " " <= c <= "~" else "?" for c in " ".join(kept.split()))


def wrapped(words: str, size: int, width: int) -> list[str]:
    """Words broken into lines of at most `width` pixels; a longer word stands alone, cut off."""
    lines: list[str] = []
    line = ""
    for word in plain(words).split():
        longer = f"{line} {word}".strip()
        if not line or width_of(longer, size) <= width:
            line = longer
            continue
        lines.append(line)
        line = word
    return [_cut(line, size, width) for line in ([*lines, line] if line else lines)]


def _cut(line: str, size: int, width: int) -> str:
    while width_of(line, size) > width and len(line) > 1:
        line = line[:-1]
    return line
