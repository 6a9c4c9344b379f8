"""Everything measured on a cohort, in one value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from groundglass.cohort import PNEUMONIA
from groundglass.errors import InputError
from groundglass.evaluate.run.case_prediction import AS_IN_SERVICE, CasePrediction, predictions_of
from groundglass.evaluate.run.findings import (
    ProbeFinding,
    SourceVerdict,
    probe_finding,
    source_verdict,
)
from groundglass.evaluate.run.subgroups import (
    SubgroupFigures,
    ToldApart,
    positive_area,
    positive_scores,
    subgroup_figures,
)
from groundglass.evaluate.run.training_overlap import LeakCheck
from groundglass.evaluate.run.two_answers import (
    AnswerTable,
    Share,
    TwoAnswers,
    answer_table,
    two_answers,
)
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
    first_two: TwoAnswers
    second_two: TwoAnswers
    """`first_two`, `second_two`: findings against none seen, on the cases both have a verdict
    for."""
    left_out: int
    """Cases without a verdict from one or both, or of a class not known."""
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
    """Every case; with truth and answers of two classes where the kind is known of none of the
    ill."""
    two: TwoAnswers
    """Findings against none seen, of all."""
    answers: AnswerTable
    """Every case by truth and answer."""
    predictions: Predictions
    """Those of known class with a verdict, a class forced where the kind was left open."""
    figures: Figures
    """Of them."""
    accuracy_of_all: Share
    """Cases called right over all cases of known class: no verdict is not right."""
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

    Where the cohort knows of none of the ill which kind they have, all classes but the healthy one
    are taken together before anything is told apart.

    Raises
    ------
    InputError
        Not one case has a verdict.
    """
    may_be_open = bundle.metadata.share_rule is not None
    answers = answer_table(cases, bundle.labels, kind_may_be_open=may_be_open)
    classes = _told_apart(cases, bundle)
    if classes.labels != bundle.labels:
        cases = [one.of_two(bundle.healthy) for one in cases]
    predictions = predictions_of(cases, classes.labels)
    if predictions is None:
        reasons = sorted({one.answer.outcome for one in cases})
        raise InputError(
            f"no verdict for any of {len(cases)} cases ({', '.join(reasons)})",
            expected="studies this bundle can judge",
            action="See predictions.csv in the folder of the broken run for each row's reason.",
        )
    right = predictions.predicted == predictions.truth
    called = predictions.probabilities[np.arange(len(right)), predictions.predicted]
    known = [one for one in cases if one.truth in classes.labels]
    return Evaluation(
        cohort=cohort,
        bundle=bundle,
        leaks=leaks,
        cases=tuple(cases),
        two=two_answers(cases, bundle.healthy),
        answers=answers,
        predictions=predictions,
        figures=measure_with_intervals(predictions, draws),
        accuracy_of_all=Share.of(
            np.array([one.answer.forced == one.truth for one in known]),
            np.array([one.patient for one in known]),
        ),
        positive=classes.positive,
        positive_auc=positive_area(predictions, classes.positive),
        calibration=reliability(called, right, bins=CALIBRATION_BINS),
        threshold=_at_threshold(predictions, bundle, classes),
        groups=subgroup_figures(cases, classes),
        probed=_probed(cases, classes.labels),
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
    labels, healthy = first.predictions.labels, first.bundle.healthy
    if labels != first.bundle.labels:
        cases = [one.of_two(healthy) for one in cases]
    answered = {one.row for one in first.cases if one.answer.has_verdict}
    both = answered & {one.row for one in cases if one.answer.has_verdict}
    mine = [one for one in first.cases if one.row in both]
    others = [one for one in cases if one.row in both]
    ours, theirs = predictions_of(mine, labels), predictions_of(others, labels)
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
        first_two=two_answers(mine, healthy),
        second_two=two_answers(others, healthy),
        left_out=len(cases) - len(ours.truth),
        leaks=leaks,
    )
    return replace(first, compared=compared)


def _told_apart(cases: Sequence[CasePrediction], bundle: Bundle) -> ToldApart:
    """The bundle's classes; two where the kind is known of none of the ill with a verdict."""
    ill = tuple(label for label in bundle.labels if label != bundle.healthy)
    truths = {one.truth for one in cases if one.answer.has_verdict} - {bundle.healthy}
    if truths and truths.isdisjoint(ill):
        return ToldApart((PNEUMONIA, bundle.healthy), bundle.healthy, (PNEUMONIA,))
    point = bundle.metadata.operating_point
    return ToldApart(bundle.labels, bundle.healthy, point.positive if point else ill)


def _at_threshold(
    predictions: Predictions, bundle: Bundle, classes: ToldApart
) -> AtThreshold | None:
    """None without one, or where the cohort does not tell its classes from the others."""
    point = bundle.metadata.operating_point
    all_ill = point is not None and {*point.positive, bundle.healthy} == {*bundle.labels}
    if point is None or (classes.labels != bundle.labels and not all_ill):
        return None
    scores, truth = positive_scores(predictions, classes.positive)
    return AtThreshold(point, judge_threshold(scores, truth, point.threshold))


def _probed(cases: Sequence[CasePrediction], labels: tuple[str, ...]) -> Probed | None:
    """Findings of every kind of images that was asked about, service first; None without."""
    images = tuple(cases[0].answers)
    if images == (AS_IN_SERVICE,):
        return None
    findings = {}
    asked = [one for one in cases if one.answer.has_verdict and one.truth in labels]
    for name in images:
        answered = [one for one in asked if one.answers[name].has_verdict]
        predictions = predictions_of(answered, labels, name)
        if predictions is not None:
            service = [labels.index(one.answer.forced) for one in answered]
            findings[name] = probe_finding(name, predictions, len(asked), service)
    return Probed(findings, source_verdict(findings))
