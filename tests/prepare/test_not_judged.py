"""Lungs in which nothing was found are left to a reader where too much was not judged."""

from __future__ import annotations

import pytest

from groundglass.core.result import LeftOut, LungThird, NotJudged
from groundglass.prepare import NotJudgedSettings, why_for_a_reader

LIMITS = NotJudgedSettings()


def left_out(lung: float, opacity: float = 0.0, of_opacity: float = 100.0) -> NotJudged:
    """Of 4 l of lung a share, all in the lower third, and of some ml of opacity a share."""
    none, ml = LeftOut(0, 0, 1000, 0), 4000 * lung
    lower = LeftOut(ml, of_opacity * opacity, 2000, of_opacity)
    return NotJudged({LungThird.UPPER: none, LungThird.MIDDLE: none, LungThird.LOWER: lower})


def test_apex_and_recesses_may_be_left_out() -> None:
    assert why_for_a_reader(left_out(0.0)) is None
    assert why_for_a_reader(left_out(LIMITS.most_lung_share, LIMITS.most_opacity_share)) is None


def test_too_much_lung_is_a_reason_with_its_numbers() -> None:
    reason = why_for_a_reader(left_out(0.3))
    assert reason is not None
    assert "30% of the lung lies in others (1200 of 4000 ml; up to 20% is accepted)" in reason


def test_too_much_opacity_is_a_reason_where_there_is_some() -> None:
    reason = why_for_a_reader(left_out(0.1, 0.5))
    assert reason is not None
    assert "50% of the opacity measured by HU lies in others (50 of 100 ml" in reason
    assert why_for_a_reader(left_out(0.1, 0.9, of_opacity=30.0)) is None


def test_limits_are_settings() -> None:
    assert why_for_a_reader(left_out(0.1), NotJudgedSettings(most_lung_share=0.05))
    strict = NotJudgedSettings(least_opacity_ml=1.0)
    assert why_for_a_reader(left_out(0.1, 0.9, of_opacity=30.0), strict)


def test_the_whole_is_the_sum_of_the_thirds_and_nothing_has_no_share() -> None:
    total = left_out(0.25, 0.5).total
    assert (total.lung_ml, total.of_lung_ml) == (1000, 4000)
    assert (total.lung_share, total.opacity_share) == (0.25, 0.5)
    empty = LeftOut(0, 0, 0, 0)
    assert (empty.lung_share, empty.opacity_share) == (0.0, 0.0)


@pytest.mark.parametrize("third", LungThird)
def test_every_third_counts(third: LungThird) -> None:
    parts = {one: LeftOut(900.0 * (one is third), 0, 1000, 0) for one in LungThird}
    assert why_for_a_reader(NotJudged(parts)) is not None
