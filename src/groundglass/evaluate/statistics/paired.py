"""Whether two bundles differ on the same patients."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from groundglass.errors import InputError
from groundglass.evaluate.statistics.clusters import variance_of_mean_components
from groundglass.evaluate.statistics.intervals import DEFAULT_LEVEL, Interval, check_level
from groundglass.evaluate.statistics.predictions import Predictions
from groundglass.evaluate.statistics.roc import (
    NO_NEGATIVES,
    NO_POSITIVES,
    NO_VARIANCE,
    auc,
    delong_components,
)


@dataclass(frozen=True, slots=True)
class McNemarTest:
    """Whether two bundles are right equally often."""

    only_first: int
    only_second: int
    """`only_first`, `only_second`: patients only the one, only the other called right; the others
    say nothing. Of a patient with several studies: who called more of them right."""
    exact_p: float | None
    mid_p: float | None
    """`exact_p`, `mid_p`: two-sided p-values of the exact conditional and the mid-p test; None with
    a reason."""
    undefined: str | None = None
    """Why there are none."""


@dataclass(frozen=True, slots=True)
class DeLongTest:
    """Whether two AUCs of the same patients differ."""

    first: float | None
    second: float | None
    """`first`, `second`: the AUCs."""
    difference: float | None
    """first − second."""
    interval: Interval | None
    """Of the difference."""
    z: float | None
    p: float | None
    """`z`, `p`: normal test statistic and two-sided p-value; None with a reason."""
    undefined: str | None = None
    """Why there are none."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two bundles on the same patients."""

    mcnemar: McNemarTest
    """Of being right."""
    delong: Mapping[str, DeLongTest]
    """Of the one-vs-rest AUC, per class. As many tests as classes: mind the multiplicity."""


def compare(first: Predictions, second: Predictions, level: float = DEFAULT_LEVEL) -> Comparison:
    """McNemar's and DeLong's tests between two predictions of the same patients.

    Parameters
    ----------
    first, second : Predictions
        Row i of both is the same patient.
    level : float
        Confidence level of the differences' intervals.

    Raises
    ------
    InputError
        Other labels or another truth in the two: these are not the same patients in one order.
    """
    if (
        first.labels != second.labels
        or not np.array_equal(first.truth, second.truth)
        or not np.array_equal(first.patients, second.patients)
    ):
        raise InputError(
            "predictions with different classes or different true labels",
            expected="the same patients in the same order",
            action="Evaluate both bundles on the same cohort.",
        )
    whose = np.unique(first.patients, return_inverse=True)[1]
    right = [
        np.bincount(whose, weights=one.predicted == one.truth).round() for one in (first, second)
    ]
    return Comparison(
        mcnemar=mcnemar(int((right[0] > right[1]).sum()), int((right[1] > right[0]).sum())),
        delong={
            label: delong_test(
                (first.probabilities[:, k], second.probabilities[:, k]),
                first.truth == k,
                first.patients,
                level,
            )
            for k, label in enumerate(first.labels)
        },
    )


def mcnemar(only_first: int, only_second: int) -> McNemarTest:
    """McNemar's test on the discordant patients, exact and mid-p.

    Under the null either is as likely: only_first ~ Binomial(n, ½). The mid-p value takes half of
    the probability of what was seen and keeps the nominal level better than the exact test, which
    is too cautious. Source: McNemar, Psychometrika 1947;12:153; Fagerland, Lydersen and Laake, BMC
    Med Res Methodol 2013;13:91.

    Parameters
    ----------
    only_first, only_second : int
        Patients that only the one, only the other called right.

    Raises
    ------
    InputError
        A negative count.
    """
    if min(only_first, only_second) < 0:
        raise InputError(
            f"{only_first} and {only_second} discordant patients",
            expected="counts from 0",
            action="Count the patients that only one of the two called right.",
        )
    discordant = only_first + only_second
    if discordant == 0:
        return McNemarTest(0, 0, None, None, "no patient was called right by only one of the two")
    exact = float(stats.binomtest(only_first, discordant, 0.5).pvalue)
    seen = float(stats.binom.pmf(only_first, discordant, 0.5))
    # Halving both tails' boundary takes one `seen` off; with equal counts the tails share it.
    mid = exact - seen / 2 if only_first == only_second else exact - seen
    return McNemarTest(only_first, only_second, exact, mid)


def delong_test(
    scores: tuple[NDArray[np.float64], NDArray[np.float64]],
    positive: NDArray[np.bool_],
    patients: NDArray[np.int64] | None = None,
    level: float = DEFAULT_LEVEL,
) -> DeLongTest:
    """DeLong's test of two AUCs measured on the same patients.

    Source: DeLong, DeLong and Clarke-Pearson, Biometrics 1988;44:837, equations 5 and 6; with
    several studies of a patient Obuchowski, Biometrics 1997;53:567.

    Parameters
    ----------
    scores : pair of ndarray of float64, shape (patients,)
        Of the two, higher for the positive class.
    positive : ndarray of bool, shape (patients,)
        The truth.
    patients : ndarray of int64, optional
        Whose study each row is; without it every row is a patient.
    level : float
        Confidence level of the difference's interval.
    """
    check_level(level)
    areas = auc(scores[0], positive), auc(scores[1], positive)
    if areas[0] is None or areas[1] is None:
        missing = NO_NEGATIVES if positive.any() else NO_POSITIVES
        return DeLongTest(*areas, None, None, None, None, missing)
    difference = areas[0] - areas[1]
    whose = np.arange(len(positive)) if patients is None else patients
    variance = _variance_of_difference(scores, positive, whose)
    if variance is None or variance < NO_VARIANCE:
        why = (
            "fewer than two patients of this class or of the others"
            if variance is None
            else "the two place every patient alike, so their difference has no variance"
        )
        return DeLongTest(*areas, difference, None, None, None, why)
    error = math.sqrt(variance)
    half = float(stats.norm.ppf((1 + level) / 2)) * error
    z = difference / error
    return DeLongTest(
        *areas,
        difference,
        Interval(max(-1.0, difference - half), min(1.0, difference + half), level, "DeLong"),
        z,
        float(2 * stats.norm.sf(abs(z))),
    )


def _variance_of_difference(
    scores: tuple[NDArray[np.float64], NDArray[np.float64]],
    positive: NDArray[np.bool_],
    patients: NDArray[np.int64],
) -> float | None:
    # L S L' with L = (1, −1) is the variance of the components' differences.
    (own, rest), (other_own, other_rest) = (delong_components(one, positive) for one in scores)
    return variance_of_mean_components(
        (own - other_own, rest - other_rest), (patients[positive], patients[~positive])
    )
