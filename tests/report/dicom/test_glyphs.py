"""Letters put side by side are the line that Pillow draws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from groundglass.report.dicom.glyphs import line_mask, width_of

lines = st.text([chr(code) for code in range(32, 127)], min_size=1, max_size=30)
sizes = st.sampled_from([18, 20, 22, 24, 27, 44])


@given(lines, sizes)
def test_a_line_is_as_wide_as_pillow_says(line: str, size: int) -> None:
    assert width_of(line, size) == pytest.approx(ImageFont.load_default(size).getlength(line))


@given(lines, sizes, st.sampled_from([0, 1, 3]))
def test_a_line_is_the_one_pillow_draws(line: str, size: int, stroke: int) -> None:
    around = 60
    shape = (size + 2 * around, width_of(line, size) + 2 * around)
    theirs = Image.new("L", shape[::-1])
    ImageDraw.Draw(theirs).text(
        (around, around),
        line,
        fill=255,
        font=ImageFont.load_default(size),
        stroke_width=stroke,
        stroke_fill=255,
    )
    ours = np.zeros(shape, np.uint8)
    mask, (left, top) = line_mask(line, size, stroke)
    rows, columns = mask.shape
    ours[around + top :, around + left :][:rows, :columns] = mask
    off = np.abs(ours.astype(int) - np.asarray(theirs))
    assert (off > 0).mean() < 0.01  # where letters overlap
    assert off.max() < 128


def test_nothing_is_drawn_of_nothing() -> None:
    for line in ("", " ", "   "):
        mask, _ = line_mask(line, 20, 1)
        assert not mask.any()
