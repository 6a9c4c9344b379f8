"""Figures apart by source, scanner, slice thickness, sex and age."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.evaluate.run.case_prediction import CasePrediction, Strata, predictions_of
from groundglass.evaluate.run.two_answers import Share, TwoAnswers, two_answers
from groundglass.evaluate.statistics import Predictions, auc_interval
from groundglass.evaluate.statistics.roc import auc

UNKNOWN = "not known"
#: Upper ends, included, of the thickness groups in mm: thin, usual, thick, very thick slices.
_THICKNESS_MM = (1.5, 3.0, 5.0)
#: First year of each age group but the youngest.
_AGES = (40, 60, 80)


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
    """Cases by their truth."""
    two: TwoAnswers
    """Findings against none seen."""
    accuracy: Share
    """Of verdicts that are right, a class forced, with Wilson's interval; over the cases of a known
    class."""
    auc: Share
    """Of the positive classes' summed probability against the others, with DeLong's interval; over
    the same."""


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


#: The grouping that is shown worst first.
SOURCE = "source"
#: What figures are told apart by: heading, and the group of a study.
GROUPINGS: Mapping[str, Callable[[Strata], str]] = {
    SOURCE: lambda strata: strata.source,
    "scanner": lambda strata: strata.scanner or UNKNOWN,
    "slice thickness": thickness_group,
    "sex": lambda strata: strata.sex or UNKNOWN,
    "age": age_group,
}


@dataclass(frozen=True, slots=True)
class ToldApart:
    """Which classes figures are about."""

    labels: tuple[str, ...]
    """The classes, in the order of the columns."""
    healthy: str
    """The one that means no pneumonia."""
    positive: tuple[str, ...]
    """Those taken together for one AUC."""


def subgroup_figures(
    cases: Sequence[CasePrediction], classes: ToldApart
) -> dict[str, tuple[SubgroupFigures, ...]]:
    """A table per grouping of which anything is known; of sources the worst first."""
    tables = {}
    for heading, group_of in GROUPINGS.items():
        members: dict[str, list[CasePrediction]] = {}
        for one in cases:
            members.setdefault(group_of(one.strata), []).append(one)
        if set(members) != {UNKNOWN}:
            found = [_figures(name, members[name], classes) for name in sorted(members, key=_order)]
            if heading == SOURCE:
                found.sort(key=lambda group: group.two.worst)
            tables[heading] = tuple(found)
    return tables


def _order(name: str) -> tuple[int, float, str]:
    """Numbers in order, what is not known last."""
    first = 0.0 if name.startswith(("up to", "under")) else _number_in(name)
    return int(name == UNKNOWN), first, name


def _number_in(name: str) -> float:
    words = (word for word in name.split() if word.replace(".", "", 1).isdecimal())
    return float(next(words, 0.0))


def _figures(name: str, members: Sequence[CasePrediction], classes: ToldApart) -> SubgroupFigures:
    predictions = predictions_of(members, classes.labels)
    accuracy = area = Share()
    if predictions is not None:
        accuracy = Share.of(predictions.predicted == predictions.truth, predictions.patients)
        area = positive_area(predictions, classes.positive)
    return SubgroupFigures(
        name=name,
        cases=len(members),
        patients=len({one.patient for one in members}),
        without_verdict=sum(not one.answer.has_verdict for one in members),
        classes=cases_per_class(members, classes.labels),
        two=two_answers(members, classes.healthy),
        accuracy=accuracy,
        auc=area,
    )


def cases_per_class(cases: Sequence[CasePrediction], labels: Sequence[str]) -> dict[str, int]:
    """Cases by their truth: the classes, and pneumonia of unknown kind where there is some."""
    truths = dict.fromkeys((*labels, *(one.truth for one in cases)))
    return {truth: sum(one.truth == truth for one in cases) for truth in truths}


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
