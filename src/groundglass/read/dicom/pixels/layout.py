"""How an instance's header says that its pixels lie in memory (PS3.3 C.7.6.3, PS3.5 section 8)."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom import uid

from groundglass.errors import ReadError
from groundglass.read.dicom.headers.ct_header import CtHeader
from groundglass.read.dicom.headers.dataset import NATIVE_SYNTAXES

JPEG = frozenset(
    (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1)
)
JPEG_LS = frozenset((uid.JPEGLSLossless, uid.JPEGLSNearLossless))
JPEG_2000 = frozenset(
    (uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K)
)
_READABLE = NATIVE_SYNTAXES | JPEG | JPEG_LS | JPEG_2000 | {uid.RLELossless}
#: No air is darker, noise included; scanners fill what they did not see with one value below.
_LEAST_HU = -1500.0


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """How stored values lie in memory (PS3.3 C.7.6.3, PS3.5 section 8.1).

    Parameters
    ----------
    signed : bool
        Pixel Representation 1: two's complement.
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
    syntax: uid.UID
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


def layout_of(header: CtHeader) -> PixelLayout:
    """The layout a header states, if it can be a CT's.

    Raises
    ------
    ReadError
        A value is missing or contradicts another.
    """
    allocated = _stated(header.bits_allocated, "BitsAllocated")
    stored = _stated(header.bits_stored, "BitsStored")
    high = stored - 1 if header.high_bit is None else header.high_bit
    if header.samples_per_pixel != 1:
        raise unfit("a colour image", "one sample per pixel")
    if allocated not in (8, 16, 32) or not 0 < stored <= allocated:
        raise unfit(
            f"{stored} bits stored in {allocated} allocated", "up to 16 bits in 16 (PS3.3 C.8.2.1)"
        )
    if not stored - 1 <= high < allocated:
        raise unfit(f"HighBit {high} with {stored} bits stored", f"HighBit {stored - 1}")
    syntax = header.transfer_syntax_uid
    if syntax not in _READABLE:
        raise unfit(
            f"pixels in transfer syntax {syntax.name}",
            "an uncompressed, RLE, JPEG, JPEG-LS, JPEG 2000 or uid.HTJ2K image",
        )
    signed = _stated(header.pixel_representation, "PixelRepresentation") == 1
    return PixelLayout(
        header.rows,
        header.columns,
        header.number_of_frames,
        allocated,
        stored,
        high,
        signed,
        syntax,
        swapped=_is_swapped(header, allocated),
        overlay_bits=header.overlay_bits,
        padding=_padding(header, signed=signed),
        least=_least(header),
    )


def _stated(value: int | None, keyword: str) -> int:
    if value is None:
        raise unfit(f"an image without {keyword}", f"{keyword} in the header (PS3.3 C.7.6.3)")
    return value


def _is_swapped(header: CtHeader, allocated: int) -> bool:
    """Whether pairs of 8-bit pixels are exchanged; in big endian the VR decides."""
    if header.transfer_syntax_uid != uid.ExplicitVRBigEndian or header.pixels is None:
        return False
    vr = header.pixels.vr
    if vr != "OW" and not (vr == "OB" and allocated == 8):
        raise unfit(
            f"big endian pixels of {allocated} bits with the value representation {vr}",
            "OW, whose byte order is certain (PS3.5 annex A.3)",
        )
    return vr == "OW" and allocated == 8


def _padding(header: CtHeader, *, signed: bool) -> tuple[int, int] | None:
    """The declared padding as the pixels' own representation reads its 16 bits.

    Its VR may be US or SS (PS3.6), and is often the other than Pixel Representation asks for.
    """
    first, last = header.pixel_padding_value, header.pixel_padding_range_limit
    if first is None:
        return None
    ends = (first, first if last is None else last)
    low, high = sorted(v - (1 << 16) if signed and v >= 1 << 15 else v for v in ends)
    return low, high


def _least(header: CtHeader) -> float | None:
    slope, intercept = header.rescale_slope, header.rescale_intercept
    if slope is None or intercept is None or slope <= 0:
        return None
    return (_LEAST_HU - intercept) / slope


def unfit(found: str, expected: str) -> ReadError:
    """That pixels cannot be read."""
    return ReadError(
        found,
        expected=expected,
        action="Export the image again from the archive, uncompressed if possible.",
    )
