"""Whether a probability of 0.8 comes true 8 times in 10, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from groundglass.errors import InputError, SettingsError
from groundglass.evaluate.statistics.intervals import DEFAULT_LEVEL, Interval, wilson

#: Equal-width bins of the expected calibration error, as Guo et al. 2017 use (M = 15).
DEFAULT_BINS = 15

#: Smaller probabilities are taken as this: the smallest a float32 softmax holds at full precision.
SMALLEST_PROBABILITY = float(np.finfo(np.float32).tiny)

#: A slope smaller than this part of the largest logarithm is none.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The patients whose confidence lies in (low, high]."""

    low: float
    high: float
    """`low`, `high`: ends of the bin; the first one holds 0 too."""
    count: int
    """Patients in it."""
    mean_confidence: float | None
    """Their mean probability; None without patients."""
    observed: float | None
    """Share of them for whom it came true; None without patients."""
    interval: Interval | None
    """Wilson interval of `observed`."""


def reliability(
    confidence: NDArray[np.float64],
    came_true: NDArray[np.bool_],
    *,
    bins: int = DEFAULT_BINS,
    level: float = DEFAULT_LEVEL,
) -> tuple[ReliabilityBin, ...]:
    """The reliability table: equal-width bins of confidence and what came true in each.

    Source: Guo et al., ICML 2017 (arXiv 1706.04599), section 2: bin m of M is ((m−1)/M, m/M].

    Parameters
    ----------
    confidence : ndarray of float64, shape (patients,)
        Probability given to an event, 0 to 1.
    came_true : ndarray of bool, shape (patients,)
        Whether it happened.
    bins : int
        Number of bins M.
    level : float
        Confidence level of the intervals.

    Raises
    ------
    SettingsError
        Fewer than one bin.
    """
    which = _bin_of(confidence, bins)
    edges = np.linspace(0, 1, bins + 1)
    rows = []
    for index in range(bins):
        inside = which == index
        count, hits = int(inside.sum()), int(came_true[inside].sum())
        rows.append(
            ReliabilityBin(
                low=float(edges[index]),
                high=float(edges[index + 1]),
                count=count,
                mean_confidence=float(confidence[inside].mean()) if count else None,
                observed=hits / count if count else None,
                interval=wilson(hits, count, level),
            )
        )
    return tuple(rows)


def expected_calibration_error(
    confidence: NDArray[np.float64], came_true: NDArray[np.bool_], bins: int = DEFAULT_BINS
) -> float:
    """ECE: Σ (patients in bin / patients) · |observed − mean confidence|.

    Source: Guo et al. 2017, equation 3; Naeini et al., AAAI 2015. It depends on the bins, and is
    biased upwards with few patients: say both beside it.

    Parameters
    ----------
    confidence : ndarray of float64, shape (patients,)
        Probability given to an event, 0 to 1; at least one patient.
    came_true : ndarray of bool, shape (patients,)
        Whether it happened.
    bins : int
        Number of bins M, as in `reliability`.

    Raises
    ------
    SettingsError
        Fewer than one bin.
    """
    # The bin's weight cancels its means' denominators: Σ |hits − Σ confidence| / patients.
    which = _bin_of(confidence, bins)
    gaps = np.bincount(which, weights=came_true - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))


