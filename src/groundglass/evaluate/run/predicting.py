"""Answers as the arrays that figures are computed from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from groundglass.evaluate.run.case_prediction import AS_IN_SERVICE, CasePrediction
from groundglass.evaluate.statistics import Predictions


def predictions_of(
    cases: Sequence[CasePrediction], labels: tuple[str, ...], images: str = AS_IN_SERVICE
) -> Predictions | None:
    """The cases that have a verdict on some images, in their order; None without any.

    Parameters
    ----------
    cases : sequence of CasePrediction
        Cases; those without a verdict are left out.
    labels : tuple of str
        The bundle's classes, in the order of the columns wanted.
    images : str
        AS_IN_SERVICE, or a probe's name.
    """
    rows = [one for one in cases if one.answers[images].has_verdict]
    if not rows:
        return None
    given = [one.answers[images].probabilities or {} for one in rows]
    return Predictions(
        labels=labels,
        truth=np.array([labels.index(one.truth) for one in rows], dtype=np.int64),
        predicted=np.array([labels.index(one.answers[images].label) for one in rows], np.int64),
        probabilities=np.array([[p[label] for label in labels] for p in given], dtype=np.float64),
        patients=np.array([one.patient for one in rows], dtype=np.int64),
    )
