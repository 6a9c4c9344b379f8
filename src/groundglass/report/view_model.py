"""The study as it is looked at: axial slices from head to feet, cropped to the body.

Radiological convention: seen from the feet, the patient's right on the image's left, front up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.core.geometry import Geometry
from groundglass.core.result import Heatmap, OpacityCells, SliceRecord, TriageResult
from groundglass.core.volume import Volume
from groundglass.prepare.regions import Regions
from groundglass.report.narrative import millimetres
from groundglass.report.overlay import Hu, heat_is_drawn
from groundglass.report.resampling import fitted, fitted_shape, sampled

Pixel = TypeVar("Pixel", bound=np.generic)

#: Between fat (−100) and air (−1000); couch foam and clothes lie below it.
_BODY_HU = -350

#: Grid on which the body is looked for, in mm: coarse enough to be quick, fine enough for a rim.
_COARSE_MM = 4.0

#: Air kept around the body, in mm.
_MARGIN_MM = 8.0

#: Longer side of a key slice's heat as it is shown, in pixels.
KEY_HEAT_EDGE = 224


@dataclass(frozen=True, slots=True)
class Crop:
    """The part of every axial slice that is shown, in pixels: [top, bottom) × [left, right)."""

    top: int
    bottom: int
    left: int
    right: int

    def of(self, image: NDArray[Pixel]) -> NDArray[Pixel]:
        """That part of an image whose last two axes are (row, column)."""
        part: NDArray[Pixel] = image[..., self.top : self.bottom, self.left : self.right]
        return part


@dataclass(frozen=True, slots=True)
class Frame:
    """One axial slice as shown."""

    number: int
    """Counted from the head, the topmost is 1."""
    axial_index: int
    """Slice of the axial volume, from the feet."""
    position_mm: float
    """LPS z of the slice centre."""
    record: SliceRecord | None
    """What became of it; None where no slice was judged."""


class ViewModel:
    """A result laid out for looking at.

    Parameters
    ----------
    result : TriageResult
        What was found, on the grid of `volume`.
    volume : Volume
        The volume that was judged, in any orientation.
    """

    def __init__(self, result: TriageResult, volume: Volume) -> None:
        axial, self.reorientation = volume.to_axial()
        #: On the axial grid, as everything here.
        self.result = result.reoriented(self.reorientation)
        self.hu: Hu = axial.hu
        self.geometry: Geometry = axial.geometry
        self.crop = body_crop(axial)
        self.frames: tuple[Frame, ...] = self._frames()
        self._heat = self.result.finest_heat

    @cached_property
    def key_heatmaps(self) -> tuple[Heatmap, ...]:
        """The result's key slices whose heat is seen, in its order.

        A slice whose heat lies below the threshold of drawing, or outside the body, is no evidence
        that could be shown.
        """
        return tuple(
            heatmap
            for heatmap in self.result.heatmaps
            if heat_is_drawn(fitted(self.crop.of(heatmap.heat), KEY_HEAT_EDGE))
        )

    @property
    def size_mm(self) -> tuple[float, float]:
        """(width, height) of a frame in mm."""
        _, row_mm, column_mm = self.geometry.spacing_mm
        crop = self.crop
        return (crop.right - crop.left) * column_mm, (crop.bottom - crop.top) * row_mm

    def frame_of(self, index: int) -> Frame:
        """The frame of an axial slice."""
        return self.frames[len(self.frames) - 1 - index]

    def index_as_read(self, index: int) -> int:
        """Slice of the volume as read that an axial slice is."""
        return self.reorientation.inverse.apply_index(index, len(self.hu))

    def caption(self, frame: Frame) -> str:
        """Which frame it is, for a reader."""
        position = millimetres(frame.position_mm)
        return f"Slice {frame.number} of {len(self.frames)} · z {position} mm"

    def score_words(self, frame: Frame) -> str:
        """How surely the network sees findings on a frame by itself; empty where it was not asked.

        With the threshold of a verdict by share of slices, which says what the number means.
        """
        score = frame.record.score if frame.record else None
        if score is None:
            return ""
        found = self.result.verdict.by_share if self.result.verdict else None
        if found is None:
            return f"score {score:.3f}"
        return f"score {score:.3f} (ill from {found.slice_threshold:g} on)"

    def frame_hu(self, frame: Frame) -> Hu:
        """HU of a frame."""
        image: NDArray[np.float32] = self.hu[frame.axial_index]
        return self.crop.of(image)

    def frame_mask(self, frame: Frame) -> NDArray[np.bool_]:
        """Lung of a frame."""
        image: NDArray[np.bool_] = self.result.mask[frame.axial_index]
        return self.crop.of(image)

    def frame_heat(self, frame: Frame, edge: int | None = None) -> NDArray[np.float32] | None:
        """Heat of a frame: a key slice's own map, or the coarse one; None where none was made.

        Parameters
        ----------
        edge : int, optional
            The longer side of the map is at most so many pixels; as the frame's without it.
        """
        heat = self._heat.get(frame.axial_index)
        if heat is None:
            return None
        _, rows, columns = self.geometry.shape
        if heat.shape == (rows, columns):
            return fitted(self.crop.of(heat), edge)
        crop = self.crop
        part = range(crop.top, crop.bottom), range(crop.left, crop.right)
        return sampled(heat, (rows, columns), part, fitted_shape(tuple(map(len, part)), edge))

    def is_key(self, frame: Frame) -> bool:
        """Whether a frame has a map of its own, finer than the coarse one."""
        return any(frame.axial_index == heatmap.slice_index for heatmap in self.result.heatmaps)

    def frame_opacity(self, frame: Frame) -> NDArray[np.uint8] | None:
        """What a frame's lung was counted as (`OpacityCells.kind`); None if not at all.

        On cells that lie as `opacity_box_mm` says.
        """
        cells = self._opacity
        return None if cells is None else cells.kind[frame.axial_index]

    @property
    def opacity_box_mm(self) -> tuple[float, float, float, float]:
        """Left, top, width and height of `frame_opacity` in mm from the frame's corner."""
        cells = self._opacity
        if cells is None:
            return 0.0, 0.0, *self.size_mm
        _, row_mm, column_mm = self.geometry.spacing_mm
        _, rows, columns = cells.kind.shape
        return (
            (cells.origin[1] - self.crop.left) * column_mm,
            (cells.origin[0] - self.crop.top) * row_mm,
            columns * cells.factor[1] * column_mm,
            rows * cells.factor[0] * row_mm,
        )

    @property
    def _opacity(self) -> OpacityCells | None:
        burden = self.result.opacity_burden
        return None if burden is None else burden.cells

    def _frames(self) -> tuple[Frame, ...]:
        slices, rows, columns = self.geometry.shape
        records = {record.index: record for record in self.result.slices}
        middle = ((rows - 1) / 2, (columns - 1) / 2)
        return tuple(
            Frame(
                number=slices - k,
                axial_index=k,
                position_mm=self.geometry.position_mm((float(k), *middle))[2],
                record=records.get(k),
            )
            for k in reversed(range(slices))
        )


