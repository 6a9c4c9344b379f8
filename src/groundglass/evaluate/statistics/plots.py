"""Figures: ROC curves, confusion matrix, calibration, shares (matplotlib, an extra)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from groundglass.errors import SettingsError, install_extra
from groundglass.evaluate.statistics.calibration import ReliabilityBin
from groundglass.evaluate.statistics.intervals import Interval
from groundglass.evaluate.statistics.metrics import Metrics
from groundglass.evaluate.statistics.operating_point import OperatingPoint
from groundglass.evaluate.statistics.predictions import Predictions
from groundglass.evaluate.statistics.roc import auc, auc_interval, roc_curve

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
        title="Calibration (bars: 95 % interval; numbers: cases)",
        ylim=(-0.05, 1.02),
    )
    return figure


def draw_operating_point(
    scores: NDArray[np.float64], positive: NDArray[np.bool_], point: OperatingPoint
) -> Figure:
    """The ROC curve of the positive classes together, with a threshold's place on it.

    Parameters
    ----------
    scores : ndarray of float64, shape (patients,)
        Higher for the positive classes.
    positive : ndarray of bool, shape (patients,)
        The truth.
    point : OperatingPoint
        What the threshold reaches here; drawn with both intervals where both exist.

    Raises
    ------
    SettingsError
        matplotlib is not installed.
    """
    figure, axes = _square()
    curve = roc_curve(scores, positive)
    if curve is not None:
        area = auc(scores, positive)
        axes.plot(
            curve.false_positive_rate,
            curve.true_positive_rate,
            color=COLOURS[0],
            linewidth=1.6,
            label=f"AUC {area:.3f}",
        )
    _mark(axes, point)
    _diagonal(axes)
    axes.set(xlabel="1 − specificity", ylabel="Sensitivity", title="The bundle's operating point")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right", fontsize=8, framealpha=1)
    return figure


def _mark(axes: Axes, point: OperatingPoint) -> None:
    """The point with its intervals; nothing where a kind of patient is missing."""
    across, up = point.specificity_interval, point.sensitivity_interval
    if point.specificity is None or point.sensitivity is None or across is None or up is None:
        return
    x, y = 1 - point.specificity, point.sensitivity
    axes.plot([1 - across.high, 1 - across.low], [y, y], color=COLOURS[1], linewidth=1.2)
    axes.plot([x, x], [up.low, up.high], color=COLOURS[1], linewidth=1.2)
    axes.plot(x, y, "o", color=COLOURS[1], markersize=7, label=f"threshold {point.threshold:.3f}")


@dataclass(frozen=True, slots=True)
class NamedShare:
    """A figure from 0 to 1 to be drawn on a line of its own."""

    name: str
    """Beside the line."""
    value: float | None
    """None leaves the line empty."""
    interval: Interval | None
    """Drawn through it."""
    heading: str = ""
    """Lines with the same heading belong together."""


def draw_shares(rows: Sequence[NamedShare], title: str, reference: float | None = None) -> Figure:
    """Figures under each other with their intervals, as a forest plot.

    Parameters
    ----------
    rows : sequence of NamedShare
        From above to below.
    title : str
        What the figures are.
    reference : float, optional
        Where a dashed line stands: the whole cohort's figure, or chance.

    Raises
    ------
    SettingsError
        matplotlib is not installed.
    """
    lines: list[tuple[str, NamedShare | None]] = []
    for k, row in enumerate(rows):
        if row.heading and (k == 0 or rows[k - 1].heading != row.heading):
            lines.append((row.heading.upper(), None))
        lines.append((row.name, row))
    figure = _blank((6.8, 1.1 + 0.21 * len(lines)))
    axes = figure.add_subplot()
    for y, (_, share) in enumerate(lines):
        if share is None or share.value is None:
            continue
        if share.interval is not None:
            ends = [share.interval.low, share.interval.high]
            axes.plot(ends, [y, y], color=COLOURS[0], linewidth=1.4)
        axes.plot(share.value, y, "o", color=COLOURS[0], markersize=5)
    if reference is not None:
        axes.axvline(reference, color=DIAGONAL, linewidth=0.8, linestyle="--", zorder=0)
    axes.set_yticks(range(len(lines)), [name for name, _ in lines], fontsize=8)
    axes.set(xlim=(-0.02, 1.02), ylim=(len(lines) - 0.4, -0.6), xlabel=title)
    axes.grid(axis="x", color="#e4e4e4", linewidth=0.6)
    return figure


def to_png(figure: Figure, about: str) -> bytes:
    """A figure as PNG, with a line under it that says whose figures these are.

    Parameters
    ----------
    figure : Figure
        Drawn by a function here.
    about : str
        Data, split, how many: a figure travels without its page.
    """
    figure.supxlabel(about, fontsize=6.5, color="#505050")
    buffer = io.BytesIO()
    # Without the version of matplotlib the same figure gives the same bytes.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _square() -> tuple[Figure, Axes]:
    figure = _blank((5.2, 5.0))
    return figure, figure.add_subplot(aspect="equal")


def _blank(inches: tuple[float, float]) -> Figure:
    return figure_class()(figsize=inches, dpi=150, layout="constrained")


def figure_class() -> type[Figure]:
    """matplotlib's, which is an extra: asked for before long work, it says so in time.

    Raises
    ------
    SettingsError
        matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415  (an extra, and slow to import)
    except ImportError as missing:
        raise SettingsError(
            "no matplotlib",
            expected="it to be installed, to draw figures",
            action=install_extra("evaluate"),
        ) from missing
    return Figure


def _diagonal(axes: Axes) -> None:
    axes.plot([0, 1], [0, 1], color=DIAGONAL, linewidth=0.8, linestyle="--", zorder=0)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)


def _dash(k: int) -> str:
    return ("-", "--", "-.")[k // len(COLOURS) % 3]
