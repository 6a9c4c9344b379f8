"""Grad-CAM (Selvaraju et al. 2017; paper section 4): heat at the encoder's last layer.

The weight of channel k in slice t is the mean over its pixels of ∂logit/∂activation. Its only path
to the logit is the global maximum, so that mean is ∂logit/∂feature(t, k) / (rows · columns); the
map is ReLU(Σ_k weight · activation).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from groundglass.core.result import HeatMethod
from groundglass.explain.attribution import ChannelEvidence, EncodedViews, Float, Image, Mask
from groundglass.explain.head_gradient import Head
from groundglass.explain.lung_tissue import LungTissue
from groundglass.explain.rigid_transform import RigidTransform
from groundglass.infer import SliceDetail


@dataclass(frozen=True, slots=True)
class GradCam:
    """The paper's method: the gradient of the logit at the features, one look at each slice."""

    name: ClassVar[HeatMethod] = HeatMethod.GRAD_CAM
    views: ClassVar[tuple[RigidTransform, ...]] = (RigidTransform(),)
    refines: ClassVar[bool] = False
    of_findings: ClassVar[bool] = False

    def scores_of_logits(self, classes: int, healthy: int) -> Float:
        """The scores are the logits."""
        del healthy
        return np.eye(classes, dtype=np.float32)

    def gradient(self, head: Head, features: Float, black: Float) -> Float:
        """The gradient at the features."""
        del black
        return head.gradient(features)

    def augmented(self, image: Image) -> list[Image]:
        """The image as it is."""
        return [image]

    def channel_evidence(self, layer: Float, foreground: Mask) -> ChannelEvidence:
        """Activations over the number of cells, every cell counted."""
        values = layer.reshape(len(layer), -1) / np.float32(foreground.size)
        return ChannelEvidence(values, np.ones_like(foreground))

    def layers(self, detail: SliceDetail, index: int) -> tuple[ChannelEvidence, ...]:
        """The last layer alone."""
        return (self.channel_evidence(detail.maps[-1][index], detail.foreground[-1][index]),)

    def heat(self, seen: EncodedViews, gradient: Float, tissue: LungTissue) -> Float:
        """The last layer's map on the finest grid."""
        del tissue
        ((last,),) = seen.layers
        heat = np.maximum(last.weighted(gradient[-len(last.values) :]), 0)
        return np.asarray(cv2.resize(heat, seen.foreground.shape), dtype=np.float32)

    def coarse(self, heat: Float, tissue: LungTissue) -> Float:
        """As it is."""
        del tissue
        return heat
