"""What is likely an opacity: dense, thicker than a vessel, inside the lungs."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from groundglass.explain import LikelihoodSettings, opacity_likelihood

SETTINGS = LikelihoodSettings()
PIXEL_MM = 1.4
SIZE = 256
LUNG_HU, TISSUE_HU = -870.0, 40.0


def disc(row: float, column: float, diameter_mm: float) -> np.ndarray:
    y, x = np.mgrid[:SIZE, :SIZE]
    return np.hypot(y - row, x - column) <= diameter_mm / PIXEL_MM / 2


def chest() -> tuple[np.ndarray, np.ndarray]:
    """Two lungs in tissue, with noise; their mask."""
    lung = disc(128, 80, 110) | disc(128, 176, 110)
    hu = np.where(lung, LUNG_HU, TISSUE_HU)
    return hu + np.random.default_rng(0).normal(0, 40, hu.shape), lung


def likelihood(hu: np.ndarray, lung: np.ndarray) -> np.ndarray:
    return opacity_likelihood(hu.astype(np.float32), lung, PIXEL_MM, SETTINGS)


@pytest.mark.parametrize("hu_inside", [-550.0, -300.0, 20.0])
def test_the_denser_an_opacity_the_likelier(hu_inside: float) -> None:
    hu, lung = chest()
    lesion = disc(128, 80, 20)
    less, more = hu.copy(), hu.copy()
    less[lesion], more[lesion] = hu_inside, hu_inside + 100
    assert likelihood(more, lung)[128, 80] >= likelihood(less, lung)[128, 80] > 0.2


def test_aerated_lung_and_its_rim_are_unlikely_and_what_is_outside_impossible() -> None:
    hu, lung = chest()
    found = likelihood(hu, lung)
    assert found[lung].max() < 0.05
    assert not found[~lung].any()


def test_a_vessel_is_set_aside_and_a_lesion_as_dense_is_not() -> None:
    hu, lung = chest()
    drawn = np.zeros((SIZE, SIZE), np.uint8)
    cv2.line(drawn, (60, 100), (60, 150), 1, 2)  # 3 pixels, some 4 mm wide
    cv2.line(drawn, (80, 100), (100, 140), 1, 2)
    hu[drawn > 0] = TISSUE_HU
    lesion = disc(128, 176, 18)
    hu[lesion] = TISSUE_HU
    found = likelihood(hu, lung)
    assert found[drawn > 0].max() < 0.2
    assert found[128, 176] > 0.9


def test_a_dome_outside_the_mask_leaves_the_lung_beside_it_cold() -> None:
    hu, lung = chest()
    dome = disc(150, 90, 60)
    hu[dome] = 60.0
    found = likelihood(hu, lung & ~dome)
    assert found.max() < 0.05


def test_what_lies_outside_the_lungs_has_no_say() -> None:
    hu, lung = chest()
    hu[disc(128, 80, 20)] = -400
    other = np.where(lung, hu, 3000.0)
    np.testing.assert_array_equal(likelihood(hu, lung), likelihood(other, lung))


def test_sizes_are_in_mm() -> None:
    """The same anatomy on pixels of half the side."""
    hu, lung = chest()
    hu[disc(128, 80, 24)] = -450
    coarse = likelihood(hu, lung)
    twice = [np.kron(one, np.ones((2, 2))) for one in (hu, lung)]
    fine = opacity_likelihood(twice[0].astype(np.float32), twice[1] > 0, PIXEL_MM / 2, SETTINGS)
    assert fine[::2, ::2][lung] == pytest.approx(coarse[lung], abs=0.15)


def test_without_lung_nothing_is_likely() -> None:
    hu, lung = chest()
    assert not likelihood(hu, np.zeros_like(lung)).any()
