"""What is explained and how."""

from __future__ import annotations

from dataclasses import dataclass, field

from groundglass.core.result import HeatMethod
from groundglass.explain.opacity_likelihood import LikelihoodSettings


@dataclass(frozen=True, slots=True)
class KeySlices:
    """Which slices are shown."""

    count: int = 8
    """At most this many: what a reader looks through in a minute."""
    apart_mm: float = 15.0
    """Least distance between two of them, so that one lesion does not fill the list."""


@dataclass(frozen=True, slots=True)
class ExplainSettings:
    """How heat maps are made. docs/explanation/heat-maps.md has the figures behind the choices."""

    method: HeatMethod = HeatMethod.REFINED_BY_HU
    """REFINED_BY_HU, ALL_LAYERS without what HU say, or the paper's GRAD_CAM."""
    key: KeySlices = KeySlices()
    """Which slices get a map at full resolution."""
    smoothing_mm: float = 7.0
    """Standard deviation of the Gaussian over the map, in mm. Ours: 7; evidence that differs from
    pixel to pixel follows the encoder's grid and not the patient."""
    likelihood: LikelihoodSettings = field(default_factory=LikelihoodSettings)
    """What REFINED_BY_HU takes for an opacity."""
    softening_px: float = 0.8
    """Standard deviation of the Gaussian over the image before it is looked at, in pixels of a
    256×256 image. Ours: 0.8; the encoder folds 4×4 pixels into a cell, and where the finest detail
    falls among them changes its answer. Training blurred by 0.3 to 1.2."""
    consistency_slices: int = 1
    """On how many of the hottest key slices the heat is tried under turns and shifts; 0 for none.
    Each costs as much as the verdict on ten slices. One keeps explaining under a tenth of
    everything else on a scan of 100 slices."""
