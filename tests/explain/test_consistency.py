"""A map that follows the image scores 1; one that stays behind does not."""

from __future__ import annotations

import numpy as np
import pytest

from groundglass.explain.consistency import PERTURBATIONS, similarity
from groundglass.explain.rigid_transform import RigidTransform


def blob(row: float, column: float, size: int = 64) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    return np.exp(-((y - row) ** 2 + (x - column) ** 2) / 50).astype(np.float32)


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_a_map_that_follows_the_image_is_consistent(name: str) -> None:
    perturbation = PERTURBATIONS[name]
    shown = blob(14, 20)
    moved = perturbation.apply(np.rint(shown * 255).astype(np.uint8)).astype(np.float32) / 255
    assert similarity(shown, moved, perturbation) > 0.995
    assert similarity(shown, shown, perturbation) < 0.95


def test_an_empty_map_is_not_consistent() -> None:
    empty = np.zeros((64, 64), np.float32)
    assert similarity(blob(30, 24), empty, RigidTransform(shift_px=(4, 4))) == 0.0
