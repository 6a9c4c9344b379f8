"""The square frame: proportions kept, and back is the way back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundglass.core.geometry import Geometry
from groundglass.prepare import Letterbox


def geometry(rows: int, columns: int, row_mm: float, column_mm: float) -> Geometry:
    axes = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
    return Geometry((1, rows, columns), (1.0, row_mm, column_mm), (0.0, 0.0, 0.0), axes)


@given(st.integers(64, 700), st.integers(64, 700), st.floats(0.4, 1.5), st.floats(0.4, 1.5))
def test_a_disc_comes_back_where_it_was(
    rows: int, columns: int, row_mm: float, column_mm: float
) -> None:
    grid = geometry(rows, columns, row_mm, column_mm)
    frame = Letterbox.of(grid, 256)
    y = (np.arange(rows) - rows * 0.45)[:, None] * row_mm
    x = (np.arange(columns) - columns * 0.55)[None] * column_mm
    radius = 0.25 * min(rows * row_mm, columns * column_mm)
    disc = np.clip((radius - np.hypot(y, x)) / max(row_mm, column_mm) + 0.5, 0, 1)
    square = frame.forward(disc.astype(np.float32), 0.0)
    again = frame.inverse(square)
    assert again.shape == disc.shape
    both = ((again > 0.5) & (disc > 0.5)).sum()
    assert 2 * both / ((again > 0.5).sum() + (disc > 0.5).sum()) > 0.96
    # A disc of the patient is a disc for the network, whatever the pixels' shape.
    area_mm2 = float(square.sum()) * frame.pixel_mm**2
    assert abs(area_mm2 / (np.pi * radius**2) - 1) < 0.08


def test_what_the_slice_does_not_cover_is_filled() -> None:
    frame = Letterbox.of(geometry(100, 200, 1.0, 1.0), 256)
    square = frame.forward(np.zeros((100, 200), np.float32), -1024.0)
    assert square[0, 0] == -1024
    assert square[128, 128] == 0


@given(st.integers(20, 90), st.integers(20, 90), st.sampled_from([0.5, 0.7, 1.3]), st.booleans())
def test_places_in_the_patient_are_where_the_frame_says(
    rows: int, columns: int, row_mm: float, grows: bool
) -> None:
    """A slope in mm is the same slope on the square, centre on centre, and comes back."""
    grid = geometry(rows, columns, row_mm, 1.0)
    size = 128 if grows else 16
    frame = Letterbox.of(grid, size)
    wide = columns * 1.0 >= rows * row_mm
    assert frame.pixel_mm == max(columns * 1.0, rows * row_mm) / size
    assert frame.inner_shape[wide] == size
    assert frame.offset[wide] == 0
    height, width = frame.inner_shape
    assert frame.source_shape == (rows, columns)
    assert abs(height - rows * row_mm / frame.pixel_mm) <= 0.5
    assert abs(width - columns / frame.pixel_mm) <= 0.5
    for row_slope, column_slope in ((1.0, 0.0), (0.0, 1.0)):
        y = (np.arange(rows) - (rows - 1) / 2)[:, None] * row_mm * row_slope
        x = (np.arange(columns) - (columns - 1) / 2)[None] * column_slope
        square = frame.forward((y + x).astype(np.float32), np.nan)
        assert square.shape == (size, size)
        outside = np.ones((size, size), bool)
        outside[frame.window] = False
        assert np.array_equal(np.isnan(square), outside)
        at_row, at_column = (np.arange(size) - (size - 1) / 2)[:, None], np.arange(size)[None]
        expected = at_row * row_slope + (at_column - (size - 1) / 2) * column_slope
        # Half a pixel where an odd rest cannot be centred, the rounding of the sides, the edges.
        inner = (slice(3, -3), slice(3, -3))
        error = np.abs(square / frame.pixel_mm - expected)[frame.window][inner]
        assert error.size == 0 or error.max() <= 1.0
        back = frame.inverse(np.nan_to_num(square))
        edge = int(np.ceil(2 * frame.pixel_mm / min(row_mm, 1.0))) + 1
        off = np.abs(back - (y + x))[edge:-edge, edge:-edge]
        assert off.size == 0 or off.max() <= 0.05 * frame.pixel_mm + 0.02


def test_a_coarse_map_covers_the_square_and_is_never_below_nothing() -> None:
    frame = Letterbox.of(geometry(60, 120, 1.0, 1.0), 128)
    cells = np.full((8, 8), -1.0, np.float32)
    cells[2:4] = 1.0  # the upper half of what the slice fills
    found = frame.from_grid(cells)
    assert found.shape == (60, 120)
    assert found.dtype == np.float32
    assert found.min() == 0
    assert (found[8:22] > 0.9).all()
    assert not found[40:].any()


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_what_is_filled_keeps_its_type(kind: type) -> None:
    square = Letterbox.of(geometry(20, 30, 1.0, 1.0), 16).forward(np.ones((20, 30), kind), 7)
    assert square.dtype == kind
    assert square[0, 0] == 7


@pytest.mark.parametrize(("rows", "columns"), [(1, 900), (900, 1)])
def test_a_sliver_still_has_a_row_and_a_column(rows: int, columns: int) -> None:
    frame = Letterbox.of(geometry(rows, columns, 1.0, 1.0), 64)
    assert sorted(frame.inner_shape) == [1, 64]
    square = frame.forward(np.ones((rows, columns), np.float32), 0.0)
    assert square.sum() == pytest.approx(64)


def test_what_has_the_square_s_size_goes_in_as_it_is() -> None:
    frame = Letterbox.of(geometry(64, 64, 1.0, 1.0), 64)
    image = np.random.default_rng(0).random((64, 64), dtype=np.float32)
    assert np.array_equal(frame.forward(image, 0.0), image)


def test_a_slice_that_shrinks_is_averaged_and_one_that_grows_interpolated() -> None:
    image = np.zeros((64, 64), np.float32)
    image[::2, ::2] = 4.0
    assert np.allclose(Letterbox.of(geometry(64, 64, 1.0, 1.0), 32).forward(image, 0.0), 1.0)
    # Rows that stay beside columns that shrink are no reason to leave columns out.
    wide = np.tile(np.array([0, 0, 0, 4], np.float32), (16, 16))
    assert np.allclose(Letterbox.of(geometry(16, 64, 1.0, 0.25), 16).forward(wide, 0.0), 1.0)
    assert np.allclose(Letterbox.of(geometry(64, 16, 0.25, 1.0), 16).forward(wide.T, 0.0), 1.0)
    step = np.repeat([[0.0, 8.0]], 4, axis=0).repeat(2, axis=1).astype(np.float32)
    larger = Letterbox.of(geometry(4, 4, 1.0, 1.0), 8).forward(step, 0.0)
    assert np.allclose(larger[0], [0, 0, 0, 2, 6, 8, 8, 8])
