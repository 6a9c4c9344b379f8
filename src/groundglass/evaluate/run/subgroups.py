"""Figures apart by source, scanner, slice thickness, sex and age."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from groundglass.evaluate.run.case_prediction import CasePrediction, Strata, predictions_of
from groundglass.evaluate.statistics import Interval, Predictions, auc_interval, share_interval
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
    """Cases per true class."""
    accuracy: float | None
    """Share of verdicts that are right; None without verdicts."""
    accuracy_interval: Interval | None
    """Its Wilson interval."""
    auc: float | None
    """Of the positive classes' summed probability against the others; None with one kind only."""
    auc_interval: Interval | None
    """DeLong's."""


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
    """A table per grouping of which anything is known.

    Parameters
    ----------
    cases : sequence of CasePrediction
        All cases.
    labels : tuple of str
        The bundle's classes.
    positive : sequence of str
        Classes whose probabilities are added for the AUC.
    """
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
    right, area, area_interval = None, None, None
    if predictions is not None:
        right = predictions.predicted == predictions.truth
        area, area_interval = positive_area(predictions, positive)
    return SubgroupFigures(
        name=name,
        cases=len(members),
        patients=len({one.patient for one in members}),
        without_verdict=len(members) - len(with_verdict),
        classes={label: sum(one.truth == label for one in members) for label in labels},
        accuracy=None if right is None else float(right.mean()),
        accuracy_interval=None
        if right is None or predictions is None
        else share_interval(right, predictions.patients),
        auc=area,
        auc_interval=area_interval,
    )


def positive_area(
    predictions: Predictions, positive: Sequence[str]
) -> tuple[float | None, Interval | None]:
    """AUC of the positive classes together against the others, with its interval."""
    columns = [predictions.labels.index(label) for label in positive]
    scores = predictions.probabilities[:, columns].sum(axis=1)
    truth = np.isin(predictions.truth, columns)
    return auc(scores, truth), auc_interval(scores, truth, patients=predictions.patients)
