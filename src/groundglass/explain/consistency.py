"""Whether the heat follows the image when it is turned or shifted (paper, Discussion).

The prepared image is moved, a map is made anew, moved back and compared with the one shown, by
cosine similarity over the pixels that stayed in the image. The paper gives the two shifts, in
pixels of its 256×256 images, and leaves the angle open: 10° is our choice, more than a patient is
ever tilted on the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]

#: Rows and columns of the images the shifts are given for (paper section 2.2).
_PAPER_SIZE = 256


@dataclass(frozen=True, slots=True)
class Perturbation:
    """A turn about the image's centre, or a shift.

    Parameters
    ----------
    clockwise_deg : float
        Angle, as seen on the image.
    shift_px : tuple of float
        To the right and down, in pixels of a 256×256 image.
    """

    clockwise_deg: float = 0.0
    shift_px: tuple[float, float] = (0.0, 0.0)

    def move(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The image moved; what comes in from outside is black. Shape (size, size)."""
        # Cubic: linear interpolation blurs, and the networks would answer to that.
        matrix, flags = self._matrix(len(image)), cv2.INTER_CUBIC
        return np.asarray(cv2.warpAffine(image, matrix, image.shape, flags=flags))

    def back(self, heat: Float) -> tuple[Float, NDArray[np.bool_]]:
        """A moved image's map where it belongs, and which of its pixels were in the image."""
        size = len(heat)
        matrix, flags = self._matrix(size), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        there = cv2.warpAffine(np.ones_like(heat), matrix, heat.shape, flags=flags)
        moved = cv2.warpAffine(heat, matrix, heat.shape, flags=flags)
        return np.asarray(moved), np.asarray(there > 0.99)

    def _matrix(self, size: int) -> NDArray[np.float64]:
        middle = (size - 1) / 2
        turn = cv2.getRotationMatrix2D((middle, middle), -self.clockwise_deg, 1.0)
        matrix = np.array(turn, dtype=np.float64)
        matrix[:, 2] += np.array(self.shift_px) * size / _PAPER_SIZE
        return matrix


PERTURBATIONS: Mapping[str, Perturbation] = MappingProxyType(
    {
        "clockwise 10°": Perturbation(clockwise_deg=10.0),
        "counter-clockwise 10°": Perturbation(clockwise_deg=-10.0),
        "shift +30, −15 px": Perturbation(shift_px=(30.0, -15.0)),
        "shift −20, +15 px": Perturbation(shift_px=(-20.0, 15.0)),
    }
)


def similarity(shown: Float, moved: Float, perturbation: Perturbation) -> float:
    """Cosine similarity of a map with that of the moved image, 0 to 1; 0 where one is empty.

    Parameters
    ----------
    shown, moved : ndarray of float32, shape (size, size)
        Map of the image, and of the image moved.
    perturbation : Perturbation
        How it was moved.
    """
    again, there = perturbation.back(moved)
    one, two = shown[there].astype(np.float64), again[there].astype(np.float64)
    length = float(np.linalg.norm(one) * np.linalg.norm(two))
    return float(one @ two) / length if length > 0 else 0.0
