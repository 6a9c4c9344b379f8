"""What a volume knows: small regions apart, gas and fat are not lung; all disease is."""

from __future__ import annotations

import numpy as np
import pytest

from groundglass.prepare import Letterbox, Recipe, clean_lung_mask, lungs_on_volume
from groundglass.prepare.intensity import segmenter_window

SIZE, SLICES = 128, 20


def disc(row: float, column: float, radius: float) -> np.ndarray:
    y, x = np.mgrid[:SIZE, :SIZE]
    return np.asarray(np.hypot(y - row, x - column) < radius)


def body() -> tuple[np.ndarray, np.ndarray]:
    """Made HU volume with two lungs, and the lungs."""
    lungs = disc(64, 45, 14) | disc(64, 85, 14)
    hu = np.full((SLICES, SIZE, SIZE), -1000, np.int16)
    hu[:, disc(64, 64, 50)] = 40
    hu[5:, lungs] = -850
    truth = np.zeros(hu.shape, bool)
    truth[5:, lungs] = True
    return hu, truth


def cleaned(hu: np.ndarray, candidate: np.ndarray) -> np.ndarray:
    images = segmenter_window(hu, Recipe())
    return clean_lung_mask((candidate * 255).astype(np.uint8), images, Recipe())


def test_a_right_mask_is_left_alone() -> None:
    hu, truth = body()
    assert np.array_equal(cleaned(hu, truth), truth)


def test_a_small_region_apart_is_removed() -> None:
    hu, truth = body()
    wrong = truth.copy()
    wrong[0:3, disc(50, 64, 6)] = True
    hu[0:3, disc(50, 64, 6)] = -850
    assert np.array_equal(cleaned(hu, wrong), truth)


@pytest.mark.parametrize("foreign_hu", [-1000, -95])
def test_a_large_region_of_gas_or_fat_apart_is_removed(foreign_hu: int) -> None:
    hu, truth = body()
    wrong = truth.copy()
    wrong[0:4, disc(64, 64, 40)] = True
    hu[0:4, disc(64, 64, 40)] = foreign_hu
    wrong[4], hu[4] = False, 40
    assert wrong[:4].sum() > 0.5 * truth.sum()
    assert np.array_equal(cleaned(hu, wrong), truth)


def test_lungs_of_low_density_stay_also_where_a_bulla_is_half_of_one() -> None:
    hu, truth = body()
    hu[truth] = -970
    hu[:, disc(64, 45, 9)] = -1000
    assert np.array_equal(cleaned(hu, truth), truth)


def test_consolidation_at_the_pleura_stays() -> None:
    hu, truth = body()
    hu[10:15, disc(64, 45, 14) & (np.arange(SIZE) < 42)[None]] = 40
    assert np.array_equal(cleaned(hu, truth), truth)


def test_nothing_found_is_nothing() -> None:
    hu, truth = body()
    assert not cleaned(hu, np.zeros_like(truth)).any()


def test_a_mask_survives_the_way_to_the_volume() -> None:
    _, truth = body()
    frame = Letterbox((256, 256), SIZE, (SIZE, SIZE), (0, 0), 3.0)
    found = lungs_on_volume((truth * 255).astype(np.uint8), truth, frame)
    assert found.shape == (SLICES, 256, 256)
    assert np.array_equal(found[:, 1::2, 1::2] | found[:, ::2, ::2], truth)


def test_a_lung_that_is_mostly_consolidated_stays() -> None:
    hu, truth = body()
    ill = truth.copy()
    ill[:, :, :45] = False
    ill[:, 64:, :] = False
    assert 0.1 < 1 - ill.sum() / truth.sum() < 0.9
    hu[ill] = 40
    assert np.array_equal(cleaned(hu, truth), truth)
