"""What images are like, measured on few of their pixels: noise, metal, contrast medium, motion.

Each quantity is what the networks would be misled by, and nothing of the disease; all take an axial
volume (`Volume.to_axial`).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.core.volume import Volume

Mask = NDArray[np.bool_]
Hu = NDArray[np.int16] | NDArray[np.float32]

#: Slices that are enough for what is the same in all of them.
_SLICES = 16
#: Pixels are averaged to about this size before noise is measured, as the networks see them.
_SEEN_MM = 1.4
#: Soft tissue and blood, with and without contrast medium, noise included; bone and air are not.
_TISSUE_HU, _BLOOD_HU = (-100, 200), (-20, 700)
#: Fewer pixels tell nothing.
_LEAST_PIXELS = 500
#: Sensitive to noise, not to edges or slopes (Immerkaer, CVIU 1996;64:300); its response to white
#: noise of deviation 1 has a deviation of 6.
_NOISE_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
#: Deviation of a normal distribution over its median absolute deviation.
_DEVIATION = 1.4826
_RIM = np.ones((5, 5), np.uint8)
#: Every so many pixels are enough to find where the lungs lie.
_STRIDE = 4
#: Denser than any bone and any contrast medium in a vessel; looked for in about so many slices.
_METAL_HU, _METAL_SLICES = 2500, 100
#: Where the heart and the great vessels lie: shares of the lungs' height, depth and width. The
#: spine lies behind, the sternum in front.
_HEIGHT, _DEPTH, _WIDTH = (0.35, 0.7), (0.15, 0.6), (0.3, 0.75)


@dataclass(frozen=True, slots=True, eq=False)
class LungBox:
    """Where the lungs lie, to some pixels; found once, because masks are large."""

    slices: NDArray[np.intp]
    """Those with lung, in order."""
    rows: slice
    columns: slice
    """`rows`, `columns`: the least that hold the lungs."""

    @classmethod
    def of(cls, lung: Mask) -> LungBox:
        """Of a mask, some of it True."""
        coarse, step = np.ascontiguousarray(lung[:, ::_STRIDE, ::_STRIDE]), _STRIDE
        if not coarse.any():  # less than a stride of it
            coarse, step = lung, 1
        across = np.any(coarse, axis=0)
        ends = (np.flatnonzero(np.any(across, axis=1 - axis))[[0, -1]] for axis in (0, 1))
        rows, columns = (slice(int(first) * step, (int(last) + 1) * step) for first, last in ends)
        return cls(np.flatnonzero(np.any(coarse, axis=(1, 2))), rows, columns)

    def some(self, count: int) -> NDArray[np.intp]:
        """About so many of the slices."""
        return self.slices[:: max(1, len(self.slices) // count)]


def noise_hu(axial: Volume, box: LungBox) -> float | None:
    """Deviation of soft tissue from pixel to pixel, in HU; None without enough of it."""
    step = max(1, round(_SEEN_MM / axial.geometry.spacing_mm[1]))
    found = [_rough(axial.hu[index], step) for index in box.some(_SLICES)]
    values = np.concatenate(found)
    if len(values) < _LEAST_PIXELS:
        return None
    return float(_DEVIATION * np.median(np.abs(values)))


def _rough(hu: Hu, step: int) -> NDArray[np.float32]:
    """What differs from pixel to pixel within soft tissue."""
    seen = hu.astype(np.float32)
    if step > 1:
        size = (seen.shape[1] // step, seen.shape[0] // step)
        seen = np.asarray(cv2.resize(seen, size, interpolation=cv2.INTER_AREA), np.float32)
    # Blurred, so that noise does not choose the pixels it is measured on.
    smooth = cv2.blur(seen, (5, 5))
    tissue = ((smooth > _TISSUE_HU[0]) & (smooth < _TISSUE_HU[1])).astype(np.uint8)
    inside = cv2.erode(tissue, _RIM) > 0
    return np.asarray(cv2.filter2D(seen, -1, _NOISE_KERNEL)[inside], np.float32)


def metal_ml(axial: Volume, box: LungBox) -> float:
    """Volume as dense as metal within the box about the lungs, in ml, of a part of its voxels."""
    step = max(1, round(_SEEN_MM / axial.geometry.spacing_mm[1]))
    chosen = box.some(_METAL_SLICES)
    dense = sum(
        int(np.count_nonzero(axial.hu[index, box.rows, box.columns][::step, ::step] >= _METAL_HU))
        for index in chosen
    )
    shown = len(chosen) / len(box.slices) / step**2
    return dense / shown * axial.geometry.voxel_ml


def blood_hu(axial: Volume, lung: Mask, box: LungBox) -> float | None:
    """Median HU between the lungs, where heart and great vessels lie; None where they do not."""
    first, last = int(box.slices[0]), int(box.slices[-1])
    low, high = (first + part * (last + 1 - first) for part in _HEIGHT)
    chosen = np.unique(np.linspace(low, high, _SLICES).astype(int))
    values = np.concatenate([_between_lungs(axial.hu[index], lung[index]) for index in chosen])
    values = values[(values > _BLOOD_HU[0]) & (values < _BLOOD_HU[1])]
    return float(np.median(values)) if len(values) >= _LEAST_PIXELS else None


def _between_lungs(hu: Hu, lung: Mask) -> Hu:
    """Pixels with lung on either side, in the middle of the chest and in front of the spine."""
    hit = np.flatnonzero(lung.any(axis=1)), np.flatnonzero(lung.any(axis=0))
    if not len(hit[0]):
        return hu[:0, 0]
    rows, columns = (
        slice(int(at[0] + part[0] * (at[-1] - at[0])), int(at[0] + part[1] * (at[-1] - at[0])) + 1)
        for at, part in zip(hit, (_DEPTH, _WIDTH), strict=True)
    )
    right = np.logical_or.accumulate(lung[rows], axis=1)
    left = np.logical_or.accumulate(lung[rows, ::-1], axis=1)[:, ::-1]
    between = (right & left & ~lung[rows])[:, columns].astype(np.uint8)
    inside = cv2.erode(between, _RIM, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    return hu[rows, columns][inside]


def area_excess(lung_area: NDArray[np.intp]) -> float:
    """How much the lungs' area goes up and down beyond one rise and one fall, 0 where it does not.

    From feet to head it grows and shrinks once in lungs held still. Breathing shows the same height
    twice: the area turns back. In units of one whole rise and fall.
    """
    seen = np.flatnonzero(lung_area)
    area = lung_area[seen[0] : seen[-1] + 1].astype(np.float64)
    largest = float(area.max())
    once = 2 * largest - area[0] - area[-1]
    return float((np.abs(np.diff(area)).sum() - once) / (2 * largest))
