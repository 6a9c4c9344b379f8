"""What a bundle said of each study, and what is known of the study: nothing that names anybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from groundglass.core.result import Outcome, StudyEnd, Verdict
from groundglass.evaluate.statistics import Predictions

#: Key of the answer to a study as it is; the others are named after their probe.
AS_IN_SERVICE = "as-in-service"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a bundle said."""

    outcome: Outcome
    """UNREADABLE where the study could not be opened."""
    reason: str = ""
    """Why there is no verdict; empty with one."""
    label: str = ""
    """The verdict; empty without."""
    probabilities: Mapping[str, float] | None = None
    """Per class; empty without a verdict."""

    @classmethod
    def of(cls, ended: StudyEnd | Verdict) -> Self:
        """The answer that a study's end, or a verdict, is."""
        if isinstance(ended, StudyEnd) and ended.outcome is not Outcome.VERDICT:
            return cls(ended.outcome, ended.reason)
        return cls(Outcome.VERDICT, "", ended.label, dict(ended.probabilities))

    @property
    def has_verdict(self) -> bool:
        """Whether there is one."""
        return self.outcome is Outcome.VERDICT


@dataclass(frozen=True, slots=True)
class Strata:
    """What figures are told apart by; empty or None where it is not known."""

    source: str
    """The data set or the hospital."""
    scanner: str = ""
    """Manufacturer and model."""
    thickness_mm: float | None = None
    """SliceThickness, or the distance between slices where a header does not say."""
    sex: str = ""
    """As DICOM writes it: F, M or O."""
    age_years: float | None = None
    """At the examination."""


@dataclass(frozen=True, slots=True)
class CasePrediction:
    """One case of a cohort and what a bundle said of it."""

    row: int
    """Row of the table."""
    patient: int
    """Number of the patient within what is evaluated, by first appearance, from 1."""
    truth: str
    """The class the table says."""
    strata: Strata
    """What is known of the study."""
    answers: Mapping[str, Answer]
    """By AS_IN_SERVICE, and by the name of each probe."""
    seconds: float
    """Wall time of opening and judging."""

    @property
    def answer(self) -> Answer:
        """To the study as it is."""
        return self.answers[AS_IN_SERVICE]


def predictions_of(
    cases: Sequence[CasePrediction], labels: tuple[str, ...], images: str = AS_IN_SERVICE
) -> Predictions | None:
    """The cases that have a verdict on some images, in their order; None without any.

    Parameters
    ----------
    cases : sequence of CasePrediction
        Cases; those without a verdict are left out.
    labels : tuple of str
        The bundle's classes, in the order of the columns wanted.
    images : str
        AS_IN_SERVICE, or a probe's name.
    """
    rows = [one for one in cases if one.answers[images].has_verdict]
    if not rows:
        return None
    given = [one.answers[images].probabilities or {} for one in rows]
    return Predictions(
        labels=labels,
        truth=np.array([labels.index(one.truth) for one in rows], dtype=np.int64),
        predicted=np.array([labels.index(one.answers[images].label) for one in rows], np.int64),
        probabilities=np.array([[p[label] for label in labels] for p in given], dtype=np.float64),
        patients=np.array([one.patient for one in rows], dtype=np.int64),
    )
