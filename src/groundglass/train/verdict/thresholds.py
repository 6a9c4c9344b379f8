"""The share rule's thresholds, fitted on whole studies, and what they are worth on others."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from groundglass.evaluate.statistics import Interval, auc, wilson

#: Scores from which a slice may be called ill.
SLICE_THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True, slots=True)
class StudyScore:
    """One study: whether it is ill, if that is known, and the scores of its judged slices."""

    name: str
    patient: str
    source: str
    ill: bool | None
    scores: tuple[float, ...]

    def share(self, threshold: float) -> float:
        """Share of slices that reach the threshold."""
        return float(np.mean(np.array(self.scores) >= threshold))


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which score a slice, from which share of them a study is ill."""

    of_slice: float
    of_study: float
    gap: float
    """Between the nearest shares above and below the study's threshold."""

    def calls(self, study: StudyScore) -> bool:
        """Whether they call findings."""
        return study.share(self.of_slice) >= self.of_study

    @property
    def slope(self) -> float:
        """Gives the nearest studies above and below probabilities of 0.9 and 0.1."""
        return 2 * math.log(9) / self.gap


@dataclass(frozen=True, slots=True)
class CrossFitted:
    """How studies are called by thresholds that their patients had no part in."""

    right: int
    ill_released: int
    """`right`, `ill_released`: studies called as they are; ill ones called none seen."""
    ill: int
    n: int
    """`ill`, `n`: ill studies; all."""

    @property
    def interval(self) -> Interval | None:
        """Of the share called rightly, 95 %."""
        return wilson(self.right, self.n)


def fit_thresholds(studies: Sequence[StudyScore]) -> Thresholds:
    """Those that call fewest studies wrongly; of several the ones with the widest gap.

    `studies`: such as are known to be ill or not.
    """

    def worth(found: Thresholds) -> tuple[int, float]:
        return sum(found.calls(one) == one.ill for one in studies), found.gap

    candidates = [
        Thresholds(threshold, (low + high) / 2, high - low)
        for threshold in SLICE_THRESHOLDS
        for low, high in pairwise(sorted({0.0, 1.0, *(one.share(threshold) for one in studies)}))
    ]
    return max(candidates, key=worth)


def cross_fit(studies: Sequence[StudyScore]) -> CrossFitted:
    """Each patient left out, thresholds fitted on the others, and the patient's studies called."""
    called = [
        fit_thresholds([two for two in studies if two.patient != one.patient]).calls(one)
        for one in studies
    ]
    pairs = list(zip(studies, called, strict=True))
    return CrossFitted(
        sum(one.ill == call for one, call in pairs),
        sum(bool(one.ill) and not call for one, call in pairs),
        sum(bool(one.ill) for one in studies),
        len(studies),
    )


def known(studies: Sequence[StudyScore]) -> list[StudyScore]:
    """Those that are one or the other."""
    return [one for one in studies if one.ill is not None]


def report(studies: Sequence[StudyScore]) -> Iterator[str]:
    """Lines: the thresholds, what those of other patients call, and every study's shares."""
    sure = known(studies)
    found, crossed = fit_thresholds(sure), cross_fit(sure)
    yield (
        f"fitted on {len(sure)}: slice threshold {found.of_slice}, study threshold "
        f"{found.of_study:.3f}, slope {found.slope:.1f}"
    )
    yield (
        f"by thresholds fitted on the other patients {crossed.right} of {crossed.n} right, "
        f"{in_words(crossed.interval)}; {crossed.ill_released} of {crossed.ill} ill called none "
        "seen"
    )
    for threshold in SLICE_THRESHOLDS:
        shares = np.array([one.share(threshold) for one in sure])
        area = auc(shares, np.array([bool(one.ill) for one in sure]))
        yield f"AUC of the share of slices from {threshold}: {area}"
    for one in studies:
        truth = {True: "ill", False: "not ill", None: "neither"}[one.ill]
        shown = "  ".join(f"{t}: {one.share(t):.3f}" for t in SLICE_THRESHOLDS)
        call = "findings" if found.calls(one) else "none seen"
        yield f"| {one.name} | {truth} | {len(one.scores)} | {call} | {shown} |"


def in_words(interval: Interval | None) -> str:
    """Its ends."""
    return "not defined" if interval is None else f"({interval.low:.3f}-{interval.high:.3f})"
