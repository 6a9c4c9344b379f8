"""What is evaluated: per study the truth, the label reported and the probabilities."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from groundglass.errors import InputError

#: Half precision (bf16 keeps 8 bits) and rounding in files move a row's sum by this much.
SUM_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """One row per study; rows of different patients are independent of each other.

    Raises
    ------
    InputError
        No patients, shapes that differ, unknown indices, or rows that are no probabilities.
    """

    labels: tuple[str, ...]
    """The classes, in the order of the columns. Any number from two."""
    truth: NDArray[np.int64]
    """Shape (patients,). Index into `labels` of the true class."""
    predicted: NDArray[np.int64]
    """Shape (patients,). Index into `labels` of the class reported. Need not be the most probable
    one: votes and operating points decide otherwise."""
    probabilities: NDArray[np.float64]
    """Shape (patients, classes). Each row sums to 1."""
    patients: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """Shape (patients,). Whose study each row is; rows of one patient have the same number. Left
    out, every row is a patient of its own, which is why shapes here and elsewhere are named after
    patients."""

    def __post_init__(self) -> None:
        if len(self.patients) == 0:
            object.__setattr__(self, "patients", np.arange(len(self.truth)))
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels):
            raise InputError(
                f"the classes {list(self.labels)}",
                expected="two or more, each once",
                action="Give the classes of the bundle or the cohort.",
            )
        patients, classes = len(self.truth), len(self.labels)
        if patients == 0:
            raise InputError(
                "no patients", expected="at least one", action="Check the cohort and its split."
            )
        if self.predicted.shape != (patients,) or self.probabilities.shape != (patients, classes):
            raise InputError(
                f"{patients} true labels, {self.predicted.shape} predicted labels and "
                f"{self.probabilities.shape} probabilities",
                expected=f"({patients},) labels and ({patients}, {classes}) probabilities",
                action="Give one row per patient and one column per class.",
            )
        for name, indices in (("true", self.truth), ("predicted", self.predicted)):
            if indices.min() < 0 or indices.max() >= classes:
                raise InputError(
                    f"{name} class indices from {indices.min()} to {indices.max()}",
                    expected=f"0 to {classes - 1}",
                    action="Give indices into the labels.",
                )
        if self.patients.shape != (patients,):
            raise InputError(
                f"{self.patients.shape} patients' numbers for {patients} rows",
                expected="one for each row",
                action="Number the patients; rows of one patient have the same number.",
            )
        _check_probabilities(self.probabilities)

    @property
    def several_studies(self) -> bool:
        """Whether a patient has more than one row."""
        return len(np.unique(self.patients)) < len(self.patients)

    def take(self, rows: NDArray[np.int64]) -> Predictions:
        """The predictions of some rows, in that order; a row may come more than once."""
        return Predictions(
            self.labels,
            self.truth[rows],
            self.predicted[rows],
            self.probabilities[rows],
            self.patients[rows],
        )


def _check_probabilities(probabilities: NDArray[np.float64]) -> None:
    sums = probabilities.sum(axis=1)
    # Written so that a NaN fails every comparison and is refused too.
    fine = (
        (probabilities >= 0).all(axis=1)
        & (probabilities <= 1).all(axis=1)
        & (np.abs(sums - 1) <= SUM_TOLERANCE)
    )
    if not fine.all():
        row = int(np.flatnonzero(~fine)[0])
        raise InputError(
            f"{probabilities[row].tolist()} as the probabilities of row {row}",
            expected=f"numbers from 0 to 1 with the sum 1 (to {SUM_TOLERANCE})",
            action="Give the softmax probabilities, not logits.",
        )
