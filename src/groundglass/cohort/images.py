"""One picture in a file: PNG, JPEG or TIFF, as grey values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundglass.errors import ReadError
from groundglass.read.image_stack.pictures import decode, is_picture, pictures_in
from groundglass.read.limits import LIMITS

#: Shares of red, green and blue in brightness (ITU-R BT.601).
_LUMA = np.array([0.299, 0.587, 0.114])


def read_image(path: Path, *, least_bits: int = 1) -> NDArray[Any]:
    """A picture as grey values; colours become their brightness, transparency is left out.

    Parameters
    ----------
    path : Path
        PNG, JPEG or TIFF of one page.
    least_bits : int
        Bits a pixel must have: 8 for what a CT shows, 1 for a mask.

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
    if not is_picture(data):
        raise _unfit("a file that is no PNG, JPEG or TIFF image")
    picture, *more = pictures_in(data)
    if more:
        raise _unfit(f"an image file of {1 + len(more)} pictures")
    if picture.bits < least_bits:
        raise _unfit(f"an image of {picture.bits} bits a pixel")
    pixels = decode(data, picture)
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
