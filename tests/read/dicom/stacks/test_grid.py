"""Frames lie on one regular grid within stated tolerances, or it is said what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundglass.errors import AssemblyError
from groundglass.read.dicom.frames import Frame, frames_of
from groundglass.read.dicom.headers.ct_header import DicomInstance
from groundglass.read.dicom.stacks.grid import AssemblySettings, lay_out
from made_ct import ct_header

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SETTINGS = AssemblySettings()


def frame(number: int, position: Sequence[float], **header: object) -> Frame:
    values = {
        "InstanceNumber": number,
        "ImagePositionPatient": tuple(map(float, position)),
        "ImageOrientationPatient": AXIAL,
        "PixelSpacing": (0.8, 0.7),
        "Rows": 6,
        "Columns": 5,
        **header,
    }
    (one,) = frames_of(DicomInstance(Path("x"), None, "1", f"1.{number}", ct_header(values)))
    return one


def at(places: Sequence[float]) -> list[Frame]:
    """Axial frames at these heights, numbered from 1."""
    return [frame(k + 1, (-10.0, -20.0, z)) for k, z in enumerate(places)]


def stepped(steps: Sequence[float]) -> list[Frame]:
    return at(np.cumsum([0.0, *steps]).tolist())


def told(frames: Sequence[Frame]) -> str:
    with pytest.raises(AssemblyError) as caught:
        lay_out(frames, SETTINGS)
    return str(caught.value)


@given(st.data())
def test_a_stack_is_laid_out_by_its_places_whatever_its_direction_and_order(
    data: st.DataObject,
) -> None:
    # Any rotation: the axes of a random matrix.
    numbers = st.lists(st.floats(-1, 1), min_size=9, max_size=9)
    matrix = np.array(data.draw(numbers)).reshape(3, 3) + 2 * np.eye(3)
    axes, _ = np.linalg.qr(matrix)
    row, column = axes[0], axes[1]
    count, spacing = data.draw(st.integers(3, 12)), data.draw(st.floats(0.3, 9))
    origin = np.array(data.draw(st.tuples(*[st.floats(-300, 300)] * 3)))
    cosines = tuple(map(float, [*row, *column]))
    frames = [
        frame(k + 1, origin + k * spacing * np.cross(row, column), ImageOrientationPatient=cosines)
        for k in range(count)
    ]
    found = lay_out(data.draw(st.permutations(frames)), SETTINGS)
    assert [one.header.instance_number for one in found.frames] == list(range(1, count + 1))
    assert found.geometry.shape == (count, 6, 5)
    assert found.geometry.spacing_mm == (pytest.approx(spacing), 0.8, 0.7)
    for index in (0, count - 1):
        assert np.allclose(
            found.geometry.position_mm((index, 0, 0)), frames[index].position_mm, atol=1e-6
        )
    # PS3.3 C.7.6.2.1.1: the first cosines run along a row, so that columns change.
    assert np.allclose(
        np.subtract(found.geometry.position_mm((0, 0, 1)), frames[0].position_mm) / 0.7, row
    )
    assert np.allclose(
        np.subtract(found.geometry.position_mm((0, 1, 0)), frames[0].position_mm) / 0.8, column
    )


@pytest.mark.parametrize(
    ("spacing", "off", "stands"),
    # A tenth of the spacing, or 0.06 mm.
    [(5.0, 0.48, True), (5.0, 0.53, False), (0.4, 0.055, True), (0.4, 0.066, False)],
)
@pytest.mark.parametrize("index", [4, 7])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_slice_may_be_so_far_from_its_place(
    spacing: float, off: float, stands: bool, index: int, sign: int
) -> None:
    places = spacing * np.arange(12)
    places[index] += sign * off
    if stands:
        assert lay_out(at(places), SETTINGS).geometry.spacing_mm[0] == pytest.approx(spacing)
        return
    words = told(at(places))
    assert f"irregular spacing: instance number {index + 1}" in words
    assert f"is {off:.2f} mm from its place in a grid of {spacing:.2f} mm" in words


def test_the_grid_is_fitted_over_the_whole_stack() -> None:
    """Steps rounded to 0.1 mm, whose median is none of the grid's."""
    places = np.round(1.2857 * np.arange(57), 1)
    found = lay_out(at(places), SETTINGS).geometry
    assert found.spacing_mm[0] == pytest.approx(places[-1] / 56)


