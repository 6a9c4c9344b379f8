"""A map that follows the image scores 1; one that stays behind does not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from groundglass.explain.consistency import PERTURBATIONS, Perturbation, similarity


def blob(row: float, column: float, size: int = 64) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    return np.exp(-((y - row) ** 2 + (x - column) ** 2) / 50).astype(np.float32)


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_a_map_that_follows_the_image_is_consistent(name: str) -> None:
    perturbation = PERTURBATIONS[name]
    shown = blob(14, 20)
    moved = perturbation.move(np.rint(shown * 255).astype(np.uint8)).astype(np.float32) / 255
    assert similarity(shown, moved, perturbation) > 0.995
    assert similarity(shown, shown, perturbation) < 0.95


def test_shifts_are_right_and_down_in_pixels_of_256() -> None:
    image = np.zeros((256, 256), np.uint8)
    image[100, 120] = 255
    moved = Perturbation(shift_px=(30, -15)).move(image)
    assert np.argwhere(moved).tolist() == [[85, 150]]
    half = Perturbation(shift_px=(30, -16)).move(cv2.resize(image, (128, 128)))
    assert half.shape == (128, 128)


def test_clockwise_is_clockwise_as_seen() -> None:
    image = np.zeros((256, 256), np.uint8)
    image[20:30, 123:133] = 255  # twelve o'clock
    moved = Perturbation(clockwise_deg=90).move(image)
    assert moved[123:133, 226:236].mean() > 200  # three o'clock


def test_an_empty_map_is_not_consistent() -> None:
    empty = np.zeros((64, 64), np.float32)
    assert similarity(blob(30, 24), empty, Perturbation(shift_px=(4, 4))) == 0.0
