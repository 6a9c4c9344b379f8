"""Shares of the peak, by hand."""

from __future__ import annotations

import pytest

pytest.importorskip("onnx", reason="counting operations reads ONNX")

from benchmarks.samples import Sample
from benchmarks.sections.peak import Bounds, by_operator, share_of_peak


def test_a_share_is_taken_run_by_run() -> None:
    # 50 operations in 1 s beside a peak of 100 a second; then everything twice as slow.
    share = share_of_peak(50, Sample((1.0, 2.0)), 200, Sample((2.0, 4.0)))
    assert share.values == pytest.approx((50.0, 50.0))


def test_operators_are_listed_the_longest_first_and_small_ones_together() -> None:
    text = by_operator({"MaxPool (a)": 1.0, "Convolution (b)": 8.96, "Reshape (c)": 0.04})
    lines = text.splitlines()[2:]
    assert lines[0] == "| Convolution (b) | 8.96 | 90 |"
    assert lines[1] == "| MaxPool (a) | 1.00 | 10 |"
    assert lines[2] == "| all others | 0.04 | 0 |"


def test_bounds_are_work_over_speed() -> None:
    one = Bounds("net", 2 * 10**10, 4 * 10**8, peak=1e11, bandwidth=1e10, seconds=0.25)
    assert one.cells() == ("net", "20.0", "400", "50", "200", "40", "250")
