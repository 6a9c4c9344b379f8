"""A dome is even, of soft tissue or fat, and cut out of the lung."""

from __future__ import annotations

import numpy as np

from groundglass.train.segmenter.domes import raise_dome


def raised(make_slice, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The image, what is left of the lung, and the lung before."""
    mask = make_slice().lung.astype(np.uint8)
    image = np.where(mask, -850, 40).astype(np.float32)
    found, left = raise_dome(image, mask, np.random.default_rng(seed))
    return found, left > 0, mask > 0


def test_the_lung_loses_what_the_dome_fills_and_gains_nothing(make_slice):
    for seed in range(30):
        image, left, before = raised(make_slice, seed)
        assert not (left & ~before).any()
        taken = before & ~left
        assert image[left].mean() < -700
        if taken.sum() > 50:
            assert -450 < image[taken].mean() < 130


def test_most_domes_are_seen_and_some_are_fat(make_slice):
    means = [
        float(image[before & ~left].mean())
        for image, left, before in (raised(make_slice, seed) for seed in range(80))
        if (before & ~left).sum() > 100
    ]
    assert len(means) > 40
    assert any(mean < -60 for mean in means)
    assert any(mean > 20 for mean in means)


def test_a_lung_without_room_stays(make_slice):
    image = np.zeros((96, 96), np.float32)
    mask = np.zeros((96, 96), np.uint8)
    mask[:5, :5] = 1
    found, left = raise_dome(image, mask, np.random.default_rng(0))
    assert found is image
    assert left is mask
