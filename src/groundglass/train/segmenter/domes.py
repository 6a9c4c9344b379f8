"""Made domes: what rises into a lung from below, and is none of it.

The dome of the liver, spleen, stomach and fat under a raised diaphragm are even inside and blurred
at the edge, for the slice cuts them slantwise. Dense disease is neither, which has to be learnt.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Slice = NDArray[np.float32]
Mask = NDArray[np.uint8]

#: Lungs of fewer pixels have no room for a dome.
_LEAST_LUNG_PX = 800
#: Half-axes as shares of the image's side.
_HALF_AXES = (8 / 256, 40 / 256)
#: HU of fat, and of soft tissue with and without contrast; how often it is fat.
_FAT_HU, _TISSUE_HU = (-120.0, -70.0), (0.0, 110.0)
_FAT_SHARE = 0.25
#: Widths in pixels of a dome's edge, steep and shallow; how often it is steep.
_STEEP_PX, _SHALLOW_PX = (0.8, 9.0), (6.0, 16.0)
_STEEP_SHARE = 0.7
#: Widest edge behind which the middle of a dome still has its own density.
_WHOLE_PX = 10.0


def raise_dome(image: Slice, mask: Mask, rng: np.random.Generator) -> tuple[Slice, Mask]:
    """A dome somewhere in the lung, and the lung without it.

    Parameters
    ----------
    image : ndarray of float32, shape (rows, columns)
        HU.
    mask : ndarray of uint8, same shape
        The lungs, 0 or 1.
    rng : Generator
        Source of chance.

    Returns
    -------
    image, mask : as given
        The lung ends where half of a pixel is the dome's.
    """
    rows, columns = np.nonzero(mask)
    if len(rows) < _LEAST_LUNG_PX:
        return image, mask
    place = int(rng.integers(len(rows)))
    share = _outline((int(rows[place]), int(columns[place])), image.shape[0], rng)
    density = rng.uniform(*(_FAT_HU if rng.random() < _FAT_SHARE else _TISSUE_HU))
    grain = rng.standard_normal(image.shape).astype(np.float32)
    blurred = cv2.GaussianBlur(grain, (0, 0), rng.uniform(0.6, 2.0))
    grain = np.asarray(blurred * (rng.uniform(3.0, 25.0) / blurred.std()), np.float32)
    # At the lung's edge the dome ends with it, as what lies behind is not lung either way.
    covered = share * np.maximum(cv2.GaussianBlur(mask.astype(np.float32), (3, 3), 0), mask)
    changed = image * (1 - covered) + (density + grain) * covered
    return np.asarray(changed, np.float32), np.where(share > 0.5, 0, mask).astype(np.uint8)


def _outline(centre: tuple[int, int], size: int, rng: np.random.Generator) -> Slice:
    """How much of each pixel of a square image is a dome's, 0 to 1."""
    share = np.zeros((size, size), np.float32)
    low, high = _HALF_AXES
    down, across = (int(one * size) for one in rng.uniform(low, high, 2))
    middle = (centre[1], centre[0])
    cv2.ellipse(share, middle, (across, down), rng.uniform(0, 180), 0, 360, 1.0, cv2.FILLED)
    edge = rng.uniform(*(_STEEP_PX if rng.random() < _STEEP_SHARE else _SHALLOW_PX))
    share = np.asarray(cv2.GaussianBlur(share, (0, 0), edge), np.float32)
    top = float(share.max())
    # A small one behind a wide edge is only half there, as a dome's very top is.
    return share / np.float32(top) if top > 0.3 and edge < _WHOLE_PX else share