def _bin_of(confidence: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    if bins < 1:
        raise SettingsError(
            f"{bins} bins", expected="at least 1", action=f"The usual number is {DEFAULT_BINS}."
        )
    inner_edges = np.linspace(0, 1, bins + 1)[1:-1]
    return np.searchsorted(inner_edges, confidence, side="left").astype(np.int64)


def brier_score(probabilities: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """Brier's score over all classes: mean over patients of Σ_k (p_k − y_k)².

    0 is perfect, 2 is certain and wrong; with two classes it is twice the one-class form some
    libraries give. Source: Brier, Mon Weather Rev 1950;78:1, equation 2.

    Parameters
    ----------
    probabilities : ndarray of float64, shape (patients, classes)
        Each row sums to 1.
    truth : ndarray of int64, shape (patients,)
        Column of the true class.
    """
    happened = np.eye(probabilities.shape[1])[truth]
    return float(((probabilities - happened) ** 2).sum(axis=1).mean())


@dataclass(frozen=True, slots=True)
class TemperatureScaling:
    """One number that makes probabilities honest without changing their order."""

    temperature: float
    """Log-probabilities are divided by it: above 1 softens, below 1 sharpens. 1 where the patients
    could not determine one."""
    nll_before: float
    nll_after: float
    """`nll_before`, `nll_after`: mean negative log-likelihood of the truth in nats, without and
    with it."""
    patients: int
    """How many it was fitted on."""
    not_fitted: str | None = None
    """Why `temperature` is 1 although it was not fitted to be; None when it was fitted."""

    def apply(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities, shape (patients, classes), scaled: softmax(log p / temperature)."""
        scaled: NDArray[np.float64] = special.softmax(
            _log(probabilities) / self.temperature, axis=1
        )
        return scaled


def fit_temperature(
    probabilities: NDArray[np.float64], truth: NDArray[np.int64]
) -> TemperatureScaling:
    """The temperature that makes the truth most likely, fitted on validation patients.

    From probabilities, because softmax(z / T) = softmax(log p / T): log p differs from the logits z
    by a constant per patient. Source: Guo et al. 2017, section 4.2.

    Where every patient is called right, ever smaller temperatures fit ever better (where calling
    is no better than chance, ever larger ones): there is no best one, and 1 is kept, with the
    reason.

    Parameters
    ----------
    probabilities : ndarray of float64, shape (patients, classes)
        Softmax probabilities before calibration, of patients the networks were not trained on.
    truth : ndarray of int64, shape (patients,)
        Column of the true class.

    Raises
    ------
    InputError
        No patients.
    """
    if len(truth) == 0:
        raise InputError(
            "no validation patients",
            expected="patients to fit the temperature on",
            action="Leave the bundle uncalibrated, or give it a validation split.",
        )
    logs = _log(probabilities)
    of_truth = logs[np.arange(len(truth)), truth]

    def nll(sharpness: float) -> float:
        return float((special.logsumexp(sharpness * logs, axis=1) - sharpness * of_truth).mean())

    def slope(sharpness: float) -> float:
        expected = (special.softmax(sharpness * logs, axis=1) * logs).sum(axis=1)
        return float((expected - of_truth).mean())

    # The mean NLL is convex in 1/T; its minimum is where the slope changes sign, if it does.
    reason = _no_best_temperature(logs, of_truth, slope(0.0))
    if reason is not None:
        return TemperatureScaling(1.0, nll(1.0), nll(1.0), len(truth), reason)
    above = 1.0
    while slope(above) < 0:
        above *= 2
    sharpness = float(optimize.brentq(slope, 0.0, above, xtol=1e-12 * above))
    return TemperatureScaling(1 / sharpness, nll(1.0), nll(sharpness), len(truth))


def _no_best_temperature(
    logs: NDArray[np.float64], of_truth: NDArray[np.float64], slope_at_zero: float
) -> str | None:
    if np.all(of_truth >= logs.max(axis=1)):
        return "every validation patient is called right, so no temperature is the best one"
    # Sums of logs, of which a slope of nothing is left as a rounding.
    if slope_at_zero >= -_ROUNDING * np.abs(logs).max():
        return "the probabilities tell the classes apart no better than chance"
    return None


def _log(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(np.maximum(probabilities, SMALLEST_PROBABILITY))


def fit_slope(scores: NDArray[np.float64], positive: NDArray[np.bool_], threshold: float) -> float:
    """The slope b of p = 1 / (1 + exp(-b (score - threshold))) that makes the truth most likely.

    The truth is softened as Platt does it, (N⁺ + 1) / (N⁺ + 2) and 1 / (N⁻ + 2), so that a slope
    exists where the threshold tells all patients apart. The probability holds for cohorts with this
    share of positives. Source: Platt, Advances in Large Margin Classifiers, 2000, chapter 5,
    section 2.2.

    Parameters
    ----------
    scores : ndarray of float64, shape (patients,)
        Higher for the positive class.
    positive : ndarray of bool, shape (patients,)
        The truth.
    threshold : float
        Where the probability is one half.

    Raises
    ------
    InputError
        The score is no higher in positives: no slope above 0 is the best one.
    """
    above = scores - threshold
    yes, no = int(positive.sum()), int((~positive).sum())
    wanted = np.where(positive, (yes + 1) / (yes + 2), 1 / (no + 2))

    def excess(slope: float) -> float:
        """Derivative of the negative log-likelihood, which is convex."""
        return float(((special.expit(slope * above) - wanted) * above).sum())

    if not excess(0.0) < 0:
        raise InputError(
            "scores around the threshold that are no higher in the ill",
            expected="higher scores in the ill than in the others",
            action="Check the labels; this bundle may tell nothing on these cases.",
        )
    high = 1.0
    while excess(high) < 0:
        high *= 2
    return float(optimize.brentq(excess, 0.0, high))
