"""What the probes found, in figures and in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from groundglass.evaluate.run.probes import WITHOUT_LUNGS, Probe, ProbeSettings
from groundglass.evaluate.run.two_answers import Share
from groundglass.evaluate.statistics import Interval, Predictions, auc_interval, share_interval
from groundglass.evaluate.statistics.intervals import DEFAULT_LEVEL
from groundglass.evaluate.statistics.roc import auc

_WORDS = {
    Probe.LUNGS_BLACK: "lungs blacked out, the rest as the model sees it in service",
    Probe.BACKGROUND_ONLY: "everything but the lungs, also what the model does not see in service",
    Probe.SILHOUETTE: "the outline of what it sees, in one grey",
    Probe.LUNGS_ONLY: "the lungs without the rim around them",
    Probe.Z_FLIPPED: "head and feet exchanged",
    Probe.HU_LOWER: f"all HU lower by {ProbeSettings().window_shift_hu:g}",
    Probe.HU_HIGHER: f"all HU higher by {ProbeSettings().window_shift_hu:g}",
    Probe.TWICE_AS_THICK: "each two slices averaged",
}


@dataclass(frozen=True, slots=True)
class ProbeFigure(Share):
    """A figure under a probe."""

    knows: bool = False
    """Whether the interval at the level corrected for the number of figures looked at excludes
    what knowing nothing gives."""


@dataclass(frozen=True, slots=True)
class ProbeFinding:
    """One probe over a cohort."""

    probe: str
    """A value of `Probe`, or "as-in-service"."""
    words: str
    """What was done to the images."""
    cases: int
    without_verdict: int
    """How many cases were asked, and how many of them got no verdict."""
    chance: float
    """Accuracy of always naming the most frequent class."""
    accuracy: ProbeFigure
    """Share called right."""
    areas: Mapping[str, ProbeFigure]
    """AUC of each class against the rest."""
    same_verdict: float | None
    """Share of verdicts that are the same as in service."""
    knows: bool
    """Whether any figure shows knowledge."""


def probe_finding(
    probe: str, predictions: Predictions, asked: int, in_service: Sequence[int] | None = None
) -> ProbeFinding:
    """What a model knows under one probe.

    Knowing is tested on every class's AUC against 0.5, on either side, and on the accuracy against
    always naming the most frequent class; the level of the intervals is corrected for their number
    and for that of the probes without lungs (Bonferroni), so that of honest models no more than
    about one in twenty is accused.

    Parameters
    ----------
    probe : str
        A value of `Probe`, or "as-in-service".
    predictions : Predictions
        Of the cases with a verdict under the probe.
    asked : int
        How many cases were asked.
    in_service : sequence of int, optional
        The class named in service for each row of `predictions`.
    """
    labels, truth = predictions.labels, predictions.truth
    strict = 1 - (1 - DEFAULT_LEVEL) / ((len(labels) + 1) * len(WITHOUT_LUNGS))
    chance = float(np.bincount(truth, minlength=len(labels)).max()) / len(truth)
    areas = {label: _area(predictions, k, strict) for k, label in enumerate(labels)}
    right = predictions.predicted == truth
    accuracy = ProbeFigure(
        float(right.mean()),
        share_interval(right, predictions.patients),
        knows=_low(share_interval(right, predictions.patients, strict)) > chance,
    )
    same = None
    if in_service is not None:
        same = float(np.mean(predictions.predicted == np.asarray(in_service)))
    return ProbeFinding(
        probe=probe,
        words=_WORDS[Probe(probe)] if probe in set(Probe) else "as in service",
        cases=asked,
        without_verdict=asked - len(truth),
        chance=chance,
        accuracy=accuracy,
        areas=areas,
        same_verdict=same,
        knows=accuracy.knows or any(area.knows for area in areas.values()),
    )


def _area(predictions: Predictions, k: int, strict: float) -> ProbeFigure:
    scores, positive = predictions.probabilities[:, k], predictions.truth == k
    tested = auc_interval(scores, positive, strict, predictions.patients)
    return ProbeFigure(
        auc(scores, positive),
        auc_interval(scores, positive, patients=predictions.patients),
        knows=tested is not None and not tested.low <= 0.5 <= tested.high,
    )


def _low(interval: Interval | None) -> float:
    return 0.0 if interval is None else interval.low


@dataclass(frozen=True, slots=True)
class SourceVerdict:
    """What the probes say together."""

    learnt_source: bool
    """Whether the model still knows with the lungs removed."""
    words: str
    """For the reader."""


def source_verdict(findings: Mapping[str, ProbeFinding]) -> SourceVerdict:
    """Whether a model has learnt the source instead of the disease, in plain words, by probe."""
    blind = [findings[probe] for probe in WITHOUT_LUNGS if probe in findings]
    caught = [one for one in blind if one.knows]
    if not caught:
        return SourceVerdict(
            learnt_source=False,
            words="With the lungs removed nothing shows that it tells the classes apart "
            f"({'; '.join(map(_brief, blind))}), and so nothing shows that it has learnt the "
            "source. With few patients a small dependence would not be seen: mind the intervals.",
        )
    outline = findings.get(Probe.SILHOUETTE)
    words = (
        "WITH THE LUNGS REMOVED IT STILL TELLS THE CLASSES APART "
        f"({'; '.join(map(_brief, caught))}): it has learnt the source, or something else beside "
        "the lungs. Its figures on this cohort say little about disease."
    )
    if all(one.probe == Probe.BACKGROUND_ONLY for one in caught):
        words += (
            " It does so where it is shown what lies outside the lungs, not where they are blacked "
            "out of what it sees in service: where the recipe hides the background, service hides "
            "this too."
        )
    if outline is not None and outline.knows:
        words += (
            " The outline alone is enough: the size and shape of the lungs, how many slices there "
            "are, or how the mask is drawn differ between the classes. Disease can do that too, "
            "where dense lung falls out of the mask."
        )
    return SourceVerdict(learnt_source=True, words=words)


def _brief(finding: ProbeFinding) -> str:
    """The class that is told apart best, or the accuracy where that is what gives it away."""
    told = {label: area for label, area in finding.areas.items() if area.value is not None}
    label = max(told, key=lambda name: abs((told[name].value or 0.5) - 0.5), default="")
    best = told.get(label)
    if best is None or (finding.accuracy.knows and not best.knows):
        return f"{finding.probe}: accuracy {_figure(finding.accuracy)}, chance {finding.chance:.3f}"
    return f"{finding.probe}: AUC of {label} {_figure(best)}"


def _figure(figure: ProbeFigure) -> str:
    if figure.value is None or figure.interval is None:
        return "not defined"
    return f"{figure.value:.3f} ({figure.interval.low:.3f}–{figure.interval.high:.3f})"
