from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from groundglass.core.result import (
    KIND_NOT_TOLD,
    GroupPrediction,
    LeftOut,
    LungThird,
    NotJudged,
    ShareOfSlices,
    SliceGroup,
    Verdict,
)
from groundglass.core.verdict_words import (
    NONE_SEEN,
    NOT_EXCLUDED,
    NOT_LOOKED_FOR,
    Answers,
    calls_findings,
    caveat,
    class_name,
    ill_slices,
    in_a_sentence,
    not_judged_sentence,
    percent,
    share_sentences,
)

FOUND = ShareOfSlices(23, 100, 0.5, 0.1, {"CP": 0.62, "NCP": 0.38}, 0.8)


def verdict(label: str, found: ShareOfSlices | None = FOUND) -> Verdict:
    probabilities = {"CP": 0.4, "NCP": 0.3, "healthy": 0.3}
    return Verdict(label, probabilities, dict.fromkeys(probabilities, 0), "CP", False, (), found)


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("CP", "Findings as in pneumonia, kind: COVID-19 pneumonia"),
        ("NCP", "Findings as in pneumonia, kind: Other pneumonia"),
        (KIND_NOT_TOLD, "Findings as in pneumonia, kind not told"),
        ("healthy", "No findings of pneumonia seen"),
    ],
)
def test_a_verdict_by_share_gives_both_answers(label: str, words: str) -> None:
    assert str(Answers.of(verdict(label))) == words
    assert "ealthy" not in words


@pytest.mark.parametrize("label", ["CP", "healthy", "a bundle's own"])
def test_a_verdict_by_vote_is_its_class(label: str) -> None:
    assert str(Answers.of(verdict(label, None))) == class_name(label)


@pytest.mark.parametrize("label", ["CP", "NCP", KIND_NOT_TOLD])
def test_findings_are_never_said_without_what_they_do_not_exclude(label: str) -> None:
    assert calls_findings(verdict(label))
    assert caveat(verdict(label)) == NOT_EXCLUDED


def test_none_seen_is_not_nothing_wrong() -> None:
    assert not calls_findings(verdict("healthy"))
    assert caveat(verdict("healthy")) == NOT_LOOKED_FOR
    assert class_name("healthy", FOUND) == NONE_SEEN


def test_a_vote_calls_any_class_but_healthy() -> None:
    assert calls_findings(verdict("NCP", None))
    assert not calls_findings(verdict("healthy", None))
    assert caveat(verdict("healthy", None)) == ""


def test_the_sentences_give_the_counts_and_every_threshold() -> None:
    story = " ".join(share_sentences(FOUND))
    for words in ("23 of 100", "(23%)", "scores 0.5 or more", "from 10% of the slices on", "62%",
                  "from 80% on; here it is not."):  # fmt: skip
        assert words in story
    told = " ".join(share_sentences(replace(FOUND, kinds={"CP": 0.9, "NCP": 0.1})))
    assert told.endswith("here it is.")
    never = " ".join(share_sentences(replace(FOUND, kind_threshold=None)))
    assert "cannot tell kinds apart" in never
    assert "62%" not in never


def test_without_findings_no_kind_is_spoken_of() -> None:
    story = " ".join(share_sentences(replace(FOUND, ill=9)))
    assert "9 of 100" in story
    assert "kind" not in story.lower()


def test_at_the_threshold_itself_findings_and_kind_are_told() -> None:
    at = replace(FOUND, ill=10, kinds={"CP": 0.2, "NCP": 0.8})
    assert " ".join(share_sentences(at)).endswith("here it is.")


@pytest.mark.parametrize(
    ("name", "within"),
    [
        ("COVID-19 pneumonia", "COVID-19 pneumonia"),
        ("Other pneumonia", "other pneumonia"),
        ("viral", "viral"),
        ("", ""),
    ],
)
def test_names_within_a_sentence(name: str, within: str) -> None:
    assert in_a_sentence(name) == within


@pytest.mark.parametrize(
    ("share", "words"), [(1 / 3, "33.3%"), (0.05, "5%"), (0.0566, "5.66%"), (1.0, "100%")]
)
def test_percentages_keep_three_digits(share: float, words: str) -> None:
    assert percent(share) == words


def test_what_was_not_judged_is_said_in_all_and_by_third() -> None:
    upper, middle, lower = LungThird
    parts = {
        upper: LeftOut(100.0, 1.0, 1000.0, 4.0),
        middle: LeftOut(0.0, 0.0, 1000.0, 0.0),
        lower: LeftOut(500.0, 15.0, 1000.0, 16.0),
    }
    words = not_judged_sentence(NotJudged(parts))
    assert words.startswith("Not judged: 20% of the lung and 80% of the opacity")
    assert "(upper third 10% and 25%, middle third 0% and 0%, lower third 50% and 94%)" in words


def test_a_slice_is_ill_from_the_threshold_on() -> None:
    group = SliceGroup(0, (1, 2, 3), 3, padding=0, interpolated=False)
    rows = np.array([[0.3, 0.19, 0.51], [0.25, 0.25, 0.5], [0.6, 0.3, 0.1]])
    seen = GroupPrediction.of_each_slice(group, ("CP", "NCP", "healthy"), rows)
    assert ill_slices(seen, FOUND) == 2
