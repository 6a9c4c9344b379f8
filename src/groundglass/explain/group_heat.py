"""Where the slices of a group speak for each class: gradients, contributions, last-layer heat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.core.result import SliceGroup
from groundglass.explain.attribution import AttributionMethod, Float
from groundglass.explain.head_gradient import Head
from groundglass.infer import GroupEvidence, SliceDetail
from groundglass.prepare import sample_positions


@dataclass(frozen=True, slots=True, eq=False)
class GroupHeat:
    """Attribution of one group's slices, for every class."""

    group: SliceGroup
    """Its slices, feet to head."""
    features: Float
    """Shape (size, features). What the head saw."""
    gradient: Float
    """Shape (classes, slices, features). Of each class's score with respect to each slice's
    features."""
    heat: Float
    """Shape (classes, slices, rows, columns). At the last layer's resolution, not normalised; 0 or
    more."""
    contribution: Float
    """Shape (classes, slices). The slice's part in how far the class's score lies above that of
    black images, roughly; negative when the slice speaks against the class."""


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What is explained: a score per class, made of the head's logits."""

    head: Head
    """Its logits."""
    of_logits: Float
    """Shape (scores, classes). Score = of_logits @ logits; the method's `scores_of_logits`."""
    black: SliceDetail
    """Of one black image, the reference of every contribution."""
    method: AttributionMethod
    """How heat is made of the gradient."""

    def gradient(self, features: Float, of: Sequence[int] | None = None) -> Float:
        """∂ score / ∂ feature of some classes, or of all.

        Parameters
        ----------
        features : ndarray of float32, shape (..., size, features)
            Of one sequence or of several.

        Returns
        -------
        ndarray of float32, shape (..., classes, size, features)
        """
        rows = self.of_logits if of is None else self.of_logits[list(of)]
        return self.method.gradient(self.head.combined(rows), features, self.black.features[0])


def group_heat(evidence: GroupEvidence, scores: Scores) -> GroupHeat:
    """Gradients and last-layer heat of one group for every class.

    Parameters
    ----------
    evidence : GroupEvidence
        Features and last-layer activations of the group's images.

    Returns
    -------
    GroupHeat
        Padding left out; resampled groups brought back to their slices along z.
    """
    gradient = scores.gradient(evidence.features)
    contribution = np.einsum("ctf,tf->ct", gradient, evidence.features - scores.black.features)
    heat = _last_layer_heat(evidence, gradient, scores)
    group = evidence.prediction.group
    positions = sample_positions(group)
    at = np.arange(len(group.slice_indices), dtype=np.float64)
    return GroupHeat(
        group,
        evidence.features,
        *(_resample(values, positions, at) for values in (gradient, heat, contribution)),
    )


def _last_layer_heat(evidence: GroupEvidence, gradient: Float, scores: Scores) -> Float:
    maps = evidence.maps
    weight = gradient[:, :, -maps.shape[1] :]
    heat = np.empty((*weight.shape[:2], *maps.shape[2:]), dtype=np.float32)
    for index, (layer, seen) in enumerate(zip(maps, evidence.foreground, strict=True)):
        counted = scores.method.channel_evidence(layer, seen)
        np.maximum(counted.weighted(weight[:, index]), 0, out=heat[:, index])
    return heat


def contributions(heats: Sequence[GroupHeat], class_index: int) -> dict[int, float]:
    """Signed contribution of each classified slice to a class, by slice."""
    return {
        index: float(value)
        for heat in heats
        for index, value in zip(
            heat.group.slice_indices, heat.contribution[class_index], strict=True
        )
    }


def _resample(values: Float, positions: NDArray[np.float64], at: NDArray[np.float64]) -> Float:
    """Linear interpolation along the second axis from image positions to slice positions."""
    right = np.clip(np.searchsorted(positions, at), 1, max(len(positions) - 1, 1))
    left = right - 1
    right = np.minimum(right, len(positions) - 1)
    span = np.maximum(positions[right] - positions[left], 1e-9)
    share = np.clip((at - positions[left]) / span, 0, 1).astype(np.float32)
    share = share.reshape(1, -1, *([1] * (values.ndim - 2)))
    return values[:, left] * (1 - share) + values[:, right] * share
