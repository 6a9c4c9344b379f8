"""What training may add to a bundle: calibration, threshold, whom it learnt from, a self-test."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from groundglass.errors import BundleError

_RESTORE = "Restore the bundle from where it came, or export it again."


@dataclass(frozen=True, slots=True)
class Calibration:
    """One number that makes the groups' probabilities honest (Guo et al. 2017)."""

    temperature: float
    """The logits of each group are divided by it before the vote; above 0."""
    fitted_on: str
    """On which split it was fitted."""
    n: int
    """How many patients that had."""


@dataclass(frozen=True, slots=True)
class DecisionThreshold:
    """From which summed probability a patient is called positive."""

    positive: tuple[str, ...]
    """Classes that count as positive; their probabilities are added."""
    threshold: float
    """Called positive at or above it, 0 to 1."""
    sensitivity: float
    specificity: float
    """`sensitivity`, `specificity`: what it reached where it was fitted: a promise too good for
    other patients."""
    fitted_on: str
    """On which split it was fitted."""
    n: int
    """How many patients that had."""

    def score(self, probabilities: Mapping[str, float]) -> float:
        """A patient's summed probability of the positive classes."""
        return sum(probabilities[label] for label in self.positive)


@dataclass(frozen=True, slots=True)
class ShareRule:
    """Findings are called by the share of slices that are ill, each judged by itself.

    Free of the slices' order, and of where a stack is cut into groups.
    """

    slice_threshold: float
    """A slice is ill from this score (one less its probability of healthy) on, 0 to 1."""
    study_threshold: float
    """Findings are called from this share of ill slices on, above 0, up to 1."""
    slope: float
    """The probability of findings is 1 / (1 + exp(-slope · (share - study_threshold))); above 0."""
    kind_threshold: float | None
    """The kind is told from this part of the findings on, 0.5 to 1; None: never."""
    fitted_on: str
    """On what the thresholds were set."""
    n: int
    """How many studies that had."""

    def probability(self, share: float) -> float:
        """Of findings as in pneumonia, of a study with this share of ill slices."""
        return 1 / (1 + math.exp(-self.slope * (share - self.study_threshold)))


@dataclass(frozen=True, slots=True)
class Conformal:
    """Which of the answers findings and none a study's score allows.

    Class-conditional split-conformal thresholds (Sadinle, Lei and Wasserman, JASA 2019;114:223). Of
    new ill studies like those it was fitted on, at most `alpha` fall below `findings_quantile`,
    of not ill ones at most `alpha` lie above `none_quantile`, whatever the scores' distribution.
    """

    alpha: float
    """How often the true answer may be missing, for the ill and for the others apart; 0 to 1."""
    findings_quantile: float
    """Findings are possible from this score on, 0 to 1."""
    none_quantile: float
    """None seen is possible up to this score, 0 to 1."""
    fitted_on: str
    """On what."""
    n_ill: int
    n_not_ill: int
    """`n_ill`, `n_not_ill`: how many patients of either kind that had."""

    def findings_fit(self, score: float) -> bool:
        """Whether findings are in the conformal set of a study with this score."""
        return score >= self.findings_quantile

    def none_fits(self, score: float) -> bool:
        """Whether none seen is."""
        return score <= self.none_quantile


@dataclass(frozen=True, slots=True)
class CalibratedOn:
    """What a bundle was calibrated on after training, and how that came out."""

    bundle: str
    """Name and version of the bundle it was made from."""
    cohort_sha256: str
    """SHA-256 of the table."""
    split: str
    """Which cases of it."""
    refitted: tuple[str, ...]
    """What was fitted anew."""
    criterion: str
    """By what the study threshold was chosen, in words; empty where it was not."""
    cross_fitted: Mapping[str, Any]
    """Figures of patients who had no part in the thresholds they were judged with, by name."""
    salt: str
    patients: frozenset[str]
    """`salt`, `patients`: salted hashes of its patients, so that an evaluation can refuse them."""


@dataclass(frozen=True, slots=True)
class TrainingHashes:
    """Whom the networks have seen, unnamed: salted hashes of patients, of studies' pixels."""

    salt: str
    patients: frozenset[str]
    studies: frozenset[str]


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What the networks answered to `self_test.ramp_images` where they were exported.

    Probabilities of one group, and the mean lung probability, 0 to 1.
    """

    probabilities: Mapping[str, float]
    lung_share: float


@dataclass(frozen=True, slots=True)
class BundleMetadata:
    """What training may add; None for what it did not."""

    calibration: Calibration | None = None
    share_rule: ShareRule | None = None
    """How the verdict is made of single slices; None: by the groups' vote (paper section 2.4)."""
    operating_point: DecisionThreshold | None = None
    conformal: Conformal | None = None
    """Which verdicts are left for a reader; None: none for this reason."""
    calibrated_on: CalibratedOn | None = None
    training_hashes: TrainingHashes | None = None
    self_test: SelfTest | None = None


