"""Grad-CAM (Selvaraju et al. 2017; paper section 4) through the sequence head and the encoder.

The weight of channel k of the encoder's last layer in slice t is the mean over its pixels of
∂logit/∂activation. Its only path to the logit is the global maximum, so that mean is
∂logit/∂feature(t, k) / (rows · columns); the map is ReLU(Σ_k weight · activation).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.explain.head_gradient import HeadWeights, feature_gradients
from groundglass.infer import GroupEvidence
from groundglass.prepare import sample_positions

Float = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class GroupHeat:
    """Where the slices of one group argue, for every class.

    Parameters
    ----------
    slice_indices : tuple of int
        The group's slices, feet to head.
    heat : ndarray of float32, shape (classes, slices, rows, columns)
        Grad-CAM at the last layer's resolution, not normalised; 0 or more.
    contribution : ndarray of float32, shape (classes, slices)
        How much the class's logit would fall, to first order, if the slice were black; negative
        when the slice argues against the class.
    """

    slice_indices: tuple[int, ...]
    heat: Float
    contribution: Float


def group_heat(evidence: GroupEvidence, black: Float, weights: HeadWeights) -> GroupHeat:
    """Grad-CAM of one group for every class.

    Parameters
    ----------
    evidence : GroupEvidence
        Features and last-layer activations of the group's images.
    black : ndarray of float32, shape (features,)
        Features of a black image, the reference of `contribution`.
    weights : HeadWeights
        Of the sequence head.

    Returns
    -------
    GroupHeat
        Padding left out; resampled groups brought back to their slices along z.
    """
    gradient = feature_gradients(weights, evidence.features)
    _, channels, rows, columns = evidence.maps.shape
    channel_weight = gradient[:, :, -channels:] / (rows * columns)
    flat = evidence.maps.reshape(len(evidence.maps), channels, -1)
    # One small product per slice: (classes, channels) @ (channels, pixels).
    heat = np.maximum(np.matmul(channel_weight.transpose(1, 0, 2), flat), 0)
    heat = heat.transpose(1, 0, 2).reshape(len(gradient), -1, rows, columns)
    contribution = np.einsum("ctf,tf->ct", gradient, evidence.features - black)
    group = evidence.prediction.group
    positions = sample_positions(group)
    at = np.arange(len(group.slice_indices), dtype=np.float64)
    return GroupHeat(
        group.slice_indices,
        _resample(heat, positions, at),
        _resample(contribution, positions, at),
    )


def _resample(values: Float, positions: NDArray[np.float64], at: NDArray[np.float64]) -> Float:
    """Linear interpolation along the second axis from image positions to slice positions."""
    right = np.clip(np.searchsorted(positions, at), 1, max(len(positions) - 1, 1))
    left = right - 1
    right = np.minimum(right, len(positions) - 1)
    span = np.maximum(positions[right] - positions[left], 1e-9)
    share = np.clip((at - positions[left]) / span, 0, 1).astype(np.float32)
    share = share.reshape(1, -1, *([1] * (values.ndim - 2)))
    return values[:, left] * (1 - share) + values[:, right] * share
