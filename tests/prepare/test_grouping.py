"""Groups of 50: every slice is used, the remainder padded or merged as the paper says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundglass.core.result import SliceGroup
from groundglass.prepare import gather, group_slices, sample_positions, whole_groups


@given(st.integers(0, 400), st.integers(2, 60))
def test_every_slice_is_in_exactly_one_group_in_order(count: int, size: int) -> None:
    groups = group_slices(range(count), size)
    assert [index for group in groups for index in group.slice_indices] == list(range(count))
    assert [group.index for group in groups] == list(range(len(groups)))
    for group in groups:
        made = len(group.slice_indices) + group.padding
        assert made == size or (group.interpolated and size < made < 1.5 * size)


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (13, [(13, 37, False)]),
        (50, [(50, 0, False)]),
        (74, [(74, 0, True)]),
        (75, [(50, 0, False), (25, 25, False)]),
        (76, [(50, 0, False), (26, 24, False)]),
        (124, [(50, 0, False), (74, 0, True)]),
        (261, [(50, 0, False)] * 4 + [(61, 0, True)]),
    ],
)
def test_remainders_of_the_paper(count: int, expected: list[tuple[int, int, bool]]) -> None:
    groups = group_slices(range(count), 50)
    found = [(len(g.slice_indices), g.padding, g.interpolated) for g in groups]
    assert found == expected


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_padding_is_black_and_at_the_head_end(kind: type) -> None:
    (group,) = group_slices(range(3), 5)
    images = np.arange(1, 13).reshape(3, 2, 2).astype(kind)
    made = gather(group, images)
    assert made.dtype == kind
    assert np.array_equal(made[:3], images)
    assert made.shape == (5, 2, 2)
    assert not made[3:].any()
    assert sample_positions(group).tolist() == [0.0, 1.0, 2.0]


@given(st.integers(51, 74), st.floats(-3, 3), st.floats(-900, 900))
def test_interpolation_keeps_a_linear_course_linear(count: int, slope: float, start: float) -> None:
    (group,) = group_slices(range(count), 50)
    # 50 images from the first slice to the last at even steps, whatever place they are said to
    # have: the same line, in 49 steps.
    made = gather(group, course(start + slope * np.arange(count)))
    expected = np.linspace(start, start + slope * (count - 1), 50)
    assert made.shape == (50, 2, 3)
    assert np.allclose(made, expected[:, None, None], atol=2e-3)
    assert np.allclose(sample_positions(group), np.linspace(0, count - 1, 50))


@given(st.integers(2, 30).flatmap(lambda n: st.lists(st.integers(0, 255), min_size=n, max_size=n)))
def test_interpolation_is_numpy_s_and_rounds_grey_values(values: list[int]) -> None:
    size = len(values) * 2 // 3 + 1
    group = SliceGroup(0, tuple(range(len(values))), size, padding=0, interpolated=True)
    expected = np.interp(
        np.arange(size) * (len(values) - 1) / max(size - 1, 1), np.arange(len(values)), values
    )
    made = gather(group, course(np.array(values), np.uint8))
    assert made.dtype == np.uint8
    assert np.abs(made[:, 0, 0] - expected).max() <= 0.5 + 1e-3
    assert (made == made[:, :1, :1]).all()


def course(values: np.ndarray, dtype: type = np.float32) -> np.ndarray:
    """Images, each of one value."""
    return np.tile(values.astype(dtype)[:, None, None], (1, 2, 3))


@given(st.integers(0, 400), st.integers(1, 60))
def test_whole_groups_hold_every_slice_once_as_it_is(count: int, size: int) -> None:
    groups = whole_groups(range(count), size)
    assert [index for group in groups for index in group.slice_indices] == list(range(count))
    assert [group.index for group in groups] == list(range(len(groups)))
    for group in groups:
        assert group.size == len(group.slice_indices) <= size
        assert not group.padding
        assert not group.interpolated
