"""Volume context: background air, bowel gas and the windpipe are not lung; consolidation is."""

from __future__ import annotations

import numpy as np

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
    return clean_lung_mask((candidate * 255).astype(np.uint8), images, 1.5, Recipe())


def test_a_right_mask_is_left_alone() -> None:
    hu, truth = body()
    assert np.array_equal(cleaned(hu, truth), truth)


def test_air_around_the_body_is_removed() -> None:
    hu, truth = body()
    wrong = truth.copy()
    wrong[:, :10, :] = True
    assert np.array_equal(cleaned(hu, wrong), truth)


def test_bowel_gas_is_removed() -> None:
    hu, truth = body()
    wrong = truth.copy()
    wrong[0:3, disc(50, 64, 6)] = True
    hu[0:3, disc(50, 64, 6)] = -990
    assert np.array_equal(cleaned(hu, wrong), truth)


def test_consolidation_at_the_pleura_stays() -> None:
    hu, truth = body()
    hu[10:15, disc(64, 45, 14) & (np.arange(SIZE) < 42)[None]] = 40
    assert np.array_equal(cleaned(hu, truth), truth)


def test_vessel_holes_are_filled_and_the_dome_of_the_liver_is_not() -> None:
    hu, truth = body()
    vessel, dome = disc(64, 45, 2), disc(64, 85, 8)
    wrong = truth.copy()
    wrong[:, vessel | dome] = False
    found = cleaned(hu, wrong)
    assert found[10, vessel].all()
    assert not found[10, dome].any()


def test_nothing_found_is_nothing() -> None:
    hu, truth = body()
    assert not cleaned(hu, np.zeros_like(truth)).any()


def test_a_mask_survives_the_way_to_the_volume() -> None:
    _, truth = body()
    frame = Letterbox((256, 256), SIZE, (SIZE, SIZE), (0, 0), 3.0)
    found = lungs_on_volume((truth * 255).astype(np.uint8), truth, frame)
    assert found.shape == (SLICES, 256, 256)
    assert np.array_equal(found[:, 1::2, 1::2] | found[:, ::2, ::2], truth)


def test_perirenal_fat_joined_to_the_lung_is_removed() -> None:
    hu, truth = body()
    wrong = truth.copy()
    wrong[2:5, disc(64, 45, 10)] = True
    hu[2:5, disc(64, 45, 10)] = -95
    assert np.array_equal(cleaned(hu, wrong), truth)


def test_soft_tissue_without_air_is_no_lung_however_large() -> None:
    hu, truth = body()
    assert not cleaned(np.where(truth, 40, hu).astype(np.int16), truth).any()


def test_a_lung_that_is_mostly_consolidated_stays() -> None:
    hu, truth = body()
    ill = truth.copy()
    ill[:, :, :45] = False
    ill[:, 64:, :] = False
    assert 0.1 < 1 - ill.sum() / truth.sum() < 0.9
    hu[ill] = 40
    assert np.array_equal(cleaned(hu, truth), truth)
