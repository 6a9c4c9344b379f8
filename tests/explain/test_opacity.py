"""Opacity burden: known volumes come out, vessels do not, and it adds up to the lung mask."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from groundglass.core.geometry import Geometry
from groundglass.core.result import LungSide, LungThird
from groundglass.core.volume import Volume
from groundglass.explain import Opacity, OpacitySettings, find_opacity, opacity_by_slice
from groundglass.explain.opacity import AERATED, CONSOLIDATION, GROUND_GLASS, VESSEL
from groundglass.phantom import PhantomSettings, make_phantom

AXES = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
SLICES, SIZE = 30, 200
SPACING = (5.0, 0.8, 0.8)
ML = 5.0 * 0.8 * 0.8 / 1000


def box(rows: tuple[int, int], columns: tuple[int, int]) -> np.ndarray:
    mask = np.zeros((SLICES, SIZE, SIZE), bool)
    mask[3:27, rows[0] : rows[1], columns[0] : columns[1]] = True
    return mask


#: The patient's right lung is on the image's left; the left lung is smaller.
RIGHT, LEFT = box((40, 160), (20, 90)), box((50, 150), (110, 180))
LUNG = RIGHT | LEFT


def chest(noise_hu: float = 0.0) -> np.ndarray:
    hu = np.full(LUNG.shape, 40.0)
    hu[LUNG] = -850.0
    return hu + np.random.default_rng(0).normal(0, noise_hu, hu.shape)


def as_volume(hu: np.ndarray) -> Volume:
    geometry = Geometry(hu.shape, SPACING, (0.0, 0.0, 0.0), AXES)
    return Volume(np.rint(hu).astype(np.int16), geometry)


def ball(centre: tuple[int, int, int], radius_mm: float) -> np.ndarray:
    grid = np.indices(LUNG.shape).reshape(3, -1).T
    away = (grid - np.array(centre)) * SPACING
    return (np.linalg.norm(away, axis=1) <= radius_mm).reshape(LUNG.shape)


def test_regions_add_up_to_the_mask_and_lie_on_their_sides() -> None:
    burden = opacity_by_slice(as_volume(chest()), LUNG).burden
    assert burden.total.lung_ml == pytest.approx(np.count_nonzero(LUNG) * ML)
    assert burden.of(LungSide.RIGHT).lung_ml == pytest.approx(np.count_nonzero(RIGHT) * ML)
    assert burden.of(LungSide.LEFT).lung_ml == pytest.approx(np.count_nonzero(LEFT) * ML)
    for third in LungThird:
        assert burden.of(third=third).lung_ml == pytest.approx(np.count_nonzero(LUNG) * ML / 3)
    assert burden.total.ground_glass_ml == burden.total.consolidation_ml == 0.0


@pytest.mark.parametrize("noise_hu", [0.0, 25.0])
def test_a_lesion_of_known_volume_is_measured_where_it_lies(noise_hu: float) -> None:
    lesion = ball((22, 100, 55), 20.0)
    hu = chest(noise_hu)
    hu[lesion] += -550 + 850
    burden = opacity_by_slice(as_volume(hu), LUNG).burden
    truth = np.count_nonzero(lesion & LUNG) * ML
    upper = burden.regions[LungSide.RIGHT, LungThird.UPPER]
    assert burden.total.ground_glass_ml == pytest.approx(truth, rel=0.1)
    assert upper.ground_glass_ml > 0.6 * truth
    assert burden.of(LungSide.LEFT).ground_glass_ml < 0.01 * truth
    assert burden.total.consolidation_ml < 0.01 * truth
    assert upper.ground_glass_share == upper.ground_glass_ml / upper.lung_ml


def test_consolidation_at_the_pleura_is_consolidation() -> None:
    hu = chest(15.0)
    lesion = ball((8, 90, 178), 25.0) & LUNG
    hu[lesion] = 30.0
    burden = opacity_by_slice(as_volume(hu), LUNG).burden
    found = burden.regions[LungSide.LEFT, LungThird.LOWER].consolidation_ml
    assert found > 0.5 * np.count_nonzero(lesion) * ML
    assert burden.total.consolidation_ml == pytest.approx(np.count_nonzero(lesion) * ML, rel=0.1)


def test_what_is_thin_is_set_aside() -> None:
    hu = chest(15.0)
    vessels = np.zeros(LUNG.shape, np.uint8)
    for index in range(SLICES):  # in the plane, and across it
        cv2.line(vessels[index], (30, 60), (85, 140), 1, thickness=5)
        cv2.circle(vessels[index], (130, 100), 3, 1, thickness=-1)
    hu[vessels.astype(bool) & LUNG] = 30.0
    burden = opacity_by_slice(as_volume(hu), LUNG).burden
    drawn = np.count_nonzero(vessels.astype(bool) & LUNG) * ML
    assert burden.total.consolidation_ml + burden.total.ground_glass_ml < 0.01 * drawn
    assert burden.total.vessel_ml == pytest.approx(drawn, rel=0.4)


def test_a_vessel_through_ground_glass_is_not_consolidation() -> None:
    hu = chest()
    hu[ball((15, 100, 55), 25.0)] = -550.0
    hu[:, 98:102, 20:90] = 30.0
    burden = opacity_by_slice(as_volume(hu), LUNG).burden
    assert burden.total.ground_glass_ml > 25
    assert burden.total.consolidation_ml == 0.0


def test_lungs_that_touch_are_told_apart() -> None:
    touching = LUNG.copy()
    touching[10:14, 60:64, 85:115] = True
    hu = chest()
    hu[touching] = -850
    burden = opacity_by_slice(as_volume(hu), touching).burden
    assert burden.of(LungSide.RIGHT).lung_ml == pytest.approx(
        np.count_nonzero(RIGHT) * ML, rel=0.01
    )
    assert burden.of(LungSide.LEFT).lung_ml == pytest.approx(np.count_nonzero(LEFT) * ML, rel=0.01)


def test_a_wide_bridge_is_cut_where_it_is_thinnest() -> None:
    touching = LUNG | box((95, 115), (85, 115))
    burden = opacity_by_slice(as_volume(np.where(touching, -850.0, 40.0)), touching).burden
    assert burden.of(LungSide.RIGHT).lung_ml == pytest.approx(
        np.count_nonzero(RIGHT) * ML, rel=0.05
    )


@pytest.mark.parametrize(("lung", "side"), [(RIGHT, LungSide.RIGHT), (LEFT, LungSide.LEFT)])
def test_one_lung_alone_keeps_its_side(lung: np.ndarray, side: LungSide) -> None:
    burden = opacity_by_slice(as_volume(np.where(lung, -850.0, 40.0)), lung).burden
    assert burden.of(side).lung_ml == burden.total.lung_ml > 0


def kind_at(found: Opacity, index: int, row: int, column: int) -> int:
    """What a voxel of the volume was counted as."""
    (top, left), (rows, columns) = found.cells.origin, found.cells.factor
    return int(found.cells.kind[index, (row - top) // rows, (column - left) // columns])


def test_the_kinds_lie_where_the_lesions_do() -> None:
    hu = chest()
    hu[ball((15, 100, 55), 20.0)] = -550.0
    hu[ball((15, 100, 145), 15.0)] = 30.0
    found = find_opacity(as_volume(hu), LUNG)
    assert kind_at(found, 15, 100, 55) == GROUND_GLASS
    assert kind_at(found, 15, 100, 145) == CONSOLIDATION
    assert kind_at(found, 15, 60, 25) == AERATED
    assert kind_at(found, 15, 100, 100) == kind_at(found, 1, 100, 55) == 0


def test_cells_count_the_voxels_of_the_mask() -> None:
    found = find_opacity(as_volume(chest()), LUNG)
    assert found.voxels.max() == np.prod(found.cells.factor)
    assert found.voxels.sum(dtype=int) == np.count_nonzero(LUNG)
    assert ((found.voxels > 0) == (found.cells.kind > 0)).all()


def test_another_range_is_a_setting() -> None:
    hu = chest()
    hu[ball((15, 100, 55), 20.0)] = -720.0
    wide = OpacitySettings(ground_glass_hu=(-750.0, -300.0))
    assert opacity_by_slice(as_volume(hu), LUNG).burden.total.ground_glass_ml == 0.0
    assert opacity_by_slice(as_volume(hu), LUNG, wide).burden.total.ground_glass_ml > 20


def test_denser_than_consolidation_is_set_aside() -> None:
    hu = chest()
    hu[ball((15, 100, 55), 20.0)] = 400.0
    found = find_opacity(as_volume(hu), LUNG)
    assert kind_at(found, 15, 100, 55) == VESSEL


@pytest.mark.parametrize("seed", [100, 101, 104])
def test_phantoms_burden_is_their_lesions_and_the_healthy_have_little(seed: int) -> None:
    def phantom(label: str):
        return make_phantom(
            PhantomSettings(
                label=label,
                severity=0.7,
                seed=seed,
                matrix=256,
                slice_count=20,
                slice_spacing_mm=12.0,
            )
        )

    healthy, ill = phantom("healthy"), phantom("CP")
    nothing = opacity_by_slice(healthy.volume, healthy.lung).burden.total
    found = opacity_by_slice(ill.volume, ill.lung).burden.total
    truth = np.count_nonzero(ill.lesion & ill.lung) * ill.volume.geometry.voxel_ml
    assert nothing.ground_glass_share + nothing.consolidation_share < 0.05
    more = found.ground_glass_ml + found.consolidation_ml
    more -= nothing.ground_glass_ml + nothing.consolidation_ml
    assert more == pytest.approx(truth, rel=0.25)


def plate(hu: float, size: int = 30) -> tuple[Volume, np.ndarray]:
    """Three slices of cells of one voxel, with lung of one HU that fills them but for a margin."""
    lung = np.zeros((3, size, size), bool)
    lung[:, 3:-3, 3:-3] = True
    geometry = Geometry(lung.shape, (5.0, 1.5, 1.5), (0.0, 0.0, 0.0), AXES)
    return Volume(np.where(lung, hu, 40).astype(np.float32), geometry), lung


@pytest.mark.parametrize(
    ("hu", "kind"),
    [
        (-701, AERATED),
        (-700, GROUND_GLASS),
        (-301, GROUND_GLASS),
        (-300, CONSOLIDATION),
        (99, CONSOLIDATION),
        (100, VESSEL),
    ],
)
def test_ranges_hold_their_lower_end(hu: float, kind: int) -> None:
    found = find_opacity(*plate(hu))
    assert found.cells.factor == (1, 1)
    assert found.cells.origin == (3, 3)
    middle = found.cells.kind[:, 1:-1, 1:-1]  # corners are what the disc does not reach
    assert (middle == kind).all()


@pytest.mark.parametrize(
    ("hu", "cells", "kind"),
    # 7 mm and 5 mm in cells of 1.5 mm are discs of 5 and 3 cells, the odd numbers nearest.
    [
        (-500, 4, VESSEL),
        (-500, 5, GROUND_GLASS),
        (0, 4, VESSEL),
        (0, 5, CONSOLIDATION),
    ],
)
@pytest.mark.parametrize("across", [False, True])
def test_what_is_thinner_than_a_vessel_is_set_aside(
    hu: float, cells: int, kind: int, across: bool
) -> None:
    volume, lung = plate(-850)
    band = volume.hu.copy()
    band[:, 12 : 12 + cells, 3:-3] = hu
    if across:
        band = band.transpose(0, 2, 1).copy()
    kinds = find_opacity(Volume(band, volume.geometry), lung).cells.kind[1]
    kinds = kinds.T if across else kinds
    assert (kinds[9 : 9 + cells, 5:-5] == kind).all()
    assert (kinds[:8] == AERATED).all()


@pytest.mark.parametrize(("cells", "kind"), [(2, VESSEL), (3, CONSOLIDATION)])
def test_dense_bands_in_ground_glass_are_vessels_up_to_their_own_width(
    cells: int, kind: int
) -> None:
    volume, lung = plate(-500)
    hu = volume.hu.copy()
    hu[:, 12 : 12 + cells, 3:-3] = 0
    kinds = find_opacity(Volume(hu, volume.geometry), lung).cells.kind[1]
    assert (kinds[9 : 9 + cells, 5:-5] == kind).all()
    assert (kinds[2:7, 5:-5] == GROUND_GLASS).all()


@pytest.mark.parametrize("spacing", [(0.7, 0.5), (0.5, 0.7)])
def test_cells_are_the_means_of_the_lung_in_them_at_the_image_s_edge_too(
    spacing: tuple[float, float],
) -> None:
    rows, columns = (round(1.5 / mm) for mm in spacing)
    assert {rows, columns} == {2, 3}
    rng = np.random.default_rng(0)
    lung = np.zeros((2, 40, 40), bool)
    lung[:, 5:40, 7:40] = True
    lung[:, 20:24, 20:24] = False
    hu = np.where(lung, rng.choice([-900.0, 0.0], lung.shape), 3000).astype(np.float32)
    geometry = Geometry(lung.shape, (5.0, *spacing), (0.0, 0.0, 0.0), AXES)
    settings = OpacitySettings(vessel_mm=0.1, dense_vessel_mm=0.1)
    found = find_opacity(Volume(hu, geometry), lung, settings)
    assert found.cells.factor == (rows, columns)
    assert found.cells.origin == (5, 7)
    assert found.cells.kind.shape == (2, -(-35 // rows), -(-33 // columns))
    for cell in np.ndindex(found.cells.kind.shape):
        top, left = 5 + cell[1] * rows, 7 + cell[2] * columns
        box = (cell[0], slice(top, top + rows), slice(left, left + columns))
        inside = lung[box]
        assert found.voxels[cell] == inside.sum()
        if not inside.any():
            assert found.cells.kind[cell] == 0
        elif abs(hu[box][inside].mean() + 700) > 1:
            dense = hu[box][inside].mean() >= -700
            assert (found.cells.kind[cell] != AERATED) == dense


@pytest.mark.parametrize(
    ("slices", "thirds"),
    [(3, (1, 1, 1)), (4, (1, 1, 2)), (5, (1, 2, 2)), (6, (2, 2, 2)), (2, (0, 1, 1))],
)
def test_thirds_are_between_a_lung_s_lowest_and_highest_slice(
    slices: int, thirds: tuple[int, int, int]
) -> None:
    """Upper, middle and lower; each lung has its own."""
    lung = np.zeros_like(LUNG)
    lung[4 : 4 + slices] = RIGHT[5]
    lung[10:22] |= LEFT[5]
    burden = opacity_by_slice(as_volume(np.where(lung, -850.0, 40.0)), lung).burden
    area = np.count_nonzero(RIGHT[5]) * ML
    found = [burden.regions[LungSide.RIGHT, third].lung_ml for third in LungThird]
    assert found == pytest.approx([area * count for count in thirds])
    found = [burden.regions[LungSide.LEFT, third].lung_ml for third in LungThird]
    assert found == pytest.approx([np.count_nonzero(LEFT[5]) * ML * 4] * 3)
    assert list(LungThird) == [LungThird.UPPER, LungThird.MIDDLE, LungThird.LOWER]


@pytest.mark.parametrize("slice_mm", [0.6, 2.0, 9.0])
def test_sides_are_those_of_the_slice_whatever_the_slices_distance(slice_mm: float) -> None:
    """A border that wanders from slice to slice is followed, of thin slices every 4 mm."""
    count = max(4, round(48 / slice_mm))
    lung, right = (np.zeros((count, 90, 120), bool) for _ in range(2))
    for k in range(count):
        shift = round(24 * k * slice_mm / 48)
        right[k, 20:70, 10 + shift : 40 + shift] = True
        lung[k, 20:70, 60 + shift : 85 + shift] = True
    lung |= right
    geometry = Geometry(lung.shape, (slice_mm, 0.8, 0.8), (0.0, 0.0, 0.0), AXES)
    volume = Volume(np.where(lung, -850, 40).astype(np.int16), geometry)
    burden = opacity_by_slice(volume, lung).burden
    expected = np.count_nonzero(right) * geometry.voxel_ml
    assert burden.of(LungSide.RIGHT).lung_ml == pytest.approx(expected, rel=1e-6)


def test_what_was_not_judged_lies_in_its_third() -> None:
    """Slices 3 to 26 are lung, feet to head; the ball lies in the lowest eight of them."""
    hu = chest()
    hu[ball((6, 100, 55), 12.0)] = -550
    found = opacity_by_slice(as_volume(hu), LUNG)
    judged = np.arange(SLICES) >= 7  # four of the lower third's eight slices
    left_out = found.not_judged(judged)
    shares = [left_out.thirds[third].lung_share for third in LungThird]
    assert shares == pytest.approx([0, 0, 0.5])
    assert left_out.total.of_lung_ml == pytest.approx(found.burden.total.lung_ml)
    lower = left_out.thirds[LungThird.LOWER]
    assert lower.of_opacity_ml == pytest.approx(found.burden.total.ground_glass_ml)
    assert 0.5 < lower.opacity_share < 1
    assert left_out.thirds[LungThird.UPPER].of_opacity_ml == 0.0


def test_all_judged_leaves_nothing_out_and_nothing_judged_all() -> None:
    found = opacity_by_slice(as_volume(chest()), LUNG)
    assert found.not_judged(np.ones(SLICES, bool)).total.lung_ml == 0.0
    assert found.not_judged(np.zeros(SLICES, bool)).total.lung_share == pytest.approx(1)
