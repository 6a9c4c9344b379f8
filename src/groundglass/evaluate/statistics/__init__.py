"""Evaluating: how good predictions are, how sure that is, and whether two differ."""

from __future__ import annotations

from groundglass.evaluate.statistics.bootstrap import BootstrapSettings, bootstrap
from groundglass.evaluate.statistics.calibration import (
    ReliabilityBin,
    brier_score,
    expected_calibration_error,
    fit_slope,
    fit_temperature,
    reliability,
)
from groundglass.evaluate.statistics.clusters import share_interval
from groundglass.evaluate.statistics.figures import Figures, measure_with_intervals
from groundglass.evaluate.statistics.intervals import Interval, wilson
from groundglass.evaluate.statistics.metrics import Metrics, measure
from groundglass.evaluate.statistics.operating_point import (
    OperatingPoint,
    judge_threshold,
    threshold_for_sensitivity,
    threshold_of_youden,
)
from groundglass.evaluate.statistics.paired import Comparison, compare, delong_test, mcnemar
from groundglass.evaluate.statistics.predictions import Predictions
from groundglass.evaluate.statistics.roc import auc, auc_interval, roc_curve
from groundglass.evaluate.statistics.table2 import Row, table2

__all__ = [
    "BootstrapSettings",
    "Comparison",
    "Figures",
    "Interval",
    "Metrics",
    "OperatingPoint",
    "Predictions",
    "ReliabilityBin",
    "Row",
    "auc",
    "auc_interval",
    "bootstrap",
    "brier_score",
    "compare",
    "delong_test",
    "expected_calibration_error",
    "fit_slope",
    "fit_temperature",
    "judge_threshold",
    "mcnemar",
    "measure",
    "measure_with_intervals",
    "reliability",
    "roc_curve",
    "share_interval",
    "table2",
    "threshold_for_sensitivity",
    "threshold_of_youden",
    "wilson",
]
