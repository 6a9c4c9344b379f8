"""One picture in a file: PNG, JPEG or TIFF, as grey values."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from groundglass.dicom.limits import LIMITS
from groundglass.errors import ReadError

#: How files that are pictures end.
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")

_DECODERS = (
    ((b"\x89PNG\r\n\x1a\n",), imagecodecs.png_decode),
    ((b"\xff\xd8\xff",), imagecodecs.jpeg8_decode),
    ((b"II*\0", b"MM\0*"), imagecodecs.tiff_decode),
)
_CODEC_ERRORS = (RuntimeError, ValueError, TypeError, OverflowError, MemoryError, IndexError,
                 struct.error)  # fmt: skip
#: Shares of red, green and blue in brightness (ITU-R BT.601).
_LUMA = np.array([0.299, 0.587, 0.114])


def read_image(path: Path) -> NDArray[Any]:
    """A picture as grey values; colours become their brightness, transparency is left out.

    Parameters
    ----------
    path : Path
        PNG, JPEG or TIFF of one page.

    Returns
    -------
    ndarray of uint8, uint16 or int16, shape (rows, columns)

    Raises
    ------
    ReadError
        It cannot be read, is damaged, or is no single picture.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LIMITS.encoded_bytes)
    except OSError as error:
        raise _unfit(f"an image that cannot be read ({error.strerror})") from error
    decode = next((d for magics, d in _DECODERS if data.startswith(magics)), None)
    if decode is None:
        raise _unfit("a file that is no PNG, JPEG or TIFF image")
    try:
        pixels = np.asarray(decode(data))
    except _CODEC_ERRORS as error:
        raise _unfit(f"an image that cannot be decoded ({type(error).__name__})") from error
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):  # the last channel is transparency
        pixels = pixels[..., :-1]
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim == 3 and pixels.shape[2] == 3:
        pixels = np.round(pixels @ _LUMA).astype(pixels.dtype)
    if pixels.ndim != 2 or pixels.dtype not in (np.uint8, np.uint16, np.int16):
        raise _unfit(f"pixels of shape {pixels.shape} and type {pixels.dtype}")
    return pixels


def _unfit(found: str) -> ReadError:
    return ReadError(
        found,
        expected="one complete PNG, JPEG or TIFF picture of 8 or 16 bits",
        action="Export it again, or leave the row out.",
    )
