"""Tables as CSV text, one line a row, of which a kill may have cut the last one short."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Rows as text."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def whole_rows(text: str) -> list[list[str]]:
    """The rows of a text, but for one at its end that is cut short."""
    return list(csv.reader(io.StringIO(text[: text.rfind("\n") + 1], newline="")))