def test_an_end_a_little_off_does_not_put_all_others_off() -> None:
    """The grid through the first and the last slice alone would miss every one between."""
    places = 5.0 * np.arange(30)
    places[0] += 0.3
    places[-1] += 0.3
    lay_out(at(places), SETTINGS)


def test_two_slices_are_too_few_and_three_are_not() -> None:
    assert "2 slices" in told(at([0.0, 5.0]))
    assert lay_out(at([0.0, 5.0, 10.0]), SETTINGS).geometry.shape[0] == 3


@pytest.mark.parametrize(("aside", "stands"), [(0.95, True), (1.06, False)])
def test_slices_may_lie_a_millimetre_beside_the_first(aside: float, stands: bool) -> None:
    frames = at((5.0 * np.arange(12)).tolist())
    frames[6] = frame(7, (-10.0, -20.0 + aside, 30.0))
    if stands:
        lay_out(frames, SETTINGS)
    else:
        assert "shifted sideways by up to 1.1 mm" in told(frames)


@pytest.mark.parametrize("angle_deg", [-20.0, 7.5])
@pytest.mark.parametrize("wobble_mm", [0.0, 0.9])
def test_a_steady_shift_is_a_tilted_gantry_of_its_angle(angle_deg: float, wobble_mm: float) -> None:
    heights = 5.0 * np.arange(24)
    aside = np.tan(np.radians(angle_deg)) * heights
    aside[12] += wobble_mm
    frames = [
        frame(k + 1, (0.0, y, z)) for k, (y, z) in enumerate(zip(aside, heights, strict=True))
    ]
    assert f"tilted by {abs(angle_deg):.1f}°" in told(frames)


def test_a_shift_that_is_not_steady_is_no_tilt() -> None:
    heights = 5.0 * np.arange(24)
    frames = [frame(k + 1, (0.02 * z * z, 0.0, z)) for k, z in enumerate(heights.tolist())]
    assert f"shifted sideways by up to {0.02 * 115**2:.1f} mm" in told(frames)


@pytest.mark.parametrize(("factor", "is_gap"), [(1.45, False), (1.55, True), (2.0, True)])
def test_from_one_and_a_half_steps_on_it_is_a_gap(factor: float, is_gap: bool) -> None:
    words = told(stepped([5.0] * 2 + [5.0 * factor] + [5.0] * 9))
    assert (f"a gap of {5 * factor:.1f} mm between instance number 3 (z = 10.0 mm)" in words) is (
        is_gap
    )
    assert ("slices 5.00 mm apart elsewhere" in words) is is_gap
    assert ("irregular spacing" in words) is not is_gap


def test_gaps_are_counted_and_the_first_is_named() -> None:
    steps = [5.0] * 2 + [10.0] + [5.0] * 4 + [15.0] + [5.0] * 3 + [10.0] + [5.0] * 2
    words = told(stepped(steps))
    assert "a gap of 10.0 mm between instance number 3 " in words
    assert "and instance number 4 " in words
    assert "and 2 more gaps" in words
    assert "more gap" not in told(stepped([5.0] * 2 + [10.0] + [5.0] * 9))


@pytest.mark.parametrize(
    ("gap", "whole"), [(10.7, True), (10.8, False), (9.3, True), (9.2, False), (15.7, True)]
)
def test_gaps_of_nearly_whole_steps_miss_slices(gap: float, whole: bool) -> None:
    words = told(stepped([5.0] * 4 + [gap] + [5.0] * 2 + [10.0] + [5.0] * 4))
    assert ("Send the missing slices" in words) is whole
    assert ("no whole numbers of slices" in words) is not whole


