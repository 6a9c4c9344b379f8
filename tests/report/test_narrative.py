"""The report's words."""

from __future__ import annotations

import pytest

from groundglass.report.narrative import plain


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
