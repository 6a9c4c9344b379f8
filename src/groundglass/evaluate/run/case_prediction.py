"""What a bundle said of each study, and what is known of the study: nothing that names anybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from groundglass.cohort import PNEUMONIA
from groundglass.core.result import Outcome, StudyEnd, Verdict
from groundglass.evaluate.run.trivial import TrivialStatistics
from groundglass.evaluate.statistics import Predictions
from groundglass.infer.conformal import findings_score

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
    """The verdict, a class or `KIND_NOT_TOLD`; empty without."""
    probabilities: Mapping[str, float] | None = None
    """Per class; None without a verdict."""
    forced: str = ""
    """The class where one must be named (`Verdict.forced`); empty without a verdict."""
    ill: int | None = None
    judged: int | None = None
    """`ill`, `judged`: slices with findings, and judged ones; None where slices are not judged by
    themselves."""

    @classmethod
    def of(cls, ended: StudyEnd | Verdict) -> Self:
        """The answer that a verdict, or the end of a study without one, is."""
        if isinstance(ended, StudyEnd):
            return cls(ended.outcome, ended.reason)
        found = ended.by_share
        return cls(
            Outcome.VERDICT,
            "",
            ended.label,
            dict(ended.probabilities),
            ended.forced,
            found.ill if found is not None else None,
            found.judged if found is not None else None,
        )

    @property
    def has_verdict(self) -> bool:
        """Whether there is one."""
        return self.outcome is Outcome.VERDICT

    @property
    def share(self) -> float | None:
        """Share of the judged slices that show findings; None where they are not judged."""
        return None if self.ill is None or self.judged is None else self.ill / self.judged

    def score(self, healthy: str) -> float:
        """How strongly a verdict speaks for findings (`findings_score`)."""
        return findings_score(self.share, self.probabilities or {}, healthy)

    def of_two(self, healthy: str) -> Answer:
        """The same with all classes but healthy taken together as `PNEUMONIA`."""
        if self.probabilities is None:
            return self
        well = self.probabilities[healthy]
        label = healthy if self.forced == healthy else PNEUMONIA
        two = {PNEUMONIA: 1 - well, healthy: well}
        return replace(self, label=label, forced=label, probabilities=two)


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
    """What the table says: a class, or `PNEUMONIA` where the kind is not known."""
    strata: Strata
    """What is known of the study."""
    answers: Mapping[str, Answer]
    """By AS_IN_SERVICE, and by the name of each probe."""
    seconds: float
    """Wall time of opening and judging."""
    trivial: TrivialStatistics | None = None
    """Of the volume; None where it could not be opened."""

    @property
    def answer(self) -> Answer:
        """To the study as it is."""
        return self.answers[AS_IN_SERVICE]

    def of_two(self, healthy: str) -> CasePrediction:
        """The same with truth and answers of two classes: healthy, and `PNEUMONIA`."""
        return replace(
            self,
            truth=healthy if self.truth == healthy else PNEUMONIA,
            answers={images: one.of_two(healthy) for images, one in self.answers.items()},
        )


def predictions_of(
    cases: Sequence[CasePrediction], labels: tuple[str, ...], images: str = AS_IN_SERVICE
) -> Predictions | None:
    """The cases of known class that have a verdict on some images; None without any.

    Parameters
    ----------
    cases : sequence of CasePrediction
        Cases; those without a verdict, or whose truth is none of the classes, are left out.
    labels : tuple of str
        The bundle's classes, in the order of the columns wanted.
    images : str
        AS_IN_SERVICE, or a probe's name.
    """
    rows = [one for one in cases if one.truth in labels and one.answers[images].has_verdict]
    if not rows:
        return None
    given = [one.answers[images].probabilities or {} for one in rows]
    return Predictions(
        labels=labels,
        truth=np.array([labels.index(one.truth) for one in rows], dtype=np.int64),
        predicted=np.array([labels.index(one.answers[images].forced) for one in rows], np.int64),
        probabilities=np.array([[p[label] for label in labels] for p in given], dtype=np.float64),
        patients=np.array([one.patient for one in rows], dtype=np.int64),
    )
