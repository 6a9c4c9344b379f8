"""The network's evidence refined by HU (decision 0021).

The encoder's finest cells are 4 pixels wide and its evidence is smoothed by 7 mm: it says in which
part of a lung the network found its reasons, not which pixels are dense. The HU say that, and
nothing of the network's reasons. The heat is the evidence times how likely the HU are those of an
opacity thicker than a vessel: warm where the network argued and there is something to argue about.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import cv2
import numpy as np

from groundglass.core.result import HeatMethod
from groundglass.explain.all_layers import AllLayers
from groundglass.explain.attribution import EncodedViews, Float
from groundglass.explain.lung_tissue import LungTissue
from groundglass.explain.opacity_likelihood import LikelihoodSettings, opacity_likelihood


@dataclass(frozen=True, slots=True)
class RefinedByHu(AllLayers):
    """All layers' evidence times the likelihood of an opacity, at the square's resolution."""

    likelihood: LikelihoodSettings = field(kw_only=True)
    """What counts as an opacity."""

    name: ClassVar[HeatMethod] = HeatMethod.REFINED_BY_HU
    of_findings: ClassVar[bool] = True

    def heat(self, seen: EncodedViews, gradient: Float, tissue: LungTissue) -> Float:
        """The evidence where there is an opacity, shape (size, size); 0 outside the lungs."""
        hu, lung = tissue.on_square()
        likely = opacity_likelihood(hu, lung, tissue.frame.pixel_mm, self.likelihood)
        return self._refined(AllLayers.heat(self, seen, gradient, tissue), likely)

    def coarse(self, heat: Float, tissue: LungTissue) -> Float:
        """The same of the last layer; its cells are wider than vessels, which are averaged out."""
        hu, lung = tissue.on_square()
        cells = heat.shape[::-1]
        # Bytes and whole HU are averaged several times as quickly as fractions.
        inside = lung.view(np.uint8)
        share = cv2.resize(inside * np.uint8(255), cells, interpolation=cv2.INTER_AREA) / 255
        total = cv2.resize(hu * inside, cells, interpolation=cv2.INTER_AREA)
        mean = total / np.maximum(share, 0.05)
        steps = (mean - self.likelihood.middle_hu) / self.likelihood.step_hu
        likely = np.asarray(share / (1 + np.exp(-steps)), np.float32)
        return self._refined(AllLayers.coarse(self, heat, tissue), likely)

    def _refined(self, evidence: Float, likely: Float) -> Float:
        """Evidence on any grid times the likelihood, on the latter's.

        What the likelihood alone adds stays below `unargued` of the hottest pixel.
        """
        fine = cv2.resize(evidence, likely.shape[::-1], interpolation=cv2.INTER_LINEAR)
        heat = np.asarray(fine * likely, np.float32)
        heat += np.float32(self.likelihood.unargued) * heat.max() * likely
        return heat
