"""Everything that explains one verdict, on the networks' square."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.core.result import KIND_NOT_TOLD, HeatConsistency, SliceGroup
from groundglass.explain.all_layers import AllLayers
from groundglass.explain.attribution import AttributionMethod, EncodedViews, encode_views
from groundglass.explain.consistency import PERTURBATIONS, similarity
from groundglass.explain.grad_cam import GradCam
from groundglass.explain.group_heat import GroupHeat, Scores, contributions, group_heat
from groundglass.explain.head_gradient import Head
from groundglass.explain.heatmaps import SquareHeat, choose_key_slices
from groundglass.explain.lung_tissue import SeenScan
from groundglass.explain.refined_by_hu import RefinedByHu
from groundglass.explain.settings import ExplainSettings
from groundglass.infer import Bundle, Classifier, GroupEvidence
from groundglass.prepare import sample_positions

Float = NDArray[np.float32]
Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """What speaks for a class."""

    contribution: dict[int, float]
    """Of every classified slice, signed."""
    heat: SquareHeat
    """Key slices and all slices, on one scale."""
    consistency: HeatConsistency | None
    """None without heat, or when not asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class ExplanationTarget:
    """Which class of which study is to be explained."""

    class_index: int
    """Of `Bundle.explainable`."""
    heats: Sequence[GroupHeat]
    """Of every group."""
    images: dict[int, Image]
    """Shape (size, size). Prepared image of each classified slice."""
    scan: SeenScan
    """What the images show."""
    strength: Mapping[int, float] | None = None
    """What key slices are ranked by, of those that may be one: their own scores. None where slices
    were not judged by themselves: their contributions."""

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
        self.scores = scores
        self._settings = settings

    @classmethod
    def of(
        cls, bundle: Bundle, classifier: Classifier, head: Head, settings: ExplainSettings
    ) -> Explainer:
        """What explains a bundle's classifier as the settings say; `head` is its head."""
        method = attribution_method(settings)
        healthy = bundle.labels.index(bundle.healthy)
        of_logits = method.scores_of_logits(len(bundle.labels), healthy)
        if KIND_NOT_TOLD in bundle.explainable:
            findings = np.delete(of_logits, healthy, axis=0).mean(axis=0)
            of_logits = np.concatenate([of_logits, findings[None]])
        return cls(classifier, Scores(head, of_logits, classifier.black, method), settings)

    @property
    def method(self) -> AttributionMethod:
        """How its maps are made."""
        return self.scores.method

    def of_group(self, evidence: GroupEvidence) -> GroupHeat:
        """Gradients, contributions and coarse heat of one group, for every class."""
        return group_heat(evidence, self.scores)

    def explain(self, target: ExplanationTarget) -> Explained:
        """Contributions, maps and their consistency for one class."""
        method, scan = self.method, target.scan
        contribution = contributions(target.heats, target.class_index)
        strength = contribution if target.strength is None else dict(target.strength)
        chosen = choose_key_slices(strength, scan.positions_mm, self._settings.key)
        coarse = {
            k: method.coarse(heat, scan.tissue(k)) for k, heat in target.by_slice("heat").items()
        }
        encoded = self._encoded(target.images, chosen) if method.refines else {}
        key = self._heat(target, encoded) if method.refines else {k: coarse[k] for k in chosen}
        heat = SquareHeat(key, coarse).of_evidence
        hot = sorted(heat.key, key=lambda k: -float(key[k].max()))
        tried = {index: key[index] for index in hot[: self._settings.consistency_slices]}
        return Explained(
            contribution,
            heat,
            self._consistency(target, encoded, tried) if tried else None,
        )

    def heat_of(self, target: ExplanationTarget, slices: Sequence[int]) -> dict[int, Float]:
        """Heat of some slices at full resolution, whether they are key slices or not."""
        return self._heat(target, self._encoded(target.images, slices))

    def _encoded(self, images: dict[int, Image], slices: Sequence[int]) -> dict[int, EncodedViews]:
        if not slices:
            return {}
        seen = encode_views(self._classifier, [images[index] for index in slices], self.method)
        return dict(zip(slices, seen, strict=True))

    def _heat(
        self, target: ExplanationTarget, encoded: dict[int, EncodedViews]
    ) -> dict[int, Float]:
        features = {index: one.features[None] for index, one in encoded.items()}
        gradient = self._gradients(target, features, encoded)
        return {
            index: self.method.heat(one, gradient[index][0], target.scan.tissue(index))
            for index, one in encoded.items()
        }

    def _consistency(
        self, target: ExplanationTarget, encoded: dict[int, EncodedViews], shown: dict[int, Float]
    ) -> HeatConsistency:
        """RigidTransform the images, make everything of them anew, move the maps back, compare."""
        images = [
            one.apply(target.images[index]) for index in shown for one in PERTURBATIONS.values()
        ]
        seen = encode_views(self._classifier, images, self.method)
        moved = {
            index: seen[at : at + len(PERTURBATIONS)]
            for index, at in zip(shown, range(0, len(seen), len(PERTURBATIONS)), strict=True)
        }
        still = {k: np.tile(one.features, (len(PERTURBATIONS), 1)) for k, one in encoded.items()}
        features = {k: np.stack([one.features for one in tries]) for k, tries in moved.items()}
        gradient = self._gradients(target, still | features, moved)
        tissue = {index: target.scan.tissue(index) for index in moved}
        alike = [
            [
                similarity(
                    shown[index],
                    self.method.heat(one, slope, tissue[index].moved(move)),
                    move,
                )
                for one, slope, move in zip(
                    tries, gradient[index], PERTURBATIONS.values(), strict=True
                )
            ]
            for index, tries in moved.items()
        ]
        mean = np.array(alike).mean(axis=0).tolist()
        return HeatConsistency(dict(zip(PERTURBATIONS, mean, strict=True)), tuple(shown))

    def _gradients(
        self, target: ExplanationTarget, features: dict[int, Float], wanted: Collection[int]
    ) -> dict[int, Float]:
        """Gradients at some slices when key slices, and only they, have other features.

        Parameters
        ----------
        features : dict of int to ndarray of float32, shape (tries, features)
            By slice; as many tries of each.
        wanted : collection of int
            Slices among these whose gradients are asked for; groups without any are left out.

        Returns
        -------
        dict of int to ndarray of float32, shape (tries, features)
        """
        places = [
            (heat, place)
            for heat in target.heats
            if (place := _places(heat.group, features.keys())).keys() & set(wanted)
        ]
        found: dict[int, Float] = {}
        # Together where they are of one size: a last group of single slices may be shorter.
        for size in sorted({len(heat.features) for heat, _ in places}):
            alike = [(heat, place) for heat, place in places if len(heat.features) == size]
            sequences = [
                _with_others(heat.features, {at: features[index] for index, at in place.items()})
                for heat, place in alike
            ]
            gradient = self.scores.gradient(np.stack(sequences), [target.class_index])[:, :, 0]
            found |= {
                index: of_group[:, at]
                for of_group, (_, place) in zip(gradient, alike, strict=True)
                for index, at in place.items()
            }
        return found


def attribution_method(settings: ExplainSettings) -> AttributionMethod:
    """The method that the settings name."""
    how = settings.smoothing_mm, settings.softening_px
    refined = RefinedByHu(*how, likelihood=settings.likelihood)
    methods: tuple[AttributionMethod, ...] = (GradCam(), AllLayers(*how), refined)
    return {method.name: method for method in methods}[settings.method]


def _places(group: SliceGroup, slices: Collection[int]) -> dict[int, int]:
    """Where in its sequence a group shows some of the slices, by slice."""
    positions = sample_positions(group)
    return {
        index: int(np.argmin(np.abs(positions - number)))
        for number, index in enumerate(group.slice_indices)
        if index in slices
    }


def _with_others(sequence: Float, others: dict[int, Float]) -> Float:
    """A sequence for each try, shape (tries, size, features), other features at some places."""
    tries = len(next(iter(others.values())))
    found = np.repeat(sequence[None], tries, axis=0)
    for at, features in others.items():
        found[:, at] = features
    return found
