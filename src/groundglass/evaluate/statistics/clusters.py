"""What several studies of one patient do to intervals: they are not as many patients."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from groundglass.evaluate.statistics.intervals import DEFAULT_LEVEL, Interval, check_level, wilson


def share_interval(
    came_true: NDArray[np.bool_], patients: NDArray[np.int64], level: float = DEFAULT_LEVEL
) -> Interval | None:
    """Wilson's interval of a share of studies, as wide as their patients allow.

    With one study a patient it is `wilson`. With several, the number of studies is divided by the
    design effect: how much larger the share's variance is than that of independent studies.
    Source: Rao and Scott, Biometrics 1992;48:577, section 2.

    Parameters
    ----------
    came_true : ndarray of bool, shape (studies,)
        What the share is of.
    patients : ndarray of int64, shape (studies,)
        Whose study each is.
    level : float
        Confidence level.

    Returns
    -------
    Interval or None
        None without studies.
    """
    of_patient = np.unique(patients, return_inverse=True)[1]
    studies, people = len(came_true), int(of_patient.max(initial=-1)) + 1
    if studies == people:
        return wilson(int(came_true.sum()), studies, level)
    check_level(level)
    share = float(came_true.mean())
    effective = studies / _design_effect(came_true, of_patient, people)
    z2 = float(stats.norm.ppf((1 + level) / 2)) ** 2
    middle = (share + z2 / (2 * effective)) / (1 + z2 / effective)
    spread = math.sqrt(z2 * (share * (1 - share) / effective + z2 / (4 * effective**2)))
    half = spread / (1 + z2 / effective)
    return Interval(
        max(0.0, middle - half),
        min(1.0, middle + half),
        level,
        f"Wilson score, {studies} studies of {people} patients as {effective:.1f} (Rao-Scott)",
    )


def _design_effect(
    came_true: NDArray[np.bool_], of_patient: NDArray[np.int64], people: int
) -> float:
    """Variance of the ratio estimate over the binomial one, at least 1.

    Where all came true, or none, or there is one patient, no variance can be seen: each patient
    then counts as one study.
    """
    studies, share = len(came_true), float(came_true.mean())
    if share in (0.0, 1.0) or people < 2:
        return studies / people
    hits = np.bincount(of_patient, weights=came_true, minlength=people)
    sizes = np.bincount(of_patient, minlength=people)
    residual = hits - share * sizes
    variance = people / (people - 1) * float((residual**2).sum()) / studies**2
    return max(1.0, studies * variance / (share * (1 - share)))


def variance_of_mean_components(
    components: tuple[NDArray[np.float64], NDArray[np.float64]],
    patients: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> float | None:
    """Variance of an AUC, or of a difference of two, from its structural components.

    With one study a patient it is DeLong's S10/m + S01/n. With several, the components of a patient
    are added first, and a patient with studies of either kind ties the two sums together. Source:
    Obuchowski, Biometrics 1997;53:567, equations 4 to 7.

    Parameters
    ----------
    components : pair of ndarray of float64, shapes (positives,) and (negatives,)
        V10 of each positive study and V01 of each negative one; or their differences.
    patients : pair of ndarray of int64, same shapes
        Whose study each is, in one numbering.

    Returns
    -------
    float or None
        None with fewer than two patients of either kind.
    """
    everyone = np.unique(np.concatenate(patients))
    sums, kinds = [], []
    for values, whose in zip(components, patients, strict=True):
        place = np.searchsorted(everyone, whose)
        sums.append(np.bincount(place, weights=values - values.mean(), minlength=len(everyone)))
        kinds.append(len(np.unique(whose)))
    if min(kinds) < 2:
        return None
    (m, n), total = (len(values) for values in components), len(everyone)
    own = sum(
        kind / (kind - 1) * float((one**2).sum()) / size**2
        for one, kind, size in zip(sums, kinds, (m, n), strict=True)
    )
    shared = total / (total - 1) * float((sums[0] * sums[1]).sum()) / (m * n)
    return own + 2 * shared
