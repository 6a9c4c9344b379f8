from __future__ import annotations

import numpy as np
import pytest

from groundglass.report.dicom.canvas import Canvas, Type, plain, wrapped
from groundglass.report.dicom.glyphs import width_of


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("−3.5 × 2 – ≥ 0.9", "-3.5 x 2 - >= 0.9"),
        ("Müller, Ångström, naïve", "Muller, Angstrom, naive"),
        ("王小东 scan", "??? scan"),
        ("one\n two\tthree", "one two three"),
    ],
)
def test_words_are_written_in_letters_the_typeface_has(words: str, expected: str) -> None:
    assert plain(words) == expected


def test_every_printable_letter_is_drawn_and_no_two_alike() -> None:
    """A typeface without a letter draws the same box for each."""
    seen = set()
    for code in range(ord("!"), ord("~") + 1):
        canvas = Canvas(40, 40)
        canvas.text((4, 4), chr(code), Type(24))
        seen.add(canvas.pixels.tobytes())
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


def test_a_fitted_paragraph_stays_in_its_room() -> None:
    for words in ("short", "long " * 60, "endless " * 400):
        canvas = Canvas(400, 400)
        empty = canvas.pixels.copy()
        canvas.fitted((50, 100), words, Type(24), (300, 120))
        changed = np.argwhere((canvas.pixels != empty).any(axis=2))
        top, left = changed.min(axis=0)
        bottom, right = changed.max(axis=0)
        assert top >= 100
        assert bottom < 100 + 120 + 6  # a letter below the line
        assert left >= 50
        assert right <= 351
