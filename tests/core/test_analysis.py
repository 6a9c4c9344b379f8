from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from groundglass.core.analysis import Analysis, Completeness, EarlierResult
from groundglass.core.notes import NoteKind
from groundglass.errors import SettingsError

AT = datetime(2026, 3, 1, 14, 30, 5, 123456, tzinfo=timezone(timedelta(hours=1)))


def test_it_is_told_from_others_by_revision_and_time() -> None:
    assert Analysis(AT, 2).words == "Revision 2, analysed 2026-03-01 14:30 +0100"
    assert Analysis(AT, 2).at.microsecond == 0


def test_the_same_moment_elsewhere_is_the_same() -> None:
    assert Analysis(AT).facts == Analysis(AT.astimezone(UTC)).facts
    assert Analysis(AT).facts != Analysis(AT + timedelta(seconds=1)).facts


@pytest.mark.parametrize(
    ("completeness", "kinds"),
    [
        (Completeness.NOT_ASKED, set()),
        (Completeness.VERIFIED, set()),
        (Completeness.NOT_VERIFIED, {NoteKind.NOT_VERIFIED}),
    ],
)
def test_what_nobody_could_verify_is_said(completeness: Completeness, kinds: set[str]) -> None:
    assert {note.kind for note in Analysis(AT, completeness=completeness).notes} == kinds


def test_what_is_missing_and_what_is_replaced_is_said_without_identifiers() -> None:
    analysis = Analysis(AT, 2, missing={"1.2.3": 1, "1.2.4": 34}, replaced=EarlierResult(1, AT))
    incomplete, replaces = analysis.notes
    assert "35 images of 2 series" in incomplete.text
    assert "1.2." not in incomplete.text
    assert replaces.text == "Replaces the result of revision 1, analysed 2026-03-01 14:30 +0100."


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(SettingsError, match="revision 0"):
        Analysis(AT, 0)
    with pytest.raises(SettingsError, match="time zone"):
        replace(Analysis(AT), at=AT.replace(tzinfo=None))
