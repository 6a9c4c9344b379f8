"""A verdict is given where it is the only answer possible; every other one is for a reader."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundglass.core.result import KIND_NOT_TOLD, ShareOfSlices, Verdict
from groundglass.infer.bundle_metadata import Conformal
from groundglass.infer.conformal import findings_score, why_not_given

APART = Conformal(
    0.1, findings_quantile=0.3, none_quantile=0.1, fitted_on="x", n_ill=20, n_not_ill=20
)
OVERLAPPING = replace(APART, findings_quantile=0.1, none_quantile=0.3)


def by_share(ill: int, label: str) -> Verdict:
    found = ShareOfSlices(ill, 100, 0.5, 0.2, {"CP": 1.0, "NCP": 0.0}, None)
    return Verdict(label, {"CP": 0.5, "NCP": 0.0, "healthy": 0.5}, {}, label, False, (), found)


@pytest.mark.parametrize(
    ("allowed", "ill", "label", "words"),
    [
        (APART, 40, KIND_NOT_TOLD, ""),
        (APART, 30, "CP", ""),
        (APART, 10, "healthy", ""),
        (APART, 0, "healthy", ""),
        (APART, 20, "CP", "fits neither findings nor none seen"),
        (APART, 15, "healthy", "fits neither"),
        (OVERLAPPING, 20, "CP", "fits both findings and none seen"),
        (OVERLAPPING, 10, "healthy", "fits both"),
        (OVERLAPPING, 31, "CP", ""),
        (OVERLAPPING, 9, "healthy", ""),
        (OVERLAPPING, 40, "healthy", "fits findings alone, where the bundle's rule calls none"),
        (OVERLAPPING, 5, "CP", "fits none seen alone, where the bundle's rule calls findings"),
    ],
)
def test_given_is_what_alone_is_possible(
    allowed: Conformal, ill: int, label: str, words: str
) -> None:
    why = why_not_given(by_share(ill, label), "healthy", allowed)
    assert (why is None) == (not words)
    assert words in (why or "")


def test_the_reason_names_share_thresholds_and_error() -> None:
    why = why_not_given(by_share(20, "CP"), "healthy", APART)
    assert why is not None
    for part in ("20.0%", "30.0%", "10.0%", "at most 10%", "share of slices"):
        assert part in why


def test_by_vote_the_probability_of_findings_is_what_counts() -> None:
    verdict = Verdict("CP", {"CP": 0.2, "NCP": 0.02, "healthy": 0.78}, {}, "CP", False)
    assert findings_score(None, verdict.probabilities, "healthy") == pytest.approx(0.22)
    assert "probability of findings of 22.0%" in (why_not_given(verdict, "healthy", APART) or "")


@given(st.integers(0, 100), st.floats(0, 1), st.floats(0, 1), st.sampled_from(["CP", "healthy"]))
def test_no_verdict_is_given_that_its_own_class_does_not_allow(
    ill: int, lowest: float, highest: float, label: str
) -> None:
    allowed = replace(APART, findings_quantile=lowest, none_quantile=highest)
    if why_not_given(by_share(ill, label), "healthy", allowed) is None:
        assert (ill / 100 >= lowest) == (label == "CP")
        assert (ill / 100 <= highest) == (label == "healthy")
