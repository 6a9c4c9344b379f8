"""How an instance's header says that its pixels lie in memory (PS3.3 C.7.6.3, PS3.5 section 8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    ExplicitVRBigEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from groundglass.core.study import Instance
from groundglass.errors import ReadError
from groundglass.read.dicom.dataset import NATIVE_SYNTAXES
from groundglass.read.dicom.header import PixelLocation, syntax_of
from groundglass.read.limits import LIMITS

JPEG = frozenset((JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1))
JPEG_LS = frozenset((JPEGLSLossless, JPEGLSNearLossless))
JPEG_2000 = frozenset((JPEG2000Lossless, JPEG2000, HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K))
_READABLE = NATIVE_SYNTAXES | JPEG | JPEG_LS | JPEG_2000 | {RLELossless}
#: No air is darker, noise included; scanners fill what they did not see with one value below.
_LEAST_HU = -1500.0


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """How stored values lie in memory (PS3.3 C.7.6.3, PS3.5 section 8.1).

    Parameters
    ----------
    rows, columns : int
        Pixels.
    frames : int
        Number of frames.
    bits_allocated, bits_stored, high_bit : int
        Bits.
    signed : bool
        Pixel Representation 1: two's complement.
    syntax : UID
        Transfer syntax.
    swapped : bool
        Whether the bytes of two 8-bit pixels are exchanged: those of words (VR OW) in big endian
        (PS3.5 annex A.3).
    overlay_bits : int
        Bits that hold overlay planes, as a mask (Overlay Bit Position, retired; PS3.3 C.9.2).
    padding : tuple of int, optional
        Lowest and highest stored value that is padding (PS3.3 C.7.5.1.1.2).
    least : float, optional
        Stored value of `_LEAST_HU`, where the object has one rescale: signed values below it,
        unless they are a fill, were positive and had no bit left for the sign.
    """

    rows: int
    columns: int
    frames: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    syntax: UID
    swapped: bool = False
    overlay_bits: int = 0
    padding: tuple[int, int] | None = None
    least: float | None = None

    @property
    def frame_bytes(self) -> int:
        """Bytes of one uncompressed frame."""
        return self.rows * self.columns * self.bits_allocated // 8

    @property
    def stored_bits(self) -> int:
        """The bits that hold the value, as a mask."""
        return ((1 << self.bits_stored) - 1) << (self.high_bit + 1 - self.bits_stored)

    @property
    def has_wide_padding(self) -> bool:
        """Whether the padding needs more than Bits Stored: no value that means anything does."""
        if self.padding is None:
            return False
        lowest = -(1 << self.bits_stored - 1) if self.signed else 0
        return self.padding[1] < lowest or self.padding[0] >= lowest + (1 << self.bits_stored)


def layout_of(instance: Instance) -> PixelLayout:
    """The layout an instance's header states, if it can be a CT's.

    Raises
    ------
    ReadError
        A value is missing, contradicts another or is beyond `ReadLimits`.
    """
    values = instance.attributes
    allocated, stored = _number(values, "BitsAllocated"), _number(values, "BitsStored")
    high = cast(int, values.get("HighBit", stored - 1))
    rows, columns = _number(values, "Rows"), _number(values, "Columns")
    frames = cast(int, values.get("NumberOfFrames", 1))
    if not (0 < rows <= LIMITS.side_pixels and 0 < columns <= LIMITS.side_pixels):
        raise unfit(
            f"an image of {rows} × {columns} pixels",
            f"1 to {LIMITS.side_pixels} rows and columns",
        )
    if not 0 < frames <= LIMITS.frames:
        raise unfit(f"{frames} frames in one object", f"1 to {LIMITS.frames}")
    if cast(int, values.get("SamplesPerPixel", 1)) != 1:
        raise unfit("a colour image", "one sample per pixel")
    if allocated not in (8, 16, 32) or not 0 < stored <= allocated:
        raise unfit(
            f"{stored} bits stored in {allocated} allocated", "up to 16 bits in 16 (PS3.3 C.8.2.1)"
        )
    if not stored - 1 <= high < allocated:
        raise unfit(f"HighBit {high} with {stored} bits stored", f"HighBit {stored - 1}")
    syntax = syntax_of(values)
    if syntax not in _READABLE:
        raise unfit(
            f"pixels in transfer syntax {syntax.name}",
            "an uncompressed, RLE, JPEG, JPEG-LS, JPEG 2000 or HTJ2K image",
        )
    signed = _number(values, "PixelRepresentation") == 1
    return PixelLayout(
        rows,
        columns,
        frames,
        allocated,
        stored,
        high,
        signed,
        syntax,
        swapped=_is_swapped(values, syntax, allocated),
        overlay_bits=cast(int, values.get("OverlayBits", 0)),
        padding=_padding(values, signed=signed),
        least=_least(values),
    )


def _number(values: Mapping[str, object], keyword: str) -> int:
    value = values.get(keyword)
    if not isinstance(value, int):
        raise unfit(f"an image without {keyword}", f"{keyword} in the header (PS3.3 C.7.6.3)")
    return value


def _is_swapped(values: Mapping[str, object], syntax: UID, allocated: int) -> bool:
    """Whether pairs of 8-bit pixels are exchanged; in big endian the VR decides."""
    location = values.get("PixelData")
    if syntax != ExplicitVRBigEndian or not isinstance(location, PixelLocation):
        return False
    if location.vr != "OW" and not (location.vr == "OB" and allocated == 8):
        raise unfit(
            f"big endian pixels of {allocated} bits with the value representation {location.vr}",
            "OW, whose byte order is certain (PS3.5 annex A.3)",
        )
    return location.vr == "OW" and allocated == 8


def _padding(values: Mapping[str, object], *, signed: bool) -> tuple[int, int] | None:
    """The declared padding as the pixels' own representation reads its 16 bits.

    Its VR may be US or SS (PS3.6), and is often the other than Pixel Representation asks for.
    """
    first = values.get("PixelPaddingValue")
    if not isinstance(first, int):
        return None
    last = cast(int, values.get("PixelPaddingRangeLimit", first))
    low, high = sorted(v - (1 << 16) if signed and v >= 1 << 15 else v for v in (first, last))
    return low, high


def _least(values: Mapping[str, object]) -> float | None:
    slope, intercept = values.get("RescaleSlope"), values.get("RescaleIntercept")
    if not isinstance(slope, float) or not isinstance(intercept, float) or slope <= 0:
        return None
    return (_LEAST_HU - intercept) / slope


def unfit(found: str, expected: str) -> ReadError:
    """That pixels cannot be read."""
    return ReadError(
        found,
        expected=expected,
        action="Export the image again from the archive, uncompressed if possible.",
    )
