"""Drawing in millimetres: a pixel grid, an oversampled canvas, and noise that runs on along z."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
Byte = NDArray[np.uint8]
Points = NDArray[np.float64]
#: A part of an image: its rows and its columns.
Box = tuple[slice, slice]

#: Canvas pixels per image pixel along each axis: averaging them back gives partial volume.
OVERSAMPLING = 2
#: Fractional bits of OpenCV's fixed-point coordinates.
_SHIFT = 4
#: Edge of the repeating cube of noise, in lattice cells.
_TILE = 64


@dataclass(frozen=True, slots=True)
class Grid:
    """Pixels of an axial slice in patient mm (x to the left, y to the back)."""

    rows: int
    columns: int
    """`rows`, `columns`: size of the image."""
    pixel_mm: float
    """Pixel edge in mm."""
    first_mm: tuple[float, float]
    """(x, y) of the centre of pixel (0, 0) in mm."""

    @classmethod
    def square(cls, matrix: int, width_mm: float, centre_mm: tuple[float, float]) -> Grid:
        """The grid of a square field of view about a centre (x, y) in mm."""
        pixel = width_mm / matrix
        half = (matrix - 1) / 2.0 * pixel
        return cls(matrix, matrix, pixel, (centre_mm[0] - half, centre_mm[1] - half))

    def window(self, box: Box) -> Grid:
        """The part of the grid in a box of (rows, columns)."""
        top, left = box[0].start, box[1].start
        first = (self.first_mm[0] + left * self.pixel_mm, self.first_mm[1] + top * self.pixel_mm)
        return Grid(box[0].stop - top, box[1].stop - left, self.pixel_mm, first)

    def axes(self) -> tuple[Float, Float]:
        """Column x (1, columns) and row y (rows, 1) positions in mm, ready to broadcast."""
        x = np.arange(self.columns) * self.pixel_mm + self.first_mm[0]
        y = np.arange(self.rows) * self.pixel_mm + self.first_mm[1]
        return x.astype(np.float32)[None, :], y.astype(np.float32)[:, None]


class Canvas:
    """Paints closed curves given in mm on an oversampled image of one slice.

    Parameters
    ----------
    grid : Grid
        The slice's pixels.
    background : float
        What the canvas holds at first.
    dtype : type
        float32 for HU, uint8 for masks.
    """

    def __init__(
        self, grid: Grid, background: float = 0, dtype: type[np.generic] = np.uint8
    ) -> None:
        self.grid = grid
        self.pixel_mm = grid.pixel_mm / OVERSAMPLING
        corner = (grid.pixel_mm - self.pixel_mm) / 2.0
        self._origin = np.array(grid.first_mm) - corner
        shape = (grid.rows * OVERSAMPLING, grid.columns * OVERSAMPLING)
        self.image: NDArray[Any] = np.full(shape, background, dtype)

    def to_pixels(self, points_mm: Points) -> NDArray[np.int32]:
        """Fixed-point canvas coordinates of (n, 2) points in mm."""
        pixels = (points_mm - self._origin) / self.pixel_mm * (1 << _SHIFT)
        return np.round(pixels).astype(np.int32)

    def fill(self, points_mm: Points, value: float) -> None:
        """Fill the closed curve through (n, 2) points."""
        cv2.fillPoly(self.image, [self.to_pixels(points_mm)], float(value), cv2.LINE_8, _SHIFT)

    def disc(self, centre_mm: tuple[float, float], radius_mm: float, value: float) -> None:
        """Fill a circle; smaller than a canvas pixel it is not drawn."""
        radius = round(radius_mm / self.pixel_mm * (1 << _SHIFT))
        if radius < 1 << (_SHIFT - 1):
            return
        centre = self.to_pixels(np.array([centre_mm]))[0]
        cv2.circle(
            self.image,
            (int(centre[0]), int(centre[1])),
            radius,
            float(value),
            -1,
            cv2.LINE_8,
            _SHIFT,
        )

    def line(
        self, points_mm: Points, width_mm: float, value: float, *, closed: bool = False
    ) -> None:
        """Draw a line of a width through (n, 2) points, at least one canvas pixel wide."""
        width = max(1, round(width_mm / self.pixel_mm))
        cv2.polylines(
            self.image, [self.to_pixels(points_mm)], closed, float(value), width, cv2.LINE_8, _SHIFT
        )

    def segment(self, ends: NDArray[np.int32], width: int, value: float) -> None:
        """Draw one straight piece whose ends (4,) are already fixed-point canvas coordinates."""
        start, stop = (int(ends[0]), int(ends[1])), (int(ends[2]), int(ends[3]))
        cv2.line(self.image, start, stop, value, width, cv2.LINE_8, _SHIFT)

    def down(self) -> Float:
        """Average back to the image's pixels; a uint8 mask becomes a coverage of 0 to 1."""
        size = (self.grid.columns, self.grid.rows)
        small = np.asarray(cv2.resize(self.image, size, interpolation=cv2.INTER_AREA), np.float32)
        if self.image.dtype == np.uint8:
            small /= np.float32(255)
        return small


