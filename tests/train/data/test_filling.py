"""Filled alveoli: denser as asked, vessels in sight, grain as the slice has it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="needs groundglass[train]")

from groundglass.train.data.filling import fill_alveoli


def _noisy(seed: int, spread: float, blur: float) -> tuple[np.ndarray, np.ndarray]:
    lung = np.zeros((160, 160), dtype=bool)
    lung[30:130, 20:140] = True
    noise = np.random.default_rng(seed).standard_normal((160, 160)).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), blur)
    hu = np.where(lung, -850, 40).astype(np.float32) + noise * spread / noise.std()
    return hu.astype(np.float32), lung


@pytest.mark.parametrize(("spread", "blur"), [(12.0, 0.4), (40.0, 0.4), (25.0, 1.0)])
def test_a_filled_part_is_as_noisy_and_as_coarse_as_the_slice(spread: float, blur: float) -> None:
    hu, lung = _noisy(1, spread, blur)
    filled = np.zeros_like(hu)
    filled[50:110, 50:110] = 0.6
    ill = fill_alveoli(hu, lung, filled, np.random.default_rng(0))
    here, there = ill[55:105, 55:105], hu[55:105, 55:105]
    assert here.mean() == pytest.approx(-850 + 0.6 * 892, abs=8)
    assert here.std() == pytest.approx(there.std(), rel=0.2)
    steps = [np.diff(one, axis=1).std() / one.std() for one in (here, there)]
    assert steps[0] == pytest.approx(steps[1], rel=0.2)
    assert np.array_equal(ill[filled == 0], hu[filled == 0])


def test_where_dense_tissue_has_no_grain_a_filled_part_gets_none() -> None:
    """As in pictures whose contrast was equalised or cut off."""
    hu, lung = _noisy(2, 30.0, 0.5)
    hu[~lung] = 40
    filled = np.where(lung, np.float32(1.0), np.float32(0.0))
    assert np.abs(fill_alveoli(hu, lung, filled, np.random.default_rng(0))[lung] - 42).max() < 1


def test_nothing_becomes_less_dense_and_what_is_dense_stays() -> None:
    hu, lung = _noisy(3, 1.0, 0.5)
    hu[60:64, 60:64] = 200
    filled = np.where(lung, np.float32(0.5), np.float32(0.0))
    ill = fill_alveoli(hu, lung, filled, np.random.default_rng(0))
    assert np.array_equal(ill[60:64, 60:64], hu[60:64, 60:64])
    assert (ill[lung] > hu[lung] - 8).all()
