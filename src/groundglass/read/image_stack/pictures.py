"""PNG, JPEG and TIFF: what a picture says of itself, and its pixels as that says.

What changes the meaning of a pixel is heeded, or the picture refused: bits, sign, which end of the
scale is white, colours, transparency, orientation, a calibration. What is only for display on a
certain screen (gamma, colour profiles, pixel density) is not looked at.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from groundglass.errors import ReadError
from groundglass.read.dicom.pixels.codestream import read_jpeg
from groundglass.read.image_stack import tiff
from groundglass.read.image_stack.imagej import imagej_stack
from groundglass.read.image_stack.tiff import TiffPage, damaged_tiff, exif_orientation, tiff_pages
from groundglass.read.limits import LIMITS

#: How files that are pictures end.
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_CODEC_ERRORS = (RuntimeError, ValueError, TypeError, OverflowError, MemoryError, struct.error,
                 IndexError)  # fmt: skip
#: In the entropy-coded data of a JPEG, a marker that is neither a stuffed byte nor a restart
#: (ITU-T T.81 B.1.1.2).
_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])", re.DOTALL)
_JPEG_LS_FRAME = re.compile(rb"\xff\xf7\0[\x0b\x0e\x11\x14]")
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _YCBCR = 0, 1, 2, 6  # PhotometricInterpretation
_JPEG_IN_TIFF = 7  # Compression
_KINDS = {1: "u", 2: "i", 3: "f"}  # SampleFormat
#: Levels by which the channels of a grey JPEG may differ: what rounding of its colour transform
#: leaves where it was saved more than once. Our choice; a coloured mark differs by tens.
_JPEG_NEAR = 2
_LOSSLESS_FRAMES = (0xC3, 0xC7, 0xCB, 0xCF)  # ITU-T T.81 table B.1
_unfit = partial(
    ReadError,
    expected="a complete PNG, JPEG or TIFF image of a CT's size: one grey number per pixel, "
    "upright, without transparency",
    action="Export the slices again in that form.",
)


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a file, by its header."""

    rows: int
    columns: int
    bits: int
    """`rows`, `columns`, `bits`: pixels; bits of one sample, as stored."""
    page: TiffPage | None = None
    """Where it lies in a TIFF file."""
    plane: int | None = None
    """Which one of an ImageJ stack, whose planes follow one another in one page."""
    calibration: tuple[float, float] = (1.0, 0.0)
    """(slope, intercept) by which the file itself says its values are to be read."""
    lossy: bool = False
    """Whether it was compressed by JPEG, so that its values are near what they were."""


def is_picture(head: bytes) -> bool:
    """Whether a file is PNG, JPEG or TIFF, by its first bytes."""
    return head.startswith((_PNG, _JPEG, *tiff.TIFFS)) and not is_jpeg_ls(head)


def is_jpeg_ls(head: bytes) -> bool:
    """Whether a file is JPEG-LS, whose frame header (ITU-T T.87 C.2.2) stands near its start."""
    return head.startswith(_JPEG) and _JPEG_LS_FRAME.search(head, 0, 1024) is not None


def pictures_in(data: bytes) -> list[Picture]:
    """The pictures of a file, before anything is decoded.

    A ReadError says that it is damaged or cut off, or says something of its pixels that is not
    understood here.
    """
    try:
        if data.startswith(_PNG):
            found = [_png(data)]
        elif data.startswith(_JPEG):
            found = [_jpeg(data)]
        else:
            found = _tiff(data)
    except struct.error as error:
        raise _unfit("an image file that is cut off") from error
    for picture in found:
        rows, columns = picture.rows, picture.columns
        if not (0 < rows <= LIMITS.side_pixels and 0 < columns <= LIMITS.side_pixels):
            raise _unfit(f"an image of {rows} × {columns} pixels")
    if not found:
        raise _unfit("an image file without an image")
    return found


def _png(data: bytes) -> Picture:
    """Every chunk by its checksum up to the last (PNG, section 5)."""
    chunks: dict[bytes, bytes] = {}
    at, kind = len(_PNG), b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length]
        (crc,) = struct.unpack_from(">I", data, at + 8 + length)
        if zlib.crc32(body, zlib.crc32(kind)) != crc:
            raise _unfit("a PNG image that is damaged: a checksum does not match")
        chunks.setdefault(kind, body)
        at += 12 + length
    if b"acTL" in chunks:
        raise _unfit("a PNG image of several pictures (animated)")
    _refuse_turned(exif_orientation(chunks.get(b"eXIf", b"")))
    columns, rows, bits = struct.unpack_from(">IIB", chunks.get(b"IHDR", b""))
    return Picture(rows, columns, bits)


def _jpeg(data: bytes) -> Picture:
    """The markers up to the end of the image (ITU-T T.81 annex B), which must be there."""
    at, exif, lossy = 2, b"", True
    kind = 0
    while kind != 0xD9:
        marker = _MARKER.search(data, at)
        if marker is None:
            raise _unfit("a JPEG image that is cut off")
        kind, at = marker.group(1)[0], marker.end()
        if kind in (0x01, 0xD8, 0xD9):
            continue
        (length,) = struct.unpack_from(">H", data, at)
        if kind == 0xE1 and data[at + 2 : at + 8] == b"Exif\0\0" and not exif:
            exif = data[at + 8 : at + length]
        lossy = lossy and kind not in _LOSSLESS_FRAMES
        at += length
    _refuse_turned(exif_orientation(exif))
    coded = read_jpeg(data[:at])
    if coded.components not in (1, 3):
        raise _unfit(f"a JPEG image of {coded.components} components (CMYK?)")
    return Picture(coded.rows, coded.columns, coded.bits, lossy=lossy)


