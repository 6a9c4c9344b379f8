"""What of the lungs was seen: made bodies, cut in every way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundglass.core.geometry import Geometry
from groundglass.core.notes import NoteKind
from groundglass.core.volume import Volume
from groundglass.prepare import Coverage, CoverageSettings
from groundglass.prepare.coverage import end_shares

AXES = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
SIZE = 128
Chest = tuple[Volume, np.ndarray]


def volume_of(hu: np.ndarray, pixel_mm: float = 3.0) -> Volume:
    geometry = Geometry(hu.shape, (8.0, pixel_mm, pixel_mm), (0.0, 0.0, 0.0), AXES)
    return Volume(hu.astype(np.int16), geometry)


def ellipse(x_mm: float, radii_mm: tuple[float, float]) -> np.ndarray:
    y, x = (np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2) * 3.0
    return (y / radii_mm[0]) ** 2 + ((x - x_mm) / radii_mm[1]) ** 2 <= 1


def chest(sizes: list[float] | None = None, at_mm: float = 0.0) -> Chest:
    """A body with two lungs that have these sizes from feet to head; HU and lung mask."""
    sizes = [0.0, 0.4, 0.8, 1.0, 1.0, 0.8, 0.5, 0.0] if sizes is None else sizes
    hu = np.full((len(sizes), SIZE, SIZE), -1010.0)
    hu += np.random.default_rng(1).normal(0, 12, hu.shape)  # air is noise, not padding
    hu[:, ellipse(at_mm, (110, 170))] = 40
    lung = np.zeros(hu.shape, dtype=bool)
    for k, size in enumerate(sizes):
        if size > 0:
            radii = (85 * size**0.5, 60 * size**0.5)
            lung[k] = ellipse(at_mm - 80, radii) | ellipse(at_mm + 80, radii)
    hu[lung] = -850
    return volume_of(hu), lung


def seen(volume: Volume, lung: np.ndarray) -> Coverage:
    return Coverage.of(volume, lung, lung)


def kinds(volume: Volume, lung: np.ndarray) -> set[NoteKind]:
    return {note.kind for note in seen(volume, lung).notes}


def test_whole_lungs_need_no_note() -> None:
    found = seen(*chest())
    assert found.notes == ()
    assert not found.partial
    assert found.right_share == pytest.approx(0.5, abs=0.02)


@given(st.lists(st.floats(0.05, 1), min_size=2, max_size=12))
def test_ends_are_shares_of_the_largest_area_at_feet_and_head(sizes: list[float]) -> None:
    volume, lung = chest(sizes)
    area = lung.sum(axis=(1, 2))
    feet, head = end_shares(volume, lung)
    assert (feet, head) == (area[0] / area.max(), area[-1] / area.max())


@pytest.mark.parametrize(
    ("sizes", "kind", "words"),
    [
        ([0.6, 1.0, 0.8, 0.4, 0.0], NoteKind.CUT_AT_FEET, "towards the feet: the lowest slice"),
        ([0.0, 0.5, 1.0, 0.6], NoteKind.CUT_AT_HEAD, "towards the head: the topmost slice"),
    ],
)
def test_a_cut_end_is_named_with_its_share(sizes: list[float], kind: NoteKind, words: str) -> None:
    found = seen(*chest(sizes))
    (note,) = found.notes
    assert note.kind is kind
    assert words in note.text
    assert "still shows 60% of the largest lung area" in note.text
    assert found.partial


def test_a_sliver_at_the_end_is_told_and_does_not_refuse() -> None:
    found = seen(*chest([0.1, 1.0, 0.5, 0.0]))
    assert [note.kind for note in found.notes] == [NoteKind.CUT_AT_FEET]
    assert not found.partial


@pytest.mark.parametrize("blank", [-1000, -1024, 0])
def test_empty_slices_beyond_the_cut_do_not_hide_it(blank: int) -> None:
    """Filled up to a number of slices, as some exports do."""
    volume, lung = chest([0.0, 0.5, 1.0, 0.6])
    hu = np.concatenate([volume.hu, np.full((3, SIZE, SIZE), blank)])
    longer = np.concatenate([lung, np.zeros((3, SIZE, SIZE), bool)])
    assert kinds(volume_of(hu), longer) == {NoteKind.CUT_AT_HEAD}


def test_a_head_above_the_lungs_is_no_cut() -> None:
    volume, lung = chest([0.0, 0.5, 1.0, 0.6])
    hu = np.concatenate([volume.hu, np.where(ellipse(0, (70, 60)), 40, -1000)[None]])
    assert kinds(volume_of(hu), np.concatenate([lung, np.zeros((1, SIZE, SIZE), bool)])) == set()


def cropped(volume: Volume, lung: np.ndarray, first: int) -> Chest:
    """Without the columns before `first`, the patient's right."""
    return volume_of(volume.hu[:, :, first:]), lung[:, :, first:]


