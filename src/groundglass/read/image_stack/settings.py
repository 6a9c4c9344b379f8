"""What a stack of images does not say about itself, and a caller must."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from groundglass.core.geometry import Vector
from groundglass.errors import SettingsError

#: What is found where a caller states nothing about images.
UNSTATED = "PNG, JPEG or TIFF images, which do not say what their values and spacing mean"


@dataclass(frozen=True, slots=True)
class HounsfieldScale:
    """HU = slope × value + intercept. Slope 1 and intercept 0 say that the values are HU."""

    slope: float = 1.0
    intercept: float = 0.0
    """`slope`, `intercept`: as DICOM's Rescale Slope and Intercept."""

    def __post_init__(self) -> None:
        if not (np.isfinite(self.slope) and self.slope != 0 and np.isfinite(self.intercept)):
            raise SettingsError(
                f"a scale of slope {self.slope:g} and intercept {self.intercept:g}",
                expected="finite numbers, and a slope that is not 0",
                action="Say how the images' values become HU.",
            )


@dataclass(frozen=True, slots=True)
class DisplayWindow:
    """8-bit images made by a window: 0 is its lower edge, 255 its upper one."""

    center_hu: float
    width_hu: float
    """`center_hu`, `width_hu`: the window, in HU."""

    def __post_init__(self) -> None:
        if not (np.isfinite(self.center_hu) and np.isfinite(self.width_hu) and self.width_hu > 0):
            raise SettingsError(
                f"a window of center {self.center_hu:g} and width {self.width_hu:g} HU",
                expected="finite numbers, and a width above 0",
                action="Give the window the images were made with.",
            )


@dataclass(frozen=True, slots=True)
class ImageStackSettings:
    """What a stack of images does not say about itself.

    Nothing here has a default: it is known, or the images cannot be used.
    """

    scale: HounsfieldScale | DisplayWindow
    """How pixel values become HU."""
    spacing_mm: Vector
    """Distance between (slices, rows, columns) in mm."""
    first_slice: Literal["head", "feet"]
    """The end at which the first image (by file name, numbers counted as numbers; by page in a
    TIFF) lies."""
    first_row: Literal["front", "back"]
    """The side of the body at the upper edge. Front in the usual view."""
    first_column: Literal["right", "left"]
    """The patient's side at the left edge. Right in the usual view."""

    def __post_init__(self) -> None:
        sides = (
            ("first_slice", self.first_slice, ("head", "feet")),
            ("first_row", self.first_row, ("front", "back")),
            ("first_column", self.first_column, ("right", "left")),
        )
        for name, value, allowed in sides:
            if value not in allowed:
                raise SettingsError(
                    f"{name}={value!r}", expected=" or ".join(allowed), action="Say which it is."
                )
        if len(self.spacing_mm) != 3 or not all(np.isfinite(s) and s > 0 for s in self.spacing_mm):
            raise SettingsError(
                f"spacing {self.spacing_mm} mm",
                expected="three positive numbers: slices, rows, columns",
                action="Take them from the scan's protocol.",
            )

    @property
    def directions(self) -> tuple[Vector, Vector, Vector]:
        """LPS unit vectors of the (slice, row, column) axes."""
        return (
            (0.0, 0.0, -1.0 if self.first_slice == "head" else 1.0),
            (0.0, 1.0 if self.first_row == "front" else -1.0, 0.0),
            (1.0 if self.first_column == "right" else -1.0, 0.0, 0.0),
        )

    @property
    def rescale(self) -> tuple[float, float]:
        """(slope, intercept) to HU."""
        if isinstance(self.scale, HounsfieldScale):
            return self.scale.slope, self.scale.intercept
        return (
            self.scale.width_hu / 255.0,
            self.scale.center_hu - self.scale.width_hu / 2.0,
        )
