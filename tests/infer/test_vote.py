"""The vote and the 0.9 rule (paper section 2.4, Figure 4)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundglass.core.result import GroupPrediction, SliceGroup
from groundglass.infer import vote

LABELS = ("CP", "NCP", "healthy")


def group(index: int, *probabilities: float) -> GroupPrediction:
    values = dict(zip(LABELS, probabilities, strict=True))
    label = max(LABELS, key=lambda name: values[name])
    return GroupPrediction(SliceGroup(index, (index,), 50, 49, interpolated=False), values, label)


def groups(*rows: tuple[float, float, float]) -> list[GroupPrediction]:
    return [group(k, *row) for k, row in enumerate(rows)]


CP, NCP, HEALTHY = (0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8)


@pytest.mark.parametrize(
    ("rows", "label", "tie"),
    [
        ([CP], "CP", False),
        ([CP, CP, NCP], "CP", False),
        ([HEALTHY, HEALTHY, CP], "healthy", False),
        ([CP, (0.2, 0.6, 0.2)], "CP", True),
        ([(0.2, 0.6, 0.2), CP], "CP", True),
        ([(0.6, 0.2, 0.2), NCP, HEALTHY], "NCP", True),
        ([CP, CP, HEALTHY, HEALTHY, NCP], "CP", True),
    ],
)
def test_majority_and_ties(rows: list[tuple[float, float, float]], label: str, tie: bool) -> None:
    verdict = vote(groups(*rows), "healthy", 0.9)
    assert (verdict.label, verdict.tie, verdict.rule_firings) == (label, tie, ())


def test_a_certain_group_overrules_a_healthy_majority() -> None:
    verdict = vote(groups(HEALTHY, HEALTHY, (0.95, 0.03, 0.02)), "healthy", 0.9)
    assert (verdict.label, verdict.majority) == ("CP", "healthy")
    (firing,) = verdict.rule_firings
    assert (firing.group_index, firing.label, firing.probability) == (2, "CP", 0.95)


def test_of_two_certain_groups_the_more_certain_one_decides_and_both_are_recorded() -> None:
    rows = [HEALTHY] * 3 + [(0.92, 0.05, 0.03), (0.02, 0.97, 0.01)]
    verdict = vote(groups(*rows), "healthy", 0.9)
    assert verdict.label == "NCP"
    assert [firing.label for firing in verdict.rule_firings] == ["NCP", "CP"]


def test_of_two_groups_alike_the_first_decides() -> None:
    rows = [HEALTHY] * 3 + [(0.02, 0.95, 0.03), (0.95, 0.02, 0.03)]
    verdict = vote(groups(*rows), "healthy", 0.9)
    assert [firing.group_index for firing in verdict.rule_firings] == [3, 4]
    assert verdict.label == "NCP"


def test_the_rule_asks_groups_that_call_pneumonia_only() -> None:
    verdict = vote(groups(HEALTHY, HEALTHY, (0.02, 0.02, 0.96)), "healthy", 0.3)
    assert verdict.rule_firings == ()


def test_votes_and_means_are_of_every_group() -> None:
    verdict = vote(groups(CP, NCP, NCP, HEALTHY), "healthy", 0.9)
    assert verdict.votes == {"CP": 1, "NCP": 2, "healthy": 1}
    assert verdict.probabilities == pytest.approx(
        {"CP": 1.1 / 4, "NCP": 1.8 / 4, "healthy": 1.1 / 4}
    )


def test_the_rule_needs_more_than_the_threshold() -> None:
    verdict = vote(groups(HEALTHY, HEALTHY, (0.9, 0.05, 0.05)), "healthy", 0.9)
    assert verdict.label == "healthy"


def test_the_rule_says_nothing_when_pneumonia_wins_anyway() -> None:
    verdict = vote(groups(CP, CP, (0.02, 0.96, 0.02)), "healthy", 0.9)
    assert (verdict.label, verdict.rule_firings) == ("CP", ())


@given(
    st.lists(
        st.tuples(*[st.floats(0.01, 1.0)] * 3).map(lambda t: tuple(v / sum(t) for v in t)),
        min_size=1,
        max_size=8,
    )
)
def test_votes_and_probabilities_add_up_whatever_the_order(
    rows: list[tuple[float, float, float]],
) -> None:
    verdict = vote(groups(*rows), "healthy", 0.9)
    assert sum(verdict.votes.values()) == len(rows)
    assert sum(verdict.probabilities.values()) == pytest.approx(1.0)
    assert verdict.label in LABELS
    assert vote(groups(*rows[::-1]), "healthy", 0.9).votes == verdict.votes
