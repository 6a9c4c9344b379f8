"""Whether two bundles differ on the same patients."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from groundglass.errors import InputError
from groundglass.evaluate.intervals import DEFAULT_LEVEL, Interval, check_level
from groundglass.evaluate.predictions import Predictions
from groundglass.evaluate.roc import NO_NEGATIVES, NO_POSITIVES, auc, delong_components

#: A variance below this is rounding: the smallest real ones are of the order 1/patients³.
NO_VARIANCE = 1e-18


@dataclass(frozen=True, slots=True)
class McNemarTest:
    """Whether two bundles are right equally often.

    Parameters
    ----------
    only_first, only_second : int
        Patients only the one, only the other called right; the others say nothing.
    exact_p, mid_p : float or None
        Two-sided p-values of the exact conditional and the mid-p test; None with a reason.
    undefined : str or None
        Why there are none.
    """

    only_first: int
    only_second: int
    exact_p: float | None
    mid_p: float | None
    undefined: str | None = None


@dataclass(frozen=True, slots=True)
class DeLongTest:
    """Whether two AUCs of the same patients differ.

    Parameters
    ----------
    first, second : float or None
        The AUCs.
    difference : float or None
        first − second.
    interval : Interval or None
        Of the difference.
    z, p : float or None
        Normal test statistic and two-sided p-value; None with a reason.
    undefined : str or None
        Why there are none.
    """

    first: float | None
    second: float | None
    difference: float | None
    interval: Interval | None
    z: float | None
    p: float | None
    undefined: str | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two bundles on the same patients.

    Parameters
    ----------
    mcnemar : McNemarTest
        Of being right.
    delong : mapping of str to DeLongTest
        Of the one-vs-rest AUC, per class. As many tests as classes: mind the multiplicity.
    """

    mcnemar: McNemarTest
    delong: Mapping[str, DeLongTest]


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
    if first.labels != second.labels or not np.array_equal(first.truth, second.truth):
        raise InputError(
            "predictions with different classes or different true labels",
            expected="the same patients in the same order",
            action="Evaluate both bundles on the same cohort.",
        )
    right = [one.predicted == one.truth for one in (first, second)]
    return Comparison(
        mcnemar=mcnemar(int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())),
        delong={
            label: delong_test(
                first.probabilities[:, k], second.probabilities[:, k], first.truth == k, level
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
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    positive: NDArray[np.bool_],
    level: float = DEFAULT_LEVEL,
) -> DeLongTest:
    """DeLong's test of two AUCs measured on the same patients.

    Source: DeLong, DeLong and Clarke-Pearson, Biometrics 1988;44:837, equations 5 and 6.

    Parameters
    ----------
    first, second : ndarray of float64, shape (patients,)
        Scores of the two, higher for the positive class.
    positive : ndarray of bool, shape (patients,)
        The truth.
    level : float
        Confidence level of the difference's interval.
    """
    check_level(level)
    areas = auc(first, positive), auc(second, positive)
    if areas[0] is None or areas[1] is None:
        missing = NO_NEGATIVES if positive.any() else NO_POSITIVES
        return DeLongTest(*areas, None, None, None, None, missing)
    difference = areas[0] - areas[1]
    variance = _variance_of_difference(first, second, positive)
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
    first: NDArray[np.float64], second: NDArray[np.float64], positive: NDArray[np.bool_]
) -> float | None:
    # L S L' with L = (1, −1) is the variance of the components' differences.
    parts = zip(
        delong_components(first, positive), delong_components(second, positive), strict=True
    )
    differences = [one - other for one, other in parts]
    if min(len(part) for part in differences) < 2:
        return None
    return float(sum(part.var(ddof=1) / len(part) for part in differences))