@pytest.mark.parametrize(("near", "taken"), [(0.0, True), (0.45, True), (0.55, False)])
def test_slices_within_a_tenth_of_a_step_are_at_one_place(near: float, taken: bool) -> None:
    words = told(at([0, 5, 10, 10 + near, 15, 20, 25, 30, 35, 40]))
    expected = "1 of the slices at a place already taken: instance number 3 and instance number 4"
    assert (f"{expected} both at 10.00 mm" in words) is taken


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        ([(3, 5.0), (3, 8.0)], "2 spacings (3 steps of 5.00 mm, then 3 steps of 8.00 mm)"),
        ([(3, 5.0), (3, 8.0)] * 2, "4 spacings"),
        ([(3, 5.0), (3, 8.0)] * 2 + [(3, 5.0)], "a gap of 8.0 mm"),
        ([(9, 5.0), (2, 8.0)], "a gap of 8.0 mm"),
        ([(2, 8.0), (9, 5.0)], "a gap of 8.0 mm"),
    ],
)
def test_up_to_four_spacings_of_three_steps_each_are_told_as_such(
    runs: list[tuple[int, float]], words: str
) -> None:
    assert words in told(stepped([step for count, step in runs for _ in range(count)]))


def test_steps_that_grow_little_by_little_are_no_spacings() -> None:
    words = told(stepped([5.0 + 0.05 * k for k in range(24)]))
    assert "irregular spacing" in words
    assert "(steps from 5.00 to 6.15 mm)" in words


@pytest.mark.parametrize(
    ("steps", "in_turn"),
    [
        ([1.3, 4.7] * 3, True),
        ([1.3, 4.7] * 3 + [1.3], True),
        ([1.3, 4.7] * 2 + [1.3], False),  # two in turn twice only
        ([1.3, 4.7] * 4 + [1.3, 3.0], False),
        ([1.3, 4.7] * 4 + [2.5, 4.7], False),
    ],
)
def test_two_steps_in_turn_are_two_passes(steps: list[float], in_turn: bool) -> None:
    assert ("1.30 and 4.70 mm apart in turn: two passes" in told(stepped(steps))) is in_turn


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"ImageOrientationPatient": (1.0, 0.0, 0.0011, 0.0, 1.0, 0.0)}, "orientation"),
        ({"ImageOrientationPatient": (1.0, 0.0, 0.0, 0.0, 1.0, -0.0011)}, "orientation"),
        ({"Rows": 7}, "size"),
        ({"Columns": 7}, "size"),
        ({"PixelSpacing": (0.81, 0.7)}, "pixel spacing"),
        ({"PixelSpacing": (0.8, 0.71)}, "pixel spacing"),
    ],
)
def test_what_differs_is_named_with_whom(header: dict[str, object], words: str) -> None:
    frames = at((5.0 * np.arange(9)).tolist())
    frames[2] = frame(3, (-10.0, -20.0, 10.0), **header)
    expected = f"more than one {words} (instance number 3 differ from instance number 1)"
    assert expected in told(frames)


def test_of_many_that_differ_six_are_named() -> None:
    def some(count: int) -> str:
        odd = [frame(k + 10, (-10.0, -20.0, 100.0 + k), Rows=7) for k in range(count)]
        return told([*at([0.0, 5.0, 10.0]), *odd])

    assert "instance number 15 differ from" in some(6)
    assert "instance number 15 and 1 more differ from" in some(7)
    assert "instance number 16" not in some(7)


def test_cosines_within_a_thousandth_are_one_orientation() -> None:
    frames = at((5.0 * np.arange(9)).tolist())
    frames[2] = frame(
        3, (-10.0, -20.0, 10.0), ImageOrientationPatient=(1.0, 0.0, 0.0009, 0.0, 1.0, 0.0)
    )
    assert lay_out(frames, SETTINGS).geometry.directions[0] == (0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    "keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"]
)
def test_what_a_slice_lacks_is_named(keyword: str) -> None:
    frames = at((5.0 * np.arange(9)).tolist())
    frames[4] = frame(5, (0.0, 0.0, 0.0), **{keyword: None})
    assert f"no usable {keyword} in instance number 5" in told(frames)
