"""Between the volume's pixel grid and the square image the networks see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.core.geometry import Geometry


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Fits a slice into a square without changing its proportions.

    The longer side in mm fills the square; the shorter one is centred. Pixels that are not square
    become square.

    Parameters
    ----------
    source_shape, inner_shape, offset : tuple of int
        Rows and columns of the volume's slices, of the part of the square that they fill, and
        where that begins.
    size : int
        Rows and columns of the square in pixels.
    pixel_mm : float
        Side of a pixel of the square in mm.
    """

    source_shape: tuple[int, int]
    size: int
    inner_shape: tuple[int, int]
    offset: tuple[int, int]
    pixel_mm: float

    @classmethod
    def of(cls, geometry: Geometry, size: int) -> Letterbox:
        """The frame for a volume's slices."""
        rows, columns = geometry.shape[1:]
        height_mm, width_mm = rows * geometry.spacing_mm[1], columns * geometry.spacing_mm[2]
        side_mm = max(height_mm, width_mm)
        inner = (
            max(1, round(size * height_mm / side_mm)),
            max(1, round(size * width_mm / side_mm)),
        )
        offset = ((size - inner[0]) // 2, (size - inner[1]) // 2)
        return cls((rows, columns), size, inner, offset, side_mm / size)

    def forward(self, image: NDArray[Any], fill: float) -> NDArray[Any]:
        """A slice in the square; what it does not cover is `fill`. Shrinks by area averaging."""
        rows, columns = self.inner_shape
        shrinks = rows <= self.source_shape[0] and columns <= self.source_shape[1]
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        inner = (
            image
            if image.shape == self.inner_shape
            else cv2.resize(image, (columns, rows), interpolation=method)
        )
        if self.inner_shape == (self.size, self.size):
            return np.asarray(inner)
        square = np.full((self.size, self.size), fill, dtype=image.dtype)
        square[self.window] = inner
        return square

    def inverse(self, square: NDArray[Any]) -> NDArray[Any]:
        """A map on the square back on the slice's pixels, linearly interpolated."""
        rows, columns = self.source_shape
        inner = np.ascontiguousarray(square[self.window])
        return np.asarray(cv2.resize(inner, (columns, rows), interpolation=cv2.INTER_LINEAR))

    def from_grid(self, grid: NDArray[np.float32]) -> NDArray[np.float32]:
        """A coarse map over the square, shape (n, n), on the slice's own pixels."""
        square = cv2.resize(grid, (self.size, self.size), interpolation=cv2.INTER_LINEAR)
        return np.asarray(np.clip(self.inverse(square), 0.0, None), dtype=np.float32)

    @property
    def window(self) -> tuple[slice, slice]:
        """The part of the square that the slice fills."""
        (row, column), (rows, columns) = self.offset, self.inner_shape
        return slice(row, row + rows), slice(column, column + columns)
