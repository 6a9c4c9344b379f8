"""Findings by the share of ill slices: free of order and grouping, kinds told where they carry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundglass.core.result import KIND_NOT_TOLD, GroupPrediction, Verdict
from groundglass.infer.bundle_metadata import ShareRule
from groundglass.infer.share import verdict_by_share
from groundglass.prepare import whole_groups

LABELS = ("CP", "NCP", "healthy")
RULE = ShareRule(0.5, 0.25, 12.0, 0.8, "a test", 3)
CP, NCP, MIXED, HEALTHY = (0.9, 0.05, 0.05), (0.05, 0.9, 0.05), (0.5, 0.4, 0.1), (0.2, 0.1, 0.7)


def judged(
    rows: list[tuple[float, float, float]], rule: ShareRule = RULE, size: int = 50
) -> Verdict:
    groups = [
        GroupPrediction.of_each_slice(
            group, LABELS, np.array([rows[k] for k in group.slice_indices])
        )
        for group in whole_groups(range(len(rows)), size)
    ]
    return verdict_by_share(groups, "healthy", rule)


@pytest.mark.parametrize(
    ("rows", "label", "forced"),
    [
        ([HEALTHY] * 4, "healthy", "healthy"),
        ([CP] + [HEALTHY] * 4, "healthy", "healthy"),
        ([CP] + [HEALTHY] * 3, "CP", "CP"),
        ([NCP] * 3 + [HEALTHY], "NCP", "NCP"),
        ([CP, NCP, CP], KIND_NOT_TOLD, "CP"),
        ([MIXED] * 3, KIND_NOT_TOLD, "CP"),
    ],
)
def test_the_share_calls_findings_and_the_kind_is_told_where_they_agree(
    rows: list[tuple[float, float, float]], label: str, forced: str
) -> None:
    verdict = judged(rows)
    assert verdict.label == label
    assert verdict.forced == forced == verdict.majority
    assert verdict.by_share is not None
    assert verdict.by_share.judged == len(rows)
    assert sum(verdict.probabilities.values()) == pytest.approx(1)
    assert (verdict.probabilities["healthy"] <= 0.5) == (label != "healthy")


def test_a_bundle_may_never_tell_the_kind() -> None:
    assert judged([CP] * 5, replace(RULE, kind_threshold=None)).label == KIND_NOT_TOLD


ROWS = st.lists(
    st.tuples(*[st.floats(0, 1)] * 3).map(
        lambda row: tuple((x + 1e-3) / (sum(row) + 3e-3) for x in row)
    ),
    min_size=1,
    max_size=40,
)


@given(ROWS, st.integers(0, 2**32 - 1), st.integers(1, 60))
def test_order_and_grouping_change_nothing(
    rows: list[tuple[float, float, float]], seed: int, size: int
) -> None:
    shuffled = [rows[k] for k in np.random.default_rng(seed).permutation(len(rows))]
    one, other = judged(rows), judged(shuffled, size=size)
    assert (one.label, one.by_share) == (other.label, other.by_share)
    assert one.probabilities == other.probabilities


@given(ROWS)
def test_every_slice_twice_changes_nothing(rows: list[tuple[float, float, float]]) -> None:
    twice = [row for row in rows for _ in range(2)]
    assert judged(rows).probabilities == pytest.approx(judged(twice).probabilities, abs=1e-9)


@given(ROWS)
def test_more_findings_never_make_it_healthier(rows: list[tuple[float, float, float]]) -> None:
    """One slice replaced by one with certain findings."""
    worse = [CP, *rows[1:]]
    assert judged(worse).probabilities["healthy"] <= judged(rows).probabilities["healthy"] + 1e-12
