"""A bundle's thresholds fitted anew on a site's own cases; ill or not ill is all they need say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from groundglass.errors import BundleError, InputError, SettingsError
from groundglass.evaluate.run.case_prediction import CasePrediction
from groundglass.evaluate.run.two_answers import Share
from groundglass.evaluate.statistics import (
    OperatingPoint,
    fit_slope,
    threshold_for_sensitivity,
    threshold_of_youden,
)
from groundglass.evaluate.statistics.conformal import (
    conformal_thresholds,
    fewest_patients,
    refuse_too_few,
)
from groundglass.infer import Bundle
from groundglass.infer.bundle_metadata import Conformal, ShareRule


@dataclass(frozen=True, slots=True)
class CalibrationSettings:
    """What is asked of the new thresholds."""

    error: float = 0.1
    """How often the true answer, findings or none, may be missing from what a verdict allows, for
    the ill and for the others apart. 0.1: at least nine patients of either kind."""
    sensitivity: float | None = None
    """Share of the ill that the study threshold must reach on these cases; None: the threshold with
    the largest sum of sensitivity and specificity."""

    def __post_init__(self) -> None:
        if not 0 < self.error < 0.5:
            raise SettingsError(
                f"an error of {self.error:g}",
                expected="above 0 and below 0.5",
                action="Give --error 0.1 for a coverage of 90 %.",
            )
        if self.sensitivity is not None and not 0 < self.sensitivity <= 1:
            raise SettingsError(
                f"a sensitivity of {self.sensitivity:g}",
                expected="above 0 and at most 1",
                action="Give --sensitivity 0.95 for 95 %.",
            )

    @property
    def criterion(self) -> str:
        """How the study threshold is chosen, in words."""
        if self.sensitivity is None:
            return "largest sum of sensitivity and specificity (Youden)"
        return f"highest threshold with a sensitivity of {self.sensitivity:g}"


@dataclass(frozen=True, slots=True)
class CrossFitted:
    """A figure of patients who had no part in the thresholds they were judged with."""

    name: str
    """What it is a share of."""
    share: Share
    """With its interval; without a value where there are too few to leave one out."""
    n: int
    """Of how many."""


@dataclass(frozen=True, slots=True, eq=False)
class SiteCalibration:
    """What was fitted, and what it is worth."""

    rule: ShareRule | None
    """The share rule with the new threshold and slope; None for a bundle that votes."""
    conformal: Conformal
    """Which answers a score allows."""
    point: OperatingPoint | None
    """The new study threshold on the cases it was fitted on; None for a bundle that votes."""
    cross_fitted: tuple[CrossFitted, ...]
    """Each patient left out of the fit and judged with it."""


@dataclass(frozen=True, slots=True, eq=False)
class _Hardest:
    """Each patient once, by the study hardest to cover: the ill by the lowest score.

    Others by the highest; one with studies of both kinds is there once of either.
    """

    scores: NDArray[np.float64]
    ill: NDArray[np.bool_]
    called: NDArray[np.bool_]
    """Whether the bundle as it is calls findings."""
    patients: NDArray[np.int64]

    def of(self, rows: NDArray[np.bool_]) -> _Hardest:
        return _Hardest(self.scores[rows], self.ill[rows], self.called[rows], self.patients[rows])

    @property
    def count_ill(self) -> int:
        return int(self.ill.sum())

    @property
    def count_others(self) -> int:
        return int((~self.ill).sum())


def refuse_calibrated(bundle: Bundle) -> None:
    """Refuse to calibrate what was calibrated: its studies for a reader would be missing.

    Raises
    ------
    BundleError
    """
    before = bundle.metadata.calibrated_on
    if before is not None or bundle.metadata.conformal is not None:
        made_from = "the one it was made from" if before is None else before.bundle
        raise BundleError(
            f"the bundle {bundle.name}, which was calibrated already",
            expected=f"the bundle before that: {made_from}",
            action="Calibrate that one on all the cases.",
        )


def calibrate(
    cases: Sequence[CasePrediction], bundle: Bundle, settings: CalibrationSettings, on: str
) -> SiteCalibration:
    """Fit the study threshold, its slope and the conformal thresholds.

    Parameters
    ----------
    cases : sequence of CasePrediction
        As the bundle judged them. Those without a verdict have no part in it.
    bundle : Bundle
        Not calibrated before.
    settings : CalibrationSettings
        What is asked for.
    on : str
        Which cases these are, in words without names.

    Raises
    ------
    InputError
        Too few patients of a kind for the error asked for, or no threshold above 0.
    """
    hardest = _hardest(cases, bundle.healthy)
    refuse_too_few(hardest.count_ill, hardest.count_others, settings.error)
    rule = bundle.metadata.share_rule
    point = None
    if rule is not None:
        point = _study_threshold(hardest, settings)
        _refuse_impossible(point)
        slope = fit_slope(hardest.scores, hardest.ill, point.threshold)
        rule = replace(
            rule, study_threshold=point.threshold, slope=slope, fitted_on=on, n=len(hardest.scores)
        )
    low, high = _thresholds(hardest, settings.error)
    return SiteCalibration(
        rule,
        Conformal(settings.error, low, high, on, hardest.count_ill, hardest.count_others),
        point,
        _cross_fitted(hardest, settings, refits=rule is not None),
    )


def _hardest(cases: Sequence[CasePrediction], healthy: str) -> _Hardest:
    rows: dict[tuple[int, bool], tuple[float, bool]] = {}
    for one in cases:
        if one.answer.has_verdict:
            ill = one.truth != healthy
            found = one.answer.score(healthy), one.answer.label != healthy
            harder: Callable[..., tuple[float, bool]] = min if ill else max
            before = rows.get((one.patient, ill), found)
            rows[one.patient, ill] = harder(before, found)
    return _Hardest(
        np.array([score for score, _ in rows.values()], dtype=np.float64),
        np.array([ill for _, ill in rows], dtype=np.bool_),
        np.array([called for _, called in rows.values()], dtype=np.bool_),
        np.array([patient for patient, _ in rows], dtype=np.int64),
    )


def _study_threshold(hardest: _Hardest, settings: CalibrationSettings) -> OperatingPoint:
    if settings.sensitivity is None:
        return threshold_of_youden(hardest.scores, hardest.ill)
    return threshold_for_sensitivity(hardest.scores, hardest.ill, settings.sensitivity)


def _refuse_impossible(point: OperatingPoint) -> None:
    if not 0 < point.threshold <= 1:
        raise InputError(
            f"a study threshold of {point.threshold:g} as the best one",
            expected="a share of slices above 0 and at most 1",
            action="Ask for a lower --sensitivity: some of the ill show no slice with findings; or "
            "check the labels.",
        )


def _thresholds(hardest: _Hardest, error: float) -> tuple[float, float]:
    found = conformal_thresholds(hardest.scores[hardest.ill], hardest.scores[~hardest.ill], error)
    return found.lowest_of_ill, found.highest_of_others


def _cross_fitted(
    hardest: _Hardest, settings: CalibrationSettings, *, refits: bool
) -> tuple[CrossFitted, ...]:
    """Each patient left out, everything fitted on the others, and the patient judged."""
    ill, called = hardest.ill, hardest.called.copy()
    found, none = np.zeros_like(ill), np.zeros_like(ill)
    for row, (score, patient) in enumerate(zip(hardest.scores, hardest.patients, strict=True)):
        others = hardest.of(hardest.patients != patient)
        low, high = _thresholds(others, settings.error)
        found[row], none[row] = score >= low, score <= high
        if refits:
            called[row] = score >= _study_threshold(others, settings).threshold
    given = (found != none) & (found == called)
    released = given & ~called
    fewest = fewest_patients(settings.error)

    def share(name: str, came_true: NDArray[np.bool_], among: NDArray[np.bool_]) -> CrossFitted:
        value = Share.of(came_true[among], hardest.patients[among])
        return CrossFitted(name, value, int(among.sum()))

    def coverage(name: str, came_true: NDArray[np.bool_], among: NDArray[np.bool_]) -> CrossFitted:
        """Fitted on fewer than the fewest, every set holds every answer: that is no figure."""
        if among.sum() > fewest:
            return share(name, came_true, among)
        return CrossFitted(name, Share(), int(among.sum()))

    return (
        share("ill among the released", ill, released),
        coverage("ill covered", found, ill),
        coverage("not ill covered", none, ~ill),
        share("ill left for a reader", ~given, ill),
        share("not ill left for a reader", ~given, ~ill),
        share("ill called findings before that", called, ill),
        share("not ill called none before that", ~called, ~ill),
    )
