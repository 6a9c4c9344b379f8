"""Everything that explains one verdict, on the networks' square."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.core.result import HeatConsistency, HeatMethod
from groundglass.explain.consistency import PERTURBATIONS, similarity
from groundglass.explain.gradcam import GroupHeat, Scores, contributions, group_heat
from groundglass.explain.heatmaps import SquareHeat, choose_key_slices
from groundglass.explain.layers import slice_heat, smoothed
from groundglass.explain.settings import ExplainSettings
from groundglass.infer import Classifier, GroupEvidence, SliceDetail
from groundglass.prepare import sample_positions

Float = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """What speaks for a class.

    Parameters
    ----------
    contribution : dict of int to float
        Of every classified slice, signed.
    heat : SquareHeat
        Key slices and all slices, on one scale.
    consistency : HeatConsistency or None
        None without heat, or when not asked for.
    """

    contribution: dict[int, float]
    heat: SquareHeat
    consistency: HeatConsistency | None


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """Which class of which study is to be explained.

    Parameters
    ----------
    class_index : int
        Of the bundle's labels.
    heats : sequence of GroupHeat
        Of every group.
    images : dict of int to ndarray of uint8, shape (size, size)
        Prepared image of each classified slice.
    positions_mm : ndarray of float64, shape (slices,)
        LPS z of every slice of the volume.
    side_mm : float
        Side of the networks' square in mm.
    """

    class_index: int
    heats: Sequence[GroupHeat]
    images: dict[int, NDArray[np.uint8]]
    positions_mm: NDArray[np.float64]
    side_mm: float

    def by_slice(self, values: str) -> dict[int, Float]:
        """One of `GroupHeat`'s arrays, by slice."""
        return {
            index: one
            for heat in self.heats
            for index, one in zip(
                heat.group.slice_indices, getattr(heat, values)[self.class_index], strict=True
            )
        }


class Explainer:
    """Explains the classifier's verdicts.

    Parameters
    ----------
    classifier : Classifier
        Encodes slices once more where every layer is needed.
    scores : Scores
        What is explained.
    settings : ExplainSettings
        How.
    """

    def __init__(self, classifier: Classifier, scores: Scores, settings: ExplainSettings) -> None:
        self._classifier = classifier
        self._scores = scores
        self._settings = settings

    @property
    def method(self) -> HeatMethod:
        """How its maps are made."""
        return self._settings.method

    def of_group(self, evidence: GroupEvidence) -> GroupHeat:
        """Gradients, contributions and coarse heat of one group, for every class."""
        return group_heat(evidence, self._scores)

    def explain(self, question: Question) -> Explained:
        """Contributions, maps and their consistency for one class."""
        contribution = contributions(question.heats, question.class_index)
        chosen = choose_key_slices(contribution, question.positions_mm, self._settings.key)
        coarse = question.by_slice("heat")
        key = {index: coarse[index] for index in chosen}
        if chosen and self._settings.method is HeatMethod.ALL_LAYERS:
            coarse = {
                k: smoothed(image, self._settings, question.side_mm) for k, image in coarse.items()
            }
            gradient = question.by_slice("gradient")
            images = np.stack([question.images[index] for index in chosen])
            rows = np.stack([gradient[index] for index in chosen])
            key = dict(zip(chosen, self.heat_of(images, rows, question.side_mm), strict=True))
        hot = sorted((k for k in chosen if key[k].any()), key=lambda k: -float(key[k].max()))
        tried = {index: key[index] for index in hot[: self._settings.consistency_slices]}
        return Explained(
            contribution,
            SquareHeat(key, coarse),
            self._consistency(question, tried) if tried else None,
        )

    def heat_of(self, images: NDArray[np.uint8], gradient: Float, side_mm: float) -> Float:
        """Heat of prepared images, given the gradient at their features; `slice_heat`'s."""
        return self._heat(self._classifier.detail(images), gradient, side_mm)

    def _heat(self, detail: SliceDetail, gradient: Float, side_mm: float) -> Float:
        return slice_heat(detail, gradient, self._settings, side_mm)

    def _consistency(self, question: Question, shown: dict[int, Float]) -> HeatConsistency:
        """Move the images, make everything of them anew, move the maps back, compare."""
        moved = [
            perturbation.move(question.images[index])
            for perturbation in PERTURBATIONS.values()
            for index in shown
        ]
        detail = self._classifier.detail(np.stack(moved))
        gradient = np.concatenate(
            [
                self._moved_gradients(question, dict(zip(shown, features, strict=True)))
                for features in np.split(detail.features, len(PERTURBATIONS))
            ]
        )
        heat = self._heat(detail, gradient, question.side_mm)
        before = [np.asarray(cv2.resize(one, heat.shape[1:]), np.float32) for one in shown.values()]
        found = {
            name: float(np.mean(list(map(similarity, before, after, repeat(perturbation)))))
            for (name, perturbation), after in zip(
                PERTURBATIONS.items(), np.split(heat, len(PERTURBATIONS)), strict=True
            )
        }
        return HeatConsistency(found, tuple(shown))

    def _moved_gradients(self, question: Question, features: dict[int, Float]) -> Float:
        """Gradients at some slices when these slices, and only they, have other features."""
        found = {}
        for heat in question.heats:
            positions = sample_positions(heat.group)
            place = {
                index: int(np.argmin(np.abs(positions - number)))
                for number, index in enumerate(heat.group.slice_indices)
                if index in features
            }
            if place:
                sequence = heat.features.copy()
                sequence[list(place.values())] = [features[index] for index in place]
                gradient = self._scores.gradient(sequence)[question.class_index]
                found.update({index: gradient[at] for index, at in place.items()})
        return np.stack([found[index] for index in features])
