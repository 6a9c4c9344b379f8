"""What a bundle said of each study, and what is known of the study: nothing that names anybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from groundglass.core.result import Outcome

#: Key of the answer to a study as it is; the others are named after their probe.
AS_IN_SERVICE = "as-in-service"
#: How the answer to a study that could not be opened ended; no `Outcome`, because no analysis ran.
UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a bundle said.

    Parameters
    ----------
    outcome : str
        A value of `Outcome`, or UNREADABLE.
    reason : str
        Why there is no verdict; empty with one.
    label : str
        The verdict; empty without.
    probabilities : mapping of str to float
        Per class; empty without a verdict.
    """

    outcome: str
    reason: str = ""
    label: str = ""
    probabilities: Mapping[str, float] | None = None

    @property
    def has_verdict(self) -> bool:
        """Whether there is one."""
        return self.outcome == Outcome.VERDICT


@dataclass(frozen=True, slots=True)
class Strata:
    """What figures are told apart by; empty or None where it is not known.

    Parameters
    ----------
    source : str
        The data set or the hospital.
    scanner : str
        Manufacturer and model.
    thickness_mm : float or None
        SliceThickness, or the distance between slices where a header does not say.
    sex : str
        As DICOM writes it: F, M or O.
    age_years : float or None
        At the examination.
    """

    source: str
    scanner: str = ""
    thickness_mm: float | None = None
    sex: str = ""
    age_years: float | None = None


@dataclass(frozen=True, slots=True)
class CasePrediction:
    """One case of a cohort and what a bundle said of it.

    Parameters
    ----------
    row : int
        Row of the table.
    patient : int
        Number of the patient within what is evaluated, by first appearance, from 1.
    truth : str
        The class the table says.
    strata : Strata
        What is known of the study.
    answers : mapping of str to Answer
        By AS_IN_SERVICE, and by the name of each probe.
    seconds : float
        Wall time of opening and judging.
    """

    row: int
    patient: int
    truth: str
    strata: Strata
    answers: Mapping[str, Answer]
    seconds: float

    @property
    def answer(self) -> Answer:
        """To the study as it is."""
        return self.answers[AS_IN_SERVICE]
