from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from groundglass.core.result import RESULT_OUTCOMES, Note, NoteKind, Outcome, TriageResult
from groundglass.core.volume import Volume
from groundglass.report.dicom.canvas import AMBER, Canvas, Type
from groundglass.report.dicom.capture_pages import PAGES, refusal_page, verdict_pages
from groundglass.report.view_model import ViewModel
from made_result import made_result, without_verdict


class Recorder:
    """Keeps every line that is drawn."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lines: list[str] = []
        draw = Canvas.text

        def record(canvas: Canvas, at: tuple[int, int], words: str, kind: object) -> None:
            self.lines.append(words)
            draw(canvas, at, words, kind)  # type: ignore[arg-type]

        monkeypatch.setattr(Canvas, "text", record)

    @property
    def words(self) -> str:
        return " ".join(self.lines)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(monkeypatch)


def name(index: int) -> str:
    return f"CT image {index + 1}"


def pages(result: TriageResult, volume: Volume) -> list[np.ndarray]:
    return verdict_pages(ViewModel(result, volume), name)


def test_every_page_says_what_it_is_not_for(
    volume: Volume, result: TriageResult, drawn: Recorder
) -> None:
    shown = [*pages(result, volume), refusal_page("Not analysed", ["why"], "1")]
    assert len(shown) == 4  # the verdict, two pages for four key slices, the refusal
    assert drawn.lines.count("Research use only. Not a medical device; not for diagnosis.") == 4
    for page in shown:
        assert page.shape == (PAGES.edge, PAGES.edge, 3)
        assert page.dtype == np.uint8
        assert tuple(page[4, 4]) == AMBER


def test_the_first_page_tells_verdict_numbers_and_statement(
    volume: Volume, drawn: Recorder
) -> None:
    result = made_result(volume)
    pages(result, volume)
    words = drawn.words
    for expected in (
        "COVID-19 pneumonia",
        "Other pneumonia",
        "0.812",  # its probability
        "Made up for a test - its verdict means nothing.",
        result.reason,
        "1: 20 slices",
        "CT image 6 argued most for COVID-19",
        "ground glass -700 to -300 HU",
        "24 ml",  # 1.5 + 2.5 + … of six regions, both lungs
    ):
        assert expected in words, expected
    assert words.index("its verdict means nothing") < words.index("Mean probability")


def test_the_first_page_tells_what_was_not_seen(
    volume: Volume, result: TriageResult, drawn: Recorder
) -> None:
    pages(result, volume)
    for note in result.notes:
        assert drawn.words.count(note.text) == 1
    drawn.lines.clear()
    reason = f"Part only. {result.notes[0].text}"
    ended = without_verdict(result, Outcome.PART_OF_LUNGS, reason)
    pages(ended, volume)
    for note in result.notes:
        assert drawn.words.count(note.text) == 1


def test_many_groups_leave_room_for_the_burden(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is drawn over the footer or off the page."""
    lowest = []
    draw = Canvas.text

    def record(canvas: Canvas, at: tuple[int, int], words: str, kind: Type) -> None:
        if not words.startswith("groundglass "):
            lowest.append(at[1] + kind.line)
        draw(canvas, at, words, kind)

    monkeypatch.setattr(Canvas, "text", record)
    result = made_result(volume)
    many = replace(
        result,
        groups=result.groups * 30,
        notes=tuple(Note(kind, "What was not seen of the lungs. " * 6) for kind in NoteKind),
        reason=" ".join(["a long story"] * 12),
        provenance=replace(result.provenance, bundle_statement="A statement. " * 60),
    )
    view = ViewModel(many, volume)
    lowest.clear()
    verdict_pages(view, name, replace(PAGES, key_slices=0))
    assert max(lowest) <= PAGES.edge - 30


def test_the_burden_is_left_out_where_it_was_not_measured(
    volume: Volume, result: TriageResult, drawn: Recorder
) -> None:
    pages(replace(result, opacity_burden=None), volume)
    assert "Opacity" not in drawn.words


def test_key_slices_are_shown_with_and_without_heat(volume: Volume, result: TriageResult) -> None:
    """Left grey, right the same slice with colour in it."""
    page = pages(result, volume)[1].astype(int)
    picture = page[100:400]
    half = picture.shape[1] // 2
    colour = np.ptp(picture, axis=2)
    assert (colour[:, : half - 12] > 12).mean() < 0.001
    assert (colour[:, half + 12 :] > 40).mean() > 0.005


def test_no_more_key_slices_than_the_settings_say(volume: Volume) -> None:
    result = made_result(volume, key_slices=tuple(range(3, 17)))
    settings = replace(PAGES, key_slices=3)
    assert len(verdict_pages(ViewModel(result, volume), name, settings)) == 3


@pytest.mark.parametrize("outcome", [o for o in RESULT_OUTCOMES if o is not Outcome.VERDICT])
def test_without_a_verdict_one_page_says_so_and_why(
    volume: Volume, result: TriageResult, drawn: Recorder, outcome: Outcome
) -> None:
    ended = without_verdict(result, outcome, "Because it was made so.")
    assert len(pages(ended, volume)) == 1
    assert "No verdict" in drawn.words
    assert "Because it was made so." in drawn.words
    assert "pneumonia" not in drawn.words


def test_a_refusal_with_endless_reasons_stays_on_its_page(drawn: Recorder) -> None:
    lines = [f"series {k}: refused for a reason of some length, as they are" for k in range(80)]
    page = refusal_page("Not analysed", lines, "1")
    assert "series 0: refused" in drawn.words
    assert "more lines" in drawn.words
    empty = refusal_page("Not analysed", [], "1")
    footer = slice(PAGES.edge - 34, PAGES.edge)
    assert np.array_equal(page[footer], empty[footer])


def test_a_volume_sliced_another_way_has_its_first_page(
    volume: Volume, result: TriageResult, stored_as: object
) -> None:
    stored, found = stored_as(volume, result, (1, 0, 2), (False, False, False))  # type: ignore[operator]
    assert len(pages(found, stored)) == 1
