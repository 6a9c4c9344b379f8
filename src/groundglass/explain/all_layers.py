"""The exact evidence of all layers, each at its own resolution (decision 0008).

Each layer's global maxima are features of their own, so each channel k of every layer has its exact
gradient g_k = ∂score/∂feature_k. What counts is the contrast to the median: D_k = A_k − U_k, with
U_k the channel's usual response, its median over what is seen of this slice. A maximum is made by
few pixels, so responses that stand out little weigh less still: the evidence at a pixel is
g_k · D_k · |D_k| / S_k, with S_k the root mean square of D_k, and 0 where the image is black.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from groundglass.core.result import HeatMethod
from groundglass.explain.attribution import ChannelEvidence, EncodedViews, Float, Image, Mask
from groundglass.explain.head_gradient import Head, IntegrationPath
from groundglass.explain.lung_tissue import LungTissue
from groundglass.explain.rigid_transform import PAPER_SIZE, RigidTransform
from groundglass.infer import SliceDetail

#: Where along the path from black images to the slices the gradient is taken: the middles of four
#: equal parts. More of them bring the sum of the contributions nearer to the score, cost more, and
#: localise no better (decision 0008).
_PATH = (0.125, 0.375, 0.625, 0.875)
#: How a slice is moved each time: the encoder's grid is the same again after 8 pixels, so these lie
#: about half of that apart, and training turned images by up to 15°. A third view would cost some
#: 3 % of everything else more (decision 0008).
VIEWS = (RigidTransform(-6.0, (-2.0, 2.0)), RigidTransform(11.0, (2.0, -1.0)))


@dataclass(frozen=True, slots=True)
class AllLayers:
    """Integrated gradients, weighted by how far each response stands out, over augmented views."""

    smoothing_mm: float
    """Standard deviation of the Gaussian over the map."""
    softening_px: float
    """Standard deviation of the Gaussian over the image, in pixels of a 256×256 image."""
    views: tuple[RigidTransform, ...] = VIEWS
    """How a slice is moved each time."""

    name: ClassVar[HeatMethod] = HeatMethod.ALL_LAYERS
    refines: ClassVar[bool] = True
    of_findings: ClassVar[bool] = False

    def scores_of_logits(self, classes: int, healthy: int) -> Float:
        """A class's logit less that of healthy; healthy's less the mean of the others.

        The softmax sees differences of logits only, and CP and NCP share their lesions.
        """
        matrix = np.eye(classes, dtype=np.float32)
        if classes > 1:
            matrix[:, healthy] -= 1
            matrix[healthy] = -1 / (classes - 1)
            matrix[healthy, healthy] = 1
        return matrix

    def gradient(self, head: Head, features: Float, black: Float) -> Float:
        """The mean gradient on the path from black images (Sundararajan et al. 2017).

        Where the score is sure, its slope at the end says little of what made it so.
        """
        return head.gradient(features, IntegrationPath(black, _PATH))

    def augmented(self, image: Image) -> list[Image]:
        """Blurred, what was black still black, and moved; then linear interpolation is enough."""
        blurred = cv2.GaussianBlur(image, (0, 0), self.softening_px * len(image) / PAPER_SIZE)
        soft = np.asarray(blurred * (image > 0), dtype=np.uint8)
        return [view.apply(soft, cv2.INTER_LINEAR) for view in self.views]

    def channel_evidence(self, layer: Float, foreground: Mask) -> ChannelEvidence:
        """D · |D| / root mean square of D of each channel, where the image is not black."""
        values = layer.reshape(len(layer), -1).take(np.flatnonzero(foreground), axis=1)
        count = values.shape[1]
        if count:
            values -= np.partition(values, count // 2, axis=1)[:, count // 2, None]
            scale = np.sqrt(np.einsum("cp,cp->c", values, values) / np.float32(count))
            size = np.abs(values)
            size *= (1 / np.where(scale > 0, scale, 1))[:, None]
            values *= size
        return ChannelEvidence(values, foreground)

    def layers(self, detail: SliceDetail, index: int) -> tuple[ChannelEvidence, ...]:
        """Every layer."""
        return tuple(
            self.channel_evidence(layer[index], foreground[index])
            for layer, foreground in zip(detail.maps, detail.foreground, strict=True)
        )

    def heat(self, seen: EncodedViews, gradient: Float, tissue: LungTissue) -> Float:
        """Mean over the views, each brought back, smoothed; 0 where the evidence is against."""
        heat = np.zeros(seen.foreground.shape, dtype=np.float32)
        for view, layers in zip(seen.views, seen.layers, strict=True):
            for evidence in _by_grid(layers, gradient):
                heat += view.inverse(evidence, len(heat))
        heat *= seen.foreground / np.float32(len(seen.views))
        heat = self._smoothed(heat, tissue.side_mm)
        return np.maximum(heat, 0, out=heat)

    def coarse(self, heat: Float, tissue: LungTissue) -> Float:
        """Smoothed as the fine map is."""
        return self._smoothed(heat, tissue.side_mm)

    def _smoothed(self, heat: Float, side_mm: float) -> Float:
        cells = self.smoothing_mm * len(heat) / side_mm
        return np.asarray(cv2.GaussianBlur(heat, (0, 0), cells), dtype=np.float32)


def _by_grid(layers: Sequence[ChannelEvidence], gradient: Float) -> list[Float]:
    """Evidence of the layers, those of one grid added up."""
    found: dict[int, Float] = {}
    last = 0
    for layer in layers:
        first, last = last, last + len(layer.values)
        evidence = layer.weighted(gradient[first:last])
        found[len(evidence)] = found.get(len(evidence), np.float32(0)) + evidence
    return list(found.values())