def parse_metadata(manifest: Mapping[str, Any], labels: tuple[str, ...]) -> BundleMetadata:
    """The optional parts of a manifest, each checked.

    Raises
    ------
    BundleError
        A part is there and its values make no sense.
    """
    readers: dict[str, Callable[[Any], Any]] = {
        "calibration": _calibration,
        "share_rule": _share_rule,
        "operating_point": partial(_threshold, labels=labels),
        "conformal": _conformal,
        "calibrated_on": _calibrated_on,
        "training_hashes": _hashes,
        "self_test": partial(_self_test, labels=labels),
    }
    found: dict[str, Any] = {}
    for name, read in readers.items():
        part = manifest.get(name)
        if part is None:
            continue
        try:
            found[name] = read(part)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BundleError(
                f"a {name} in bundle.json that makes no sense ({error})",
                expected=_EXPECTED[name],
                action=_RESTORE,
            ) from error
    return BundleMetadata(**found)


_EXPECTED = {
    "calibration": "method 'temperature', a temperature above 0, fitted_on and n",
    "share_rule": "slice_threshold, study_threshold above 0, a slope above 0, kind_threshold from "
    "0.5 to 1 or null, fitted_on and n",
    "operating_point": "classes of the bundle as positive, a threshold from 0 to 1, sensitivity, "
    "specificity, fitted_on and n",
    "conformal": "alpha between 0 and 1, findings_quantile and none_quantile from 0 to 1, "
    "fitted_on, n_ill and n_not_ill",
    "calibrated_on": "bundle, cohort_sha256, split, refitted, criterion, cross_fitted, a salt and "
    "a list of patients' hashes",
    "training_hashes": "a salt and lists of patients' and studies' hashes",
    "self_test": "a probability for each class and lung_share",
}


def _calibration(part: Mapping[str, Any]) -> Calibration:
    if part["method"] != "temperature":
        raise ValueError(f"method {part['method']!r}")
    temperature = float(part["temperature"])
    if not (math.isfinite(temperature) and temperature > 0):
        raise ValueError(f"temperature {temperature}")
    return Calibration(temperature, str(part["fitted_on"]), int(part["n"]))


def _share_rule(part: Mapping[str, Any]) -> ShareRule:
    slope, kind = float(part["slope"]), part["kind_threshold"]
    if not (math.isfinite(slope) and slope > 0):
        raise ValueError(f"slope {slope}")
    if not _share(part, "study_threshold") > 0:
        raise ValueError("study_threshold 0")
    if kind is not None and not 0.5 <= float(kind) <= 1:
        raise ValueError(f"kind_threshold {kind}")
    return ShareRule(
        _share(part, "slice_threshold"),
        _share(part, "study_threshold"),
        slope,
        None if kind is None else float(kind),
        str(part["fitted_on"]),
        int(part["n"]),
    )


def _threshold(part: Mapping[str, Any], labels: tuple[str, ...]) -> DecisionThreshold:
    positive = tuple(part["positive"])
    if not positive or len(set(positive)) != len(positive) or not set(positive) < set(labels):
        raise ValueError(f"positive classes {list(positive)}")
    return DecisionThreshold(
        positive,
        _share(part, "threshold"),
        _share(part, "sensitivity"),
        _share(part, "specificity"),
        str(part["fitted_on"]),
        int(part["n"]),
    )


def _conformal(part: Mapping[str, Any]) -> Conformal:
    alpha = _share(part, "alpha")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha {alpha}")
    return Conformal(
        alpha,
        _share(part, "findings_quantile"),
        _share(part, "none_quantile"),
        str(part["fitted_on"]),
        int(part["n_ill"]),
        int(part["n_not_ill"]),
    )


def _calibrated_on(part: Mapping[str, Any]) -> CalibratedOn:
    return CalibratedOn(
        str(part["bundle"]),
        str(part["cohort_sha256"]),
        str(part["split"]),
        tuple(map(str, part["refitted"])),
        str(part["criterion"]),
        dict(part["cross_fitted"]),
        str(part["salt"]),
        _words(part, "patients"),
    )


def _hashes(part: Mapping[str, Any]) -> TrainingHashes:
    return TrainingHashes(str(part["salt"]), _words(part, "patients"), _words(part, "studies"))


def _words(part: Mapping[str, Any], name: str) -> frozenset[str]:
    if not isinstance(part[name], list) or not all(isinstance(x, str) for x in part[name]):
        raise TypeError(f"{name} are no list of hashes")
    return frozenset(part[name])


def _self_test(part: Mapping[str, Any], labels: tuple[str, ...]) -> SelfTest:
    probabilities = {label: _share(part["probabilities"], label) for label in labels}
    return SelfTest(probabilities, _share(part, "lung_share"))


def _share(part: Mapping[str, Any], name: str) -> float:
    value = float(part[name])
    if not 0 <= value <= 1:
        raise ValueError(f"{name} {value}")
    return value
