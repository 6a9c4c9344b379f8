"""Real lesions cut out and laid into other lungs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="needs groundglass[train]")

from groundglass.train.data.patches import (
    Patch,
    cut_patches,
    lay_patches,
    read_patches,
    write_patches,
)


def _ill() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A slice with a lesion at the left edge, one inside, and a speck too small to keep."""
    lesion = np.zeros((128, 128), dtype=bool)
    lesion[60:80, 25:40] = lesion[70:90, 85:100] = lesion[40:43, 30:33] = True
    rng = np.random.default_rng(0)
    hu = np.where(lesion, rng.normal(-350, 60, lesion.shape), -850).astype(np.float32)
    lung = np.zeros_like(lesion)
    lung[30:110, 25:110] = True
    return hu, lung, lesion


def _well() -> tuple[np.ndarray, np.ndarray]:
    lung = np.zeros((128, 128), dtype=bool)
    lung[30:100, 20:55] = lung[30:100, 75:110] = True
    hu = np.where(lung, -870, 40).astype(np.float32)
    hu[60:64, 30:34] = 60  # a vessel
    return hu, lung


def test_each_lesion_is_cut_for_itself_and_kept_as_it_is(tmp_path: Path) -> None:
    cut = cut_patches(*_ill())
    assert sorted(int(one.mask.sum()) for one in cut) == [300, 400 - 100]
    write_patches(cut, tmp_path / "patches.npz")
    for kept, one in zip(read_patches(tmp_path / "patches.npz"), cut, strict=True):
        assert np.array_equal(kept.mask, one.mask)
        assert np.abs(kept.hu - one.hu).max() < 1
        assert kept.wall == one.wall


def test_the_wall_a_lesion_lies_at_is_known() -> None:
    at_wall, inside = sorted(cut_patches(*_ill()), key=lambda one: -abs(one.wall[0]))
    assert at_wall.wall[0] < -0.95
    assert inside.wall == (0.0, 0.0)


def test_a_lesion_of_the_pleura_is_laid_at_the_pleura_with_its_own_side() -> None:
    """Its half at the wall is dense, so laid anywhere it is denser outwards."""
    mask = np.ones((24, 16), dtype=bool)
    dense_left = np.where(np.arange(16) < 8, 0.0, -500.0) + np.zeros((24, 1))
    patch = Patch(dense_left.astype(np.float32), mask, (-1.0, 0.0))
    _, lung = _well()
    hu = np.where(lung, -870, 40).astype(np.float32)
    depth = cv2.distanceTransform(lung.astype(np.uint8), cv2.DIST_L2, 5)
    for seed in range(20):
        ill, lesion = lay_patches(hu, lung, [patch], np.random.default_rng(seed))
        dense, glass = (lesion & (ill > -350)), (lesion & (ill < -450) & (ill > -700))
        assert depth[lesion].min() <= 1
        if dense.sum() > 50 and glass.sum() > 50:
            assert depth[dense].mean() < depth[glass].mean()


def test_lesions_lie_in_the_lung_and_are_marked_where_they_can_be_seen() -> None:
    patches = cut_patches(*_ill())
    hu, lung = _well()
    for seed in range(12):
        ill, lesion = lay_patches(hu, lung, patches, np.random.default_rng(seed))
        assert lesion.sum() > 0.006 * lung.sum()
        assert not (lesion & ~lung).any()
        assert np.median((ill - hu)[lesion]) > 150
        assert (ill - hu)[lesion].min() > -40
        assert -720 < np.median(ill[lesion]) < -250
        far = ~lung
        far[29:101, 19:56] = far[29:101, 74:111] = False
        assert np.array_equal(ill[far], hu[far])


def test_a_vessel_stays_in_sight_under_a_lesion() -> None:
    patches = cut_patches(*_ill())
    hu, lung = _well()
    vessel = np.s_[61:63, 31:33]
    covered = 0
    for seed in range(60):
        ill, lesion = lay_patches(hu, lung, patches, np.random.default_rng(seed))
        around = lesion[58:67, 28:37]
        if around.mean() > 0.6:
            covered += 1
            assert np.median(ill[vessel]) > np.median(ill[58:67, 28:37][around]) + 40
    assert covered


def test_most_lesions_are_at_the_back() -> None:
    patches = cut_patches(*_ill())
    hu, lung = _well()
    where = [
        np.nonzero(lay_patches(hu, lung, patches, np.random.default_rng(seed))[1])[0].mean()
        for seed in range(40)
    ]
    assert np.mean(where) > 67
