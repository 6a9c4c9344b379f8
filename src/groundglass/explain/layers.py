"""Heat of a slice from every layer of the encoder, or the paper's from the last.

Each layer's global maxima are features of their own, so each channel k of every layer has its exact
gradient g_k = ∂score/∂feature_k. What counts is where a response stands out: D_k = A_k − U_k, with
U_k the channel's usual response, its median over what is seen of this slice. A maximum is made by
few pixels, so responses far from the largest weigh little: the evidence at a pixel is
g_k · D_k · |D_k| / max |D_k|, 0 where the image is black. The map is the sum over the channels of
all layers, for and against, smoothed, where it is above 0 (decision 0008).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.core.result import HeatMethod
from groundglass.explain.settings import ExplainSettings
from groundglass.infer import SliceDetail

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]


def slice_heat(
    detail: SliceDetail,
    gradient: Float,
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
    for layer, seen in zip(detail.maps, detail.seen, strict=True):
        first, last = last, last + layer.shape[1]
        evidence = weighted(standing_out(layer, seen), gradient[:, first:last])
        for index, one in enumerate(evidence):
            heat[index] += cv2.resize(one, (size, size), interpolation=cv2.INTER_LINEAR)
    for image in heat:
        np.maximum(smoothed(image, settings, side_mm), 0, out=image)
    return heat


def smoothed(image: Float, settings: ExplainSettings, side_mm: float) -> Float:
    """A map of the square, shape (cells, cells), smoothed by `smoothing_mm`."""
    cells = settings.smoothing_mm * len(image) / side_mm
    return np.asarray(cv2.GaussianBlur(image, (0, 0), cells), dtype=np.float32)


def standing_out(layer: Float, seen: Mask) -> Float:
    """How far each response stands out of the channel's usual one, small differences made smaller.

    Parameters
    ----------
    layer : ndarray of float32, shape (slices, channels, rows, columns)
        Activations.
    seen : ndarray of bool, shape (slices, rows, columns)
        Where the image is not black.

    Returns
    -------
    ndarray of float32, shape of `layer`
        D · |D| / max |D| of each slice and channel; 0 where nothing is seen.
    """
    found = np.zeros_like(layer)
    for index, here in enumerate(seen):
        count = int(here.sum())
        if not count:
            continue
        values = layer[index][:, here]
        usual = np.partition(values, count // 2, axis=1)[:, count // 2]
        values -= usual[:, None]
        size = np.abs(values)
        top = size.max(axis=1, keepdims=True)
        found[index][:, here] = values * size / np.where(top > 0, top, 1)
    return found


def weighted(layer: Float, weight: Float) -> Float:
    """Sum of a layer's channels.

    Parameters
    ----------
    layer : ndarray of float32, shape (slices, channels, rows, columns)
        Activations, or what stands out of them.
    weight : ndarray of float32, shape (..., slices, channels)
        Of each channel in each slice.

    Returns
    -------
    ndarray of float32, shape (..., slices, rows, columns)
    """
    slices, channels, rows, columns = layer.shape
    # One small product per slice, straight from the activations: nothing large is copied.
    total = np.matmul(weight[..., None, :], layer.reshape(slices, channels, -1))[..., 0, :]
    return np.asarray(total.reshape(*weight.shape[:-1], rows, columns), dtype=np.float32)


def _grad_cam(detail: SliceDetail, gradient: Float) -> Float:
    layer, size = detail.maps[-1], detail.maps[0].shape[-1]
    cells = layer.shape[2] * layer.shape[3]
    heat = np.maximum(weighted(layer, gradient[:, -layer.shape[1] :]) / np.float32(cells), 0)
    return np.stack([cv2.resize(one, (size, size)) for one in heat])
