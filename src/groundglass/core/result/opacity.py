"""What was measured of the lungs by HU, and how much of it was not judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

#: Stated wherever the opacity burden is shown.
MEASURED_BY_HU = (
    "A measurement by HU inside the lung mask, independent of the classifier. It counts whatever "
    "lies in the ranges: pneumonia, atelectasis, tumour, or an error of the mask."
)


class LungSide(StrEnum):
    """The patient's side."""

    RIGHT = "right"
    LEFT = "left"


class LungThird(StrEnum):
    """A third of a lung's height, from the apex."""

    UPPER = "upper"
    MIDDLE = "middle"
    LOWER = "lower"


@dataclass(frozen=True, slots=True)
class RegionBurden:
    """How much of a part of the lungs lies in the HU ranges of opacities."""

    lung_ml: float
    """Volume of the lung mask in ml."""
    ground_glass_ml: float
    consolidation_ml: float
    """Volume in the range of ground glass and of consolidation, vessels set aside, in ml."""
    vessel_ml: float
    """Volume in these ranges set aside because it is as thin as vessels and walls are, in ml."""

    @property
    def ground_glass_share(self) -> float:
        """Share of the lung in the range of ground glass, 0 to 1; 0 without lung."""
        return self.ground_glass_ml / self.lung_ml if self.lung_ml else 0.0

    @property
    def consolidation_share(self) -> float:
        """Share of the lung in the range of consolidation, 0 to 1; 0 without lung."""
        return self.consolidation_ml / self.lung_ml if self.lung_ml else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class OpacityCells:
    """What the lungs were counted as, cell by cell of their axial slices."""

    kind: NDArray[np.uint8]
    """Shape (slices, rows, columns). `groundglass.explain.opacity` names the values; 0 outside the
    lungs. Slices feet to head, rows front to back, columns right to left (`Volume.to_axial`)."""
    origin: tuple[int, int]
    """Row and column of the axial volume at which the first cell begins."""
    factor: tuple[int, int]
    """Rows and columns of a cell; the last one may pass the volume's edge."""


@dataclass(frozen=True, slots=True)
class OpacityBurden:
    """A measurement by HU within the lung mask; the classifier has no part in it."""

    ground_glass_hu: tuple[float, float]
    consolidation_hu: tuple[float, float]
    """The ranges, from the first value up to, not including, the second."""
    regions: Mapping[tuple[LungSide, LungThird], RegionBurden]
    """All six, in the enumerations' order; they add up to the lung mask."""
    cells: OpacityCells | None = field(default=None, compare=False, repr=False)
    """Where it was counted, for drawing; not compared."""

    @property
    def total(self) -> RegionBurden:
        """Both lungs."""
        return self.of()

    def of(self, side: LungSide | None = None, third: LungThird | None = None) -> RegionBurden:
        """The sum over a side, a third of both lungs, or, with neither given, everything."""
        parts = [
            region
            for (one_side, one_third), region in self.regions.items()
            if side in {None, one_side} and third in {None, one_third}
        ]
        return RegionBurden(
            lung_ml=sum(part.lung_ml for part in parts),
            ground_glass_ml=sum(part.ground_glass_ml for part in parts),
            consolidation_ml=sum(part.consolidation_ml for part in parts),
            vessel_ml=sum(part.vessel_ml for part in parts),
        )


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How much of a part of the lungs lies in slices that were not judged."""

    lung_ml: float
    opacity_ml: float
    """`lung_ml`, `opacity_ml`: lung, and what was measured in it as ground glass or consolidation,
    in slices that were not judged, in ml."""
    of_lung_ml: float
    of_opacity_ml: float
    """`of_lung_ml`, `of_opacity_ml`: the same in all slices, in ml."""

    @property
    def lung_share(self) -> float:
        """Share of the lung that was not judged, 0 to 1; 0 without lung."""
        return self.lung_ml / self.of_lung_ml if self.of_lung_ml else 0.0

    @property
    def opacity_share(self) -> float:
        """Share of the opacity that was not judged, 0 to 1; 0 without opacity."""
        return self.opacity_ml / self.of_opacity_ml if self.of_opacity_ml else 0.0


@dataclass(frozen=True, slots=True)
class NotJudged:
    """What of the lungs, and of the opacity measured in them, the classifier was not shown."""

    thirds: Mapping[LungThird, LeftOut]
    """By third of each lung's height, both lungs together, in the enumeration's order."""

    @property
    def total(self) -> LeftOut:
        """Both lungs, whole."""
        parts = self.thirds.values()
        return LeftOut(
            lung_ml=sum(part.lung_ml for part in parts),
            opacity_ml=sum(part.opacity_ml for part in parts),
            of_lung_ml=sum(part.of_lung_ml for part in parts),
            of_opacity_ml=sum(part.of_opacity_ml for part in parts),
        )