def filled(grid: Grid, points_mm: Points) -> Byte:
    """Canvas mask (0 or 255) of a closed curve."""
    canvas = Canvas(grid)
    canvas.fill(points_mm, 255)
    return np.asarray(canvas.image, np.uint8)


def coverage(grid: Grid, mask: Byte) -> Float:
    """Share of each image pixel that a canvas mask (0 or 255) covers."""
    small = cv2.resize(mask, (grid.columns, grid.rows), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32) / np.float32(255)


def oval(centre: tuple[float, float], half: tuple[float, float], power: float = 2.0) -> Points:
    """Closed superellipse as (72, 2) points in mm; power 2 is an ellipse, more is boxier."""
    return np.asarray(_unit_oval(power) * np.array(half) + np.array(centre))


@lru_cache(maxsize=16)
def _unit_oval(power: float) -> Points:
    angle = np.linspace(0.0, 2.0 * np.pi, 72, endpoint=False)
    cos, sin = np.cos(angle), np.sin(angle)
    share = 2.0 / power
    return np.stack(
        [np.sign(cos) * np.abs(cos) ** share, np.sign(sin) * np.abs(sin) ** share], axis=1
    )


def turned(points: Points, degrees: float) -> Points:
    """Points turned about their mean; positive turns x (left) towards y (back)."""
    mean = points.mean(axis=0)
    a = np.deg2rad(degrees)
    matrix = np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
    return np.asarray((points - mean) @ matrix + mean)


@lru_cache(maxsize=1)
def _tile() -> Float:
    """A repeating cube of smoothed normal noise, unit variance; always the same."""
    cube = np.random.default_rng(20210911).standard_normal((_TILE,) * 3).astype(np.float32)
    cube = 0.5 * cube + 0.25 * (np.roll(cube, 1, 0) + np.roll(cube, -1, 0))
    return np.asarray(cube / cube.std(), np.float32)


def noise_plane(grid: Grid, z_mm: float, cell_mm: float, offset: NDArray[np.float64]) -> Float:
    """Smooth noise of unit variance at one z, continuous in all three directions.

    Parameters
    ----------
    grid : Grid
        Pixels to sample.
    z_mm : float
        Height in the patient.
    cell_mm : float
        Grain size in mm.
    offset : ndarray, shape (3,)
        (x, y, z) shift in cells that makes it the patient's own.

    Returns
    -------
    ndarray of float32, shape (rows, columns)
    """
    tile = _tile()
    level = (z_mm / cell_mm + offset[2]) % _TILE
    low = int(level) % _TILE
    part = np.float32(level - int(level))
    layer = tile[low] * (1 - part) + tile[(low + 1) % _TILE] * part
    step = grid.pixel_mm / cell_mm
    shift = (np.array(grid.first_mm) / cell_mm + offset[:2]) % _TILE
    whole = np.floor(shift).astype(int)
    # A patch one cell larger on every side, wrapped around by hand: OpenCV's own wrapping only
    # reaches one tile far.
    down = np.arange(int(step * grid.rows) + 6) - 2
    along = np.arange(int(step * grid.columns) + 6) - 2
    patch = layer[np.ix_((down + whole[1]) % _TILE, (along + whole[0]) % _TILE)]
    start = shift - whole + 2.0
    plane = cv2.warpAffine(
        patch,
        np.array([[step, 0.0, start[0]], [0.0, step, start[1]]]),
        (grid.columns, grid.rows),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(plane, np.float32)
