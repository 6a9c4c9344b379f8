"""Figures apart by source, scanner, slice thickness, sex and age."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.evaluate.run.case_prediction import CasePrediction, Strata, predictions_of
from groundglass.evaluate.statistics import Interval, Predictions, auc_interval, share_interval
from groundglass.evaluate.statistics.roc import auc

UNKNOWN = "not known"
#: Upper ends, included, of the thickness groups in mm: thin, usual, thick, very thick slices.
_THICKNESS_MM = (1.5, 3.0, 5.0)
#: First year of each age group but the youngest.
_AGES = (40, 60, 80)


@dataclass(frozen=True, slots=True)
class Share:
    """A share of cases, or an area, with its interval; None where the cases do not allow it."""

    value: float | None = None
    interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class SubgroupFigures:
    """The cases of one group."""

    name: str
    """The scanner, the sex, …"""
    cases: int
    patients: int
    without_verdict: int
    """How many."""
    classes: Mapping[str, int]
    """Cases per true class."""
    accuracy: Share
    """Of verdicts that are right, with Wilson's interval."""
    auc: Share
    """Of the positive classes' summed probability against the others, with DeLong's interval."""


def thickness_group(strata: Strata) -> str:
    """The thickness group in words."""
    thickness = strata.thickness_mm
    if thickness is None:
        return UNKNOWN
    low = 0.0
    for high in _THICKNESS_MM:
        if thickness <= high:
            return f"above {low:g} to {high:g} mm" if low else f"up to {high:g} mm"
        low = high
    return f"above {low:g} mm"


def age_group(strata: Strata) -> str:
    """The age group in words."""
    age = strata.age_years
    if age is None:
        return UNKNOWN
    low = 0
    for high in _AGES:
        if age < high:
            return f"{low} to {high - 1} years" if low else f"under {high} years"
        low = high
    return f"{low} years and older"


#: What figures are told apart by: heading, and the group of a study.
GROUPINGS: Mapping[str, Callable[[Strata], str]] = {
    "source": lambda strata: strata.source,
    "scanner": lambda strata: strata.scanner or UNKNOWN,
    "slice thickness": thickness_group,
    "sex": lambda strata: strata.sex or UNKNOWN,
    "age": age_group,
}


def subgroup_figures(
    cases: Sequence[CasePrediction], labels: tuple[str, ...], positive: Sequence[str]
) -> dict[str, tuple[SubgroupFigures, ...]]:
    """A table per grouping of which anything is known; `positive` are added up for the AUC."""
    tables = {}
    for heading, group_of in GROUPINGS.items():
        members: dict[str, list[CasePrediction]] = {}
        for one in cases:
            members.setdefault(group_of(one.strata), []).append(one)
        if set(members) != {UNKNOWN}:
            tables[heading] = tuple(
                _figures(name, members[name], labels, positive)
                for name in sorted(members, key=_order)
            )
    return tables


def _order(name: str) -> tuple[int, float, str]:
    """Numbers in order, what is not known last."""
    first = 0.0 if name.startswith(("up to", "under")) else _number_in(name)
    return int(name == UNKNOWN), first, name


def _number_in(name: str) -> float:
    words = (word for word in name.split() if word.replace(".", "", 1).isdecimal())
    return float(next(words, 0.0))


def _figures(
    name: str, members: Sequence[CasePrediction], labels: tuple[str, ...], positive: Sequence[str]
) -> SubgroupFigures:
    with_verdict = [one for one in members if one.answer.has_verdict]
    predictions = predictions_of(with_verdict, labels)
    accuracy = area = Share()
    if predictions is not None:
        accuracy = share_right(predictions.predicted == predictions.truth, predictions.patients)
        area = positive_area(predictions, positive)
    return SubgroupFigures(
        name=name,
        cases=len(members),
        patients=len({one.patient for one in members}),
        without_verdict=len(members) - len(with_verdict),
        classes={label: sum(one.truth == label for one in members) for label in labels},
        accuracy=accuracy,
        auc=area,
    )


def share_right(right: NDArray[np.bool_], patients: NDArray[np.int64]) -> Share:
    """Cases called right."""
    return Share(float(right.mean()), share_interval(right, patients))


def positive_scores(
    predictions: Predictions, positive: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The positive classes' summed probability of each case, and whether it is one of them."""
    columns = [predictions.labels.index(label) for label in positive]
    return predictions.probabilities[:, columns].sum(axis=1), np.isin(predictions.truth, columns)


def positive_area(predictions: Predictions, positive: Sequence[str]) -> Share:
    """AUC of the positive classes together against the others."""
    scores, truth = positive_scores(predictions, positive)
    area = auc_interval(scores, truth, patients=predictions.patients)
    return Share(auc(scores, truth), area)
