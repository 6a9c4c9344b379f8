"""Where the thresholds are set, and what they are judged by."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("matplotlib", reason="needs groundglass[evaluate]")

from groundglass.train.verdict.thresholds import StudyScore, cross_fit, fit_thresholds, report


def study(name: str, share: float, *, ill: bool | None, patient: str = "") -> StudyScore:
    """A hundred slices, a share of them ill."""
    scores = [0.9] * round(share * 100) + [0.1] * round(100 - share * 100)
    return StudyScore(name, patient or name, "made", ill, tuple(scores))


def test_the_threshold_lies_in_the_middle_between_ill_and_well() -> None:
    found = fit_thresholds([
        study("a", 0.02, ill=False), study("b", 0.10, ill=False),
        study("c", 0.30, ill=True), study("d", 0.80, ill=True),
    ])  # fmt: skip
    assert found.of_study == pytest.approx(0.20)
    # Next to the threshold the studies get 0.9 and 0.1.
    nearest = [1 / (1 + math.exp(-found.slope * (share - 0.20))) for share in (0.30, 0.10)]
    assert nearest == pytest.approx([0.9, 0.1])


def test_the_slice_s_threshold_is_where_ill_and_well_lie_furthest_apart() -> None:
    studies = [
        StudyScore("a", "a", "made", ill=False, scores=(0.1, 0.1, 0.65, 0.65)),
        StudyScore("b", "b", "made", ill=True, scores=(0.1, 0.75, 0.75, 0.75)),
    ]
    assert fit_thresholds(studies).of_slice == 0.7


def test_where_they_overlap_the_fewest_are_called_wrongly() -> None:
    studies = [
        study("a", 0.02, ill=False), study("b", 0.04, ill=True), study("c", 0.50, ill=False),
        study("d", 0.60, ill=True), study("e", 0.90, ill=True),
    ]  # fmt: skip
    found = fit_thresholds(studies)
    assert sum(found.calls(one) == one.ill for one in studies) == 4


def test_a_study_is_called_by_the_others_threshold() -> None:
    """By its own it would be right: the ill one lies alone below all who are well."""
    studies = [
        study("a", 0.10, ill=False), study("b", 0.12, ill=False), study("c", 0.70, ill=True),
        study("d", 0.30, ill=True),
    ]  # fmt: skip
    assert fit_thresholds(studies).of_study == pytest.approx(0.21)
    assert all(fit_thresholds(studies).calls(one) == one.ill for one in studies)
    crossed = cross_fit(studies)
    assert (crossed.right, crossed.ill_released, crossed.ill, crossed.n) == (3, 1, 2, 4)
    assert crossed.interval is not None
    assert crossed.interval.low < 0.75 < crossed.interval.high


def test_a_patient_s_other_study_has_no_part_in_the_threshold() -> None:
    """With its twin, thick and thin slices of one lung, the low one would be called."""
    twins = [study("thick", 0.2, ill=True, patient="p"), study("thin", 0.2, ill=True, patient="p")]
    others = [study("a", 0.1, ill=False), study("b", 0.7, ill=True)]
    assert cross_fit([*twins, *others]).ill_released == 2


def test_what_is_neither_is_shown_and_has_no_part() -> None:
    studies = [study("a", 0.1, ill=False), study("b", 0.5, ill=True)]
    without, also = (
        list(report(some)) for some in (studies, [*studies, study("c", 0.9, ill=None)])
    )
    assert also[:-1] == without
    assert "neither" in also[-1]
    assert "findings" in also[-1]
