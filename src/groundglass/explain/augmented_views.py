"""A slice seen from several positions of the encoder's grid, and the heat of all of them.

The encoder folds 4×4 pixels into a cell and keeps the largest of 2×2 cells, so its answer depends
on where the grid happens to lie: moved by a pixel, an image has another map. Each slice is
therefore looked at a little turned and shifted as well, each map is moved back, and the mean is
shown. It follows the image by making, and is finer than the cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.core.result import HeatMethod
from groundglass.explain.layers import ChannelEvidence, response
from groundglass.explain.rigid_transform import PAPER_SIZE, RigidTransform
from groundglass.explain.settings import ExplainSettings
from groundglass.infer import Classifier, SliceDetail, foreground_mask

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]

#: How a slice is moved each time: the encoder's grid is the same again after 8 pixels, so these lie
#: about half of that apart, and training turned images by up to 15°. A third view would cost some
#: 3 % of everything else more (decision 0008).
VIEWS = (RigidTransform(-6.0, (-2.0, 2.0)), RigidTransform(11.0, (2.0, -1.0)))
#: Views encoded in one go: fewer cost more each, more need more memory.
_BATCH = 8


@dataclass(frozen=True, slots=True, eq=False)
class EncodedViews:
    """What the encoder sees of one image.

    Parameters
    ----------
    features : ndarray of float32, shape (features,)
        Pooled features, mean over the views.
    views : tuple of RigidTransform
        How the image was moved each time.
    layers : list of tuple of ChannelEvidence
        Of each view its layers, the finest first; of Grad-CAM the last alone.
    seen : ndarray of bool, shape (cells, cells)
        Where the image is not black, on the map's grid: that of the finest layer.
    """

    features: Float
    views: tuple[RigidTransform, ...]
    layers: list[tuple[ChannelEvidence, ...]]
    seen: Mask

    def heat(self, gradient: Float, settings: ExplainSettings, side_mm: float) -> Float:
        """Heat on the networks' square.

        Parameters
        ----------
        gradient : ndarray of float32, shape (features,)
            Of the score with respect to the features.
        settings : ExplainSettings
            Method and smoothing.
        side_mm : float
            Side of the square in mm.

        Returns
        -------
        ndarray of float32, shape (cells, cells)
            0 or more, not normalised.
        """
        if settings.method is HeatMethod.GRAD_CAM:
            return self._grad_cam(gradient)
        heat = np.zeros(self.seen.shape, dtype=np.float32)
        for view, layers in zip(self.views, self.layers, strict=True):
            for evidence in _by_grid(layers, gradient):
                heat += view.inverse(evidence, len(heat))
        heat *= self.seen / np.float32(len(self.views))
        heat = smoothed(heat, settings, side_mm)
        return np.maximum(heat, 0, out=heat)

    def _grad_cam(self, gradient: Float) -> Float:
        ((last,),) = self.layers
        heat = np.maximum(last.weighted(gradient[-len(last.values) :]), 0)
        return np.asarray(cv2.resize(heat, self.seen.shape), dtype=np.float32)


def encode_views(
    classifier: Classifier, images: Sequence[NDArray[np.uint8]], settings: ExplainSettings
) -> list[EncodedViews]:
    """EncodedViews at prepared images, each of shape (size, size), from every view.

    Grad-CAM, which is the paper's, looks at an image once, as it is.
    """
    views: tuple[RigidTransform, ...] = (RigidTransform(),)
    moved = list(images)
    if settings.method is HeatMethod.ALL_LAYERS:
        views = VIEWS
        soft = [_softened(image, settings.softening_px) for image in images]
        moved = [view.apply(image, cv2.INTER_LINEAR) for image in soft for view in views]
    features: list[Float] = []
    layers: list[tuple[ChannelEvidence, ...]] = []
    cells = 0
    for start in range(0, len(moved), _BATCH):
        detail = classifier.detail(np.stack(moved[start : start + _BATCH]))
        features.extend(detail.features)
        # What counts of a layer is a quarter of it: the rest is let go at once.
        layers.extend(_responses(detail, k, settings.method) for k in range(len(detail.features)))
        cells = detail.maps[0].shape[-1]
    parts = (slice(at, at + len(views)) for at in range(0, len(moved), len(views)))
    return [
        EncodedViews(np.mean(features[part], axis=0), views, layers[part], seen)
        for part, seen in zip(parts, foreground_mask(np.stack(images), cells), strict=True)
    ]


def _softened(image: NDArray[np.uint8], softening_px: float) -> NDArray[np.uint8]:
    """Blurred; what was black stays black."""
    soft = cv2.GaussianBlur(image, (0, 0), softening_px * len(image) / PAPER_SIZE)
    return np.asarray(soft * (image > 0), dtype=np.uint8)


def _responses(detail: SliceDetail, index: int, method: HeatMethod) -> tuple[ChannelEvidence, ...]:
    first = -1 if method is HeatMethod.GRAD_CAM else 0
    return tuple(
        response(layer[index], seen[index], method)
        for layer, seen in zip(detail.maps[first:], detail.foreground[first:], strict=True)
    )


def _by_grid(layers: Sequence[ChannelEvidence], gradient: Float) -> list[Float]:
    """Evidence of the layers, those of one grid added up."""
    found: dict[int, Float] = {}
    last = 0
    for layer in layers:
        first, last = last, last + len(layer.values)
        evidence = layer.weighted(gradient[first:last])
        found[len(evidence)] = found.get(len(evidence), np.float32(0)) + evidence
    return list(found.values())


def smoothed(image: Float, settings: ExplainSettings, side_mm: float) -> Float:
    """A map of the square, shape (cells, cells), smoothed by `smoothing_mm`."""
    cells = settings.smoothing_mm * len(image) / side_mm
    return np.asarray(cv2.GaussianBlur(image, (0, 0), cells), dtype=np.float32)
