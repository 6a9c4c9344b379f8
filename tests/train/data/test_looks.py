"""Another scanner's look: the same lungs, the same disease, another grey."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs groundglass[train]")

from groundglass.train.data.looks import another_look


def _slice() -> tuple[np.ndarray, np.ndarray]:
    lung = np.zeros((128, 128), dtype=bool)
    lung[30:100, 20:55] = lung[30:100, 75:110] = True
    hu = np.where(lung, -850, 40).astype(np.float32)
    hu[50:62, 30:45] = -50
    return hu, lung


def test_the_same_seed_gives_the_same_look_and_another_one_another() -> None:
    hu, lung = _slice()
    one, again, other = (
        another_look(hu, lung, np.random.default_rng(seed))[0] for seed in (1, 1, 2)
    )
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_in_every_look_lung_stays_darker_than_disease_and_where_it_was() -> None:
    hu, lung = _slice()
    before = hu.copy()
    for seed in range(40):
        shown, mask = another_look(hu, lung, np.random.default_rng(seed))
        assert np.median(shown[70:80, 30:45]) + 300 < np.median(shown[52:60, 32:43])
        assert np.median(shown[52:60, 32:43]) < np.median(shown[5:25]) + 60
        assert 0.85 < mask.sum() / lung.sum() < 1.15
        assert shown.dtype == np.float32
    assert np.array_equal(hu, before)


def test_looks_differ_in_noise_scale_and_sharpness() -> None:
    hu, lung = _slice()
    shown = [another_look(hu, lung, np.random.default_rng(seed))[0] for seed in range(40)]
    noise = [one[70:95, 30:50].std() for one in shown]
    level = [np.median(one[5:25]) for one in shown]
    assert min(noise) < 5
    assert max(noise) > 25
    assert np.ptp(level) > 60


def test_the_haze_of_lying_is_at_the_back() -> None:
    hu, lung = _slice()
    looks = [another_look(hu, lung, np.random.default_rng(seed))[0] for seed in range(40)]
    risen = [np.median(one[94:98, 80:105]) - np.median(one[40:48, 80:105]) for one in looks]
    assert 4 <= sum(one > 25 for one in risen) <= 25


def test_contrast_medium_is_in_the_heart_of_some_and_not_in_the_chest_wall() -> None:
    hu, lung = _slice()
    looks = [another_look(hu, lung, np.random.default_rng(seed))[0] for seed in range(80)]
    risen = np.array([np.median(one[50:80, 60:70]) - np.median(one[105:125]) for one in looks])
    assert 8 <= (risen > 30).sum() <= 32
    assert (np.abs(risen) < 15).sum() > 40
