"""Images are moved as said, and maps of moved images come back to where they belong."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from groundglass.explain.rigid_transform import RigidTransform

BOTH = RigidTransform(clockwise_deg=12.0, shift_px=(5.0, -3.0))


def smooth_image(size: int = 256) -> np.ndarray:
    rng = np.random.default_rng(0)
    soft = cv2.GaussianBlur(rng.random((size, size), dtype=np.float32), (0, 0), size / 12)
    return cv2.normalize(soft, None, 0, 255, cv2.NORM_MINMAX)


def test_shifts_are_right_and_down_in_pixels_of_256() -> None:
    image = np.zeros((256, 256), np.uint8)
    image[100, 120] = 255
    moved = RigidTransform(shift_px=(30, -15)).apply(image)
    assert np.argwhere(moved).tolist() == [[85, 150]]
    half = RigidTransform(shift_px=(30, -16)).apply(cv2.resize(image, (128, 128)))
    assert half.shape == (128, 128)


def test_clockwise_is_clockwise_as_seen() -> None:
    image = np.zeros((256, 256), np.uint8)
    image[20:30, 123:133] = 255  # twelve o'clock
    moved = RigidTransform(clockwise_deg=90).apply(image)
    assert moved[123:133, 226:236].mean() > 200  # three o'clock


@pytest.mark.parametrize(("clockwise_deg", "turns"), [(90.0, -1), (180.0, 2), (-90.0, 1)])
@pytest.mark.parametrize("size", [256, 64])
def test_the_turn_is_about_the_image_s_middle(clockwise_deg: float, turns: int, size: int) -> None:
    """Between the pixels there: every one lands on one."""
    image = np.random.default_rng(0).integers(0, 256, (size, size), dtype=np.uint8)
    move = RigidTransform(clockwise_deg)
    assert np.array_equal(move.apply(image), np.rot90(image, turns))
    cells = image.astype(np.float32)
    assert np.allclose(move.inverse(cells, size), np.rot90(cells, -turns), atol=0.1)


def test_nothing_moves_nothing() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    assert np.array_equal(RigidTransform().apply(image), image)
    assert RigidTransform().valid_mask(64).all()


def test_images_are_moved_with_cubic_interpolation_unless_asked_otherwise() -> None:
    image = np.zeros((256, 256), np.uint8)
    image[:, 128:] = 100
    half = RigidTransform(shift_px=(0.5, 0.0))
    assert half.apply(image, cv2.INTER_LINEAR)[9, 126:131].tolist() == [0, 0, 50, 100, 100]
    beside = int(half.apply(image)[9, 129])
    assert 105 < beside < 115  # cubic overshoots, which keeps what is sharp


@pytest.mark.parametrize("cells", [256, 64, 32])
def test_a_coarse_map_of_the_moved_image_comes_back_to_its_place(cells: int) -> None:
    """Cells are areas: half a cell off, and the difference would be several times as large."""
    image = smooth_image()
    moved = BOTH.apply(np.rint(image).astype(np.uint8)).astype(np.float32)
    seen = cv2.resize(moved, (cells, cells), interpolation=cv2.INTER_AREA)
    back, there = BOTH.inverse(seen, 128), BOTH.valid_mask(128)
    expected = cv2.resize(image, (128, 128), interpolation=cv2.INTER_AREA)
    inside = there.copy()
    inside[:8] = inside[-8:] = inside[:, :8] = inside[:, -8:] = False
    assert inside.mean() > 0.7
    assert np.abs(back - expected)[inside].mean() < 2.0


def test_what_leaves_the_image_does_not_stay() -> None:
    stays = RigidTransform(shift_px=(64.0, 0.0)).valid_mask(64)
    assert stays[:, :48].all()
    assert not stays[:, 49:].any()
