"""Class-conditional split-conformal thresholds on a score, and their coverage left out by patient.

Of exchangeable patients of one class, a new one's score lies below the k-th smallest of n with
probability at most k / (n + 1): k is the whole part of α (n + 1), so that α holds whatever the
distribution, ties and n. Sources: Vovk, Gammerman and Shafer, Algorithmic Learning in a Random
World, 2005, section 4.5 (label-conditional); Sadinle, Lei and Wasserman, J Am Stat Assoc
2019;114:223; Angelopoulos and Bates, Found Trends Mach Learn 2023;16:494, section 4.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.errors import InputError, SettingsError


@dataclass(frozen=True, slots=True)
class ConformalThresholds:
    """Between which scores which answer is possible."""

    lowest_of_ill: float
    """Findings are in the set from this score on; minus infinity: always."""
    highest_of_others: float
    """None is in the set up to this score; infinity: always."""


def conformal_thresholds(
    ill: NDArray[np.float64], others: NDArray[np.float64], alpha: float
) -> ConformalThresholds:
    """The thresholds of two classes, each from its own patients.

    Parameters
    ----------
    ill, others : ndarray of float64, shapes (patients,)
        Scores, higher for findings; one a patient. With too few for `alpha` a threshold is infinite
        and rules nothing out.
    alpha : float
        How often the true class may be missing from the set.
    """
    return ConformalThresholds(_lowest(ill, alpha), -_lowest(-others, alpha))


def fewest_patients(alpha: float) -> int:
    """How many patients of a class there must be for a threshold that rules anything out."""
    if not 0 < alpha < 1:
        raise SettingsError(
            f"an error of {alpha}", expected="between 0 and 1", action="Give 0.1 for 10 %."
        )
    return math.ceil(_hair_off(1 / alpha)) - 1


def refuse_too_few(ill: int, others: int, alpha: float) -> None:
    """Refuse numbers of patients from which no set of this coverage rules anything out.

    Raises
    ------
    InputError
        n + 1 < 1 / α for a class.
    """
    needed = fewest_patients(alpha)
    short = [
        f"{count} {name}" for count, name in ((ill, "ill"), (others, "not ill")) if count < needed
    ]
    if short:
        possible = 1 / (min(ill, others) + 1)
        or_error = f", or allow an error of {possible:.2g} or more" if possible < 0.5 else ""
        raise InputError(
            f"{' and '.join(short)} patients with a verdict",
            expected=f"at least {needed} of either kind for an error of {alpha:.3g} "
            "(patients + 1 at least 1 / error)",
            action=f"Add cases{or_error}.",
        )


def _lowest(scores: NDArray[np.float64], alpha: float) -> float:
    """The k-th smallest, k the whole part of α (n + 1); minus infinity where k is 0."""
    k = math.floor(alpha * (len(scores) + 1) + 1e-9)
    return float(np.partition(scores, k - 1)[k - 1]) if k else -math.inf


def _hair_off(value: float) -> float:
    """0.07 · 100 is 7.000000000000001 in binary: a hair is taken off before rounding up."""
    return value - 1e-9
