from __future__ import annotations

import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from groundglass.report.png import indexed_png

pictures = hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40)))
colours = hnp.arrays(np.uint8, (256, 4))


@given(pictures, colours)
def test_every_pixel_comes_back_in_its_colour(index: np.ndarray, colours: np.ndarray) -> None:
    read = np.asarray(Image.open(io.BytesIO(indexed_png(index, colours))).convert("RGBA"))
    assert np.array_equal(read, colours[index])


def test_a_short_palette_is_enough_for_what_is_used() -> None:
    index = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    palette = np.array([[1, 2, 3, 0], [4, 5, 6, 120], [7, 8, 9, 255]], np.uint8)
    read = np.asarray(Image.open(io.BytesIO(indexed_png(index, palette))).convert("RGBA"))
    assert np.array_equal(read, palette[index])
