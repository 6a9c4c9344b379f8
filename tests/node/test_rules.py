"""Rules: what goes first, and what goes where."""

from __future__ import annotations

import pytest

from groundglass.errors import SettingsError
from groundglass.node.queue.states import Priority
from groundglass.node.rules import Rule, Rules

ALL = ("pacs", "research")


def test_without_rules_everything_is_routine_and_goes_everywhere() -> None:
    rules = Rules((), ALL)
    assert rules.priority("CT1", "Thorax") is Priority.ROUTINE
    assert rules.destinations("CT1", "Thorax") == ALL


@pytest.mark.parametrize(
    ("source", "description", "expected"),
    [
        ("ER_CT", "", Priority.EMERGENCY),
        ("CT1", "thorax NOTFALL", Priority.EMERGENCY),
        ("CT1", "Thorax", Priority.URGENT),
        ("CT2", "Thorax", Priority.ROUTINE),
    ],
)
def test_the_highest_priority_of_the_rules_that_fit(
    source: str, description: str, expected: Priority
) -> None:
    rules = Rules(
        (
            Rule("ward", source_ae=("CT1", "ER_CT"), priority="urgent"),
            Rule("emergency room", source_ae=("ER_CT",), priority="emergency"),
            Rule("by name", study_description="notfall|emergency", priority="emergency"),
        ),
        ALL,
    )
    assert rules.priority(source, description) is expected


def test_the_first_rule_that_names_destinations_decides() -> None:
    rules = Rules(
        (
            Rule("urgent only", priority="urgent"),
            Rule("trial", study_description=r"\bTRIAL\b", destinations=("research",)),
            Rule("rest", destinations=("pacs",)),
        ),
        ALL,
    )
    assert rules.destinations("CT1", "Trial 7") == ("research",)
    assert rules.destinations("CT1", "Trials") == ("pacs",)


def test_a_rule_that_names_sender_and_description_needs_both() -> None:
    rule = Rule("both", source_ae=("CT1",), study_description="thorax")
    assert rule.fits("CT1", "CT Thorax")
    assert not rule.fits("CT1", "CT Abdomen")
    assert not rule.fits("CT2", "CT Thorax")


def test_a_destination_that_there_is_not_is_refused() -> None:
    with pytest.raises(SettingsError, match="'archive' in rule 'rest'"):
        Rules((Rule("rest", destinations=("archive",)),), ALL)


def test_what_is_no_regular_expression_is_refused() -> None:
    with pytest.raises(SettingsError, match="regular expression"):
        Rule("broken", study_description="(")
