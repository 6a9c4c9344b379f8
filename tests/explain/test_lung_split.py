"""Right and left lung are told apart row by row, and as well in a mirror."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundglass.explain.lung_split import left_side

SLICES, ROWS, COLUMNS = 9, 20, 40


def empty() -> np.ndarray:
    return np.zeros((SLICES, ROWS, COLUMNS), bool)


def lungs(right: tuple[int, int], left: tuple[int, int]) -> np.ndarray:
    """Two boxes in rows 4 to 15, from a column up to another."""
    mask = empty()
    for first, last in (right, left):
        mask[:, 4:16, first:last] = True
    return mask


def borders(lung: np.ndarray, middle: float = COLUMNS / 2) -> np.ndarray:
    """First left column of each slice and row; all columns from there on are left."""
    left = left_side(lung, middle)
    assert left.shape == lung.shape
    assert (np.diff(left.astype(int), axis=2) >= 0).all()
    return COLUMNS - left.sum(axis=2)


@pytest.mark.parametrize("middle", [0.0, COLUMNS / 2])
def test_the_border_is_halfway_between_the_lungs_wherever_the_image_s_middle_is(
    middle: float,
) -> None:
    assert (borders(lungs((2, 15), (25, 33)), middle) == 20).all()
    assert (borders(lungs((2, 9), (15, 38)), middle) == 12).all()


def test_rows_follow_the_lungs_where_these_reach_over_the_slice_s_mean() -> None:
    mask = lungs((2, 16), (24, 38))
    mask[:, 12:16, :16] = False  # the left lung alone, reaching over the mean in two rows
    mask[:, 13:15, 18:24] = True
    found = borders(mask)
    assert (found[:, 13:15] == 18).all()
    assert (found[:, [*range(13), *range(15, ROWS)]] == 20).all()
    mask = lungs((2, 16), (24, 38))
    mask[:, 10:16, 24:] = False  # the right lung alone
    mask[:, 10:12, 16:23] = True
    found = borders(mask)
    assert (found[:, 10:12] == 23).all()
    assert (found[:, [*range(10), *range(12, ROWS)]] == 20).all()


def test_slices_of_one_lung_have_the_border_of_the_others() -> None:
    mask = lungs((2, 14), (22, 38))
    mask[0, :, 20:] = False
    mask[8, :, :20] = False
    assert (borders(mask) == 18).all()


@pytest.mark.parametrize("bridge", range(1, 8))
def test_lungs_that_touch_in_up_to_six_rows_are_parted(bridge: int) -> None:
    """Thinned by a cell at every edge, three times at most; then they are cut."""
    mask = empty()
    mask[:, 2:18, 2:12] = mask[:, 2:18, 26:38] = True
    assert (borders(mask) == 19).all()
    mask[4, 5 : 5 + bridge, 12:26] = True
    assert (borders(mask) == 19).all() == (bridge <= 6)


def test_lungs_that_never_part_are_cut_at_the_column_of_least_lung() -> None:
    mask = empty()
    mask[:, 4:16, 2:38] = True
    mask[:, 13:16, 20] = False
    assert (borders(mask, 30.0) == 20).all()
    # In the middle third, which begins at 14: what is thin beyond is no border.
    mask[:, 11:16, 12] = mask[:, 11:16, 28] = False
    assert (borders(mask, 30.0) == 20).all()
    # Each slice at its own, as smooth as its neighbours let it be.
    mask[:, :, 20] = mask[:, :, 19]
    for k in range(SLICES):
        mask[k, 10:16, 17 + k // 2] = False
    assert np.abs(borders(mask, 30.0)[:, 0] - (17 + np.arange(SLICES) // 2)).max() <= 1
    assert (np.diff(borders(mask, 30.0)[:, 0]) >= 0).all()


@pytest.mark.parametrize(("apart", "two"), [(9, True), (8, True), (7, False)])
def test_lungs_lie_beside_each_other_by_a_fifth_of_the_width(apart: int, two: bool) -> None:
    mask = empty()
    mask[:, 1:9, 2:9] = True
    mask[:, 11:19, 2 + apart : 9 + apart] = True
    assert left_side(mask, 30.0).any() == two
    if two:
        assert not left_side(mask, 30.0)[:, 1:9, 2:9].any()
        assert left_side(mask, 30.0)[:, 11:19, 2 + apart :].all()


@pytest.mark.parametrize(("lung", "is_left"), [((2, 15), False), ((25, 38), True)])
def test_a_single_lung_lies_on_the_side_of_the_middle_it_is_on(
    lung: tuple[int, int], is_left: bool
) -> None:
    mask = empty()
    mask[:, 4:16, slice(*lung)] = True
    assert (left_side(mask, COLUMNS / 2) == is_left).all()
    # The middle is the body's, not the image's.
    assert not left_side(mask, lung[1] + 1).any()
    assert left_side(mask, lung[0] - 1).all()


def test_what_is_a_twentieth_of_the_mask_is_no_lung() -> None:
    mask = empty()
    mask[:, 4:16, 2:17] = True
    mask[:, 4:7, 30:33] = True
    assert not left_side(mask, COLUMNS / 2).any()
    mask[:, 4:10, 30:38] = True
    assert left_side(mask, COLUMNS / 2)[:, 4:10, 30:38].all()


def test_regions_above_one_another_are_not_two_lungs() -> None:
    mask = empty()
    mask[:, 1:8, 2:17] = True
    mask[:, 12:19, 4:19] = True
    assert not left_side(mask, COLUMNS / 2).any()


@settings(max_examples=40)
@given(st.data())
def test_in_a_mirror_left_is_right(data: st.DataObject) -> None:
    def edges(least: int, most: int) -> np.ndarray:
        rows = st.lists(st.integers(least, most), min_size=ROWS, max_size=ROWS)
        return np.array(data.draw(rows))

    columns, mask = np.arange(COLUMNS), empty()
    mask |= (columns >= edges(0, 6)[:, None]) & (columns < edges(9, 16)[:, None])
    mask |= (columns >= edges(18, 28)[:, None]) & (columns < edges(31, 40)[:, None])
    mask[:, [0, -1]] = False
    left = left_side(mask, COLUMNS / 2)
    mirrored = left_side(mask[:, :, ::-1], COLUMNS / 2)[:, :, ::-1]
    assert np.array_equal(left[mask], ~mirrored[mask])
    assert np.array_equal(left[mask], np.broadcast_to(columns >= 17, mask.shape)[mask])
