"""How a trained network does on the patients it was not trained on."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundglass.cohort import Case
from groundglass.evaluate.statistics import Interval, auc, auc_interval, wilson

PREDICTIONS, HELD_OUT = "predictions.csv", "held-out.json"


@dataclass(frozen=True, slots=True, eq=False)
class CasePredictions:
    """Probabilities per case, (cases, classes), in the labels' order; each row sums to 1."""

    cases: Sequence[Case]
    labels: tuple[str, ...]
    probabilities: NDArray[np.float64]

    @property
    def truth(self) -> NDArray[np.int64]:
        """Class index of each case."""
        return np.array([self.labels.index(case.label) for case in self.cases], dtype=np.int64)

    def of_split(self, split: str) -> CasePredictions:
        """Those of one split."""
        rows = [k for k, case in enumerate(self.cases) if case.split == split]
        return CasePredictions([self.cases[k] for k in rows], self.labels, self.probabilities[rows])


def write_predictions(found: CasePredictions, folder: Path) -> dict[str, Any]:
    """Write the table of predictions and what they come to per split, and return the latter.

    The table names rows of the cohort, not patients.
    """
    with (folder / PREDICTIONS).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        header = ["row", "split", "source", "label", "predicted"]
        writer.writerow([*header, *(f"p_{label}" for label in found.labels)])
        for case, row in zip(found.cases, found.probabilities, strict=True):
            called = found.labels[int(row.argmax())]
            values = [f"{value:.6f}" for value in row]
            writer.writerow([case.row, case.split, case.source, case.label, called, *values])
    splits = {
        split: summary(found.of_split(split))
        for split in ("validation", "test")
        if any(case.split == split for case in found.cases)
    }
    text = json.dumps(splits, indent=1, ensure_ascii=False) + "\n"
    (folder / HELD_OUT).write_text(text, encoding="utf-8")
    return splits


def summary(found: CasePredictions) -> dict[str, Any]:
    """Accuracy and AUC per class, with their intervals (Wilson, DeLong by patient)."""
    truth = found.truth
    names = [case.patient for case in found.cases]
    patients = np.unique(names, return_inverse=True)[1].astype(np.int64)
    right = int((found.probabilities.argmax(axis=1) == truth).sum())
    areas: dict[str, Mapping[str, Any]] = {}
    for k, label in enumerate(found.labels):
        scores, positive = found.probabilities[:, k], truth == k
        areas[label] = {
            "auc": _rounded(auc(scores, positive)),
            "interval_95": _ends(auc_interval(scores, positive, patients=patients)),
            "cases": int(positive.sum()),
        }
    return {
        "cases": len(truth),
        "patients": len(set(names)),
        "accuracy": _rounded(right / len(truth)),
        "accuracy_interval_95": _ends(wilson(right, len(truth))),
        "classes": areas,
    }


def _ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [round(interval.low, 4), round(interval.high, 4)]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
