"""The paper's Table 2: the same columns, with intervals and with averages called by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from groundglass.evaluate.statistics.intervals import DEFAULT_LEVEL, Interval, wilson
from groundglass.evaluate.statistics.metrics import Averaging, ClassMetrics, Metrics


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure of the table."""

    value: float | None
    """The figure."""
    interval: Interval | None
    """Its interval; None where none was computed."""
    note: str = ""
    """Which average it is, or why there is no value."""


@dataclass(frozen=True, slots=True)
class Row:
    """A class, or the average (paper Table 2)."""

    label: str
    """The class, or "Average"."""
    accuracy: Cell
    """Of a class: the share of its patients called right, its sensitivity (the paper prints the
    same three numbers in both columns). Of the average: the share of all patients called right."""
    specificity: Cell
    sensitivity: Cell
    f1: Cell
    """`specificity`, `sensitivity`, `f1`: of the class against the rest. Of the average: micro,
    macro and macro, as the paper's 0.949, 0.893 and 0.899 are."""


def table2(
    metrics: Metrics,
    intervals: Mapping[str, Interval] | None = None,
    level: float = DEFAULT_LEVEL,
) -> tuple[Row, ...]:
    """Metrics laid out as the paper's Table 2, one row per class and the average last.

    Without intervals given, proportions of patients have Wilson's. F1, the macro sensitivity (a
    mean of proportions) and the micro specificity (whose decisions are not independent: each
    patient is one of several) have them only from the bootstrap.

    Parameters
    ----------
    metrics : Metrics
        What was measured.
    intervals : mapping of str to Interval, optional
        `Figures.intervals` of the same cohort.
    level : float
        Confidence level of the Wilson intervals.
    """
    drawn = intervals or {}
    rows = [_class_row(one, drawn, level) for one in metrics.classes]
    macro, micro = metrics.averages[Averaging.MACRO], metrics.averages[Averaging.MICRO]
    right = int(metrics.confusion.trace())
    average = Row(
        label="Average",
        accuracy=Cell(
            metrics.accuracy,
            drawn.get("accuracy") or wilson(right, metrics.patients, level),
            "patients called right",
        ),
        specificity=Cell(micro.specificity, drawn.get("micro/specificity"), "micro"),
        sensitivity=Cell(
            macro.sensitivity,
            drawn.get("macro/sensitivity"),
            macro.undefined.get("sensitivity", "macro"),
        ),
        f1=Cell(macro.f1, drawn.get("macro/f1"), macro.undefined.get("f1", "macro")),
    )
    return (*rows, average)


def _class_row(one: ClassMetrics, drawn: Mapping[str, Interval], level: float) -> Row:
    counts, measures, name = one.counts, one.measures, f"class/{one.label}"
    sensitivity = Cell(
        measures.sensitivity,
        drawn.get(f"{name}/sensitivity") or wilson(counts.true_positives, counts.positives, level),
        measures.undefined.get("sensitivity", ""),
    )
    return Row(
        label=one.label,
        accuracy=sensitivity,
        specificity=Cell(
            measures.specificity,
            drawn.get(f"{name}/specificity")
            or wilson(counts.true_negatives, counts.negatives, level),
            measures.undefined.get("specificity", ""),
        ),
        sensitivity=sensitivity,
        f1=Cell(measures.f1, drawn.get(f"{name}/f1"), measures.undefined.get("f1", "")),
    )
