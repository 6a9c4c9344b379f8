"""Drawing in mm gives areas in mm², and the noise goes on for ever in all directions."""

from __future__ import annotations

import numpy as np
import pytest

from groundglass.phantom.raster import Canvas, Grid, noise_plane, oval

GRID = Grid.square(200, 300.0, (10.0, -5.0))


@pytest.mark.parametrize(
    ("centre", "half"), [((0.0, 0.0), (60.0, 40.0)), ((33.3, -21.7), (9.0, 7.0))]
)
def test_an_oval_covers_its_area_where_it_is(
    centre: tuple[float, float], half: tuple[float, float]
) -> None:
    canvas = Canvas(GRID)
    canvas.fill(oval(centre, half), 255)
    covered = canvas.down()
    area = covered.sum() * GRID.pixel_mm**2
    # OpenCV counts the pixels its outline touches: a canvas pixel all around, at most.
    border = 2 * np.pi * max(half) * canvas.pixel_mm
    assert abs(area - np.pi * half[0] * half[1]) < border
    x, y = GRID.axes()
    assert (covered * x).sum() / covered.sum() == pytest.approx(centre[0], abs=0.5)
    assert (covered * y).sum() / covered.sum() == pytest.approx(centre[1], abs=0.5)


def test_a_window_sees_the_same_place() -> None:
    box = (slice(20, 90), slice(50, 140))
    x, y = GRID.axes()
    inner_x, inner_y = GRID.window(box).axes()
    np.testing.assert_allclose(inner_x, x[:, box[1]], atol=1e-3)
    np.testing.assert_allclose(inner_y, y[box[0]], atol=1e-3)


@pytest.mark.parametrize("cell_mm", [1.9, 4.0, 22.0])
def test_noise_has_no_end_and_no_direction(cell_mm: float) -> None:
    plane = noise_plane(GRID, 1234.5, cell_mm, np.array([3.3, 60.1, 7.7]))
    for corner in (plane[:80, :80], plane[:80, -80:], plane[-80:, :80], plane[-80:, -80:]):
        assert 0.3 < corner.std() < 1.6
    along, across = np.diff(plane, axis=1).std(), np.diff(plane, axis=0).std()
    assert 0.7 < along / across < 1.4


def test_noise_changes_little_over_a_short_way_up() -> None:
    offset = np.array([3.3, 60.1, 7.7])
    here, above, far = (noise_plane(GRID, z, 10.0, offset) for z in (50.0, 50.5, 80.0))
    assert np.corrcoef(here.ravel(), above.ravel())[0, 1] > 0.95
    assert abs(np.corrcoef(here.ravel(), far.ravel())[0, 1]) < 0.3


def test_noise_of_a_window_is_the_window_of_the_noise() -> None:
    box = (slice(20, 90), slice(50, 140))
    offset = np.array([3.3, 60.1, 7.7])
    whole = noise_plane(GRID, 50.0, 6.0, offset)
    part = noise_plane(GRID.window(box), 50.0, 6.0, offset)
    # OpenCV places samples on 1/32 of a cell.
    np.testing.assert_allclose(part, whole[box], atol=0.2)