def test_an_image_that_ends_within_the_lungs_is_told() -> None:
    volume, lung = chest()
    edge = int(np.flatnonzero(lung.any(axis=(0, 1)))[0])
    assert kinds(*cropped(volume, lung, edge - 3)) == set()
    found = seen(*cropped(volume, lung, edge + 5))
    (note,) = found.notes
    assert note.kind is NoteKind.CUT_BY_FIELD
    reach = np.count_nonzero(lung[:, :, edge + 5].any(axis=1))
    assert f"in {reach} of 6 slices" in note.text


@pytest.mark.parametrize("padding", [-1000, -1024, -3024])
def test_a_circle_that_cuts_the_lungs_is_told(padding: int) -> None:
    volume, lung = chest()
    y, x = (np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2) * 3.0
    for radius_mm, cut in ((160, False), (120, True)):
        outside = np.hypot(y, x) > radius_mm
        hu = volume.hu.copy()
        hu[:, outside] = padding
        found = kinds(volume_of(hu), lung & ~outside)
        assert (NoteKind.CUT_BY_FIELD in found) == cut


@pytest.mark.parametrize("at_mm", [-15.0, 0.0, 15.0])
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("masked", [True, False])
def test_a_lung_without_air_is_named_by_its_side(at_mm: float, side: str, masked: bool) -> None:
    """Whether or not the mask takes its tissue for lung, and where the patient lies."""
    volume, lung = chest(at_mm=at_mm)
    middle = SIZE // 2 + round(at_mm / 3)
    gone = lung.copy()
    gone[:, :, middle:] &= side == "left"
    gone[:, :, :middle] &= side == "right"
    hu = volume.hu.copy()
    hu[gone] = 35
    (note,) = seen(volume_of(hu), lung if masked else lung & ~gone).notes
    assert note.kind is NoteKind.ONE_LUNG
    assert f"the patient's {side} side (0% of both sides')" in note.text


