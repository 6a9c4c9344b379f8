"""What the terminal says of a result."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from groundglass.cli.console import Terminal
from groundglass.cli.observer import TerminalObserver
from groundglass.core.result import RESEARCH_USE_ONLY, Outcome, TriageResult
from groundglass.core.verdict_words import NOT_EXCLUDED, NOT_LOOKED_FOR, not_judged_sentence
from groundglass.read import read_study, read_volume, select_chest_ct
from made_ct import ct_series, write
from made_result import made_result
from made_verdicts import by_share


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> TriageResult:
    folder = write(ct_series(), tmp_path_factory.mktemp("made") / "ct")
    return made_result(read_volume(select_chest_ct(read_study(folder))))


def said(result: TriageResult, capsys: pytest.CaptureFixture[str]) -> str:
    with TerminalObserver(Terminal(), Path("report")) as observer:
        observer.reported(result)
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("study", "heading", "caveat"),
    [
        ((12, 0.9), "Findings as in pneumonia, kind: COVID-19 pneumonia (CP)", NOT_EXCLUDED),
        ((12, 0.6), "Findings as in pneumonia, kind not told (kind-not-told)", NOT_EXCLUDED),
        ((1, 0.6), "No findings of pneumonia seen (healthy)", NOT_LOOKED_FOR),
    ],
)
def test_a_verdict_by_share_is_told_with_what_decided_it(
    result: TriageResult,
    study: tuple[int, float],
    heading: str,
    caveat: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = by_share(result, *study)
    assert found.verdict is not None
    words = said(found, capsys)
    assert f"Verdict: {heading}\n" in words
    assert f"{study[0]} of 20 judged slices" in words
    assert words.count(caveat) == 1
    assert "group" not in words
    for label, value in found.verdict.probabilities.items():
        assert f"  {label:<7}  {value:.3f}\n" in words
    assert words.count(result.provenance.bundle_statement) == 1
    assert words.count(RESEARCH_USE_ONLY) == 1


def test_a_verdict_by_vote_tells_its_groups(
    result: TriageResult, capsys: pytest.CaptureFixture[str]
) -> None:
    words = said(result, capsys)
    assert "Verdict: COVID-19 pneumonia (CP)\n" in words
    assert "  CP       0.812  1 of 1 group\n" in words


def test_what_is_for_a_reader_has_no_verdict_and_says_why(
    result: TriageResult, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = replace(result, outcome=Outcome.FOR_A_READER, reason="Made so.", verdict=None)
    words = said(ended, capsys)
    assert "No verdict: for a reader" in words
    assert "Made so." in words
    assert ended.not_judged is not None
    assert words.count(not_judged_sentence(ended.not_judged)) == 1
    assert "Outcome: for-a-reader" in words
