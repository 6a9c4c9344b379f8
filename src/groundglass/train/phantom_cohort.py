"""A cohort of made patients, for training and testing the classifier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from groundglass.phantom import PhantomSettings


@dataclass(frozen=True, slots=True)
class PhantomCase:
    """One made patient of a cohort.

    Parameters
    ----------
    seed : int
        Decides person, scanner and disease.
    label : str
        Class.
    split : str
        "train", "validation" or "test".
    """

    seed: int
    label: str
    split: str

    @property
    def severity(self) -> float:
        """Mild to severe, drawn from the seed alone; mild cases are hard to tell from healthy."""
        return float(np.random.default_rng([self.seed, 1]).uniform(0.15, 1.0))

    @property
    def slice_spacing_mm(self) -> float:
        """Between thin and thick, drawn from the seed alone."""
        return float(np.random.default_rng([self.seed, 2]).choice([2.0, 3.0, 4.0, 5.0]))

    def settings(self, matrix: int) -> PhantomSettings:
        """How to make the patient."""
        return PhantomSettings(
            label=self.label,
            severity=self.severity,
            seed=self.seed,
            matrix=matrix,
            slice_spacing_mm=self.slice_spacing_mm,
        )


def cohort_cases(counts: dict[str, dict[str, int]], first_seed: int) -> list[PhantomCase]:
    """Cases with seeds of their own, split by patient.

    Parameters
    ----------
    counts : dict of str to dict of str to int
        Patients per split and class.
    first_seed : int
        Seed of the first patient.
    """
    pairs = [
        (split, label)
        for split, classes in counts.items()
        for label, count in classes.items()
        for _ in range(count)
    ]
    return [PhantomCase(first_seed + k, label, split) for k, (split, label) in enumerate(pairs)]