def test_a_lung_shrunken_to_a_third_is_not_missing() -> None:
    volume, lung = chest()
    small = lung.copy()
    small[5:, :, : SIZE // 2] = small[:3, :, : SIZE // 2] = False
    hu = volume.hu.copy()
    hu[lung & ~small] = 35
    assert kinds(volume_of(hu), small) == set()


def test_pixels_coarser_than_the_networks_are_told() -> None:
    volume, lung = chest()
    square = np.zeros((len(lung), 256, 256), bool)
    square[:, 64:192, 64:192] = lung
    found = Coverage.of(volume, square, lung)
    (note,) = found.notes
    assert note.kind is NoteKind.COARSE_PIXELS
    assert "Pixels of 3.0 mm are coarser than the 1.5 mm" in note.text
    as_fine = replace(found, pixel_mm=found.seen_pixel_mm)
    assert as_fine.notes == ()


def test_no_lung_at_all_is_no_cut() -> None:
    volume, lung = chest()
    assert kinds(volume, np.zeros_like(lung)) == set()


def test_what_is_told_is_a_setting() -> None:
    volume, lung = chest([0.1, 1.0, 0.5, 0.0])
    strict = Coverage.of(volume, lung, lung, CoverageSettings(partial_share=0.05))
    assert strict.partial


WHOLE = Coverage(0.0, 0.0, 0.0, 0, 30, 0.5, pixel_mm=0.7, seen_pixel_mm=1.4)


@pytest.mark.parametrize(
    ("field", "just_told", "just_not", "kind"),
    [
        ("feet_share", 0.02, 0.0199, NoteKind.CUT_AT_FEET),
        ("head_share", 0.02, 0.0199, NoteKind.CUT_AT_HEAD),
        ("edge_ml", 1.5, 1.49, NoteKind.CUT_BY_FIELD),
        ("right_share", 0.149, 0.15, NoteKind.ONE_LUNG),
        ("right_share", 0.851, 0.85, NoteKind.ONE_LUNG),
        ("pixel_mm", 1.48, 1.46, NoteKind.COARSE_PIXELS),
    ],
)
def test_from_where_on_it_is_told(
    field: str, just_told: float, just_not: float, kind: NoteKind
) -> None:
    assert WHOLE.notes == ()
    assert [one.kind for one in replace(WHOLE, **{field: just_told}).notes] == [kind]
    assert replace(WHOLE, **{field: just_not}).notes == ()


@pytest.mark.parametrize("field", ["feet_share", "head_share"])
def test_more_than_the_share_of_an_end_is_a_part(field: str) -> None:
    assert not replace(WHOLE, **{field: 0.15}).partial
    assert replace(WHOLE, **{field: 0.151}).partial


@pytest.mark.parametrize(("right", "words"), [(0.1, "right side (10%"), (0.93, "left side (7%")])
def test_the_side_with_less_air_is_named_with_its_share(right: float, words: str) -> None:
    (note,) = replace(WHOLE, right_share=right).notes
    assert words in note.text


def test_figures_are_those_of_the_mask_in_the_patient() -> None:
    volume, lung = chest()
    hu, lung = volume.hu.copy(), lung.copy()
    hu[:, :8, 50:70] = 40
    lung[2, :4, 60] = True  # at the upper edge: four pixels, one of them within 3 mm of it
    found = seen(volume_of(hu), lung)
    assert found.edge_slices == 1
    assert found.edge_ml == pytest.approx(1 * 8.0 * 3.0 * 3.0 / 1000)
    assert found.lung_slices == 6
    assert found.pixel_mm == 3.0
    assert found.seen_pixel_mm == 3.0


@pytest.mark.parametrize("reach_mm", [3.0, 7.0, 12.0])
def test_the_edge_is_as_wide_as_said_on_pixels_that_are_not_square(reach_mm: float) -> None:
    hu = np.full((3, 60, 90), 40.0)
    geometry = Geometry(hu.shape, (5.0, 3.0, 1.0), (0.0, 0.0, 0.0), AXES)
    volume = Volume(hu.astype(np.int16), geometry)
    lung = np.zeros(hu.shape, bool)
    settings = CoverageSettings(edge_mm=reach_mm)
    for axis, mm, middle in ((1, 3.0, 45), (2, 1.0, 30)):
        for side in (slice(None), slice(None, None, -1)):
            along = lung[1, side, middle] if axis == 1 else lung[1, middle, side]
            along[:20] = True
            found = Coverage.of(volume, lung, lung, settings)
            assert found.edge_ml == pytest.approx(round(reach_mm / mm) * 15e-3)
            along[:20] = False


def test_air_is_divided_at_the_trunk_s_middle_not_the_image_s() -> None:
    volume, lung = chest(at_mm=-60.0)
    assert seen(volume, lung).right_share == pytest.approx(0.5, abs=0.02)
    hu = volume.hu.copy()
    hu[:, 62:66, 118:] = 40  # an arm's edge, or the table
    assert seen(volume_of(hu), lung).right_share == pytest.approx(0.5, abs=0.02)
    half = lung.copy()
    half[:, 64:, : 64 - 20] = False  # half of the right lung is no lung
    found = seen(volume, half).right_share
    right, left = half[:, ::4, :44].sum(), half[:, ::4, 44:].sum()
    assert found == pytest.approx(right / (right + left), abs=0.01)
    assert found < 0.4


@pytest.mark.parametrize(("hu", "holds_air"), [(-301, True), (-300, False)])
def test_lung_up_to_consolidation_holds_air(hu: int, holds_air: bool) -> None:
    volume, lung = chest()
    changed = volume.hu.copy()
    right = lung.copy()
    right[:, :, SIZE // 2 :] = False
    changed[right] = hu
    assert (seen(volume_of(changed), lung).right_share > 0.4) is holds_air


def test_the_share_of_air_is_half_where_there_is_none() -> None:
    volume, lung = chest()
    assert seen(volume_of(np.where(lung, 40, volume.hu)), lung).right_share == 0.5
    assert seen(volume_of(np.full(lung.shape, -900.0)), lung).right_share == 0.5


@pytest.mark.parametrize(("pixels", "body"), [(11, True), (10, False)])
def test_a_hundredth_of_the_pixels_is_a_body(pixels: int, body: bool) -> None:
    """So that the lungs do not end with the scan where slices of it lie beyond them."""
    volume, lung = chest([0.0, 0.5, 1.0, 0.6])
    beyond = np.full((SIZE, SIZE), -1000)
    looked_at = np.arange(1024).reshape(32, 32)  # every fourth row and column
    beyond[::4, ::4] = np.where(looked_at < pixels, 40, -1000)
    hu = np.concatenate([volume.hu, beyond[None]])
    longer = np.concatenate([lung, np.zeros((1, SIZE, SIZE), bool)])
    assert (end_shares(volume_of(hu), longer)[1] == 0.0) is body
