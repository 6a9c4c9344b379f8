"""The model card: made of the bundle alone, with nothing left out silently."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from made_answers import made_bundle

from groundglass.core.result import RESEARCH_USE_ONLY
from groundglass.core.verdict_words import NOT_EXCLUDED
from groundglass.evaluate.report.model_card import model_card
from groundglass.infer import load_bundle, shipped_bundles
from groundglass.infer.bundle_metadata import (
    BundleMetadata,
    CalibratedOn,
    Calibration,
    Conformal,
    DecisionThreshold,
    ShareRule,
)

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "demonstration-bundle.md"
HEADINGS = ["What the verdict means", "Data", "Figures", "Calibration and operating point",
            "Limits", "How to rebuild", "Recipe", "Files"]  # fmt: skip
TRAINING = {
    "data": [
        {
            "source": "a hospital",
            "licence": "CC BY 4.0",
            "citation": "Somebody 2020",
            "patients": {"train": {"CP": 4, "healthy": 5}, "test": {"CP": 1}},
            "note": "thick | slices",
        }
    ],
    "experiment": "best",
    "settings": {"encoder": {"epochs": 8, "rate": 0.001}},
    "command": "groundglass train all --experiment best.toml --cohort cohort.csv",
    "hardware": "2 cores",
    "wall_time_s": 5460,
    "versions": {"torch": "2.13.0"},
    "metrics": {
        "test patients": {
            "patients": 78,
            "accuracy": {"value": 0.7821, "low": 0.678, "high": 0.859},
            "CP": {"AUC": {"value": None}},
        },
        "note": "measured once",
    },
    "limits": ["Thick slices only."],
}


def section(card: str, heading: str) -> str:
    return card.split(f"## {heading}\n")[1].split("\n## ", maxsplit=1)[0]


def test_it_has_every_section_even_of_a_bundle_that_says_nothing() -> None:
    card = model_card(made_bundle())
    assert re.findall(r"^## (.+)$", card, re.MULTILINE) == HEADINGS
    for heading in ("Data", "Figures", "Limits", "How to rebuild"):
        assert "The bundle does not say." in section(card, heading)
    assert RESEARCH_USE_ONLY in card
    assert made_bundle().statement in card


def test_it_says_all_that_training_wrote() -> None:
    card = model_card(made_bundle(training=TRAINING))
    data = section(card, "Data")
    assert "train: CP 4, healthy 5; test: CP 1" in data
    for word in ("a hospital", "CC BY 4.0", "Somebody 2020", r"thick \| slices"):
        assert word in data
    figures = section(card, "Figures")
    assert "| accuracy | 0.782 (0.678–0.859) |" in figures
    assert "| CP, AUC | not defined |" in figures
    assert "**note**: measured once" in figures
    assert "- Thick slices only." in section(card, "Limits")
    rebuild = section(card, "How to rebuild")
    for word in (TRAINING["command"], "1 h 31 min", "torch 2.13.0", "setting encoder, rate"):
        assert word in rebuild


def test_the_verdict_is_explained_with_the_bundles_own_classes_and_rule() -> None:
    words = section(model_card(made_bundle()), "What the verdict means")
    assert "**CP** (COVID-19 pneumonia)" in words
    assert "groups of 50 slices" in words
    assert "more than 0.9" in words


def test_what_was_fitted_is_told_with_where() -> None:
    metadata = BundleMetadata(
        calibration=Calibration(1.5, "validation", 28),
        operating_point=DecisionThreshold(("CP",), 0.3125, 0.95, 0.7, "validation", 28),
    )
    words = section(model_card(made_bundle(metadata)), "Calibration and operating point")
    for part in ("1.500", "0.3125", "0.950", "0.700", "28 patients", "(validation)"):
        assert part in words
    none = section(model_card(made_bundle()), "Calibration and operating point")
    assert "No temperature" in none
    assert "No threshold" in none


RULE = ShareRule(0.55, 0.125, 20.0, 0.8, "some volumes", 31)
SITE = BundleMetadata(
    share_rule=RULE,
    conformal=Conformal(0.1, 0.3125, 0.1875, "a site", 20, 33),
    calibrated_on=CalibratedOn(
        "demonstration 1", "0" * 64, "validation", ("study_threshold", "conformal"), "best sum",
        {"ill covered": {"value": 0.9, "low": 0.7, "high": 1.0, "n": 20}}, "s", frozenset(["h"]),
    ),
)  # fmt: skip


def test_the_share_rule_is_told_with_its_thresholds_and_what_it_does_not_exclude() -> None:
    words = section(model_card(made_bundle(SITE)), "What the verdict means")
    for part in ("0.55", "12.5%", "80%", "31 studies", "some volumes", NOT_EXCLUDED):
        assert part in words
    assert "vote" not in words
    silent = BundleMetadata(share_rule=ShareRule(0.5, 0.1, 9.0, None, "x", 3))
    assert "never told" in section(model_card(made_bundle(silent)), "What the verdict means")


def test_a_sites_calibration_is_told_with_what_it_was_worth() -> None:
    words = section(model_card(made_bundle(SITE)), "Calibration and operating point")
    for part in ("0.3125", "0.1875", "20 ill and 33 not ill", "demonstration 1", "best sum"):
        assert part in words
    assert "| ill covered | 0.900 (0.700–1.000) | 20 |" in words
    none = section(model_card(made_bundle()), "Calibration and operating point")
    assert "not calibrated on a site's cases" in none


def test_tables_are_whole() -> None:
    card = model_card(made_bundle(SITE, training=TRAINING))
    for block in re.findall(r"(?:^\|.*\n)+", card, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1, block


def test_the_page_is_what_the_command_prints() -> None:
    if "demonstration" not in shipped_bundles():
        pytest.skip("no bundle ships with this copy")
    assert PAGE.read_text("utf-8") == model_card(load_bundle("demonstration")), (
        "run: groundglass models card demonstration > docs/reference/demonstration-bundle.md"
    )
