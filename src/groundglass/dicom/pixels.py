"""Stored pixel values of one frame (PS3.5 section 8), from bytes to an integer array.

Sizes are compared with the payload before anything is decoded, and the decoded image with the
header after.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Self, cast

import imagecodecs
import numpy as np
from numpy.typing import NDArray
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
from groundglass.dicom.codestream import CodedImage, read_jpeg, read_jpeg2000
from groundglass.dicom.fragments import Fragments, list_fragments
from groundglass.dicom.header import NATIVE_SYNTAXES, PixelLocation, inflate
from groundglass.dicom.limits import LIMITS
from groundglass.dicom.sources import Sources
from groundglass.errors import ReadError

_JPEG = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1)
_JPEG_LS = (JPEGLSLossless, JPEGLSNearLossless)
_JPEG_2000 = (JPEG2000Lossless, JPEG2000, HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K)
_Decode = Callable[[bytes], NDArray[np.generic]]
#: Transfer syntax → (what the stream says of itself, its decoder). OpenJPEG reads HTJ2K too, and
#: unlike OpenJPH refuses a stream that is cut off.
_CODECS: dict[UID, tuple[Callable[[bytes], CodedImage], _Decode]] = {
    **dict.fromkeys(_JPEG, (read_jpeg, imagecodecs.jpeg8_decode)),
    **dict.fromkeys(_JPEG_LS, (read_jpeg, imagecodecs.jpegls_decode)),
    **dict.fromkeys(_JPEG_2000, (read_jpeg2000, imagecodecs.jpeg2k_decode)),
}
_CODEC_ERRORS = (RuntimeError, ValueError, TypeError, OverflowError, MemoryError, struct.error)
_RLE_HEADER = 64  # bytes (PS3.5 annex G.5)
#: A compressed frame is read up to so many times its uncompressed bytes, and some for headers;
#: noise may grow in compression, but not like this.
_LARGEST_RATIO, _SLACK = 2, 2**20


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
    """

    rows: int
    columns: int
    frames: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    syntax: UID

    @property
    def frame_bytes(self) -> int:
        """Bytes of one uncompressed frame."""
        return self.rows * self.columns * self.bits_allocated // 8


def layout_of(instance: Instance) -> PixelLayout:
    """The layout an instance's header states, if it can be a CT's.

    Raises
    ------
    ReadError
        A value is missing, contradicts another or is beyond `ReadLimits`.
    """
    values = instance.attributes

    def number(keyword: str) -> int:
        value = values.get(keyword)
        if not isinstance(value, int):
            raise _unfit(f"an image without {keyword}", f"{keyword} in the header (PS3.3 C.7.6.3)")
        return value

    allocated, stored = number("BitsAllocated"), number("BitsStored")
    high = cast(int, values.get("HighBit", stored - 1))
    rows, columns = number("Rows"), number("Columns")
    frames = cast(int, values.get("NumberOfFrames", 1)) or 1
    if not (0 < rows <= LIMITS.side_pixels and 0 < columns <= LIMITS.side_pixels):
        raise _unfit(
            f"an image of {rows} × {columns} pixels",
            f"1 to {LIMITS.side_pixels} rows and columns",
        )
    if not 0 < frames <= LIMITS.frames:
        raise _unfit(f"{frames} frames in one object", f"1 to {LIMITS.frames}")
    if cast(int, values.get("SamplesPerPixel", 1)) != 1:
        raise _unfit("a colour image", "one sample per pixel")
    if allocated not in (8, 16, 32) or not 0 < stored <= allocated:
        raise _unfit(
            f"{stored} bits stored in {allocated} allocated", "up to 16 bits in 16 (PS3.3 C.8.2.1)"
        )
    if not stored - 1 <= high < allocated:
        raise _unfit(f"HighBit {high} with {stored} bits stored", f"HighBit {stored - 1}")
    syntax = UID(str(values.get("TransferSyntaxUID", "")))
    if syntax not in NATIVE_SYNTAXES and syntax != RLELossless and syntax not in _CODECS:
        raise _unfit(
            f"pixels in transfer syntax {syntax.name}",
            "an uncompressed, RLE, JPEG, JPEG-LS, JPEG 2000 or HTJ2K image",
        )
    signed = number("PixelRepresentation") == 1
    return PixelLayout(rows, columns, frames, allocated, stored, high, signed, syntax)


