"""What a compressed image says of itself, read before any decoder is let near it.

A decoder asks for memory by the sizes in the compressed stream, so those are compared with the
DICOM header first.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from functools import partial

from groundglass.errors import ReadError

#: JPEG start-of-frame markers (ITU-T T.81 table B.1: C0-C3, C5-C7, C9-CB, CD-CF) and JPEG-LS'
#: F7 (T.87).
_FRAME_MARKERS = frozenset((0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD,
                            0xCE, 0xCF, 0xF7))  # fmt: skip
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_STANDALONE = frozenset((0x01, *range(0xD0, 0xD9)))
#: The marker that ends a scan. In its data, FF is followed by 00 in JPEG (T.81 B.1.1.5), by a byte
#: below 80 in JPEG-LS (T.87 A.1); restart markers are part of it; fill bytes may come before.
_SCAN_END_JPEG = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]", re.DOTALL)
_SCAN_END_JPEG_LS = re.compile(rb"\xff+[\x80-\xcf\xd8-\xfe]", re.DOTALL)
_SIZ = b"\xff\x4f\xff\x51"  # SOC, SIZ (ITU-T T.800 A.4.1, A.5.1)
_broken = partial(
    ReadError,
    expected="one complete compressed frame of the stated transfer syntax",
    action="Export the image again, uncompressed if possible.",
)


@dataclass(frozen=True, slots=True)
class CodedImage:
    """What a compressed image's own stream states: pixels, samples per pixel, bits of a sample."""

    rows: int
    columns: int
    components: int
    bits: int


def read_jpeg(stream: bytes) -> CodedImage:
    """Size in a JPEG stream (ITU-T T.81 annex B).

    The end is where the markers say, not where the last bytes look like one: an end-of-image
    marker may be in a thumbnail, and anything may follow the true one.

    Raises
    ------
    ReadError
        It is no such stream, it ends before its end-of-image marker, or another follows it.
    """
    return _read_markers(stream, _SCAN_END_JPEG)


def read_jpeg_ls(stream: bytes) -> CodedImage:
    """Size in a JPEG-LS stream (ITU-T T.87 annex C).

    Raises
    ------
    ReadError
        As `read_jpeg`.
    """
    return _read_markers(stream, _SCAN_END_JPEG_LS)


def _read_markers(stream: bytes, scan_end: re.Pattern[bytes]) -> CodedImage:
    if stream[:2] != b"\xff\xd8":
        raise _broken("no JPEG stream")
    frame: tuple[int, int, int, int] | None = None
    position = 2
    while position + 2 <= len(stream) and stream[position] == 0xFF:
        marker = stream[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        position += 2
        if marker == _END_OF_IMAGE:
            return _ended(stream, position, frame)
        if marker in _STANDALONE:
            continue
        if position + 2 > len(stream):
            break
        if marker in _FRAME_MARKERS and frame is None and position + 8 <= len(stream):
            frame = struct.unpack_from(">BHHB", stream, position + 2)
        position += int(struct.unpack_from(">H", stream, position)[0])
        if marker == _START_OF_SCAN:
            found = scan_end.search(stream, position)
            position = len(stream) if found is None else found.start()
    if position + 2 <= len(stream) and stream[position] != 0xFF:
        raise _broken("a JPEG stream with something between its segments that is no marker")
    # Decoders fill what is missing with grey: a cut stream must be noticed here.
    raise _broken("a JPEG stream that is cut off")


def _ended(stream: bytes, end: int, frame: tuple[int, int, int, int] | None) -> CodedImage:
    """The image up to its end-of-image marker; what follows may be anything but another."""
    if frame is None:
        raise _broken("a JPEG stream without a frame header")
    if stream[end:].lstrip(b"\0").startswith(b"\xff\xd8\xff"):
        raise _broken("more than one JPEG stream in one frame")
    bits, rows, columns, components = frame
    return CodedImage(rows, columns, components, bits)


def read_jpeg2000(stream: bytes) -> CodedImage:
    """Size in a JPEG 2000 or HTJ2K codestream, bare or in a JP2 box (ITU-T T.800 A.5.1).

    Its decoder finds the end, and refuses a stream without one.

    Raises
    ------
    ReadError
        It is no such stream.
    """
    start = stream.find(_SIZ, 0, 4096)
    if start < 0 or len(stream) < start + 44:
        raise _broken("no JPEG 2000 codestream")
    values = struct.unpack_from(">8IHB", stream, start + 8)
    width, height, left, top = values[:4]
    return CodedImage(height - top, width - left, values[8], (values[9] & 0x7F) + 1)
