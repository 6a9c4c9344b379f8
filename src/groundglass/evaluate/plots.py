"""Figures: ROC curves, confusion matrix and calibration (matplotlib, an extra)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from groundglass.errors import SettingsError
from groundglass.evaluate.calibration import ReliabilityBin
from groundglass.evaluate.metrics import Metrics
from groundglass.evaluate.predictions import Predictions
from groundglass.evaluate.roc import auc, auc_interval, roc_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Okabe and Ito's colours, told apart with every common colour vision; then again with dashes.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DIAGONAL = "#767676"


def draw_roc(predictions: Predictions) -> Figure:
    """One-vs-rest ROC curves with their AUC and its 95 % interval (paper Figure 6a).

    The macro curve is the mean of the classes' sensitivities at each false positive rate, its area
    the mean of their AUCs. A class without a curve is named in the legend, and there is no macro
    curve then.

    Parameters
    ----------
    predictions : Predictions
        One row per patient.

    Raises
    ------
    SettingsError
        matplotlib is not installed.
    """
    figure, axes = _square()
    grid = np.linspace(0, 1, 1001)
    heights: list[NDArray[np.float64]] = []
    areas: list[float] = []
    for k, label in enumerate(predictions.labels):
        scores, positive = predictions.probabilities[:, k], predictions.truth == k
        curve = roc_curve(scores, positive)
        interval = auc_interval(scores, positive, patients=predictions.patients)
        area = auc(scores, positive)
        colour, dash = COLOURS[k % len(COLOURS)], _dash(k)
        if curve is None or interval is None or area is None:
            axes.plot([], [], color=colour, linestyle=dash, label=f"{label}: no curve")
            continue
        x, y = curve.false_positive_rate, curve.true_positive_rate
        text = f"{label}: AUC {area:.3f} ({interval.low:.3f}–{interval.high:.3f})"
        axes.plot(x, y, color=colour, linestyle=dash, linewidth=1.6, label=text)
        # At a false positive rate that comes twice, numpy takes the last: the top of the step.
        heights.append(np.interp(grid, x, y))
        areas.append(area)
    if len(heights) == len(predictions.labels):
        axes.plot(
            np.append(0, grid),
            np.append(0, np.mean(heights, axis=0)),
            color="black",
            linestyle=(0, (1, 1.5)),
            linewidth=2.2,
            label=f"macro average: AUC {np.mean(areas):.3f}",
        )
    _diagonal(axes)
    axes.set(
        xlabel="1 − specificity", ylabel="Sensitivity", title="ROC, each class against the rest"
    )
    axes.legend(loc="lower right", fontsize=8, framealpha=1)
    return figure


def draw_confusion(metrics: Metrics) -> Figure:
    """The confusion matrix, each row normalised by its true class, with counts (Fig. 6b).

    Parameters
    ----------
    metrics : Metrics
        What was measured. A class without patients has an empty row.

    Raises
    ------
    SettingsError
        matplotlib is not installed.
    """
    figure, axes = _square()
    counts = metrics.confusion
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        share = f"{shares[row, column]:.2f}" if totals[row, 0] else "–"
        colour = "white" if shares[row, column] > 0.55 else "black"
        axes.text(
            column,
            row,
            f"{share}\n{count}/{totals[row, 0]}",
            ha="center",
            va="center",
            color=colour,
        )
    ticks = range(len(metrics.labels))
    axes.set_xticks(ticks, metrics.labels)
    axes.set_yticks(ticks, metrics.labels, rotation=90, va="center")
    axes.set(xlabel="Called", ylabel="True", title="Share of each true class's patients")
    figure.colorbar(image, ax=axes, fraction=0.046, pad=0.04)
    return figure


def draw_calibration(table: Sequence[ReliabilityBin]) -> Figure:
    """Observed share against mean confidence per bin, with Wilson intervals and patients per bin.

    Parameters
    ----------
    table : sequence of ReliabilityBin
        From `reliability`; empty bins are left out.

    Raises
    ------
    SettingsError
        matplotlib is not installed.
    """
    figure, axes = _square()
    for row in table:
        if row.observed is None or row.mean_confidence is None or row.interval is None:
            continue
        x = row.mean_confidence
        axes.plot([x, x], [row.interval.low, row.interval.high], color=COLOURS[0], linewidth=1.2)
        axes.plot(x, row.observed, "o", color=COLOURS[0], markersize=5)
        axes.annotate(
            f"{row.count}", (x, row.interval.low), (0, -3), textcoords="offset points",
            ha="center", va="top", fontsize=7, color="#404040",
        )  # fmt: skip
    _diagonal(axes)
    axes.set(
        xlabel="Mean probability given",
        ylabel="Share that came true",
        title="Calibration (bars: 95 % interval; numbers: patients)",
        ylim=(-0.05, 1.02),
    )
    return figure


def _square() -> tuple[Figure, Axes]:
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415  (an extra, and slow to import)
    except ImportError as missing:
        raise SettingsError(
            "no matplotlib",
            expected="it to be installed, to draw figures",
            action="Run: pip install 'groundglass[evaluate]'",
        ) from missing
    figure = Figure(figsize=(5.2, 5.0), dpi=150, layout="constrained")
    return figure, figure.add_subplot(aspect="equal")


def _diagonal(axes: Axes) -> None:
    axes.plot([0, 1], [0, 1], color=DIAGONAL, linewidth=0.8, linestyle="--", zorder=0)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)


def _dash(k: int) -> str:
    return ("-", "--", "-.")[k // len(COLOURS) % 3]
