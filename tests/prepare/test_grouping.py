"""Groups of 50: every slice is used, the remainder padded or merged as the paper says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundglass.prepare import gather, group_slices, sample_positions


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


def test_padding_is_black_and_at_the_head_end() -> None:
    (group,) = group_slices(range(3), 5)
    images = np.full((3, 2, 2), 7, np.uint8)
    made = gather(group, images)
    assert made[:3].min() == 7
    assert made[3:].max() == 0


@given(st.integers(51, 74))
def test_interpolation_keeps_a_linear_course_linear(count: int) -> None:
    (group,) = group_slices(range(count), 50)
    ramp = np.arange(count, dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), np.float32)
    made = gather(group, ramp)
    assert np.allclose(made[:, 0, 0], sample_positions(group), atol=1e-3)
    assert len(made) == 50
