"""Heat of a slice from every layer of the encoder, or the paper's from the last.

Each layer's global maxima are features of their own, so each channel k of every layer has its exact
gradient g_k = ∂score/∂feature_k. Its evidence at a pixel is g_k · (A_k − B_k), where B is what a
black image gives at the same place: at the pixel that decided the feature, that is the feature's
share in the slice's contribution, and where the image is black it is 0. The map is the sum over the
channels of all layers, for and against, smoothed, where it is above 0.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.core.result import HeatMethod
from groundglass.explain.settings import ExplainSettings
from groundglass.infer import SliceDetail

Float = NDArray[np.float32]


def slice_heat(
    detail: SliceDetail,
    gradient: Float,
    black: SliceDetail,
    settings: ExplainSettings,
    side_mm: float,
) -> Float:
    """Heat on the networks' square.

    Parameters
    ----------
    detail : SliceDetail
        Features and activations of some slices.
    gradient : ndarray of float32, shape (slices, features)
        Of the score with respect to their features.
    black : SliceDetail
        Of one black image.
    settings : ExplainSettings
        Method and smoothing.
    side_mm : float
        Side of the square in mm.

    Returns
    -------
    ndarray of float32, shape (slices, cells, cells)
        As fine as the finest activations; 0 or more, not normalised.
    """
    if settings.method is HeatMethod.GRAD_CAM:
        return _grad_cam(detail, gradient)
    size = detail.maps[0].shape[-1]
    heat = np.zeros((len(gradient), size, size), dtype=np.float32)
    last = 0
    for layer, nothing in zip(detail.maps, black.maps, strict=True):
        first, last = last, last + layer.shape[1]
        evidence = weighted(layer, gradient[:, first:last], nothing)
        for index, one in enumerate(evidence):
            heat[index] += cv2.resize(one, (size, size), interpolation=cv2.INTER_LINEAR)
    for image in heat:
        smooth = cv2.GaussianBlur(image, (0, 0), settings.smoothing_mm * size / side_mm)
        np.maximum(smooth, 0, out=image)
    return heat


def weighted(layer: Float, weight: Float, nothing: Float | None = None) -> Float:
    """Sum of a layer's channels, less what a black image gives.

    Parameters
    ----------
    layer : ndarray of float32, shape (slices, channels, rows, columns)
        Activations.
    weight : ndarray of float32, shape (..., slices, channels)
        Of each channel in each slice.
    nothing : ndarray of float32, shape (1, channels, rows, columns), optional
        Activations of a black image.

    Returns
    -------
    ndarray of float32, shape (..., slices, rows, columns)
    """
    slices, channels, rows, columns = layer.shape
    # One small product per slice, straight from the activations: nothing large is copied.
    total = np.matmul(weight[..., None, :], layer.reshape(slices, channels, -1))[..., 0, :]
    if nothing is not None:
        total -= weight @ nothing.reshape(channels, -1)
    return np.asarray(total.reshape(*weight.shape[:-1], rows, columns), dtype=np.float32)


def _grad_cam(detail: SliceDetail, gradient: Float) -> Float:
    layer, size = detail.maps[-1], detail.maps[0].shape[-1]
    cells = layer.shape[2] * layer.shape[3]
    heat = np.maximum(weighted(layer, gradient[:, -layer.shape[1] :]) / np.float32(cells), 0)
    return np.stack([cv2.resize(one, (size, size)) for one in heat])
