"""The evaluation's figures as PNG, each saying whose it is."""

from __future__ import annotations

from collections.abc import Iterator

from groundglass.evaluate.run.evaluation import Evaluation, Probed
from groundglass.evaluate.run.subgroups import positive_scores
from groundglass.evaluate.statistics.plots import (
    NamedShare,
    draw_calibration,
    draw_confusion,
    draw_operating_point,
    draw_roc,
    draw_shares,
    to_png,
)

ROC, CONFUSION, CALIBRATION = "roc.png", "confusion.png", "calibration.png"
OPERATING_POINT, GROUPS, PROBES = "operating-point.png", "groups.png", "probes.png"


def about(evaluation: Evaluation) -> str:
    """Whose figures these are: data, split, how many, which bundle."""
    sources = ", ".join(sorted({one.strata.source for one in evaluation.cases}))
    with_verdict = evaluation.two.ill + evaluation.two.not_ill
    return (
        f"{sources}; split: {evaluation.cohort.split}; n = {with_verdict} studies with a verdict "
        f"of {len(evaluation.cases)}, {evaluation.patients} patients; "
        f"{evaluation.bundle.name} {evaluation.bundle.version}. Research use only."
    )


def draw_all(evaluation: Evaluation) -> dict[str, bytes]:
    """Every figure that the evaluation has something for, as PNG by file name.

    Raises
    ------
    SettingsError
        matplotlib is not installed.
    """
    return dict(_drawn(evaluation, _broken(about(evaluation))))


def _drawn(evaluation: Evaluation, words: str) -> Iterator[tuple[str, bytes]]:
    predictions = evaluation.predictions
    yield ROC, to_png(draw_roc(predictions), words)
    yield CONFUSION, to_png(draw_confusion(evaluation.figures.metrics), words)
    yield CALIBRATION, to_png(draw_calibration(evaluation.calibration), words)
    if evaluation.threshold is not None:
        scores, truth = positive_scores(predictions, evaluation.positive)
        figure = draw_operating_point(scores, truth, evaluation.threshold.here)
        yield OPERATING_POINT, to_png(figure, words)
    rows = [
        NamedShare(f"{group.name} (n = {group.cases})", group.accuracy.value,
                   group.accuracy.interval, heading)
        for heading, groups in evaluation.groups.items()
        for group in groups
    ]  # fmt: skip
    accuracy = evaluation.figures.metrics.accuracy
    title = "Share of verdicts that are right, 95 % interval"
    yield GROUPS, to_png(draw_shares(rows, title, accuracy), words)
    if evaluation.probed is not None:
        rows = _probe_rows(evaluation.probed)
        title = "AUC of each class, 95 % interval; dashed: knowing nothing"
        yield PROBES, to_png(draw_shares(rows, title, 0.5), words)


def _probe_rows(probed: Probed) -> list[NamedShare]:
    return [
        NamedShare(label, area.value, area.interval, finding.probe)
        for finding in probed.findings.values()
        for label, area in finding.areas.items()
    ]


def _broken(words: str, width: int = 88) -> str:
    """On lines short enough for a figure."""
    lines = [""]
    for word in words.split():
        if len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return "\n".join(lines)
