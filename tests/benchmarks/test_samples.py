"""What is worked out of runs."""

from __future__ import annotations

import pytest
from benchmarks.samples import Pairs, Sample, Target, in_turn, repeated, seconds


def test_a_sample_has_median_and_range() -> None:
    sample = Sample((3.0, 1.0, 2.0, 10.0))
    assert (sample.median, sample.low, sample.high) == (2.5, 1.0, 10.0)
    assert sample.times(1000).values == (3000, 1000, 2000, 10000)


def test_no_runs_are_refused() -> None:
    with pytest.raises(ValueError, match="no runs"):
        Sample(())


def test_the_ratio_is_taken_pair_by_pair() -> None:
    # The machine was twice as slow during the second pair; the ratio does not see it.
    pairs = Pairs(ours=Sample((1.0, 2.0, 1.0)), peer=Sample((5.0, 10.0, 5.0)))
    assert pairs.ratio.values == (5.0, 5.0, 5.0)


def test_two_are_run_in_turn_and_what_fills_caches_does_not_count() -> None:
    calls = []

    def run(name: str, value: float) -> float:
        calls.append(name)
        return value + len(calls)

    pairs = in_turn(lambda: run("a", 0), lambda: run("b", 100), 2, pause_s=0)
    assert calls == ["a", "a", "b", "b"] * 3
    assert pairs.ours.values == (6, 10)
    assert pairs.peer.values == (108, 112)


def test_repeating_warms_up_first() -> None:
    values = iter([9.0, 1.0, 2.0])
    assert repeated(lambda: next(values), 2).values == (1.0, 2.0)


def test_seconds_takes_the_time_of_the_work() -> None:
    done = []
    assert seconds(lambda: done.append(1))() >= 0
    assert done == [1]


@pytest.mark.parametrize(
    ("target", "figure", "met"),
    [
        (Target(4.0), 4.0, True),
        (Target(4.0), 4.1, False),
        (Target(20, at_least=True), 20, True),
        (Target(20, at_least=True), 19.9, False),
    ],
)
def test_a_target_is_reached_at_its_limit(target: Target, figure: float, met: bool) -> None:
    assert target.met(figure) is met
