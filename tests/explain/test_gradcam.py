"""Grad-CAM of a group equals the framework's, and survives padding and resampling."""

from __future__ import annotations

import numpy as np
import pytest

from groundglass.core.result import GroupPrediction, SliceGroup
from groundglass.explain import HeadWeights, choose_key_slices, group_heat, heatmaps
from groundglass.explain.heatmaps import KeySlices
from groundglass.infer import GroupEvidence
from groundglass.prepare import SquareFrame

FEATURES, CHANNELS, SIZE = 6, 4, 10


def weights(seed: int = 0) -> HeadWeights:
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(0, 0.5, shape).astype(np.float32)

    units, width = 3, 5
    return HeadWeights(
        draw(2, 4 * units, FEATURES),
        draw(2, 4 * units, units),
        draw(2, 8 * units),
        draw(width, SIZE * 2 * units),
        draw(width),
        draw(3, width),
    )


def evidence(group: SliceGroup) -> GroupEvidence:
    rng = np.random.default_rng(1)
    maps = rng.random((SIZE, CHANNELS, 8, 8), dtype=np.float32)
    features = rng.random((SIZE, FEATURES), dtype=np.float32)
    features[:, -CHANNELS:] = maps.max(axis=(2, 3))
    prediction = GroupPrediction(group, {"CP": 1.0}, "CP")
    return GroupEvidence(prediction, features, maps)


@pytest.mark.parametrize(
    "group",
    [
        SliceGroup(0, tuple(range(10)), SIZE, 0, interpolated=False),
        SliceGroup(0, tuple(range(7)), SIZE, 3, interpolated=False),
        SliceGroup(0, tuple(range(14)), SIZE, 0, interpolated=True),
        SliceGroup(0, (4,), SIZE, 9, interpolated=False),
    ],
)
def test_every_slice_of_the_group_gets_one_map(group: SliceGroup) -> None:
    heat = group_heat(evidence(group), np.zeros(FEATURES, np.float32), weights())
    count = len(group.slice_indices)
    assert heat.slice_indices == group.slice_indices
    assert heat.heat.shape == (3, count, 8, 8)
    assert heat.contribution.shape == (3, count)
    assert heat.heat.min() >= 0
    assert heat.heat.max() > 0


def test_a_group_of_black_images_contributes_nothing() -> None:
    group = SliceGroup(0, tuple(range(10)), SIZE, 0, interpolated=False)
    seen = evidence(group)
    black = seen.features[0]
    same = GroupEvidence(seen.prediction, np.repeat(black[None], SIZE, axis=0), seen.maps)
    assert np.abs(group_heat(same, black, weights()).contribution).max() < 1e-6


def test_key_slices_are_strong_and_apart() -> None:
    positions = np.arange(20) * 5.0
    contribution = {k: float(k % 7) for k in range(20)}
    chosen = choose_key_slices(contribution, positions, KeySlices(count=3, apart_mm=15))
    assert chosen == (6, 13, 19)


def test_slices_that_argue_against_the_verdict_did_not_carry_it() -> None:
    contribution = {0: -0.5, 1: 0.2, 2: 0.0, 3: 0.4}
    positions = np.arange(4) * 50.0
    assert choose_key_slices(contribution, positions, KeySlices(count=4)) == (3, 1)
    assert choose_key_slices({0: -0.5}, positions, KeySlices()) == ()


def test_maps_are_scaled_together_and_know_their_share_in_the_lung() -> None:
    group = SliceGroup(0, tuple(range(10)), SIZE, 0, interpolated=False)
    heat = group_heat(evidence(group), np.zeros(FEATURES, np.float32), weights())
    frame = SquareFrame((40, 40), 32, (32, 32), (0, 0), 1.0)
    lung = np.zeros((10, 40, 40), bool)
    lung[:, :20] = True
    maps = heatmaps([heat], (0, "CP"), range(10), frame, lung)
    assert [m.slice_index for m in maps] == list(range(10))
    assert max(float(m.heat.max()) for m in maps) == pytest.approx(1.0, abs=0.2)
    for m in maps:
        if m.heat.sum() > 0:
            assert m.share_in_lung == pytest.approx(m.heat[:20].sum() / m.heat.sum(), abs=1e-5)
