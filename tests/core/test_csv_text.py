"""Tables as text: what is written is read, and what a kill cut short is left out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from groundglass.core.csv_text import csv_text, whole_rows

CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=6)
ROWS = st.lists(st.lists(CELLS, min_size=2, max_size=3), max_size=4)


@given(ROWS)
def test_what_is_written_is_read(rows: list[list[str]]) -> None:
    assert whole_rows(csv_text(rows)) == rows


@given(ROWS, st.integers(0, 80))
def test_a_row_cut_short_is_left_out(rows: list[list[str]], cut: int) -> None:
    whole = whole_rows(csv_text(rows)[:cut])
    assert whole == rows[: len(whole)]
    assert len(csv_text(rows[: len(whole) + 1])) > cut or len(whole) == len(rows)
