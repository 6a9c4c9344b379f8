"""The square frame: proportions kept, and back is the way back."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from groundglass.core.geometry import Geometry
from groundglass.prepare import SquareFrame


def geometry(rows: int, columns: int, row_mm: float, column_mm: float) -> Geometry:
    axes = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
    return Geometry((1, rows, columns), (1.0, row_mm, column_mm), (0.0, 0.0, 0.0), axes)


@given(st.integers(64, 700), st.integers(64, 700), st.floats(0.4, 1.5), st.floats(0.4, 1.5))
def test_a_disc_comes_back_where_it_was(
    rows: int, columns: int, row_mm: float, column_mm: float
) -> None:
    grid = geometry(rows, columns, row_mm, column_mm)
    frame = SquareFrame.of(grid, 256)
    y = (np.arange(rows) - rows * 0.45)[:, None] * row_mm
    x = (np.arange(columns) - columns * 0.55)[None] * column_mm
    radius = 0.25 * min(rows * row_mm, columns * column_mm)
    disc = np.clip((radius - np.hypot(y, x)) / max(row_mm, column_mm) + 0.5, 0, 1)
    square = frame.into(disc.astype(np.float32), 0.0)
    again = frame.back(square)
    assert again.shape == disc.shape
    both = ((again > 0.5) & (disc > 0.5)).sum()
    assert 2 * both / ((again > 0.5).sum() + (disc > 0.5).sum()) > 0.96
    # A disc of the patient is a disc for the network, whatever the pixels' shape.
    area_mm2 = float(square.sum()) * frame.pixel_mm**2
    assert abs(area_mm2 / (np.pi * radius**2) - 1) < 0.08


def test_what_the_slice_does_not_cover_is_filled() -> None:
    frame = SquareFrame.of(geometry(100, 200, 1.0, 1.0), 256)
    square = frame.into(np.zeros((100, 200), np.float32), -1024.0)
    assert square[0, 0] == -1024
    assert square[128, 128] == 0
