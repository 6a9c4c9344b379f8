"""How much of the lungs lies in the HU ranges of ground glass and consolidation.

A measurement on the voxels inside the lung mask. The classifier has no part in it: it can be high
beside a healthy verdict and low beside a pneumonia.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.core.result import (
    LeftOut,
    LungSide,
    LungThird,
    NotJudged,
    OpacityBurden,
    OpacityCells,
    RegionBurden,
)
from groundglass.core.volume import Volume
from groundglass.explain.lung_split import left_side

Mask = NDArray[np.bool_]
Byte = NDArray[np.uint8]

#: Values of `OpacityCells.kind`. Denser than consolidation counts as VESSEL.
AERATED, VESSEL, GROUND_GLASS, CONSOLIDATION = 1, 2, 3, 4
#: Distance of the slices on which the lungs are told apart; those between follow.
_SIDES_MM = 4.0


@dataclass(frozen=True, slots=True)
class OpacitySettings:
    """What counts as opacity."""

    ground_glass_hu: tuple[float, float] = (-700.0, -300.0)
    """From here up to, not including, there. Lower end: the upper end of well-aerated lung, −950 to
    −700 HU (Colombi et al., Radiology 2020;296:E86). Upper end: of eight limits between ground
    glass and consolidation, −300 HU told COVID-19 best (BMC Infect Dis 2021;21,
    s12879-021-06556-z)."""
    consolidation_hu: tuple[float, float] = (-300.0, 100.0)
    """Upper end: that of lung without air, −100 to +100 HU (Gattinoni et al., Am J Respir Crit Care
    Med 2001;164:1701). Above it lie calcium and contrast medium."""
    cell_mm: float = 1.5
    """Side of the cells in which HU are averaged before they are compared, in mm: halves the noise
    of a pixel of 0.7 mm, and leaves vessels of a few mm what they are. Our choice: 1.5."""
    vessel_mm: float = 7.0
    """What is thinner than this in the axial plane is set aside as a vessel, bronchial wall,
    fissure or the lung's blurred rim. Our choice: 7 mm; segmental arteries measure 4 to 7 mm.
    Smaller lesions go with them."""
    dense_vessel_mm: float = 5.0
    """The same for what is dense inside ground glass: vessels run on through it. Our choice: 5."""


@dataclass(frozen=True, slots=True, eq=False)
class Opacity:
    """What the lungs are made of, on a grid of cells."""

    cells: OpacityCells
    """AERATED, VESSEL, GROUND_GLASS, CONSOLIDATION; 0 outside the lungs."""
    voxels: NDArray[np.unsignedinteger]
    """Shape of the cells. Voxels of the lung mask in each cell, in as few bytes as a cell's size
    takes."""


def find_opacity(axial: Volume, lung: Mask, settings: OpacitySettings | None = None) -> Opacity:
    """Sort the lungs' cells by HU and thickness.

    Parameters
    ----------
    axial : Volume
        In axial order (`Volume.to_axial`).
    lung : ndarray of bool, shape of the volume
        Its lung mask, some of it True.
    """
    settings = settings or OpacitySettings()
    _, row_mm, column_mm = axial.geometry.spacing_mm
    factor = (max(1, round(settings.cell_mm / row_mm)), max(1, round(settings.cell_mm / column_mm)))
    box = _lung_box(lung, factor)
    shape = tuple((part.stop - part.start) // size for part, size in zip(box, factor, strict=True))
    kind = np.zeros((len(lung), *shape), dtype=np.uint8)
    voxels = np.zeros(kind.shape, dtype=np.min_scalar_type(factor[0] * factor[1]))
    cell_mm = (row_mm * factor[0] + column_mm * factor[1]) / 2
    vessel, dense_vessel = (
        _disc(mm / cell_mm) for mm in (settings.vessel_mm, settings.dense_vessel_mm)
    )
    for index in np.flatnonzero(lung.any(axis=(1, 2))):
        inside = lung[index][box].view(np.uint8)
        voxels[index], hu = _cells(axial.hu[index][box], inside, factor)
        kind[index] = _sort(hu, voxels[index] > 0, settings, vessel, dense_vessel)
    return Opacity(OpacityCells(kind, (box[0].start, box[1].start), factor), voxels)


@dataclass(frozen=True, slots=True, eq=False)
class OpacityBySlice:
    """What the lungs are made of, slice by slice."""

    ml: NDArray[np.float64]
    """Shape (2 sides, slices, kinds), right lung first. Volume of each kind in ml."""
    cells: OpacityCells
    """Where it was counted."""
    settings: OpacitySettings
    """What counts as opacity."""

    @property
    def burden(self) -> OpacityBurden:
        """The sum over each third of each lung."""
        regions = {
            (side, third): _region(slices[inside].sum(axis=0))
            for side, slices in zip(LungSide, self.ml, strict=True)
            for third, inside in zip(LungThird, _thirds(slices.sum(axis=1) > 0), strict=True)
        }
        settings = self.settings
        return OpacityBurden(
            settings.ground_glass_hu, settings.consolidation_hu, regions, self.cells
        )

    def not_judged(self, judged: Mask) -> NotJudged:
        """How much of it lies in other slices than those judged, shape (slices,)."""
        left_out = replace(self, ml=np.where(judged[:, None], 0.0, self.ml))
        thirds = {}
        for which, third in enumerate(LungThird):
            # The thirds are those of the whole lungs, whatever of them is left out.
            inside = np.stack([_thirds(slices.sum(axis=1) > 0)[which] for slices in self.ml])
            part, whole = (_region(one.ml[inside].sum(axis=0)) for one in (left_out, self))
            thirds[third] = LeftOut(
                lung_ml=part.lung_ml,
                opacity_ml=part.ground_glass_ml + part.consolidation_ml,
                of_lung_ml=whole.lung_ml,
                of_opacity_ml=whole.ground_glass_ml + whole.consolidation_ml,
            )
        return NotJudged(thirds)


def opacity_by_slice(
    axial: Volume, lung: Mask, settings: OpacitySettings | None = None
) -> OpacityBySlice:
    """Volumes in the HU ranges of opacities, per slice of each lung.

    Parameters
    ----------
    axial : Volume
        In axial order (`Volume.to_axial`).
    lung : ndarray of bool, shape of the volume
        Its lung mask, some of it True.
    """
    settings = settings or OpacitySettings()
    found = find_opacity(axial, lung, settings)
    ml = _per_slice(found, axial) * axial.geometry.voxel_ml
    return OpacityBySlice(ml, found.cells, settings)


def _region(kinds: NDArray[np.float64]) -> RegionBurden:
    """The burden of what was counted as each kind, in ml."""
    return RegionBurden(
        lung_ml=float(kinds.sum()),
        ground_glass_ml=float(kinds[GROUND_GLASS]),
        consolidation_ml=float(kinds[CONSOLIDATION]),
        vessel_ml=float(kinds[VESSEL]),
    )


def _disc(cells: float) -> Byte:
    """A disc whose diameter is the odd number of cells nearest to the one given."""
    side = max(1, 2 * round((cells - 1) / 2) + 1)
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), dtype=np.uint8)


def _lung_box(lung: Mask, factor: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns that hold the lungs, whole cells; the last cell may pass the edge."""
    inside: Mask = np.any(lung, axis=0)
    box = []
    for axis, size in enumerate(factor):
        hit = np.flatnonzero(np.any(inside, axis=1 - axis))
        count = -(-(int(hit[-1]) + 1 - int(hit[0])) // size)
        box.append(slice(int(hit[0]), int(hit[0]) + count * size))
    return box[0], box[1]


def _cells(
    hu: NDArray[np.int16] | NDArray[np.float32], inside: Byte, factor: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Voxels of lung in each cell, and their mean HU."""
    over = [-size % step for size, step in zip(inside.shape, factor, strict=True)]
    padded = cv2.copyMakeBorder(inside, 0, over[0], 0, over[1], cv2.BORDER_CONSTANT)
    masked = cv2.copyMakeBorder(hu * inside, 0, over[0], 0, over[1], cv2.BORDER_CONSTANT)
    shape = (padded.shape[1] // factor[1], padded.shape[0] // factor[0])
    area = factor[0] * factor[1]
    share = cv2.resize(padded.astype(np.float32), shape, interpolation=cv2.INTER_AREA)
    mean = cv2.resize(masked.astype(np.float32), shape, interpolation=cv2.INTER_AREA)
    hu_mean = mean / np.maximum(share, np.float32(1 / area))
    return np.asarray(np.rint(share * area), np.float32), np.asarray(hu_mean, np.float32)


def _sort(
    hu: NDArray[np.float32],
    inside: Mask,
    settings: OpacitySettings,
    vessel: Byte,
    dense_vessel: Byte,
) -> Byte:
    """`OpacityCells.kind` of one slice; the discs fit into what is too thick for a vessel."""
    solid = inside & (hu >= settings.ground_glass_hu[0])
    in_range = solid & (hu < settings.consolidation_hu[1])
    dense = in_range & (hu >= settings.consolidation_hu[0])
    thick = _thick(in_range, vessel)
    thick_dense = thick & _thick(dense, dense_vessel)
    kind = inside.astype(np.uint8) * np.uint8(AERATED)
    kind[solid] = VESSEL
    kind[thick & ~dense] = GROUND_GLASS
    kind[thick_dense] = CONSOLIDATION
    return kind


def _thick(cells: Mask, disc: Byte) -> Mask:
    """Cells of what holds the disc: opened, and the rounded rim given back."""
    # The median fills what noise broke and takes off what noise made.
    whole = cv2.medianBlur(cells.astype(np.uint8), 3)
    opened = cv2.morphologyEx(whole, cv2.MORPH_OPEN, disc)
    return cells & (cv2.dilate(opened, np.ones((3, 3), np.uint8)) > 0)


def _per_slice(found: Opacity, axial: Volume) -> NDArray[np.float64]:
    """Voxels of each kind in each slice, shape (2 sides, slices, kinds); right lung first."""
    cells, voxels = found.cells, found.voxels
    step = max(1, round(_SIDES_MM / axial.geometry.spacing_mm[0]))
    middle = (axial.geometry.shape[2] / 2 - cells.origin[1]) / cells.factor[1]
    left = left_side(voxels[::step, ::2, ::2] > 0, middle / 2).repeat(2, 1).repeat(2, 2)
    counts = np.zeros((2, len(cells.kind), CONSOLIDATION + 1))
    for index in np.flatnonzero(voxels.any(axis=(1, 2))):
        side = left[index // step, : voxels.shape[1], : voxels.shape[2]]
        which = cells.kind[index] + np.uint8(CONSOLIDATION + 1) * side
        total = np.bincount(which.ravel(), voxels[index].ravel(), minlength=2 * (CONSOLIDATION + 1))
        counts[:, index] = total.reshape(2, -1)
    return counts


def _thirds(seen: Mask) -> tuple[Mask, Mask, Mask]:
    """Slices of the upper, middle and lower third between a lung's lowest and highest slice."""
    index = np.arange(len(seen))
    lung = np.flatnonzero(seen)
    if not len(lung):
        return seen, seen, seen
    third = 3 * (index - lung[0]) // (lung[-1] + 1 - lung[0])
    return seen & (third == 2), seen & (third == 1), seen & (third == 0)
