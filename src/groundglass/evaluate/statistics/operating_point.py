"""The threshold at which a score becomes a call."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.errors import InputError, SettingsError
from groundglass.evaluate.statistics.intervals import DEFAULT_LEVEL, Interval, wilson


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold and what it achieves on some patients."""

    threshold: float
    """A patient is called positive when the score is at or above it."""
    positives: int
    negatives: int
    """`positives`, `negatives`: patients it was judged on."""
    sensitivity: float | None
    """Share of the positives called positive; None without positives."""
    sensitivity_interval: Interval | None
    """Its Wilson interval."""
    specificity: float | None
    """Share of the negatives not called positive; None without negatives."""
    specificity_interval: Interval | None
    """Its Wilson interval."""


def judge_threshold(
    scores: NDArray[np.float64],
    positive: NDArray[np.bool_],
    threshold: float,
    level: float = DEFAULT_LEVEL,
) -> OperatingPoint:
    """What a threshold achieves, e.g. one chosen on validation, on test patients.

    Parameters
    ----------
    scores : ndarray of float64, shape (patients,)
        Higher for the positive class: its probability, or 1 − p(healthy) for any pneumonia.
    positive : ndarray of bool, shape (patients,)
        The truth.
    threshold : float
        Called positive at or above it.
    level : float
        Confidence level of the intervals.
    """
    called = scores >= threshold
    positives, negatives = int(positive.sum()), int((~positive).sum())
    hits, rejections = int((called & positive).sum()), int((~called & ~positive).sum())
    return OperatingPoint(
        threshold=threshold,
        positives=positives,
        negatives=negatives,
        sensitivity=hits / positives if positives else None,
        sensitivity_interval=wilson(hits, positives, level),
        specificity=rejections / negatives if negatives else None,
        specificity_interval=wilson(rejections, negatives, level),
    )


def threshold_for_sensitivity(
    scores: NDArray[np.float64],
    positive: NDArray[np.bool_],
    wanted: float,
    level: float = DEFAULT_LEVEL,
) -> OperatingPoint:
    """The highest threshold that reaches a sensitivity: the best specificity that allows it.

    It is a patient's score, so it is reached on these patients for certain; the interval says what
    to expect of others. Choose on validation and report on test with `judge_threshold`: on the
    patients it was chosen on it looks better than it is.

    Parameters
    ----------
    scores, positive, level
        As for `judge_threshold`.
    wanted : float
        Sensitivity to reach, above 0 and at most 1.

    Raises
    ------
    SettingsError
        A sensitivity outside (0, 1].
    InputError
        No positives.
    """
    if not 0 < wanted <= 1:
        raise SettingsError(
            f"a wanted sensitivity of {wanted}",
            expected="above 0 and at most 1",
            action="Give 0.95 for 95 %.",
        )
    of_positives = np.sort(scores[positive])[::-1]
    if len(of_positives) == 0:
        raise InputError(
            "no positive patient",
            expected="positives to choose a threshold on",
            action="Choose the operating point on a validation split that holds the class.",
        )
    # 0.55 · 100 is 55.00000000000001 in binary: a hair is taken off before rounding up.
    needed = max(1, math.ceil(wanted * len(of_positives) - 1e-9))
    return judge_threshold(scores, positive, float(of_positives[needed - 1]), level)


def threshold_of_youden(
    scores: NDArray[np.float64], positive: NDArray[np.bool_], level: float = DEFAULT_LEVEL
) -> OperatingPoint:
    """The threshold with the largest sum of sensitivity and specificity (Youden's index).

    It lies half way between two scores; of several equal ones the lowest is taken, since missing a
    positive is the worse error. Source: Youden, Cancer 1950;3:32.

    Parameters
    ----------
    scores, positive, level
        As for `judge_threshold`.

    Raises
    ------
    InputError
        No positives, or no negatives.
    """
    if positive.all() or not positive.any():
        raise InputError(
            f"{int(positive.sum())} positive and {int((~positive).sum())} negative patients",
            expected="some of either kind",
            action="Choose the operating point on cases of both kinds, or give a sensitivity.",
        )
    distinct = np.unique(scores)
    between = np.append((distinct[:-1] + distinct[1:]) / 2, np.nextafter(distinct[-1], np.inf))
    hits = (scores[positive] >= between[:, None]).mean(axis=1)
    rejections = (scores[~positive] < between[:, None]).mean(axis=1)
    best = int(np.argmax(hits + rejections))
    return judge_threshold(scores, positive, float(between[best]), level)
