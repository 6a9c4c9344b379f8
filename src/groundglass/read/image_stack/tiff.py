"""What the pages of a TIFF file say of themselves (TIFF 6.0; BigTIFF: libtiff's specification)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from groundglass.errors import ReadError
from groundglass.read.limits import LIMITS

TIFFS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
#: Formats of the field types that hold whole numbers (TIFF 6.0 section 2; 16 is BigTIFF's).
_FORMS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_ASCII = 2
#: What reading at an offset beyond the file raises; BigTIFF's may be beyond all memory.
_BEYOND = (struct.error, IndexError, OverflowError)
#: Values kept of one field: more than a picture of four samples needs.
_MOST_VALUES, _MOST_TEXT = 8, 64 * 1024
_NEW_SUBFILE_TYPE, _SUBFILE_TYPE, _COLUMNS, _ROWS, _DESCRIPTION = 254, 255, 256, 257, 270
BITS, COMPRESSION, PHOTOMETRIC, STRIPS, ORIENTATION = 258, 259, 262, 273, 274
SAMPLES, PLANAR, SAMPLE_FORMAT, DEPTH = 277, 284, 339, 32997
#: What a page says by saying nothing (TIFF 6.0 section 8; BitsPerSample 1, SampleFormat unsigned).
_DEFAULTS = {BITS: 1, COMPRESSION: 1, ORIENTATION: 1, SAMPLES: 1, PLANAR: 1, SAMPLE_FORMAT: 1}
#: What is wrong with a TIFF file.
damaged_tiff = partial(
    ReadError,
    expected="a complete TIFF image, grey, upright, of 8 or more bits",
    action="Export it again.",
)


@dataclass(frozen=True, slots=True)
class TiffPage:
    """One image file directory, by its place in the file's chain, from 0.

    `fields` are whole numbers by tag, at most eight of each; `description` is ImageDescription.
    """

    number: int
    fields: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    description: str = ""
    big_endian: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.value(_ROWS) or 0, self.value(_COLUMNS) or 0

    @property
    def is_slice(self) -> bool:
        """Whether it is a picture of its own, not a smaller copy of another nor a mask."""
        reduced_or_mask = (self.value(_NEW_SUBFILE_TYPE) or 0) & 0b101
        return not reduced_or_mask and self.value(_SUBFILE_TYPE) != 2

    def value(self, tag: int) -> int | None:
        """The value, or the first of equal ones; None where nothing is said.

        Raises
        ------
        ReadError
            It differs between the samples.
        """
        values = set(self.fields.get(tag, ()))
        if len(values) > 1 and tag != STRIPS:
            raise damaged_tiff(f"a TIFF image whose samples differ in field {tag}")
        return self.fields[tag][0] if values else _DEFAULTS.get(tag)


def tiff_pages(data: bytes) -> list[TiffPage]:
    """The pages in a file's chain of directories, before anything is decoded.

    Raises
    ------
    ReadError
        The chain is cut off, runs in a circle or is too long.
    """
    try:
        return _pages(data)
    except _BEYOND as error:
        raise damaged_tiff("a TIFF file that is cut off") from error


def _start(data: bytes) -> tuple[str, bool, int]:
    """Byte order, whether it is BigTIFF, and where the first directory lies."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    (offset,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    return order, big, int(offset)


def _pages(data: bytes) -> list[TiffPage]:
    order, big, offset = _start(data)
    pages: list[TiffPage] = []
    seen: set[int] = set()
    while offset:
        if offset in seen or len(seen) == LIMITS.frames:
            raise damaged_tiff(f"a TIFF file whose pages run in a circle, or over {LIMITS.frames}")
        seen.add(offset)
        page, offset = _page(data, order, offset, len(pages), big=big)
        pages.append(page)
    return pages


def _page(data: bytes, order: str, offset: int, number: int, *, big: bool) -> tuple[TiffPage, int]:
    """One directory, and where the next one lies."""
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, offset)
    start, width, word = (offset + 8, 20, "Q") if big else (offset + 2, 12, "I")
    fields: dict[int, tuple[int, ...]] = {}
    description = ""
    for at in range(start, start + width * min(count, 2**16), width):
        tag, kind = struct.unpack_from(order + "HH", data, at)
        (length,) = struct.unpack_from(order + word, data, at + 4)
        place = at + (12 if big else 8)
        if kind == _ASCII and tag == _DESCRIPTION and not description:
            description = _bytes(data, order + word, place, length).decode("latin-1")
        elif kind in _FORMS and tag not in fields:
            fields[tag] = _numbers(data, order + _FORMS[kind], order + word, place, length)
    (following,) = struct.unpack_from(order + word, data, start + width * count)
    return TiffPage(number, fields, description, order == ">"), int(following)


def _numbers(data: bytes, form: str, word: str, place: int, length: int) -> tuple[int, ...]:
    """Whole numbers that stand in the directory, or elsewhere where there is no room for them."""
    size = struct.calcsize(form)
    if size * length > struct.calcsize(word):
        (place,) = struct.unpack_from(word, data, place)
    return tuple(
        int(struct.unpack_from(form, data, place + size * k)[0])
        for k in range(min(length, _MOST_VALUES))
    )


def _bytes(data: bytes, word: str, place: int, length: int) -> bytes:
    if length > struct.calcsize(word):
        (place,) = struct.unpack_from(word, data, place)
    return data[place : place + min(length, _MOST_TEXT)].rstrip(b"\0")


def exif_orientation(exif: bytes) -> int:
    """The orientation in Exif metadata, which are laid out as TIFF; 1 where they do not say.

    Raises
    ------
    ReadError
        They are damaged.
    """
    if exif[:4] not in TIFFS:
        return 1
    try:
        order, big, offset = _start(exif)
        page, _ = _page(exif, order, offset, 0, big=big)
    except _BEYOND as error:
        raise damaged_tiff("an image whose Exif metadata are damaged") from error
    return page.value(ORIENTATION) or 1
