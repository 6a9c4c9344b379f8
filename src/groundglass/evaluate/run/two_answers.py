"""The first question of every evaluation: findings, or none seen; and who was released wrongly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.core.result import KIND_NOT_TOLD, Outcome
from groundglass.evaluate.run.case_prediction import CasePrediction
from groundglass.evaluate.run.trivial import as_numbers
from groundglass.evaluate.statistics import Interval, auc_interval, share_interval
from groundglass.evaluate.statistics.pairs_left_out import pairs_left_out_area
from groundglass.evaluate.statistics.roc import auc


@dataclass(frozen=True, slots=True)
class Share:
    """A share of cases, or an area, with its interval; None where the cases do not allow it."""

    value: float | None = None
    interval: Interval | None = None

    @classmethod
    def of(cls, came_true: NDArray[np.bool_], patients: NDArray[np.int64]) -> Share:
        """Of cases for which something came true; whose each is."""
        if not len(came_true):
            return cls()
        return cls(float(came_true.mean()), share_interval(came_true, patients))


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Cases that ended in one way without a verdict."""

    outcome: Outcome
    """How."""
    ill: int
    not_ill: int
    """`ill`, `not_ill`: how many, by the truth."""


@dataclass(frozen=True, slots=True)
class TwoAnswers:
    """Findings against none seen, of some cases."""

    ill: int
    not_ill: int
    """`ill`, `not_ill`: cases with a verdict, by the truth."""
    released: int
    """Cases called none seen."""
    released_ill: int
    """The ill among them."""
    released_share: Share
    """Their share of the released."""
    sensitivity: Share
    """Share of the ill with a verdict that were called findings."""
    specificity: Share
    """Share of the others with a verdict that were called none seen."""
    area: Share
    """AUC of the share of ill slices; by vote of the summed probability of the ill classes."""
    floor: Share
    """Leave-pair-out AUC of the trivial statistics, over the same cases, a patient once of either
    kind."""
    unanswered: tuple[Unanswered, ...]
    """Cases without a verdict, by how they ended."""

    @property
    def worst(self) -> float:
        """The lower of sensitivity and specificity; 2 where there is neither."""
        known = (self.sensitivity.value, self.specificity.value)
        return min((one for one in known if one is not None), default=2.0)


def two_answers(cases: Sequence[CasePrediction], healthy: str) -> TwoAnswers:
    """Count and measure.

    Parameters
    ----------
    cases : sequence of CasePrediction
        With and without a verdict.
    healthy : str
        The class that means no pneumonia, in truth and verdict.
    """
    answered = [one for one in cases if one.answer.has_verdict]
    ill = np.array([one.truth != healthy for one in answered], dtype=np.bool_)
    called = np.array([one.answer.label != healthy for one in answered], dtype=np.bool_)
    patients = np.array([one.patient for one in answered], dtype=np.int64)
    scores = np.array([one.answer.score(healthy) for one in answered], dtype=np.float64)
    return TwoAnswers(
        ill=int(ill.sum()),
        not_ill=int((~ill).sum()),
        released=int((~called).sum()),
        released_ill=int((~called & ill).sum()),
        released_share=Share.of(ill[~called], patients[~called]),
        sensitivity=Share.of(called[ill], patients[ill]),
        specificity=Share.of(~called[~ill], patients[~ill]),
        area=Share(auc(scores, ill), auc_interval(scores, ill, patients=patients)),
        floor=_floor(answered, healthy),
        unanswered=_unanswered(cases, healthy),
    )


def _unanswered(cases: Sequence[CasePrediction], healthy: str) -> tuple[Unanswered, ...]:
    found = []
    for outcome in Outcome:
        ended = [one.truth != healthy for one in cases if one.answer.outcome is outcome]
        if ended and outcome is not Outcome.VERDICT:
            found.append(Unanswered(outcome, sum(ended), len(ended) - sum(ended)))
    return tuple(found)


def _floor(cases: Sequence[CasePrediction], healthy: str) -> Share:
    """Of the first study of each patient of either kind: a patient's studies know one another."""
    first = {(one.patient, one.truth != healthy): one for one in reversed(cases) if one.trivial}
    known = [one.trivial for one in first.values() if one.trivial is not None]
    ill = np.array([ill for _, ill in first], dtype=np.bool_)
    found = pairs_left_out_area(as_numbers(known), ill)
    return Share() if found is None else Share(*found)


@dataclass(frozen=True, slots=True)
class AnswerTable:
    """Every case by its truth and by what was answered."""

    truths: tuple[str, ...]
    """Rows: the classes, and pneumonia of a kind not known where a case has it."""
    answers: tuple[str, ...]
    """Columns: the classes, `KIND_NOT_TOLD` where the bundle can leave the kind open, and the
    outcomes without a verdict that occur."""
    counts: tuple[tuple[int, ...], ...]
    """Cases, by row and column."""


def answer_table(
    cases: Sequence[CasePrediction], labels: tuple[str, ...], *, kind_may_be_open: bool
) -> AnswerTable:
    """Count every case once."""
    truths = dict.fromkeys((*labels, *(one.truth for one in cases)))
    said = [one.answer.label if one.answer.has_verdict else one.answer.outcome for one in cases]
    ends = [outcome for outcome in Outcome if outcome in said]
    answers = (*labels, *([KIND_NOT_TOLD] if kind_may_be_open else ()), *map(str, ends))
    pairs = Counter((one.truth, str(what)) for one, what in zip(cases, said, strict=True))
    counts = tuple(tuple(pairs[row, column] for column in answers) for row in truths)
    return AnswerTable(tuple(truths), answers, counts)