class FrameReader:
    """Reads stored pixel values of frames; a context manager, safe to use from several threads.

    Of a multi-frame object the table of its compressed frames is made once. Where the object's
    file cannot be read from the middle (deflated, or in a zip archive), its bytes stay in memory
    until the reader is closed.
    """

    def __init__(self) -> None:
        self._sources = Sources()
        self._tables: dict[tuple[Path, int | None], list[Fragments]] = {}
        self._held: dict[tuple[Path, int | None], bytes] = {}
        self._lock = RLock()

    def __enter__(self) -> Self:
        self._sources.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._held.clear()
        self._sources.close()

    def read(self, instance: Instance, number: int) -> NDArray[np.integer]:
        """Stored values of one frame.

        Parameters
        ----------
        instance : Instance
            The object that holds it.
        number : int
            Frame number from 1.

        Returns
        -------
        ndarray of int16, uint16, int8, uint8, int32 or uint32, shape (rows, columns)
            Values of BitsStored bits; whatever lay in the bits above is gone.

        Raises
        ------
        ReadError
            The payload is cut off, damaged, or not the image the header describes.
        """
        layout = layout_of(instance)
        location = instance.attributes.get("PixelData")
        if not isinstance(location, PixelLocation):
            raise _unfit("floating point pixels", "integers with a rescale to HU")
        if layout.syntax in NATIVE_SYNTAXES:
            start = location.offset + (number - 1) * layout.frame_bytes
            data = self._bytes(instance, location, start, layout.frame_bytes)
            return _fit_bits(_unpack(data, layout), layout)
        if location.length is not None:
            raise _unfit("compressed pixels without encapsulation", "fragments (PS3.5 A.4)")
        payload = self._compressed(instance, layout, location, number)
        if layout.syntax == RLELossless:
            return _fit_bits(_decode_rle(payload, layout), layout)
        return _decode(payload, layout)

    def _bytes(self, instance: Instance, location: PixelLocation, start: int, length: int) -> bytes:
        """Bytes of the data set, wherever they come from."""
        key = (instance.path, instance.member)
        single = cast(int, instance.attributes.get("NumberOfFrames", 1)) == 1
        if single and location.inflated:
            return self._whole(instance, location, start + length)[start:]
        if location.inflated or (instance.member is not None and not single):
            with self._lock:
                if key not in self._held:
                    layout = layout_of(instance)
                    end = location.offset + layout.frames * layout.frame_bytes
                    self._held[key] = self._whole(instance, location, end)
            return self._held[key][start : start + length]
        return self._sources.read(*key, start=start, limit=length)

    def _whole(self, instance: Instance, location: PixelLocation, end: int) -> bytes:
        """The file, or the inflated data set up to `end`, where the header's pixels end.

        What Pixel Data claims as its length is not asked: a few MB may claim, and unpack to, 4 GB.
        """
        raw = self._sources.read(
            instance.path,
            instance.member,
            start=location.deflated_start if location.inflated else 0,
            limit=LIMITS.encoded_bytes,
        )
        if not location.inflated:
            return raw
        return inflate(raw, min(end, LIMITS.volume_bytes))

    def _compressed(
        self, instance: Instance, layout: PixelLayout, location: PixelLocation, number: int
    ) -> bytes:
        """One compressed frame. A single frame is read in one go, with its item headers."""
        if layout.frames == 1:
            most = min(_LARGEST_RATIO * layout.frame_bytes + _SLACK, LIMITS.encoded_bytes)
            tail = self._bytes(instance, location, location.offset, most)
            (fragments,) = list_fragments(lambda at, size: tail[at : at + size], 0, 1)
            return _join(lambda at, size: tail[at : at + size], fragments)

        def read(start: int, length: int) -> bytes:
            return self._bytes(instance, location, start, length)

        key = (instance.path, instance.member)
        with self._lock:
            if key not in self._tables:
                self._tables[key] = list_fragments(read, location.offset, layout.frames)
        return _join(read, self._tables[key][number - 1])


def _join(read: Callable[[int, int], bytes], fragments: Fragments) -> bytes:
    parts = [read(start, length) for start, length in fragments]
    if any(len(part) != length for part, (_, length) in zip(parts, fragments, strict=True)):
        raise _unfit("a compressed frame that is cut off", "the whole frame")
    return b"".join(parts)


