"""What one layer of the encoder says about a slice, weighted to evidence for a score.

Each layer's global maxima are features of their own, so each channel k of every layer has its exact
gradient g_k = ∂score/∂feature_k. What counts is where a response stands out: D_k = A_k − U_k, with
U_k the channel's usual response, its median over what is seen of this slice. A maximum is made by
few pixels, so responses that stand out little weigh less still: the evidence at a pixel is
g_k · D_k · |D_k| / S_k, with S_k the root mean square of D_k, and 0 where the image is black
(decision 0008).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.core.result import HeatMethod

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class ChannelEvidence:
    """What a layer answers to one image, at the cells that count.

    Parameters
    ----------
    values : ndarray of float32, shape (channels, counted cells)
        Activations, or how far they stand out.
    where : ndarray of bool, shape (rows, columns)
        Which cells are counted.
    """

    values: Float
    where: Mask

    def weighted(self, weight: Float) -> Float:
        """Sum of the channels, 0 at the other cells.

        Parameters
        ----------
        weight : ndarray of float32, shape (..., channels)
            Of each channel.

        Returns
        -------
        ndarray of float32, shape (..., rows, columns)
        """
        total = np.zeros((*weight.shape[:-1], *self.where.shape), dtype=np.float32)
        # numpy's own loop: BLAS would start threads, and wait for them longer than this takes.
        total[..., self.where] = np.einsum("...c,cp->...p", weight, self.values)
        return total


def response(layer: Float, seen: Mask, method: HeatMethod) -> ChannelEvidence:
    """What a method weighs of a layer: `averaged` for Grad-CAM, else `contrast_to_median`."""
    if method is HeatMethod.GRAD_CAM:
        return averaged(layer)
    return contrast_to_median(layer, seen)


def contrast_to_median(layer: Float, seen: Mask) -> ChannelEvidence:
    """How far each response stands out of its channel's usual one.

    Parameters
    ----------
    layer : ndarray of float32, shape (channels, rows, columns)
        Activations.
    seen : ndarray of bool, shape (rows, columns)
        Where the image is not black; other cells do not count.

    Returns
    -------
    ChannelEvidence
        D · |D| / root mean square of D, of each channel.
    """
    values = layer.reshape(len(layer), -1).take(np.flatnonzero(seen), axis=1)
    count = values.shape[1]
    if count:
        values -= np.partition(values, count // 2, axis=1)[:, count // 2, None]
        scale = np.sqrt(np.einsum("cp,cp->c", values, values) / np.float32(count))
        size = np.abs(values)
        size *= (1 / np.where(scale > 0, scale, 1))[:, None]
        values *= size
    return ChannelEvidence(values, seen)


def averaged(layer: Float) -> ChannelEvidence:
    """Grad-CAM's: activations over the number of cells, every cell counted.

    Parameters
    ----------
    layer : ndarray of float32, shape (channels, rows, columns)
        Activations.
    """
    cells = layer.shape[1] * layer.shape[2]
    values = layer.reshape(len(layer), -1) / np.float32(cells)
    return ChannelEvidence(values, np.ones(layer.shape[1:], np.bool_))
