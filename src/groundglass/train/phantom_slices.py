"""Phantom slices from neck to abdomen, for what the annotated slices do not show."""

from __future__ import annotations

import numpy as np

from groundglass.phantom import LABELS, PhantomSettings, training_slices
from groundglass.train.lung_masks import AnnotatedSlice


def make_phantom_slices(patients: range, per_patient: int, matrix: int) -> list[AnnotatedSlice]:
    """Annotated slices of made patients, healthy and ill in turn, mild to severe.

    Parameters
    ----------
    patients : range
        Seeds.
    per_patient : int
        Slices of each.
    matrix : int
        Rows and columns.
    """
    made = []
    for seed in patients:
        severity = float(np.random.default_rng(seed).uniform(0.2, 1.0))
        label = LABELS[seed % len(LABELS)]
        settings = PhantomSettings(label=label, severity=severity, seed=seed, matrix=matrix)
        slices = training_slices(settings, per_patient)
        made += [
            AnnotatedSlice(f"phantom-{seed}-{k}", hu, lung)
            for k, (hu, lung) in enumerate(zip(slices.hu, slices.lung, strict=True))
        ]
    return made
