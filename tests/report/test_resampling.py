from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundglass.report.resampling import fitted, fitted_shape, sampled

sides = st.integers(1, 700)


@given(sides, sides, st.integers(1, 600))
def test_a_picture_fits_and_keeps_its_proportion(rows: int, columns: int, edge: int) -> None:
    shape = fitted_shape((rows, columns), edge)
    assert max(shape) == min(edge, max(rows, columns))
    assert fitted_shape((rows, columns), None) == (rows, columns)
    share = max(shape) / max(rows, columns)
    assert shape == pytest.approx((rows * share, columns * share), abs=1)


@pytest.mark.parametrize("edge", [384, 256, 100, 60])
def test_a_smaller_picture_shows_the_same(edge: int) -> None:
    x, y = np.meshgrid(np.linspace(0, 9, 512), np.linspace(0, 7, 400))
    image = np.rint(127 + 60 * np.sin(x) + 60 * np.cos(y)).astype(np.uint8)
    small = fitted(image, edge)
    assert max(small.shape) == edge
    again = cv2.resize(small, image.shape[::-1], interpolation=cv2.INTER_CUBIC)
    assert np.abs(again.astype(int) - image).max() <= 6


def test_fine_stripes_do_not_become_others() -> None:
    """Shrunk to less than half, every pixel still has its part."""
    image = np.tile(np.array([0, 255], np.uint8), (90, 300))
    assert np.abs(fitted(image, 180).astype(int) - 128).max() <= 45


@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(0, 40), st.integers(1, 60), st.integers(0, 9)
)
def test_cells_are_read_as_if_the_whole_image_were_enlarged(
    rows: int, columns: int, first: int, count: int, seed: int
) -> None:
    cells = np.random.default_rng(seed).random((rows, columns)).astype(np.float32)
    large = cv2.resize(cells, (100, 110), interpolation=cv2.INTER_LINEAR)
    part = range(first, first + count), range(first, first + count)
    read = sampled(cells, (110, 100), part, (count, count))
    np.testing.assert_allclose(read, large[first : first + count, first : first + count], atol=2e-5)


def test_fewer_pixels_show_the_same_part() -> None:
    ramp = np.linspace(0, 1, 32, dtype=np.float32)[None].repeat(32, axis=0)
    read = sampled(ramp, (512, 512), (range(512), range(128, 384)), (10, 64))
    assert read.shape == (10, 64)
    assert read[0, 0] == pytest.approx(0.25, abs=0.03)
    assert read[-1, -1] == pytest.approx(0.75, abs=0.03)
    assert (np.diff(read, axis=1) > 0).all()
    assert np.ptp(read, axis=0).max() == pytest.approx(0, abs=1e-6)
