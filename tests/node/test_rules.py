"""Rules: what goes first, and what goes where."""

from __future__ import annotations

import re

import pytest

from groundglass.errors import SettingsError
from groundglass.node.queue.facts import as_values, with_more
from groundglass.node.queue.states import Priority
from groundglass.node.rules import Rule, Rules

ALL = ("pacs", "research")


def test_without_rules_everything_is_routine_and_goes_everywhere() -> None:
    rules = Rules((), ALL)
    assert rules.priority("CT1", "Thorax", {}) is Priority.ROUTINE
    assert rules.destinations("CT1", "Thorax", {}) == ALL


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
    assert rules.priority(source, description, {}) is expected


def test_the_first_rule_that_names_destinations_decides() -> None:
    rules = Rules(
        (
            Rule("urgent only", priority="urgent"),
            Rule("trial", study_description=r"\bTRIAL\b", destinations=("research",)),
            Rule("rest", destinations=("pacs",)),
        ),
        ALL,
    )
    assert rules.destinations("CT1", "Trial 7", {}) == ("research",)
    assert rules.destinations("CT1", "Trials", {}) == ("pacs",)


def test_a_rule_that_names_sender_and_description_needs_both() -> None:
    rule = Rule("both", source_ae=("CT1",), study_description="thorax")
    assert rule.fits("CT1", "CT Thorax", {})
    assert not rule.fits("CT1", "CT Abdomen", {})
    assert not rule.fits("CT2", "CT Thorax", {})


def test_a_destination_that_there_is_not_is_refused() -> None:
    with pytest.raises(SettingsError, match="'archive' in rule 'rest'"):
        Rules((Rule("rest", destinations=("archive",)),), ALL)


def test_what_is_no_regular_expression_is_refused() -> None:
    with pytest.raises(SettingsError, match="regular expression"):
        Rule("broken", study_description="(")


@pytest.mark.parametrize(
    ("tags", "fits"),
    [
        ({"StationName": ("ct1*",)}, True),
        ({"StationName": ("CT2", "ER?", "CT1-??")}, True),
        ({"StationName": ("CT1",)}, False),
        ({"BodyPartExamined": ("CHEST",), "Modality": ("CT",)}, True),
        ({"BodyPartExamined": ("HEAD",), "Modality": ("CT",)}, False),
        ({"Manufacturer": ("*",)}, False),
        ({"Manufacturer": ("",)}, True),
        ({"PatientAge": (">= 18",)}, False),
        ({"PatientAge": ("< 18",)}, True),
        ({"PatientAge": ("> 6M, < 1",)}, True),
        ({"PatientAge": ("< 6M", "> 65")}, False),
        ({"PatientAge": ("= 8M",)}, True),
        ({"SliceThickness": ("> 0, <= 1.5",)}, True),
        ({"SliceThickness": (">= 2",)}, True),
        ({"SliceThickness": ("< 1",)}, False),
        ({"KVP": ("120",)}, True),
    ],
    ids=str,
)
def test_a_rule_on_tags_fits_where_each_has_a_value_that_fits(
    tags: dict[str, tuple[str, ...]], fits: bool
) -> None:
    seen = {
        "StationName": ["CT1-ER"],
        "BodyPartExamined": ["", "CHEST"],
        "Modality": ["CT"],
        "PatientAge": ["008M"],
        "SliceThickness": ["1.250", "2.5"],
        "KVP": ["120"],
    }
    assert Rule("x", tags=tags).fits("CT1", "", seen) is fits


@pytest.mark.parametrize(
    ("keyword", "pattern", "words"),
    [
        ("PatientName", "*", "may say who the patient is"),
        ("PatientID", "4711", "may say who the patient is"),
        ("AccessionNumber", "*", "may say who the patient is"),
        ("PatientBirthDate", "19*", "may say who the patient is"),
        ("StudyDate", "2026*", "may say who the patient is"),
        ("SOPInstanceUID", "*", "may say who the patient is"),
        ("PatientComments", "*", "may say who the patient is"),
        ("IssuerOfPatientID", "*", "may say who the patient is"),
        ("BodyPartExamind", "CHEST", "expected BodyPartExamined?"),
        ("PatientAge", "old", "comparisons with an age"),
        ("SliceThickness", "< 1M", "comparisons with a number"),
        ("ReferencedImageSequence", "*", "no short text or number"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_its_reason(
    keyword: str, pattern: str, words: str
) -> None:
    with pytest.raises(SettingsError, match=re.escape(words)):
        Rule("x", tags={keyword: (pattern,)})


def test_facts_are_all_values_seen_but_not_without_end() -> None:
    facts = with_more("", {"Modality": ["CT"], "StationName": ["A" * 100]})
    assert as_values(facts) == {"Modality": ["CT"], "StationName": ["A" * 64]}
    assert with_more(facts, {"Modality": ["CT"]}) == facts
    for number in range(20):
        facts = with_more(facts, {"InstanceNumber": [str(number)]})
    assert as_values(facts)["InstanceNumber"] == [str(number) for number in range(8)]
    assert with_more("", {}) == ""