def body_crop(axial: Volume) -> Crop:
    """The smallest part of the slices that holds the body, with a margin; all, when none is found.

    Parameters
    ----------
    axial : Volume
        Slices feet to head.
    """
    _, rows, columns = axial.hu.shape
    whole = Crop(0, rows, 0, columns)
    steps = tuple(max(1, round(_COARSE_MM / mm)) for mm in axial.geometry.spacing_mm)
    coarse = axial.hu[:: steps[0], :: steps[1], :: steps[2]] > _BODY_HU
    # Opening by one coarse pixel takes off the couch, which touches the back.
    opened = np.stack([_opened(image) for image in coarse])
    parts = Regions.of(lambda index: opened[index], opened.shape)
    sizes = parts.total(np.concatenate([np.bincount(labels.ravel()) for labels in parts.labels]))
    sizes[0] = 0
    if not sizes.any():
        return whole
    largest = np.arange(len(sizes)) == np.argmax(sizes)
    body: NDArray[np.bool_] = np.stack(
        [parts.where(largest, index) for index in range(len(opened))]
    )
    top, bottom = _extent(
        np.asarray(body.any(axis=(0, 2))), steps[1], rows, axial.geometry.spacing_mm[1]
    )
    left, right = _extent(
        np.asarray(body.any(axis=(0, 1))), steps[2], columns, axial.geometry.spacing_mm[2]
    )
    return Crop(top, bottom, left, right)


def _opened(image: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Without what is thinner than five pixels; beyond the edge there is nothing."""
    kernel = np.ones((5, 5), np.uint8)
    thick = cv2.erode(image.view(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(cv2.dilate(thick, kernel)).view(np.bool_)


def _extent(hit: NDArray[np.bool_], step: int, size: int, mm: float) -> tuple[int, int]:
    """First and past-the-last full-resolution index around the hits, with the margin."""
    index = np.flatnonzero(hit)
    margin = round(_MARGIN_MM / mm)
    return max(0, int(index[0]) * step - margin), min(size, (int(index[-1]) + 1) * step + margin)
