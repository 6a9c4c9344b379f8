"""A prepared image turned or shifted, and what was found on it brought back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
Matrix = NDArray[np.float64]

#: Rows and columns of the images that shifts are given for (paper section 2.2).
PAPER_SIZE = 256


@dataclass(frozen=True, slots=True)
class RigidTransform:
    """A turn about the image's centre, then a shift."""

    clockwise_deg: float = 0.0
    """Angle, as seen on the image."""
    shift_px: tuple[float, float] = (0.0, 0.0)
    """To the right and down, in pixels of a 256×256 image."""

    def apply(
        self, image: NDArray[np.uint8], interpolation: int = cv2.INTER_CUBIC
    ) -> NDArray[np.uint8]:
        """The image moved; what comes in from outside is black.

        Parameters
        ----------
        image : ndarray of uint8, shape (size, size)
            Prepared image.
        interpolation : int
            OpenCV's. Cubic, as linear interpolation blurs and the networks would answer to that;
            a blurred image may do with linear, at a quarter of the time.
        """
        matrix = _between(self, len(image), len(image))
        return np.asarray(cv2.warpAffine(image, matrix, image.shape, flags=interpolation))

    def of_values(self, image: Float) -> Float:
        """Values on an image's pixels moved as it is; next to what comes in they fade to 0."""
        matrix = _between(self, len(image), len(image))
        return np.asarray(cv2.warpAffine(image, matrix, image.shape, flags=cv2.INTER_LINEAR))

    def inverse(self, cells: Float, size: int) -> Float:
        """A map of the moved image where it belongs; 0 where it says nothing.

        Parameters
        ----------
        cells : ndarray of float32, shape (n, n)
            Over the whole moved image, on any grid.
        size : int
            Rows and columns of the map wanted.
        """
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        matrix = _between(self, size, len(cells))
        return np.asarray(cv2.warpAffine(cells, matrix, (size, size), flags=flags), np.float32)

    def valid_mask(self, size: int) -> NDArray[np.bool_]:
        """Which pixels of a map of this size are still in the image when it is moved."""
        return np.asarray(self.inverse(np.ones((size, size), np.float32), size) > 0.99)


@lru_cache(maxsize=64)
def _between(move: RigidTransform, before: int, after: int) -> Matrix:
    """From pixels of a grid over the image to those of a grid over the moved image."""
    middle = (PAPER_SIZE - 1) / 2
    turn = cv2.getRotationMatrix2D((middle, middle), -move.clockwise_deg, 1.0)
    matrix = np.vstack([turn, [0.0, 0.0, 1.0]])
    matrix[:2, 2] += move.shift_px
    whole = _from_paper(after) @ matrix @ np.linalg.inv(_from_paper(before))
    return np.asarray(whole[:2], dtype=np.float64)


def _from_paper(size: int) -> Matrix:
    """From pixels of a 256×256 grid to those of another: pixels are areas, not points."""
    scale = size / PAPER_SIZE
    to_middle = (scale - 1) / 2
    return np.array([[scale, 0.0, to_middle], [0.0, scale, to_middle], [0.0, 0.0, 1.0]])
