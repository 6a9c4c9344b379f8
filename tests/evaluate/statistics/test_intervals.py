from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_predictions import brief

from groundglass.errors import SettingsError
from groundglass.evaluate.statistics import wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_published_examples(successes, trials, low, high):
    # Newcombe, Stat Med 1998;17:857, Table I, method 3.
    interval = wilson(successes, trials)
    assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)


counts = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@brief
@given(counts, st.floats(0.5, 0.999))
def test_holds_the_estimate_and_stays_inside(pair, level):
    successes, trials = pair
    interval = wilson(successes, trials, level)
    assert 0 <= interval.low <= successes / trials <= interval.high <= 1
    assert interval.low < interval.high


@brief
@given(counts)
def test_ends_solve_the_score_equation(pair):
    # |p̂ − p| = z·sqrt(p(1 − p)/n): Wilson's definition.
    successes, trials = pair
    interval = wilson(successes, trials)
    for end in (interval.low, interval.high):
        if 1e-9 < end < 1 - 1e-9:
            error = math.sqrt(end * (1 - end) / trials)
            assert abs(successes / trials - end) / error == pytest.approx(1.959964, abs=1e-4)


@brief
@given(counts)
def test_failures_mirror_successes(pair):
    successes, trials = pair
    one, other = wilson(successes, trials), wilson(trials - successes, trials)
    assert one.low == pytest.approx(1 - other.high)
    assert one.high == pytest.approx(1 - other.low)


def test_a_higher_level_is_wider():
    narrow, wide = wilson(8, 10, 0.8), wilson(8, 10, 0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_no_trials_no_interval():
    assert wilson(0, 0) is None


@pytest.mark.parametrize(("successes", "trials"), [(-1, 5), (6, 5), (1, 0)])
def test_impossible_counts(successes, trials):
    with pytest.raises(SettingsError, match="counts of patients"):
        wilson(successes, trials)


@pytest.mark.parametrize("level", [0, 1, 95, float("nan")])
def test_impossible_levels(level):
    with pytest.raises(SettingsError, match="confidence level"):
        wilson(1, 2, level)
