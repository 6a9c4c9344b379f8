"""Where in the slices the evidence is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

#: Heat below this share of the study's hottest pixel is not drawn, and a slice all of whose heat
#: lies below it is no key slice. A quarter: below it Grad-CAM covers most of the lung and says
#: nothing.
HEAT_DRAWN_FROM = 0.25


class HeatMethod(StrEnum):
    """How a heat map was made.

    GRAD_CAM is the paper's: the encoder's last layer (section 4). ALL_LAYERS sums the exact
    evidence of all four layers at each one's own resolution, and is sharper. REFINED_BY_HU is that
    sum times how likely the HU there are those of an opacity thicker than a vessel: no longer the
    network's evidence alone.
    """

    GRAD_CAM = "grad-cam"
    ALL_LAYERS = "all-layers"
    REFINED_BY_HU = "refined-by-hu"


@dataclass(frozen=True, slots=True, eq=False)
class Heatmap:
    """Attribution of one slice to a class: where it spoke for it."""

    slice_index: int
    """Slice of the volume as read."""
    label: str
    """The class spoken for."""
    heat: NDArray[np.float32]
    """Shape (rows, columns). On the volume's own pixel grid, 0 to 1, where 1 is the hottest pixel
    of the key slices."""
    share_in_lung: float
    """Part of the heat inside the lung mask, 0 to 1; what is outside is a reason for doubt."""
    method: HeatMethod = HeatMethod.GRAD_CAM
    """How it was made."""


@dataclass(frozen=True, slots=True, eq=False)
class CoarseHeat:
    """Attribution of every classified slice to a class, at the networks' own low resolution."""

    label: str
    """The class spoken for."""
    slice_indices: tuple[int, ...]
    """Slices of the volume as read, as the maps are ordered."""
    heat: NDArray[np.float32]
    """Shape (len(slice_indices), cells, cells). Each map covers its slice from edge to edge, rows
    and columns as in the volume; on the scale of the key slices' maps, cut at 1. With
    HeatMethod.ALL_LAYERS it is the last layer's part of the evidence, with
    HeatMethod.REFINED_BY_HU that part refined; all 0 where there is no key slice."""


@dataclass(frozen=True, slots=True)
class HeatConsistency:
    """How little the heat changes when the image is turned or shifted (paper, Discussion)."""

    similarity: Mapping[str, float]
    """Per perturbation the cosine similarity of the map, moved back, with the unperturbed one; 0 to
    1, mean over the slices."""
    slice_indices: tuple[int, ...]
    """The slices it was measured on."""

    @property
    def mean(self) -> float:
        """Mean over the perturbations."""
        return sum(self.similarity.values()) / len(self.similarity)
