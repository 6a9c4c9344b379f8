"""The page about the table has every word that the program knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from groundglass.cohort import SPLITS, FindingKind, Severity
from groundglass.cohort.image_files import STACK_COLUMNS
from groundglass.cohort.table import COLUMNS, PATH_COLUMNS
from groundglass.read.image_stack.pictures import IMAGE_SUFFIXES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "cohort-table.md"


@pytest.mark.parametrize(
    "words",
    [COLUMNS, PATH_COLUMNS, STACK_COLUMNS, SPLITS, tuple(FindingKind), tuple(Severity),
     IMAGE_SUFFIXES, (".nii", ".nii.gz", ".mha", ".mhd", ".phantom.json", ".zip")],
    ids=lambda words: words[0],
)  # fmt: skip
def test_every_word_is_on_the_page(words: tuple[str, ...]) -> None:
    text = PAGE.read_text("utf-8")
    assert [word for word in words if f"`{word}`" not in text] == []
