"""Where the slices of a group argue: exact gradients, and heat at the encoder's last layer.

Grad-CAM (Selvaraju et al. 2017; paper section 4): the weight of channel k of the last layer in
slice t is the mean over its pixels of ∂logit/∂activation. Its only path to the logit is the global
maximum, so that mean is ∂logit/∂feature(t, k) / (rows · columns); the map is
ReLU(Σ_k weight · activation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from groundglass.core.result import HeatMethod, SliceGroup
from groundglass.explain.head_gradient import HeadWeights, IntegrationPath, feature_gradients
from groundglass.explain.layers import response
from groundglass.infer import GroupEvidence, SliceDetail
from groundglass.prepare import sample_positions

Float = NDArray[np.float32]

#: Where along the way from black images to the slices the gradient is taken: the middles of four
#: equal parts. More of them bring the sum of the contributions nearer to the score, cost more, and
#: localise no better (decision 0008).
_PATH = (0.125, 0.375, 0.625, 0.875)


@dataclass(frozen=True, slots=True, eq=False)
class GroupHeat:
    """Where the slices of one group argue, for every class.

    Parameters
    ----------
    group : SliceGroup
        Its slices, feet to head.
    features : ndarray of float32, shape (size, features)
        What the head saw.
    gradient : ndarray of float32, shape (classes, slices, features)
        Of each class's score with respect to each slice's features.
    heat : ndarray of float32, shape (classes, slices, rows, columns)
        At the last layer's resolution, not normalised; 0 or more.
    contribution : ndarray of float32, shape (classes, slices)
        The slice's part in how far the class's score lies above that of black images, roughly;
        negative when the slice argues against the class.
    """

    group: SliceGroup
    features: Float
    gradient: Float
    heat: Float
    contribution: Float


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What is explained: a score per class, made of the head's logits.

    Parameters
    ----------
    weights : HeadWeights
        Of the sequence head.
    of_logits : ndarray of float32, shape (classes, classes)
        Score = of_logits @ logits.
    black : SliceDetail
        Of one black image, the reference of every contribution.
    method : HeatMethod
        How heat is made of the gradient.
    """

    weights: HeadWeights
    of_logits: Float
    black: SliceDetail
    method: HeatMethod

    @classmethod
    def of(
        cls, weights: HeadWeights, black: SliceDetail, method: HeatMethod, classes: tuple[int, int]
    ) -> Scores:
        """The score a method explains; `classes` is how many there are and which is healthy.

        Grad-CAM explains the logit. The softmax sees differences of logits only, and CP and NCP
        share their lesions, so all layers explain a class's logit less that of healthy; healthy's
        less the mean of the others.
        """
        count, healthy = classes
        matrix = np.eye(count, dtype=np.float32)
        if method is HeatMethod.ALL_LAYERS and count > 1:
            matrix[:, healthy] -= 1
            matrix[healthy] = -1 / (count - 1)
            matrix[healthy, healthy] = 1
        return cls(weights, matrix, black, method)

    def gradient(self, features: Float, of: Sequence[int] | None = None) -> Float:
        """∂ score / ∂ feature of some classes, or of all.

        Grad-CAM's is the gradient at the features. All layers take its mean over the way there
        from black images (integrated gradients, Sundararajan et al. 2017): where the score is
        sure, its slope at the end says little of what made it so.

        Parameters
        ----------
        features : ndarray of float32, shape (..., size, features)
            Of one sequence or of several.
        of : sequence of int, optional
            Which classes.

        Returns
        -------
        ndarray of float32, shape (..., classes, size, features)
        """
        rows = self.of_logits if of is None else self.of_logits[list(of)]
        # The scores are sums of logits, so they are the logits of another last layer.
        last = np.asarray(rows @ self.weights.out_weight, np.float32)
        weights = replace(self.weights, out_weight=last)
        if self.method is HeatMethod.GRAD_CAM:
            return feature_gradients(weights, features)
        return feature_gradients(weights, features, IntegrationPath(self.black.features[0], _PATH))


def group_heat(evidence: GroupEvidence, scores: Scores) -> GroupHeat:
    """Gradients and last-layer heat of one group for every class.

    Parameters
    ----------
    evidence : GroupEvidence
        Features and last-layer activations of the group's images.
    scores : Scores
        What is explained.

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
        counted = response(layer, seen, scores.method)
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
