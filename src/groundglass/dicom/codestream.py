"""What a compressed image says of itself, read before any decoder is let near it.

A decoder asks for memory by the sizes in the compressed stream, so those are compared with the
DICOM header first.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from groundglass.errors import ReadError

#: JPEG start-of-frame markers (ITU-T T.81 table B.1: C0-C3, C5-C7, C9-CB, CD-CF) and JPEG-LS'
#: F7 (T.87).
_FRAME_MARKERS = frozenset((0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD,
                            0xCE, 0xCF, 0xF7))  # fmt: skip
_STANDALONE = frozenset((0x01, *range(0xD0, 0xD9)))
_END_OF_IMAGE = b"\xff\xd9"
_SIZ = b"\xff\x4f\xff\x51"  # SOC, SIZ (ITU-T T.800 A.4.1, A.5.1)


@dataclass(frozen=True, slots=True)
class CodedImage:
    """Size of a compressed image as its own stream states it.

    Parameters
    ----------
    rows, columns : int
        Pixels.
    components : int
        Samples per pixel.
    bits : int
        Precision of one sample.
    """

    rows: int
    columns: int
    components: int
    bits: int


def read_jpeg(stream: bytes) -> CodedImage:
    """Size in a JPEG or JPEG-LS stream (ITU-T T.81 annex B, T.87 annex C).

    Raises
    ------
    ReadError
        It is no such stream, or it ends before its end-of-image marker.
    """
    if stream[:2] != b"\xff\xd8":
        raise _broken("no JPEG stream")
    # Decoders fill what is missing with grey: a cut stream must be noticed here.
    if not stream.rstrip(b"\0")[-2:] == _END_OF_IMAGE and _END_OF_IMAGE not in stream[-4:]:
        raise _broken("a JPEG stream that is cut off")
    position = 2
    while position + 9 <= len(stream) and stream[position] == 0xFF:
        marker = stream[position + 1]
        if marker == 0xFF or marker in _STANDALONE:
            position += 1 if marker == 0xFF else 2
            continue
        if marker in _FRAME_MARKERS:
            bits, rows, columns, components = struct.unpack_from(">BHHB", stream, position + 4)
            return CodedImage(rows, columns, components, bits)
        position += 2 + int(struct.unpack_from(">H", stream, position + 2)[0])
    raise _broken("a JPEG stream without a frame header")


def read_jpeg2000(stream: bytes) -> CodedImage:
    """Size in a JPEG 2000 or HTJ2K codestream, bare or in a JP2 box (ITU-T T.800 A.5.1).

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


def _broken(found: str) -> ReadError:
    return ReadError(
        found,
        expected="one complete compressed frame of the stated transfer syntax",
        action="Export the image again, uncompressed if possible.",
    )
