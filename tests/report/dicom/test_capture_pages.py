from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from groundglass.core.notes import Note, NoteKind
from groundglass.core.result import RESULT_OUTCOMES, Outcome, TriageResult
from groundglass.core.verdict_words import NOT_EXCLUDED, not_judged_sentence
from groundglass.core.volume import Volume
from groundglass.report.dicom import capture_pages
from groundglass.report.dicom.capture_pages import (
    AMBER,
    EDGE,
    Naming,
    Page,
    Type,
    refusal_page,
    verdict_pages,
    width_of,
    wrapped,
)
from groundglass.report.overlay import DRAWING
from groundglass.report.view_model import ViewModel
from made_result import made_result, without_verdict
from made_verdicts import by_share


class Recorder:
    """Keeps every line that is drawn, and where the lowest above the footer ends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lines: list[str] = []
        self.lowest = 0
        draw = capture_pages.write_line

        def record(image: object, at: tuple[int, int], words: str, kind: Type) -> None:
            self.lines.append(words)
            if not words.startswith("groundglass "):
                self.lowest = max(self.lowest, at[1] + kind.line)
            draw(image, at, words, kind)  # type: ignore[arg-type]

        monkeypatch.setattr(capture_pages, "write_line", record)
        capture_pages.empty_page.cache_clear()

    @property
    def words(self) -> str:
        return " ".join(self.lines)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(monkeypatch)


def name(index: int) -> str:
    return f"CT image {index + 1}"


NAMING = Naming(name, "Revision 2, analysed then")


def pages(result: TriageResult, volume: Volume) -> list[np.ndarray]:
    return verdict_pages(ViewModel(result, volume), NAMING)


def test_every_page_says_what_it_is_not_for(
    volume: Volume, result: TriageResult, drawn: Recorder
) -> None:
    shown = [*pages(result, volume), refusal_page("Not analysed", ["why"], "1")]
    assert len(shown) == 4  # the verdict, two pages for four key slices, the refusal
    assert "Research use only. Not a medical device; not for diagnosis." in drawn.lines
    for page in shown:
        assert page.shape == (EDGE, EDGE, 3)
        assert page.dtype == np.uint8
        assert tuple(page[4, 4]) == AMBER
        assert np.array_equal(page[:50], shown[0][:50])


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
        "Votes of 1 group",
        "CT image 6 argued most for COVID-19",
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


@pytest.mark.parametrize("classes", [3, 12])
def test_nothing_is_drawn_over_the_footer_or_off_the_page(
    volume: Volume, drawn: Recorder, classes: int
) -> None:
    result = made_result(volume)
    assert result.verdict is not None
    labels = tuple(f"class {k}" for k in range(classes))
    many = replace(
        result,
        labels=labels,
        groups=result.groups * 30,
        verdict=replace(result.verdict, label=labels[0], probabilities=dict.fromkeys(labels, 0.1)),
        notes=tuple(Note(kind, "What was not seen of the lungs. " * 6) for kind in NoteKind),
        reason=" ".join(["a long story"] * 60),
        provenance=replace(result.provenance, bundle_statement="A statement. " * 60),
    )
    verdict_pages(ViewModel(many, volume), NAMING, 0)
    pages(without_verdict(many, Outcome.NO_LUNG, many.reason), volume)
    assert drawn.lowest <= EDGE - 30


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
    assert len(verdict_pages(ViewModel(result, volume), NAMING, 3)) == 3


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
    footer = slice(EDGE - 34, EDGE)
    assert np.array_equal(page[footer], empty[footer])


def test_a_volume_sliced_another_way_has_its_first_page(
    volume: Volume, result: TriageResult, stored_as: object
) -> None:
    stored, found = stored_as(volume, result, (1, 0, 2), (False, False, False))  # type: ignore[operator]
    assert len(pages(found, stored)) == 1


def test_every_printable_letter_is_drawn_and_no_two_alike() -> None:
    """A typeface without a letter draws the same box for each."""
    seen = set()
    for code in range(ord("!"), ord("~") + 1):
        page = Page("")
        page.text((40, 80), chr(code), Type(24))
        seen.add(page.pixels.tobytes())
    assert len(seen) == ord("~") - ord("!") + 1


def test_lines_keep_to_their_width_and_lose_no_word() -> None:
    words = "the quick brown fox jumps over the lazy dog again and again"
    lines = wrapped(words, 20, 150)
    assert " ".join(lines) == words
    assert max(width_of(line, 20) for line in lines) <= 150
    assert len(lines) > 3


def test_a_word_too_long_for_a_line_is_cut() -> None:
    (line,) = wrapped("w" * 200, 20, 150)
    assert width_of(line, 20) <= 150
    assert wrapped("", 20, 150) == []


def test_a_paragraph_stays_in_its_room() -> None:
    for words in ("short", "long " * 60, "endless " * 400):
        page = Page("")
        empty, top = page.pixels.copy(), page.y
        page.say(words, Type(24), 120)
        changed = np.argwhere((page.pixels != empty).any(axis=2))
        assert changed[:, 0].min() >= top
        assert changed[:, 0].max() < top + 120 + 6  # a letter below the line
        assert changed[:, 1].min() >= 30
        assert changed[:, 1].max() <= EDGE - 30
        assert page.y <= top + 120


@pytest.mark.parametrize(
    ("ill", "cp", "kind"),
    [(12, 0.9, "Kind: COVID-19 pneumonia"), (12, 0.6, "Kind not told"), (1, 0.6, "")],
)
def test_a_verdict_by_share_gives_both_answers(
    volume: Volume, drawn: Recorder, ill: int, cp: float, kind: str
) -> None:
    found = by_share(made_result(volume), ill, cp)
    pages(found, volume)
    words = drawn.words
    title = "Findings as in pneumonia" if kind else "No findings of pneumonia seen"
    assert drawn.lines[2] == title  # after the banner and the footer
    assert [line for line in drawn.lines if line.startswith("Kind")] == ([kind] if kind else [])
    assert f"{ill} of {sum(r.score is not None for r in found.slices)} judged slices" in words
    assert words.count(NOT_EXCLUDED) == bool(kind)
    assert "Votes" not in words
    assert "Healthy" not in words
    assert words.count("its verdict means nothing") == 1
    assert f"score {'0.900' if kind else '0.200'} (ill from 0.5 on)" in words


def test_no_caption_speaks_of_heat_that_is_not_drawn(volume: Volume, drawn: Recorder) -> None:
    result = made_result(volume)
    first, *others = result.heatmaps
    faint = np.float32(0.9 * DRAWING.heat_threshold)
    hidden = [replace(one, heat=one.heat / one.heat.max() * faint) for one in others]
    assert len(pages(replace(result, heatmaps=(first, *hidden)), volume)) == 2
    assert drawn.words.count("of the heat in the lung") == 1
    drawn.lines.clear()
    assert len(pages(replace(result, heatmaps=tuple(hidden)), volume)) == 1
    assert "argued" not in drawn.words
    assert "heat" not in drawn.words.lower()


@pytest.mark.parametrize("outcome", [Outcome.VERDICT, Outcome.FOR_A_READER])
def test_what_was_not_judged_is_told_once(
    volume: Volume, result: TriageResult, drawn: Recorder, outcome: Outcome
) -> None:
    ended = result if outcome is Outcome.VERDICT else replace(result, outcome=outcome, verdict=None)
    assert ended.not_judged is not None
    pages(ended, volume)
    assert drawn.words.count(not_judged_sentence(ended.not_judged)) == 1
