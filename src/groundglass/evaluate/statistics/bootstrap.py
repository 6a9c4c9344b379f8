"""Confidence intervals of any figure, by drawing the patients again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.errors import SettingsError
from groundglass.evaluate.statistics.intervals import DEFAULT_LEVEL, Interval, check_level
from groundglass.evaluate.statistics.metrics import measure
from groundglass.evaluate.statistics.predictions import Predictions

#: Figures by name; None where one is undefined.
Statistic = Callable[[Predictions], Mapping[str, float | None]]


@dataclass(frozen=True, slots=True)
class BootstrapSettings:
    """How patients are drawn.

    Raises
    ------
    SettingsError
        A value that makes no sense.
    """

    resamples: int = 2000
    """How many cohorts are drawn. 2000: the ends of a 95 % interval then rest on 50 each."""
    seed: int = 0
    """Same seed, same intervals."""
    stratified: bool = True
    """Whether each true class keeps its number of patients. On by default, because cohorts are put
    together by class; off where patients came as they came (consecutive admissions). A patient with
    studies of several classes is drawn among those with the same classes."""
    level: float = DEFAULT_LEVEL
    """Confidence level."""
    most_undefined: float = 0.05
    """A figure undefined in more than this share of the drawn cohorts gets no interval: what is
    left would be the interval of the lucky ones. Our choice: 0.05."""

    def __post_init__(self) -> None:
        check_level(self.level)
        if self.resamples < 1 or not 0 <= self.most_undefined < 1:
            raise SettingsError(
                f"resamples={self.resamples}, most_undefined={self.most_undefined}",
                expected="at least one resample and a share from 0 to below 1",
                action="Use the defaults if in doubt.",
            )


@dataclass(frozen=True, slots=True)
class BootstrapIntervals:
    """Intervals by the figure's name."""

    intervals: Mapping[str, Interval]
    """Percentile intervals; `method` says how many resamples, and how many were left out."""
    undefined: Mapping[str, str]
    """Why a figure has none."""


def every_metric(predictions: Predictions) -> Mapping[str, float | None]:
    """All figures of `measure`, by the names of `Metrics.values`."""
    return measure(predictions).values()


def bootstrap(
    predictions: Predictions,
    statistic: Statistic = every_metric,
    settings: BootstrapSettings | None = None,
) -> BootstrapIntervals:
    """Percentile bootstrap intervals over patients.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3. A patient is
    drawn with all studies, and all figures come from the same drawn cohorts. A figure that is at
    its bound (an AUC of 1) gets an interval without width: use `auc_interval` or `wilson` there.

    Parameters
    ----------
    predictions : Predictions
        One row per study.
    statistic : callable
        Figures of a drawn cohort by name; all metrics unless given.
    settings : BootstrapSettings, optional
        How patients are drawn.
    """
    settings = settings or BootstrapSettings()
    rng = np.random.default_rng(settings.seed)
    draws: dict[str, list[float]] = {name: [] for name in statistic(predictions)}
    studies, strata = _studies(predictions), _strata(predictions, settings)
    for _ in range(settings.resamples):
        patients = np.concatenate([rng.choice(stratum, len(stratum)) for stratum in strata])
        rows = patients if studies is None else np.concatenate([studies[k] for k in patients])
        drawn = predictions.take(rows)
        for name, value in statistic(drawn).items():
            if value is not None:
                draws[name].append(value)
    intervals: dict[str, Interval] = {}
    undefined: dict[str, str] = {}
    for name, values in draws.items():
        left_out = settings.resamples - len(values)
        if left_out > settings.most_undefined * settings.resamples:
            undefined[name] = f"undefined in {left_out} of {settings.resamples} drawn cohorts"
        else:
            intervals[name] = _percentile(values, left_out, settings)
    return BootstrapIntervals(intervals, undefined)


def _studies(predictions: Predictions) -> list[NDArray[np.int64]] | None:
    """The rows of each patient; None where each has one, which is drawn ten times as fast."""
    if not predictions.several_studies:
        return None
    order = np.argsort(predictions.patients, kind="stable")
    starts = np.unique(predictions.patients[order], return_index=True)[1]
    return np.split(order, starts[1:])


def _strata(predictions: Predictions, settings: BootstrapSettings) -> list[NDArray[np.int64]]:
    """Patients, by their place in `_studies`, among whom draws are made."""
    studies = _studies(predictions)
    if studies is None:
        classes = predictions.truth
    else:
        kinds = [frozenset(predictions.truth[rows].tolist()) for rows in studies]
        numbers = {kind: k for k, kind in enumerate(sorted(set(kinds), key=sorted))}
        classes = np.array([numbers[kind] for kind in kinds])
    if not settings.stratified:
        return [np.arange(len(classes))]
    return [np.flatnonzero(classes == k) for k in np.unique(classes)]


def _percentile(values: list[float], left_out: int, settings: BootstrapSettings) -> Interval:
    tail = (1 - settings.level) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    how = "patients drawn within each class" if settings.stratified else "patients drawn"
    note = f", {left_out} undefined left out" if left_out else ""
    method = f"percentile bootstrap, {settings.resamples} resamples, {how}{note}"
    return Interval(float(low), float(high), settings.level, method)
