"""A row knows whether its target is reached."""

from __future__ import annotations

import pytest
from benchmarks.rows import Row, table
from benchmarks.samples import Pairs, Sample, Target

PAIRS = Pairs(Sample((0.1,)), Sample((2.0,)))


@pytest.mark.parametrize(
    ("row", "met"),
    [
        (Row("a", Sample((5.0,)), target=Target(5)), True),
        (Row("a", Sample((5.0,)), target=Target(4)), False),
        (Row("a", Sample((5.0,))), None),
        (Row.missing("a", "no peer", target=Target(4)), None),
        (Row.of_pairs("a", "b", PAIRS, target=Target(20, at_least=True, of="ratio")), True),
        (Row.of_pairs("a", "b", PAIRS, target=Target(21, at_least=True, of="ratio")), False),
        (Row("a", Sample((5.0,)), target=Target(2, at_least=True, of="ratio")), None),
    ],
)
def test_a_target_is_judged_by_the_median(row: Row, met: bool | None) -> None:
    assert row.met is met


def test_pairs_are_shown_in_milliseconds() -> None:
    row = Row.of_pairs("a", "b", PAIRS)
    assert row.to_dict()["ours"]["median"] == 100
    assert row.to_dict()["theirs"]["median"] == 2000


@pytest.mark.parametrize(
    ("target", "unit", "words"),
    [
        (Target(4), "s", "≤ 4 s"),
        (Target(10), "%", "≤ 10 %"),
        (Target(1.5, at_least=True, of="ratio"), "ms", "≥ 1.5×"),
    ],
)
def test_a_target_is_written_with_its_unit(target: Target, unit: str, words: str) -> None:
    assert Row("a", Sample((1.0,)), unit=unit, target=target).to_dict()["target"] == words


def test_a_table_is_markdown() -> None:
    assert table(["a", "b"], [[1, "x"]]) == "| a | b |\n| --- | --- |\n| 1 | x |"