def _unpack(data: bytes, layout: PixelLayout) -> NDArray[np.unsignedinteger]:
    """Uncompressed bytes as an array in the machine's byte order (PS3.5 section 8.1.1)."""
    if len(data) != layout.frame_bytes:
        raise _unfit(
            f"{len(data)} of a frame's {layout.frame_bytes} bytes",
            "the whole frame; the file is cut off",
        )
    order = ">" if layout.syntax == ExplicitVRBigEndian else "<"
    stored = np.frombuffer(data, dtype=f"{order}u{layout.bits_allocated // 8}")
    native = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    return native.reshape(layout.rows, layout.columns)


def _decode(payload: bytes, layout: PixelLayout) -> NDArray[np.integer]:
    """A JPEG-family frame, its own sizes checked against the header's before and after."""
    inspect, decode = _CODECS[layout.syntax]
    coded = inspect(payload)
    if (coded.rows, coded.columns, coded.components) != (layout.rows, layout.columns, 1):
        raise _unfit(
            f"a compressed image of {coded.rows} × {coded.columns} × {coded.components}",
            f"the header's {layout.rows} × {layout.columns} × 1",
        )
    if coded.bits > layout.bits_allocated:
        raise _unfit(f"compressed samples of {coded.bits} bits", f"at most {layout.bits_allocated}")
    try:
        decoded = decode(payload)
    except _CODEC_ERRORS as error:
        raise _unfit(
            f"a compressed image that cannot be decoded ({type(error).__name__})",
            "a complete image",
        ) from error
    if decoded.shape != (layout.rows, layout.columns) or decoded.dtype.kind not in "iu":
        raise _unfit(
            f"decoded pixels {decoded.shape} of {decoded.dtype}",
            f"{layout.rows} × {layout.columns} integers",
        )
    width = layout.bits_allocated // 8
    wide = decoded.astype(f"{decoded.dtype.kind}{width}", copy=False).view(f"u{width}")
    fitted = _fit_bits(wide, layout)
    _refuse_excess_bits(wide, fitted, layout)
    return fitted


def _fit_bits(stored: NDArray[np.unsignedinteger], layout: PixelLayout) -> NDArray[np.integer]:
    """The BitsStored bits that end at HighBit, sign-extended (PS3.5 section 8.1.1).

    Bits above may hold overlays or rubbish; the left shift drops them, the right shift extends
    the sign of two's complement values.
    """
    kind = f"{'i' if layout.signed else 'u'}{layout.bits_allocated // 8}"
    if layout.bits_stored == layout.bits_allocated:
        return stored.view(kind)
    left = np.left_shift(stored, layout.bits_allocated - 1 - layout.high_bit).view(kind)
    return cast(
        "NDArray[np.integer]",
        np.right_shift(left, layout.bits_allocated - layout.bits_stored, out=left),
    )


def _refuse_excess_bits(
    decoded: NDArray[np.unsignedinteger], fitted: NDArray[np.integer], layout: PixelLayout
) -> None:
    """A compressed image has no place for overlays: a value beyond BitsStored is an error."""
    if layout.bits_stored == layout.bits_allocated:
        return
    mask = (1 << layout.bits_stored) - 1
    full = fitted.view(decoded.dtype)
    if np.any((decoded != full) & (decoded != (full & decoded.dtype.type(mask)))):
        raise _unfit(
            f"decoded values of more than {layout.bits_stored} bits",
            f"values of BitsStored {layout.bits_stored}",
        )


def _decode_rle(payload: bytes, layout: PixelLayout) -> NDArray[np.unsignedinteger]:
    """One RLE frame: a byte plane per segment, most significant first (PS3.5 annex G)."""
    width = layout.bits_allocated // 8
    segments = struct.unpack_from("<16I", payload) if len(payload) >= _RLE_HEADER else (0,)
    if segments[0] != width:
        raise _unfit(f"{segments[0]} RLE segments", f"{width}, one per byte (PS3.5 annex G)")
    try:
        decoded = imagecodecs.dicomrle_decode(payload, f"<u{width}", out=layout.frame_bytes)
    except _CODEC_ERRORS as error:
        raise _unfit("RLE pixels that cannot be decoded", "a complete image") from error
    if len(decoded) != layout.frame_bytes:
        raise _unfit(f"{len(decoded)} bytes of RLE pixels", f"{layout.frame_bytes}")
    return np.frombuffer(decoded, f"<u{width}").reshape(layout.rows, layout.columns)


def _unfit(found: str, expected: str) -> ReadError:
    return ReadError(
        found,
        expected=expected,
        action="Export the image again from the archive, uncompressed if possible.",
    )
