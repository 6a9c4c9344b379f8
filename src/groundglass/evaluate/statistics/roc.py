"""The ROC curve, the area under it and the area's confidence interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from groundglass.evaluate.statistics.clusters import variance_of_mean_components
from groundglass.evaluate.statistics.intervals import DEFAULT_LEVEL, Interval, check_level

#: Why there is no curve and no area.
NO_POSITIVES = "no patient of this class"
NO_NEGATIVES = "no patient of another class"

#: A variance below this is rounding: the smallest real ones are of the order 1/patients³.
NO_VARIANCE = 1e-18


@dataclass(frozen=True, slots=True, eq=False)
class RocCurve:
    """Sensitivity against 1 − specificity at every threshold the scores allow."""

    thresholds: NDArray[np.float64]
    """Shape (points,). Falling; a patient is called positive at or above it. The first is
    infinity."""
    false_positive_rate: NDArray[np.float64]
    true_positive_rate: NDArray[np.float64]
    """`false_positive_rate`, `true_positive_rate`: shape (points,), from (0, 0) to (1, 1)."""


def roc_curve(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> RocCurve | None:
    """The empirical ROC curve; patients with equal scores move together.

    Parameters
    ----------
    scores : ndarray of float64, shape (patients,)
        Higher for the positive class.
    positive : ndarray of bool, shape (patients,)
        The truth.

    Returns
    -------
    RocCurve or None
        None without positives or without negatives. The trapezoids under it are `auc`.
    """
    if positive.all() or not positive.any():
        return None
    order = np.argsort(-scores, kind="stable")
    ranked, truth = scores[order], positive[order]
    last_of_tie = np.append(np.diff(ranked) != 0, True)
    return RocCurve(
        thresholds=np.append(np.inf, ranked[last_of_tie]),
        false_positive_rate=np.append(0.0, np.cumsum(~truth)[last_of_tie] / (~truth).sum()),
        true_positive_rate=np.append(0.0, np.cumsum(truth)[last_of_tie] / truth.sum()),
    )


def auc(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float | None:
    """Area under the ROC curve: P(positive scores higher) + ½ P(both score the same).

    The Mann-Whitney statistic over (positives · negatives). Source: Hanley and McNeil, Radiology
    1982;143:29; Bamber, J Math Psychol 1975;12:387 for ties.

    Parameters
    ----------
    scores : ndarray of float64, shape (patients,)
        Higher for the positive class.
    positive : ndarray of bool, shape (patients,)
        The truth.

    Returns
    -------
    float or None
        0 to 1; None without positives or without negatives.
    """
    if positive.all() or not positive.any():
        return None
    return float(_share_below(scores[positive], scores[~positive]).mean())


def _share_below(scores: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each score the share of others below it, equal ones counted half."""
    # Two searches cost a tenth of scipy's mid-ranks, which the bootstrap would call 8000 times.
    ordered = np.sort(others)
    below = np.searchsorted(ordered, scores, side="left")
    not_above = np.searchsorted(ordered, scores, side="right")
    return (below + not_above) / (2 * len(others))


def delong_components(
    scores: NDArray[np.float64], positive: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How well each patient is placed: DeLong's structural components V10 and V01.

    Source: DeLong, DeLong and Clarke-Pearson, Biometrics 1988;44:837, equations 3 and 4.

    Parameters
    ----------
    scores : ndarray of float64, shape (patients,)
        Higher for the positive class.
    positive : ndarray of bool, shape (patients,)
        The truth, with at least one patient of either kind.

    Returns
    -------
    ndarray of float64, shape (positives,), and ndarray of float64, shape (negatives,)
        Share of negatives below each positive, and of positives above each negative. The mean of
        either is the AUC.
    """
    own, rest = scores[positive], scores[~positive]
    return _share_below(own, rest), 1 - _share_below(rest, own)


def delong_variance(
    scores: NDArray[np.float64],
    positive: NDArray[np.bool_],
    patients: NDArray[np.int64] | None = None,
) -> float | None:
    """Variance of the AUC after DeLong (1988): S10/m + S01/n; of Obuchowski (1997) with patients.

    Parameters
    ----------
    scores, positive : ndarray, shape (patients,)
        As for `auc`.
    patients : ndarray of int64, optional
        Whose study each row is; without it every row is a patient.

    Returns
    -------
    float or None
        None with fewer than two positives or two negatives, where S10 or S01 does not exist.
    """
    if positive.all() or not positive.any():
        return None
    whose = np.arange(len(positive)) if patients is None else patients
    return variance_of_mean_components(
        delong_components(scores, positive), (whose[positive], whose[~positive])
    )


def auc_interval(
    scores: NDArray[np.float64],
    positive: NDArray[np.bool_],
    level: float = DEFAULT_LEVEL,
    patients: NDArray[np.int64] | None = None,
) -> Interval | None:
    """Confidence interval of the AUC; its `method` says which of two it is.

    DeLong's AUC ± z·SE, cut at 0 and 1, where its variance exists and is not zero. At an AUC of 1
    or 0, or with a single patient of a kind, that interval would have no width: there Newcombe's
    score interval is given. With several studies of a patient the variance is Obuchowski's, and
    Newcombe's interval counts patients.

    Parameters
    ----------
    scores, positive : ndarray, shape (patients,)
        As for `auc`.
    level : float
        Confidence level.
    patients : ndarray of int64, optional
        Whose study each row is; without it every row is a patient.

    Returns
    -------
    Interval or None
        None without positives or without negatives.
    """
    check_level(level)
    area = auc(scores, positive)
    if area is None:
        return None
    whose = np.arange(len(positive)) if patients is None else patients
    variance = delong_variance(scores, positive, whose)
    if variance is None or variance < NO_VARIANCE:
        m, n = len(np.unique(whose[positive])), len(np.unique(whose[~positive]))
        return newcombe_interval(area, m, n, level)
    half = float(stats.norm.ppf((1 + level) / 2)) * math.sqrt(variance)
    several = len(np.unique(whose)) < len(whose)
    method = "DeLong, clustered by patient (Obuchowski)" if several else "DeLong"
    return Interval(max(0.0, area - half), min(1.0, area + half), level, method)


def newcombe_interval(
    area: float, positives: int, negatives: int, level: float = DEFAULT_LEVEL
) -> Interval:
    """Score-type interval of an AUC, which has a width at 0 and 1 too.

    The θ with |θ − AUC| ≤ z·sqrt(V(θ)), where V is Hanley and McNeil's variance with both sample
    sizes replaced by their mean N: V = θ(1−θ)/(mn) · (2N − 1 − (3N − 3)/((2−θ)(1+θ))). Source:
    Newcombe, Stat Med 2006;25:559, method 5.

    Parameters
    ----------
    area : float
        The AUC, 0 to 1.
    positives, negatives : int
        m and n, at least 1.
    level : float
        Confidence level.
    """
    check_level(level)
    z = float(stats.norm.ppf((1 + level) / 2))
    mean_size = (positives + negatives) / 2

    def excess(theta: float) -> float:
        shape = 2 * mean_size - 1 - (3 * mean_size - 3) / ((2 - theta) * (1 + theta))
        variance = theta * (1 - theta) / (positives * negatives) * shape
        return (theta - area) ** 2 - z * z * variance

    # The excess is negative at the AUC itself; at 0 and 1, where V is 0, just beside it.
    inside = min(max(area, 1e-9), 1 - 1e-9)
    low = float(optimize.brentq(excess, 0.0, inside))
    high = 1.0 if area >= 1 else float(optimize.brentq(excess, inside, 1.0))
    return Interval(low, high, level, "Newcombe score (method 5)")
