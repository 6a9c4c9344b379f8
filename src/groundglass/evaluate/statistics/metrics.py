"""Figures of merit per class and over all classes, with a reason where one does not exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from groundglass.evaluate.statistics.calibration import (
    DEFAULT_BINS,
    brier_score,
    expected_calibration_error,
)
from groundglass.evaluate.statistics.predictions import Predictions
from groundglass.evaluate.statistics.roc import NO_NEGATIVES, NO_POSITIVES, auc


class Averaging(StrEnum):
    """How one figure is made of the classes'."""

    #: Mean of the classes' figures: every class counts the same.
    MACRO = "macro"
    #: Counts added over the classes first: every (patient, class) decision counts the same.
    MICRO = "micro"
    #: Mean of the classes' figures, each as often as it has patients.
    WEIGHTED = "weighted"


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """One class against the rest, in patients."""

    true_positives: int
    false_negatives: int
    """`true_positives`, `false_negatives`: patients of the class, called it or not."""
    false_positives: int
    true_negatives: int
    """`false_positives`, `true_negatives`: patients of other classes, called it or not."""

    @property
    def positives(self) -> int:
        """Patients of the class."""
        return self.true_positives + self.false_negatives

    @property
    def negatives(self) -> int:
        """Patients of other classes."""
        return self.false_positives + self.true_negatives

    @property
    def called(self) -> int:
        """Patients called the class."""
        return self.true_positives + self.false_positives

    @property
    def not_called(self) -> int:
        """Patients called another class."""
        return self.false_negatives + self.true_negatives

    def __add__(self, other: ClassCounts) -> ClassCounts:
        return ClassCounts(
            self.true_positives + other.true_positives,
            self.false_negatives + other.false_negatives,
            self.false_positives + other.false_positives,
            self.true_negatives + other.true_negatives,
        )


@dataclass(frozen=True, slots=True)
class Measures:
    """The figures of one class against the rest, or of an average over classes.

    Definitions after Altman and Bland, BMJ 1994;308:1552 and 1994;309:102; F1 is the harmonic mean
    of PPV and sensitivity.
    """

    sensitivity: float | None
    """TP / (TP + FN): the class's recall. What the paper's Table 2 prints as a class's
    "Accuracy"."""
    specificity: float | None
    """TN / (TN + FP)."""
    one_vs_rest_accuracy: float | None
    """(TP + TN) / patients. High for a rare class that is never called; not the paper's
    accuracy."""
    ppv: float | None
    npv: float | None
    """`ppv`, `npv`: TP / (TP + FP) and TN / (TN + FN): they hold for this cohort's share of the
    class only."""
    f1: float | None
    """2 TP / (2 TP + FP + FN)."""
    auc: float | None
    """Area under the one-vs-rest ROC curve, ties counted half."""
    undefined: Mapping[str, str]
    """Why, for each figure that is None."""

    def values(self) -> dict[str, float | None]:
        """Name and value of each figure."""
        return {name: getattr(self, name) for name in MEASURES}


#: The figures of a class, in a table's order.
MEASURES = ("sensitivity", "specificity", "one_vs_rest_accuracy", "ppv", "npv", "f1", "auc")


@dataclass(frozen=True, slots=True)
class ClassMetrics:
    """One class against the rest."""

    label: str
    """The class."""
    counts: ClassCounts
    """Patients, from which proportions get their Wilson intervals."""
    measures: Measures
    """Its figures."""


@dataclass(frozen=True, slots=True, eq=False)
class Metrics:
    """Everything measured on one cohort."""

    confusion: NDArray[np.int64]
    """Shape (classes, classes). Patients; row: true class, column: class called."""
    classes: tuple[ClassMetrics, ...]
    """Per class, in the labels' order."""
    averages: Mapping[Averaging, Measures]
    """Macro, micro and weighted. Their `one_vs_rest_accuracy` is no share of patients called right;
    that is `accuracy`."""
    accuracy: float
    """Share of patients called right. Equals the micro sensitivity, PPV and F1."""
    brier: float
    """Brier's score over all classes, 0 to 2."""
    calibration_error: float
    """ECE in `calibration_bins` equal-width bins, of the probability given to the class called."""
    calibration_bins: int
    """How many."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the confusion matrix."""
        return tuple(one.label for one in self.classes)

    @property
    def patients(self) -> int:
        """How many were evaluated."""
        return int(self.confusion.sum())

    def values(self) -> dict[str, float | None]:
        """Every figure under one name, for tables, JSON and the bootstrap.

        Names: `accuracy`, `brier`, `calibration_error`, `macro/auc`, `class/CP/sensitivity`.
        """
        flat: dict[str, float | None] = {
            "accuracy": self.accuracy,
            "brier": self.brier,
            "calibration_error": self.calibration_error,
        }
        for kind, average in self.averages.items():
            flat |= {f"{kind}/{name}": value for name, value in average.values().items()}
        for one in self.classes:
            flat |= {f"class/{one.label}/{name}": v for name, v in one.measures.values().items()}
        return flat


