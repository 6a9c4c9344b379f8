"""The classifier's answers, and the patient's verdict that was made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from groundglass.core.result.slices import SliceGroup

#: Label of a verdict with findings as in pneumonia whose kind the evidence does not tell.
KIND_NOT_TOLD = "kind-not-told"


@dataclass(frozen=True, slots=True)
class GroupPrediction:
    """The classifier's answer for one group."""

    group: SliceGroup
    """What was seen."""
    probabilities: Mapping[str, float]
    """Softmax probability per class label; sums to 1."""
    label: str
    """The most probable class."""
    of_slices: tuple[Mapping[str, float], ...] = ()
    """The same per slice of the group, feet to head; empty where the network judges the group as
    one."""

    @classmethod
    def of(
        cls, group: SliceGroup, labels: Sequence[str], probabilities: Sequence[float]
    ) -> GroupPrediction:
        """The prediction the networks' probabilities make, given in the labels' order."""
        named = {label: float(value) for label, value in zip(labels, probabilities, strict=True)}
        return cls(group, named, max(labels, key=lambda label: named[label]))

    @classmethod
    def of_each_slice(
        cls, group: SliceGroup, labels: Sequence[str], probabilities: NDArray[np.float64]
    ) -> GroupPrediction:
        """The mean of what a network said of each slice, shape (slices, classes)."""
        each = tuple(dict(zip(labels, row, strict=True)) for row in probabilities.tolist())
        mean = cls.of(group, labels, probabilities.mean(axis=0).tolist())
        return replace(mean, of_slices=each)

    def scores(self, healthy: str) -> tuple[float, ...]:
        """How likely each slice shows findings, by itself, 0 to 1: one less that of healthy."""
        return tuple(1 - one[healthy] for one in self.of_slices)


@dataclass(frozen=True, slots=True)
class RuleFiring:
    """The 0.9 rule changed a healthy majority (paper section 2.4)."""

    group_index: int
    """The group that spoke against healthy."""
    label: str
    """Its class."""
    probability: float
    """Its probability, above `threshold`."""
    threshold: float
    """The rule's threshold."""


def is_ill(score: float, slice_threshold: float) -> bool:
    """Whether a slice counts as one with findings."""
    return score >= slice_threshold


@dataclass(frozen=True, slots=True)
class ShareOfSlices:
    """What a verdict by the share of slices with findings was decided by; free of their order."""

    ill: int
    """Slices whose score reached `slice_threshold`."""
    judged: int
    """Slices that were judged."""
    slice_threshold: float
    """Score from which a slice counts as ill, 0 to 1."""
    study_threshold: float
    """Share of ill slices from which findings are called, 0 to 1."""
    kinds: Mapping[str, float]
    """How the findings divide among the kinds of pneumonia, mean over the ill slices (over all
    where none is); sums to 1."""
    kind_threshold: float | None
    """From which of these on the kind is told; None: never."""

    @property
    def share(self) -> float:
        """Share of the judged slices that are ill, 0 to 1."""
        return self.ill / self.judged

    @property
    def likelier_kind(self) -> str:
        """The kind that has the most of the findings."""
        return max(self.kinds, key=lambda kind: self.kinds[kind])


@dataclass(frozen=True, slots=True)
class Verdict:
    """The patient-level answer: findings as in pneumonia or none seen, and of which kind."""

    label: str
    """A class, or `KIND_NOT_TOLD`: findings whose kind the evidence does not tell."""
    probabilities: Mapping[str, float]
    """Per class. By vote: mean of the groups'. By share of slices: that of findings, from the
    bundle's calibration, divided as `ShareOfSlices.kinds`."""
    votes: Mapping[str, int]
    """Groups per class."""
    majority: str
    """The class the vote gave before the 0.9 rule; by share of slices, as `forced`."""
    tie: bool
    """Whether the vote was tied and decided by the mean probability."""
    rule_firings: tuple[RuleFiring, ...] = ()
    """Every group that made the 0.9 rule speak, strongest first."""
    by_share: ShareOfSlices | None = None
    """What decided where the bundle's rule is the share of ill slices; None by vote."""

    @property
    def forced(self) -> str:
        """The class where one must be named: the likelier kind where none is told."""
        if self.label == KIND_NOT_TOLD and self.by_share is not None:
            return self.by_share.likelier_kind
        return self.label
