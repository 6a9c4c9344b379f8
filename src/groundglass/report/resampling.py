"""Images made smaller, and coarse maps read at the pixels of a picture."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Pixel = TypeVar("Pixel", np.uint8, np.float32)


def fitted_shape(shape: tuple[int, ...], edge: int | None) -> tuple[int, int]:
    """(rows, columns) in the same proportion, the longer one at most `edge`; None: as they are."""
    rows, columns = shape
    longest = max(rows, columns)
    if edge is None or longest <= edge:
        return rows, columns
    return max(1, round(rows * edge / longest)), max(1, round(columns * edge / longest))


def fitted(image: NDArray[Pixel], edge: int | None) -> NDArray[Pixel]:
    """The image made smaller so that its longer side is at most `edge` pixels.

    Parameters
    ----------
    image : ndarray of uint8 or float32, shape (rows, columns)
        Any.
    edge : int or None
        None leaves it as it is.
    """
    whole = np.ascontiguousarray(image)
    rows, columns = fitted_shape(image.shape, edge)
    if (rows, columns) == image.shape:
        return whole
    # Down to half its size every pixel still has its part in linear interpolation, which takes a
    # fifth of the time of averaging areas.
    half = 2 * max(rows, columns) >= max(image.shape)
    way = cv2.INTER_LINEAR if half else cv2.INTER_AREA
    return np.asarray(cv2.resize(whole, (columns, rows), interpolation=way), dtype=image.dtype)


def sampled(
    cells: NDArray[np.float32],
    size: tuple[int, int],
    part: tuple[range, range],
    shape: tuple[int, int],
) -> NDArray[np.float32]:
    """A coarse map, linear between the middles of its cells, at the pixels of a picture.

    Parameters
    ----------
    cells : ndarray of float32, shape (rows, columns)
        The map.
    size : tuple of int
        (rows, columns) of the image that the map covers.
    part : tuple of range
        Rows and columns of that image that the picture shows.
    shape : tuple of int
        (rows, columns) of the picture.
    """
    down, across = (
        _weights((count, whole), (shown.start, shown.stop), pixels)
        for count, whole, shown, pixels in zip(cells.shape, size, part, shape, strict=True)
    )
    return np.asarray(down @ cells @ across.T, dtype=np.float32)


@lru_cache(maxsize=16)
def _weights(grid: tuple[int, int], shown: tuple[int, int], pixels: int) -> NDArray[np.float32]:
    """What each cell adds to each pixel along one axis, shape (pixels, cells)."""
    count, size = grid
    first, last = shown
    middle = first + (np.arange(pixels) + 0.5) * (last - first) / pixels
    at = np.clip(middle * count / size - 0.5, 0, count - 1)
    away = np.abs(at[:, None] - np.arange(count))
    return np.clip(1.0 - away, 0.0, None).astype(np.float32)
