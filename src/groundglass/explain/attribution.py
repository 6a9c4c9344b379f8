"""What a method of attribution is, and what the encoder sees of a slice for it.

The encoder folds 4×4 pixels into a cell and keeps the largest of 2×2 cells, so its answer depends
on where the grid happens to lie: moved by a pixel, an image has another map. A method may therefore
look at each slice in several augmented views, a little turned and shifted, and bring the map of
each back: the mean follows the image by making, and is finer than the cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from groundglass.core.result import HeatMethod
from groundglass.explain.head_gradient import Head
from groundglass.explain.lung_tissue import LungTissue
from groundglass.explain.rigid_transform import RigidTransform
from groundglass.infer import Classifier, SliceDetail, foreground_mask

Float = NDArray[np.float32]
Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]

#: Views encoded in one go: fewer cost more each, more need more memory.
_BATCH = 8


@dataclass(frozen=True, slots=True, eq=False)
class ChannelEvidence:
    """What a method weighs of one layer's answer to one image."""

    values: Float
    """Shape (channels, counted cells). Of each channel."""
    where: Mask
    """Shape (rows, columns). Which cells are counted."""

    def weighted(self, weight: Float) -> Float:
        """Sum of the channels weighted, shape (..., channels) to (..., rows, columns); else 0."""
        total = np.zeros((*weight.shape[:-1], *self.where.shape), dtype=np.float32)
        # numpy's own loop: BLAS would start threads, and wait for them longer than this takes.
        total[..., self.where] = np.einsum("...c,cp->...p", weight, self.values)
        return total


@dataclass(frozen=True, slots=True, eq=False)
class EncodedViews:
    """What the encoder sees of one image."""

    features: Float
    """Shape (features,). Pooled features, mean over the views."""
    views: tuple[RigidTransform, ...]
    """How the image was moved each time."""
    layers: list[tuple[ChannelEvidence, ...]]
    """Of each view the layers that the method weighs, the finest first."""
    foreground: Mask
    """Shape (cells, cells). Where the image is not black, on the map's grid: that of the finest
    layer."""


class AttributionMethod(Protocol):
    """How heat is made of the gradient of a score. Images and maps are squares of the networks'."""

    @property
    def name(self) -> HeatMethod:
        """What the result calls it."""

    @property
    def views(self) -> tuple[RigidTransform, ...]:
        """How a slice is moved each time it is encoded for a fine map."""

    @property
    def refines(self) -> bool:
        """Whether key slices get finer maps than the verdict's own pass gives."""

    @property
    def of_findings(self) -> bool:
        """Whether its maps show findings only, so that there is none for healthy."""

    def scores_of_logits(self, classes: int, healthy: int) -> Float:
        """The matrix that makes the explained scores of logits; `healthy` is a class's index."""

    def gradient(self, head: Head, features: Float, black: Float) -> Float:
        """∂ score / ∂ feature, as `Head.gradient`; `black` are a black image's features."""

    def augmented(self, image: Image) -> list[Image]:
        """An image as it is encoded, once for each view."""

    def channel_evidence(self, layer: Float, foreground: Mask) -> ChannelEvidence:
        """What counts of activations of shape (channels, rows, columns)."""

    def layers(self, detail: SliceDetail, index: int) -> tuple[ChannelEvidence, ...]:
        """What counts of the layers of one image."""

    def heat(self, seen: EncodedViews, gradient: Float, tissue: LungTissue) -> Float:
        """Fine map of an image, shape (cells, cells): 0 or more, not normalised.

        `gradient` is the score's with respect to the features, `tissue` what the image shows.
        """

    def coarse(self, heat: Float, tissue: LungTissue) -> Float:
        """The verdict's own map of the last layer, as it is shown."""


def encode_views(
    classifier: Classifier, images: Sequence[Image], method: AttributionMethod
) -> list[EncodedViews]:
    """Encode prepared images, each of shape (size, size), from each of the method's views."""
    views = method.views
    moved = [view for image in images for view in method.augmented(image)]
    features: list[Float] = []
    layers: list[tuple[ChannelEvidence, ...]] = []
    cells = 0
    for start in range(0, len(moved), _BATCH):
        detail = classifier.detail(np.stack(moved[start : start + _BATCH]))
        features.extend(detail.features)
        # What counts of a layer is a quarter of it: the rest is let go at once.
        layers.extend(method.layers(detail, k) for k in range(len(detail.features)))
        cells = detail.maps[0].shape[-1]
    parts = (slice(at, at + len(views)) for at in range(0, len(moved), len(views)))
    return [
        EncodedViews(np.mean(features[part], axis=0), views, layers[part], seen)
        for part, seen in zip(parts, foreground_mask(np.stack(images), cells), strict=True)
    ]
