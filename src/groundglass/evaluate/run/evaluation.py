"""Everything measured on a cohort, in one value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from groundglass.core.result import Outcome
from groundglass.errors import InputError
from groundglass.evaluate.run.case_prediction import AS_IN_SERVICE, CasePrediction, predictions_of
from groundglass.evaluate.run.findings import (
    ProbeFinding,
    SourceVerdict,
    probe_finding,
    source_verdict,
)
from groundglass.evaluate.run.subgroups import (
    Share,
    SubgroupFigures,
    positive_area,
    positive_scores,
    share_right,
    subgroup_figures,
)
from groundglass.evaluate.run.training_overlap import LeakCheck
from groundglass.evaluate.statistics import (
    BootstrapSettings,
    Comparison,
    Figures,
    Metrics,
    OperatingPoint,
    Predictions,
    ReliabilityBin,
    compare,
    judge_threshold,
    measure,
    measure_with_intervals,
    reliability,
)
from groundglass.infer import Bundle
from groundglass.infer.bundle_metadata import DecisionThreshold

#: Bins of the calibration plot: with few patients more would hold one or two each.
CALIBRATION_BINS = 10


@dataclass(frozen=True, slots=True)
class CohortFacts:
    """What was evaluated."""

    table: str
    """File name of the table."""
    sha256: str
    """Its SHA-256."""
    split: str
    """Which cases of it; "all" for every one."""


@dataclass(frozen=True, slots=True, eq=False)
class AtThreshold:
    """The bundle's operating point on this cohort."""

    stored: DecisionThreshold
    """What the bundle says."""
    here: OperatingPoint
    """What its threshold reaches on this cohort."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What the probes found."""

    findings: Mapping[str, ProbeFinding]
    """By AS_IN_SERVICE and by probe."""
    source: SourceVerdict
    """What they say together."""


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """A second bundle on the same cases."""

    bundle: Bundle
    """The second."""
    figures: Figures
    """Of the second, on the cases both have a verdict for."""
    first_metrics: Metrics
    """Of the first, on the same cases."""
    tests: Comparison
    """First against second."""
    left_out: int
    """Cases without a verdict from one or both."""
    leaks: LeakCheck
    """Of the second."""


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Everything measured."""

    cohort: CohortFacts
    """On what."""
    bundle: Bundle
    """With what."""
    leaks: LeakCheck
    """Whether the bundle may have seen it."""
    cases: tuple[CasePrediction, ...]
    """Every case."""
    predictions: Predictions
    """Those with a verdict."""
    figures: Figures
    """Of them."""
    accuracy_of_all: Share
    """Cases called right over all cases: no verdict is not right."""
    positive: tuple[str, ...]
    """Classes taken together as pneumonia: the operating point's, else all but the healthy one."""
    positive_auc: Share
    """AUC of their summed probability."""
    calibration: tuple[ReliabilityBin, ...]
    """Of the probability given to the class called."""
    threshold: AtThreshold | None
    """Where the bundle has an operating point."""
    groups: Mapping[str, tuple[SubgroupFigures, ...]]
    """By source, scanner, …"""
    compared: Compared | None = None
    """With a second bundle."""
    probed: Probed | None = None
    """Where probing was asked for."""

    @property
    def patients(self) -> int:
        """How many people were evaluated."""
        return len({one.patient for one in self.cases})

    @property
    def without_verdict(self) -> tuple[CasePrediction, ...]:
        """The cases without one."""
        return tuple(one for one in self.cases if not one.answer.has_verdict)


def evaluate(
    cases: Sequence[CasePrediction],
    bundle: Bundle,
    cohort: CohortFacts,
    leaks: LeakCheck,
    draws: BootstrapSettings | None = None,
) -> Evaluation:
    """Measure one bundle on one cohort.

    Raises
    ------
    InputError
        Not one case has a verdict.
    """
    predictions = predictions_of(cases, bundle.labels)
    if predictions is None:
        reasons = sorted({one.answer.outcome for one in cases})
        raise InputError(
            f"no verdict for any of {len(cases)} cases ({', '.join(reasons)})",
            expected="studies this bundle can judge",
            action="See predictions.csv in the folder of the broken run for each row's reason.",
        )
    right = predictions.predicted == predictions.truth
    called = predictions.probabilities[np.arange(len(right)), predictions.predicted]
    point = bundle.metadata.operating_point
    ill = tuple(label for label in bundle.labels if label != bundle.healthy)
    positive = point.positive if point else ill
    return Evaluation(
        cohort=cohort,
        bundle=bundle,
        leaks=leaks,
        cases=tuple(cases),
        predictions=predictions,
        figures=measure_with_intervals(predictions, draws),
        accuracy_of_all=share_right(
            np.array([one.answer.label == one.truth for one in cases]),
            np.array([one.patient for one in cases]),
        ),
        positive=positive,
        positive_auc=positive_area(predictions, positive),
        calibration=reliability(called, right, bins=CALIBRATION_BINS),
        threshold=_at_threshold(predictions, point) if point else None,
        groups=subgroup_figures(cases, bundle.labels, positive),
        probed=_probed(cases, bundle.labels),
    )


def compared_with(
    first: Evaluation,
    cases: Sequence[CasePrediction],
    bundle: Bundle,
    leaks: LeakCheck,
    draws: BootstrapSettings | None = None,
) -> Evaluation:
    """An evaluation with a second bundle's answers to the same cases beside it.

    Raises
    ------
    InputError
        The bundles have different classes, or no case has a verdict of both.
    """
    if set(bundle.labels) != set(first.bundle.labels):
        raise InputError(
            f"a second bundle with the classes {', '.join(bundle.labels)}",
            expected=f"those of the first: {', '.join(first.bundle.labels)}",
            action="Compare bundles that name the same classes.",
        )
    answered = {one.row for one in first.cases if one.answer.has_verdict}
    both = answered & {one.row for one in cases if one.answer.has_verdict}
    labels = first.bundle.labels
    ours = predictions_of([one for one in first.cases if one.row in both], labels)
    theirs = predictions_of([one for one in cases if one.row in both], labels)
    if ours is None or theirs is None:
        raise InputError(
            "no case with a verdict of both bundles",
            expected="cases both can judge",
            action="See predictions.csv for the reasons.",
        )
    compared = Compared(
        bundle=bundle,
        figures=measure_with_intervals(theirs, draws),
        first_metrics=measure(ours),
        tests=compare(ours, theirs),
        left_out=len(cases) - len(both),
        leaks=leaks,
    )
    return replace(first, compared=compared)


def _at_threshold(predictions: Predictions, point: DecisionThreshold) -> AtThreshold:
    scores, truth = positive_scores(predictions, point.positive)
    return AtThreshold(point, judge_threshold(scores, truth, point.threshold))


def _probed(cases: Sequence[CasePrediction], labels: tuple[str, ...]) -> Probed | None:
    """Findings of every kind of images that was asked about, service first; None without."""
    images = tuple(cases[0].answers)
    if images == (AS_IN_SERVICE,):
        return None
    findings = {}
    asked = [one for one in cases if one.answer.outcome == Outcome.VERDICT]
    for name in images:
        answered = [one for one in asked if one.answers[name].has_verdict]
        predictions = predictions_of(answered, labels, name)
        if predictions is not None:
            service = [labels.index(one.answer.label) for one in answered]
            findings[name] = probe_finding(name, predictions, len(asked), service)
    return Probed(findings, source_verdict(findings))
