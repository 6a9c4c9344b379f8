"""Every figure with the interval that fits it, by one name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.evaluate.statistics.bootstrap import BootstrapSettings, bootstrap
from groundglass.evaluate.statistics.clusters import share_interval
from groundglass.evaluate.statistics.intervals import Interval
from groundglass.evaluate.statistics.metrics import Metrics, measure
from groundglass.evaluate.statistics.predictions import Predictions
from groundglass.evaluate.statistics.roc import auc_interval


@dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """What was measured, and how sure it is."""

    metrics: Metrics
    """The figures."""
    intervals: Mapping[str, Interval]
    """By the names of `Metrics.values`; each says its method."""
    without_interval: Mapping[str, str]
    """Why a figure that exists has none."""


def measure_with_intervals(
    predictions: Predictions, settings: BootstrapSettings | None = None
) -> Figures:
    """Measure, with Wilson's interval for shares, DeLong's for AUCs and the bootstrap's for others.

    Parameters
    ----------
    predictions : Predictions
        One row per study.
    settings : BootstrapSettings, optional
        How patients are drawn, and the level of all intervals.
    """
    settings = settings or BootstrapSettings()
    metrics = measure(predictions)
    drawn = bootstrap(predictions, settings=settings)
    intervals: dict[str, Interval] = dict(drawn.intervals)
    for name, came_true, among in _shares(predictions):
        found = share_interval(came_true[among], predictions.patients[among], settings.level)
        if found is not None:
            intervals[name] = found
    for k, label in enumerate(predictions.labels):
        area = auc_interval(
            predictions.probabilities[:, k],
            predictions.truth == k,
            settings.level,
            predictions.patients,
        )
        if area is not None:
            intervals[f"class/{label}/auc"] = area
    # Of a figure at its bound the bootstrap has an interval without width; a Wilson or DeLong
    # interval, where there is one, has taken its place above.
    why = {name: reason for name, reason in drawn.undefined.items() if name not in intervals} | {
        name: "every drawn cohort gives the same, which says nothing about others"
        for name, interval in intervals.items()
        if interval.low == interval.high
    }
    defined = {name for name, value in metrics.values().items() if value is not None}
    return Figures(
        metrics,
        {name: intervals[name] for name in intervals if name in defined and name not in why},
        {name: why[name] for name in why if name in defined},
    )


def _shares(
    predictions: Predictions,
) -> list[tuple[str, NDArray[np.bool_], NDArray[np.bool_]]]:
    """Name, what came true, and among which rows, of every figure that is a share of studies."""
    truth, called = predictions.truth, predictions.predicted
    everyone = np.ones(len(truth), dtype=np.bool_)
    shares = [("accuracy", truth == called, everyone)]
    for k, label in enumerate(predictions.labels):
        is_k, called_k = truth == k, called == k
        shares += [
            (f"class/{label}/sensitivity", called_k, is_k),
            (f"class/{label}/specificity", ~called_k, ~is_k),
            (f"class/{label}/one_vs_rest_accuracy", is_k == called_k, everyone),
            (f"class/{label}/ppv", is_k, called_k),
            (f"class/{label}/npv", ~is_k, ~called_k),
        ]
    return shares
