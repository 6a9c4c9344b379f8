"""Frames of the DICOM results, one at a time: the lungs of a Segmentation, the heat of a map."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array

from groundglass.core.geometry import Geometry


class StoredFrames(Protocol):
    """Frames on the grid of the volume."""

    def frame(self, index: int) -> NDArray[np.generic] | None:
        """The frame of a slice, shape (rows, columns); None where it has none."""


class LungFrames:
    """The lung mask of a Segmentation of one segment."""

    def __init__(self, path: Path, geometry: Geometry) -> None:
        self._path = path
        self._places = _places(path, geometry)

    def frame(self, index: int) -> NDArray[np.bool_] | None:
        """True where there is lung."""
        place = self._places.get(index)
        return None if place is None else pixel_array(self._path, index=place).astype(np.bool_)


class HeatFrames:
    """The heat of a Parametric Map, 0 to 1."""

    def __init__(self, path: Path, geometry: Geometry) -> None:
        self._path = path
        self._places = _places(path, geometry)
        self._slope = _slope(path)

    def frame(self, index: int) -> NDArray[np.float32] | None:
        """Heat, 1 is the hottest pixel of the study."""
        place = self._places.get(index)
        if place is None:
            return None
        return (pixel_array(self._path, index=place) * self._slope).astype(np.float32)


def _places(path: Path, geometry: Geometry) -> dict[int, int]:
    """Number of its frame from 0, by slice of the volume."""
    tags = ["PerFrameFunctionalGroupsSequence"]
    groups = dcmread(path, stop_before_pixels=True, specific_tags=tags)
    return {
        _slice_of(group, geometry): number
        for number, group in enumerate(groups.PerFrameFunctionalGroupsSequence)
    }


def _slope(path: Path) -> float:
    """Heat of one stored value (PS3.3 C.7.6.16.2.11); the intercept is 0."""
    shared = dcmread(
        path, stop_before_pixels=True, specific_tags=["SharedFunctionalGroupsSequence"]
    ).SharedFunctionalGroupsSequence[0]
    return float(shared.RealWorldValueMappingSequence[0].RealWorldValueSlope)


def _slice_of(group: Dataset, geometry: Geometry) -> int:
    """The slice whose first pixel lies where the frame's does (PS3.3 C.7.6.16.2.3)."""
    position = np.array(group.PlanePositionSequence[0].ImagePositionPatient, dtype=np.float64)
    along = (position - geometry.origin_mm) @ np.asarray(geometry.directions[0])
    return round(float(along) / geometry.spacing_mm[0])
