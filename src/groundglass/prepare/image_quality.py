"""What images are like, measured on few of their pixels: noise, metal, contrast medium, motion.

Each quantity is what the networks would be misled by, and nothing of the disease; all take an axial
volume (`Volume.to_axial`) and its lung mask.
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


def noise_hu(axial: Volume, lung: Mask) -> float | None:
    """Deviation of soft tissue from pixel to pixel, in HU; None without enough of it."""
    step = max(1, round(_SEEN_MM / axial.geometry.spacing_mm[1]))
    found = [_rough(axial.hu[index], step) for index in _some(lung)]
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


def metal_ml(axial: Volume, lung: Mask) -> float:
    """Volume as dense as metal within the box about the lungs, in ml, of a part of its voxels."""
    box = _box(lung)
    every = max(1, (box.slices.stop - box.slices.start) // _METAL_SLICES)
    step = max(1, round(_SEEN_MM / axial.geometry.spacing_mm[1]))
    chest = axial.hu[box.slices, box.rows, box.columns][::every, ::step, ::step]
    dense = every * step**2 * int(np.count_nonzero(chest >= _METAL_HU))
    return float(dense * axial.geometry.voxel_ml)


def blood_hu(axial: Volume, lung: Mask) -> float | None:
    """Median HU between the lungs, where heart and great vessels lie; None where they do not."""
    box = _box(lung)
    low, high = (box.slices.start + part * (box.slices.stop - box.slices.start) for part in _HEIGHT)
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


@dataclass(frozen=True, slots=True)
class _Box:
    """The least box about the lungs, to some pixels."""

    slices: slice
    rows: slice
    columns: slice


def _box(lung: Mask) -> _Box:
    across = lung[_some(lung), ::_STRIDE, ::_STRIDE].any(axis=0)
    hits: list[Mask] = [_shown(lung), np.any(across, axis=1), np.any(across, axis=0)]
    ends = [np.flatnonzero(hit)[[0, -1]] for hit in hits]
    slices, rows, columns = (slice(int(first), int(last) + 1) for first, last in ends)
    return _Box(slices, _wider(rows), _wider(columns))


def _wider(every: slice) -> slice:
    """The pixels that every so many of them stand for."""
    return slice(every.start * _STRIDE, every.stop * _STRIDE)


def _shown(lung: Mask) -> Mask:
    """Which slices show lung."""
    return np.asarray(lung[:, ::_STRIDE].any(axis=(1, 2)), np.bool_)


def _some(lung: Mask) -> NDArray[np.intp]:
    """A sample of the slices with lung."""
    seen = np.flatnonzero(_shown(lung))
    return seen[:: max(1, len(seen) // _SLICES)]