def measure(predictions: Predictions, *, bins: int = DEFAULT_BINS) -> Metrics:
    """Every figure of merit of some predictions.

    Parameters
    ----------
    predictions : Predictions
        One row per patient.
    bins : int
        Equal-width bins of the calibration error.
    """
    truth, probabilities = predictions.truth, predictions.probabilities
    called = probabilities[np.arange(len(truth)), predictions.predicted]
    confusion = confusion_matrix(predictions)
    counts = count_classes(confusion)
    classes = tuple(
        ClassMetrics(label, one, _measures(one, auc(probabilities[:, k], truth == k)))
        for k, (label, one) in enumerate(zip(predictions.labels, counts, strict=True))
    )
    decisions = np.eye(len(predictions.labels), dtype=bool)[truth]
    pooled = auc(probabilities.ravel(), decisions.ravel())
    return Metrics(
        confusion=confusion,
        classes=classes,
        averages={
            Averaging.MACRO: _mean(classes, [1] * len(classes)),
            Averaging.MICRO: _measures(sum(counts[1:], start=counts[0]), pooled),
            Averaging.WEIGHTED: _mean(classes, [one.positives for one in counts]),
        },
        accuracy=int(np.trace(confusion)) / int(confusion.sum()),
        brier=brier_score(probabilities, truth),
        calibration_error=expected_calibration_error(called, predictions.predicted == truth, bins),
        calibration_bins=bins,
    )


def confusion_matrix(predictions: Predictions) -> NDArray[np.int64]:
    """Patients per true class (row) and class called (column), int64 (classes, classes)."""
    classes = len(predictions.labels)
    flat = predictions.truth * classes + predictions.predicted
    return np.bincount(flat, minlength=classes**2).reshape(classes, classes).astype(np.int64)


def count_classes(confusion: NDArray[np.int64]) -> tuple[ClassCounts, ...]:
    """Each class of a confusion matrix against the rest."""
    patients = int(confusion.sum())
    counts = []
    for k in range(len(confusion)):
        hits = int(confusion[k, k])
        missed, false = int(confusion[k].sum()) - hits, int(confusion[:, k].sum()) - hits
        counts.append(ClassCounts(hits, missed, false, patients - hits - missed - false))
    return tuple(counts)


def _measures(counts: ClassCounts, area: float | None) -> Measures:
    tp, tn = counts.true_positives, counts.true_negatives
    patients = counts.positives + counts.negatives
    shares = {
        "sensitivity": (tp, counts.positives, NO_POSITIVES),
        "specificity": (tn, counts.negatives, NO_NEGATIVES),
        "one_vs_rest_accuracy": (tp + tn, patients, "no patient"),
        "ppv": (tp, counts.called, "no patient was called this class"),
        "npv": (tn, counts.not_called, "every patient was called this class"),
        "f1": (
            2 * tp,
            counts.positives + counts.called,
            "no patient is of this class or was called it",
        ),
    }
    undefined = {name: why for name, (_, of, why) in shares.items() if of == 0}
    if area is None:
        undefined["auc"] = NO_NEGATIVES if counts.positives else NO_POSITIVES
    values = {name: part / of if of else None for name, (part, of, _) in shares.items()}
    return Measures(**values, auc=area, undefined=undefined)


def _mean(classes: Sequence[ClassMetrics], weights: Sequence[int]) -> Measures:
    """Weighted mean of the classes' figures; one that is undefined makes the mean undefined."""
    values: dict[str, float | None] = {}
    undefined: dict[str, str] = {}
    weighed = [(one, weight) for one, weight in zip(classes, weights, strict=True) if weight]
    for name in MEASURES:
        found = [(getattr(one.measures, name), weight) for one, weight in weighed]
        missing = [
            f"{one.label}: {one.measures.undefined[name]}"
            for one, _ in weighed
            if name in one.measures.undefined
        ]
        if missing:
            values[name], undefined[name] = None, "; ".join(missing)
        else:
            total = sum(value * weight for value, weight in found if value is not None)
            values[name] = total / sum(weights)
    return Measures(**values, undefined=undefined)
