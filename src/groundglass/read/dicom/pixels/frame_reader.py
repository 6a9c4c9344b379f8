"""Stored pixel values of one frame (PS3.5 section 8), from bytes to an integer array.

Sizes are compared with the payload before anything is decoded, and the decoded image with the
header after.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from threading import RLock
from typing import Self

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.uid import UID, ExplicitVRBigEndian, RLELossless

from groundglass.read.dicom.headers.ct_header import DicomInstance, PixelLocation
from groundglass.read.dicom.headers.dataset import NATIVE_SYNTAXES, inflate
from groundglass.read.dicom.pixels import codestream
from groundglass.read.dicom.pixels.bits import fit_bits
from groundglass.read.dicom.pixels.encapsulated_frames import Fragments, list_fragments
from groundglass.read.dicom.pixels.layout import (
    JPEG,
    JPEG_2000,
    JPEG_LS,
    PixelLayout,
    layout_of,
    unfit,
)
from groundglass.read.limits import LIMITS
from groundglass.read.sources import Sources

_Decode = Callable[[bytes], NDArray[np.generic]]
#: Transfer syntaxes → (what the stream says of itself, its decoder). OpenJPEG reads HTJ2K too, and
#: unlike OpenJPH refuses a stream that is cut off.
_CODECS: dict[UID, tuple[Callable[[bytes], codestream.CodedImage], _Decode]] = {
    **dict.fromkeys(JPEG, (codestream.read_jpeg, imagecodecs.jpeg8_decode)),
    **dict.fromkeys(JPEG_LS, (codestream.read_jpeg_ls, imagecodecs.jpegls_decode)),
    **dict.fromkeys(JPEG_2000, (codestream.read_jpeg2000, imagecodecs.jpeg2k_decode)),
}
_CODEC_ERRORS = (RuntimeError, ValueError, TypeError, OverflowError, MemoryError, struct.error)
_RLE_HEADER = 64  # bytes (PS3.5 annex G.5)
#: A compressed frame is read up to so many times its uncompressed bytes, and some for headers;
#: noise may grow in compression, but not like this.
_LARGEST_RATIO, _SLACK = 2, 2**20


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

    def read(self, instance: DicomInstance, number: int) -> NDArray[np.integer]:
        """Stored values of one frame, counted from 1: an array of integers, shape (rows, columns).

        Values of Bits Stored bits; whatever lay in the bits above is gone. A ReadError says that
        the payload is cut off, damaged, or not the image the header describes.
        """
        layout = layout_of(instance.header)
        location = instance.header.pixels
        if location is None:
            raise unfit("floating point pixels", "integers with a rescale to HU")
        if layout.syntax in NATIVE_SYNTAXES:
            return fit_bits(_unpack(self._native(instance, location, number), layout), layout)
        if location.length is not None:
            raise unfit("compressed pixels without encapsulation", "fragments (PS3.5 A.4)")
        payload = self._compressed(instance, layout, location, number)
        if layout.syntax == RLELossless:
            return fit_bits(_decode_rle(payload, layout), layout)
        return _decode(payload, layout)

    def _native(self, instance: DicomInstance, location: PixelLocation, number: int) -> bytes:
        """The bytes of one uncompressed frame, in the order of its pixels."""
        layout = layout_of(instance.header)
        start = (number - 1) * layout.frame_bytes
        if not layout.swapped:
            return self._bytes(instance, location, location.offset + start, layout.frame_bytes)
        before = start % 2  # frames of odd length begin in the middle of a word
        length = before + layout.frame_bytes
        words = self._bytes(
            instance, location, location.offset + start - before, length + length % 2
        )
        ordered = np.frombuffer(words[: len(words) // 2 * 2], "<u2").byteswap().tobytes()
        return ordered[before : before + layout.frame_bytes]

    def _bytes(
        self, instance: DicomInstance, location: PixelLocation, start: int, length: int
    ) -> bytes:
        """Bytes of the data set, wherever they come from."""
        key = (instance.path, instance.member)
        single = instance.header.number_of_frames == 1
        if single and location.inflated:
            return self._whole(instance, location, start + length)[start:]
        if location.inflated or (instance.member is not None and not single):
            with self._lock:
                if key not in self._held:
                    layout = layout_of(instance.header)
                    end = location.offset + layout.frames * layout.frame_bytes
                    self._held[key] = self._whole(instance, location, end)
            return self._held[key][start : start + length]
        return self._sources.read(instance, start=start, limit=length)

    def _whole(self, instance: DicomInstance, location: PixelLocation, end: int) -> bytes:
        """The file, or the inflated data set up to `end`, where the header's pixels end.

        What Pixel Data claims as its length is not asked: a few MB may claim, and unpack to, 4 GB.
        """
        raw = self._sources.read(
            instance,
            start=location.deflated_start if location.inflated else 0,
            limit=LIMITS.encoded_bytes,
        )
        if not location.inflated:
            return raw
        return inflate(raw, min(end, LIMITS.volume_bytes))

    def _compressed(
        self, instance: DicomInstance, layout: PixelLayout, location: PixelLocation, number: int
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
        raise unfit("a compressed frame that is cut off", "the whole frame")
    return b"".join(parts)


def _unpack(data: bytes, layout: PixelLayout) -> NDArray[np.unsignedinteger]:
    """Uncompressed bytes as an array in the machine's byte order (PS3.5 section 8.1.1)."""
    if len(data) != layout.frame_bytes:
        raise unfit(
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
        raise unfit(
            f"a compressed image of {coded.rows} × {coded.columns} × {coded.components}",
            f"the header's {layout.rows} × {layout.columns} × 1",
        )
    if coded.bits > layout.bits_allocated:
        raise unfit(f"compressed samples of {coded.bits} bits", f"at most {layout.bits_allocated}")
    try:
        decoded = decode(payload)
    except _CODEC_ERRORS as error:
        raise unfit(
            f"a compressed image that cannot be decoded ({type(error).__name__})",
            "a complete image",
        ) from error
    if decoded.shape != (layout.rows, layout.columns) or decoded.dtype.kind not in "iu":
        raise unfit(
            f"decoded pixels {decoded.shape} of {decoded.dtype}",
            f"{layout.rows} × {layout.columns} integers",
        )
    width = layout.bits_allocated // 8
    wide = decoded.astype(f"{decoded.dtype.kind}{width}", copy=False).view(f"u{width}")
    return fit_bits(wide, layout)


def _decode_rle(payload: bytes, layout: PixelLayout) -> NDArray[np.unsignedinteger]:
    """One RLE frame: a byte plane per segment, most significant first (PS3.5 annex G)."""
    width = layout.bits_allocated // 8
    segments = struct.unpack_from("<16I", payload) if len(payload) >= _RLE_HEADER else (0,)
    if segments[0] != width:
        raise unfit(f"{segments[0]} RLE segments", f"{width}, one per byte (PS3.5 annex G)")
    try:
        decoded = _decode_segments(payload, layout, segments[width])
    except _CODEC_ERRORS as error:
        raise unfit("RLE pixels that cannot be decoded", "a complete image") from error
    if len(decoded) != layout.frame_bytes:
        raise unfit(f"{len(decoded)} bytes of RLE pixels", f"{layout.frame_bytes}")
    return np.frombuffer(decoded, f"<u{width}").reshape(layout.rows, layout.columns)


def _decode_segments(payload: bytes, layout: PixelLayout, last: int) -> bytes:
    """The segments of an RLE frame, the last beginning at byte `last`; what follows is left."""
    width = f"<u{layout.bits_allocated // 8}"
    try:
        return bytes(imagecodecs.dicomrle_decode(payload, width, out=layout.frame_bytes))
    except _CODEC_ERRORS:  # it asks that the last segment end with the frame
        end = _segment_end(payload, last, layout.rows * layout.columns)
        return bytes(imagecodecs.dicomrle_decode(payload[:end], width, out=layout.frame_bytes))


def _segment_end(payload: bytes, position: int, bytes_left: int) -> int:
    """The byte after the runs that make up a plane (PS3.5 annex G.3)."""
    while bytes_left > 0 and position < len(payload):
        run = payload[position]
        if run < 128:
            position, bytes_left = position + run + 2, bytes_left - run - 1
        elif run > 128:
            position, bytes_left = position + 2, bytes_left + run - 257
        else:
            position += 1
    return position