def _tiff(data: bytes) -> list[Picture]:
    pages = [page for page in tiff_pages(data) if page.is_slice]
    for page in pages:
        _refuse_turned(page.value(tiff.ORIENTATION) or 1)
        _refuse_pixels(page)
    stack = imagej_stack(pages, len(data))
    if stack is None:
        return [_picture(page) for page in pages]
    if stack.planes == len(pages):
        return [replace(_picture(page), calibration=stack.calibration) for page in pages]
    first = replace(_picture(pages[0]), calibration=stack.calibration)
    return [replace(first, plane=plane) for plane in range(stack.planes)]


def _picture(page: TiffPage) -> Picture:
    lossy = page.value(tiff.COMPRESSION) == _JPEG_IN_TIFF
    return Picture(*page.size, page.value(tiff.BITS) or 0, page, lossy=lossy)


def _refuse_pixels(page: TiffPage) -> None:
    """What is said of pixels and is not understood here (TIFF 6.0 section 8)."""
    samples, bits = page.value(tiff.SAMPLES) or 0, page.value(tiff.BITS) or 0
    kind = _KINDS.get(page.value(tiff.SAMPLE_FORMAT) or 0)
    if kind is None or not (bits in (1, 2, 4, 8, 12, 16, 32, 64) and 1 <= samples <= 4):
        raise damaged_tiff(f"a TIFF image of {samples} samples of {bits} bits a pixel")
    if (page.value(tiff.DEPTH) or 1) > 1:
        raise damaged_tiff("a TIFF page of several planes (ImageDepth)")
    meaning = page.value(tiff.PHOTOMETRIC)
    if meaning is None:
        raise damaged_tiff("a TIFF image that does not say whether 0 is black or white")
    colours = meaning == _RGB or (
        meaning == _YCBCR and page.value(tiff.COMPRESSION) == _JPEG_IN_TIFF
    )
    grey = meaning in (_WHITE_IS_ZERO, _BLACK_IS_ZERO)
    if not (grey and samples <= 2) and not (colours and samples >= 3):
        raise damaged_tiff(
            f"a TIFF image of {samples} samples with PhotometricInterpretation {meaning} "
            "(a palette, a colour space or a mask)"
        )
    if meaning == _WHITE_IS_ZERO and kind != "u":
        raise damaged_tiff("a TIFF image of signed values whose 0 is white")


def _refuse_turned(orientation: int) -> None:
    if orientation != 1:
        raise _unfit(f"an image stored turned or mirrored (orientation {orientation})")


def decode(data: bytes, picture: Picture) -> NDArray[Any]:
    """The pixels of one picture of a file, 0 black.

    Integers or floats, shape (rows, columns) or (rows, columns, channels): two channels are grey
    and alpha, three are colours, four are colours and alpha.
    """
    try:
        pixels = _decoded(data, picture)
    except _CODEC_ERRORS as error:
        raise _unfit(f"an image that cannot be decoded ({type(error).__name__})") from error
    if pixels.shape[:2] != (picture.rows, picture.columns) or pixels.dtype.kind not in "iuf":
        raise _unfit(f"pixels {pixels.shape} of {pixels.dtype}")
    return pixels


def _decoded(data: bytes, picture: Picture) -> NDArray[Any]:
    if picture.page is None:
        decoder = imagecodecs.png_decode if data.startswith(_PNG) else imagecodecs.jpeg8_decode
        return np.asarray(decoder(data))
    page = picture.page
    if picture.plane is None:
        pixels = np.asarray(imagecodecs.tiff_decode(data, index=page.number))
        pixels = pixels.astype(np.uint8) if pixels.dtype == bool else pixels
    else:
        dtype = np.dtype(
            f"{'>' if page.big_endian else '<'}{_KINDS[page.value(tiff.SAMPLE_FORMAT) or 0]}"
            f"{picture.bits // 8}"
        )
        count = picture.rows * picture.columns
        start = (page.value(tiff.STRIPS) or 0) + picture.plane * count * dtype.itemsize
        pixels = np.frombuffer(data, dtype, count, start).reshape(page.size)
        pixels = pixels.astype(dtype.newbyteorder("="))
    if page.value(tiff.PLANAR) == 2 and pixels.ndim == 3:
        pixels = np.moveaxis(pixels, 0, -1)
    if page.value(tiff.PHOTOMETRIC) == _WHITE_IS_ZERO:
        grey = pixels if pixels.ndim == 2 else pixels[..., 0]
        np.subtract((1 << picture.bits) - 1, grey, out=grey, casting="unsafe")
    return pixels


def as_grey(pixels: NDArray[Any], *, lossy: bool) -> NDArray[Any]:
    """A picture's one number per pixel, shape (rows, columns), where it has one.

    Of a JPEG (`lossy`) the channels may differ by what rounding leaves; their mean is taken.
    Colours and transparency are refused.
    """
    if pixels.ndim == 2:
        return pixels
    if pixels.shape[2] in (2, 4):
        top = np.iinfo(pixels.dtype).max if pixels.dtype.kind in "iu" else 1.0
        if not (pixels[..., -1] == top).all():
            raise _unfit("an image that is transparent in places")
        pixels = pixels[..., :-1]
    first = np.ascontiguousarray(pixels[..., 0])
    if all(np.array_equal(first, pixels[..., k]) for k in range(1, pixels.shape[2])):
        return first
    if lossy and int(np.ptp(pixels.astype(np.int32), axis=2).max()) <= _JPEG_NEAR:
        return np.asarray(np.round(pixels.mean(axis=2)), pixels.dtype)
    raise _unfit("an image with colours")
