"""Gradients and last-layer heat of a group, through padding and resampling; maps on the volume."""

from __future__ import annotations

import numpy as np
import pytest

from groundglass.core.result import GroupPrediction, HeatMethod, SliceGroup
from groundglass.explain import (
    AllLayers,
    AttributionMethod,
    GradCam,
    HeadWeights,
    KeySlices,
    Scores,
    SquareHeat,
    choose_key_slices,
    coarse_heat,
    contributions,
    feature_gradients,
    group_heat,
    heatmaps,
)
from groundglass.infer import GroupEvidence, SliceDetail
from groundglass.prepare import Letterbox

FEATURES, CHANNELS, SIZE, HEALTHY = 6, 4, 10, 2
ALL_LAYERS = AllLayers(smoothing_mm=7.0, softening_px=0.8)
METHODS = (GradCam(), ALL_LAYERS)


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


def black() -> SliceDetail:
    maps = np.full((1, CHANNELS, 8, 8), 0.1, np.float32)
    return SliceDetail(
        np.full((1, FEATURES), 0.1, np.float32), (maps,), (np.zeros((1, 8, 8), np.bool_),)
    )


def scores(method: AttributionMethod = ALL_LAYERS) -> Scores:
    return Scores(weights(), method.scores_of_logits(3, HEALTHY), black(), method)


def evidence(group: SliceGroup) -> GroupEvidence:
    rng = np.random.default_rng(1)
    maps = rng.random((SIZE, CHANNELS, 8, 8), dtype=np.float32)
    features = rng.random((SIZE, FEATURES), dtype=np.float32)
    features[:, -CHANNELS:] = maps.max(axis=(2, 3))
    prediction = GroupPrediction(group, {"CP": 1.0}, "CP")
    return GroupEvidence(prediction, features, maps, np.ones((SIZE, 8, 8), np.bool_))


def plain_group() -> SliceGroup:
    return SliceGroup(0, tuple(range(10)), SIZE, 0, interpolated=False)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "group",
    [
        SliceGroup(0, tuple(range(10)), SIZE, 0, interpolated=False),
        SliceGroup(0, tuple(range(7)), SIZE, 3, interpolated=False),
        SliceGroup(0, tuple(range(14)), SIZE, 0, interpolated=True),
        SliceGroup(0, (4,), SIZE, 9, interpolated=False),
    ],
)
def test_every_slice_of_the_group_gets_one_map(
    group: SliceGroup, method: AttributionMethod
) -> None:
    heat = group_heat(evidence(group), scores(method))
    count = len(group.slice_indices)
    assert heat.group == group
    assert heat.heat.shape == (3, count, 8, 8)
    assert heat.contribution.shape == (3, count)
    assert heat.gradient.shape == (3, count, FEATURES)
    assert heat.heat.min() >= 0
    assert heat.heat.max() > 0


def test_grad_cam_is_the_papers_formula() -> None:
    seen = evidence(plain_group())
    gradient = feature_gradients(weights(), seen.features)
    found = group_heat(seen, scores(GradCam()))
    alpha = gradient[1, 3, -CHANNELS:] / 64
    expected = np.maximum((alpha[:, None, None] * seen.maps[3]).sum(axis=0), 0)
    np.testing.assert_allclose(found.heat[1, 3], expected, atol=1e-6)
    np.testing.assert_allclose(found.gradient, gradient, atol=1e-6)


def test_the_score_of_all_layers_sets_a_class_apart_from_healthy() -> None:
    logits = np.eye(3, dtype=np.float32)
    np.testing.assert_allclose(scores().of_logits @ logits[0], [1, 0, -0.5])
    np.testing.assert_allclose(scores().of_logits @ logits[HEALTHY], [-1, -1, 1])


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ((2, 0), [[1, -1], [-1, 1]]),
        ((2, 1), [[1, -1], [-1, 1]]),
        ((3, 0), [[1, -0.5, -0.5], [-1, 1, 0], [-1, 0, 1]]),
        ((1, 0), [[1]]),
    ],
)
def test_any_number_of_classes_is_set_apart(
    classes: tuple[int, int], expected: list[list[float]]
) -> None:
    np.testing.assert_allclose(ALL_LAYERS.scores_of_logits(*classes), expected)
    np.testing.assert_allclose(GradCam().scores_of_logits(*classes), np.eye(classes[0]))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("slices", [11, 13, 14])
def test_what_was_resampled_comes_back_between_its_images(
    method: AttributionMethod, slices: int
) -> None:
    """Numpy's interpolation along z of what a group of that many images has."""
    images = group_heat(evidence(plain_group()), scores(method))
    group = SliceGroup(0, tuple(range(20, 20 + slices)), SIZE, 0, interpolated=True)
    found = group_heat(evidence(group), scores(method))
    at_images = np.linspace(0, slices - 1, SIZE)
    for name in ("gradient", "heat", "contribution"):
        of_images = np.moveaxis(getattr(images, name), 1, -1)
        expected = [np.interp(np.arange(slices), at_images, row) for row in
                    of_images.reshape(-1, SIZE)]  # fmt: skip
        of_slices = np.moveaxis(getattr(found, name), 1, -1).reshape(-1, slices)
        np.testing.assert_allclose(of_slices, expected, atol=1e-5)


def test_padding_is_left_out_and_changes_no_slice() -> None:
    whole = group_heat(evidence(plain_group()), scores())
    padded = SliceGroup(0, tuple(range(7)), SIZE, 3, interpolated=False)
    found = group_heat(evidence(padded), scores())
    np.testing.assert_allclose(found.heat, whole.heat[:, :7], atol=1e-6)
    np.testing.assert_allclose(found.contribution, whole.contribution[:, :7], atol=1e-6)


def test_contributions_are_the_gradient_along_the_way_from_black() -> None:
    seen = evidence(plain_group())
    found = group_heat(seen, scores())
    expected = (found.gradient * (seen.features - black().features)).sum(axis=2)
    np.testing.assert_allclose(found.contribution, expected, atol=1e-5)
    by_slice = contributions([found], 1)
    assert by_slice == pytest.approx(dict(enumerate(found.contribution[1])))


def test_contributions_of_several_groups_are_by_slice() -> None:
    groups = [plain_group(), SliceGroup(1, tuple(range(10, 17)), SIZE, 3, interpolated=False)]
    found = contributions([group_heat(evidence(group), scores()) for group in groups], 2)
    assert list(found) == list(range(17))


def test_all_layers_take_the_mean_slope_on_the_way_from_black() -> None:
    seen = evidence(plain_group())
    start = np.repeat(black().features, SIZE, axis=0)
    away = seen.features - start

    def slope(share: float) -> np.ndarray:
        there = start + np.float32(share) * away
        return np.tensordot(scores().of_logits, feature_gradients(weights(), there), 1)

    found = group_heat(seen, scores())
    expected = np.mean([slope(share) for share in (0.125, 0.375, 0.625, 0.875)], axis=0)
    np.testing.assert_allclose(found.gradient, expected, atol=1e-6)
    # The slopes all the way, times the way, are how far the score lies above that of black.
    whole = np.mean([(slope(share) * away).sum(axis=(1, 2)) for share in np.linspace(0, 1, 201)], 0)
    sampled = np.abs(found.contribution.sum(axis=1) - whole).sum()
    assert sampled < 0.7 * np.abs((slope(1.0) * away).sum(axis=(1, 2)) - whole).sum()


def test_one_class_alone_has_the_gradient_it_has_among_all() -> None:
    features = evidence(plain_group()).features
    several = np.stack([features, features[::-1]])
    every = scores().gradient(several)
    assert every.shape == (2, 3, SIZE, FEATURES)
    np.testing.assert_allclose(scores().gradient(several, [1]), every[:, [1]], atol=1e-6)
    np.testing.assert_allclose(scores().gradient(features), every[0], atol=1e-6)


def test_a_group_of_black_images_contributes_nothing_and_is_cold() -> None:
    group = plain_group()
    nothing = black()
    seen = GroupEvidence(
        evidence(group).prediction,
        np.repeat(nothing.features, SIZE, axis=0),
        np.repeat(nothing.maps[0], SIZE, axis=0),
        np.zeros((SIZE, 8, 8), np.bool_),
    )
    found = group_heat(seen, scores())
    assert np.abs(found.contribution).max() < 1e-6
    assert found.heat.max() < 1e-6


def test_contributions_have_signs() -> None:
    found = contributions([group_heat(evidence(plain_group()), scores())], 0)
    assert sorted(found) == list(range(10))
    assert min(found.values()) < 0 < max(found.values())


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


def test_a_slice_of_which_nothing_would_be_drawn_is_no_evidence() -> None:
    def level(value: float) -> np.ndarray:
        return np.full((4, 4), value, np.float32)

    coarse = {3: level(1.0)}
    heat = SquareHeat({5: level(0.99), 2: level(4.0), 9: level(1.0), 1: level(0.0)}, coarse)
    assert list(heat.of_evidence.key) == [2, 9]  # a quarter of the hottest, and in its order
    assert heat.of_evidence.hottest == heat.hottest
    assert not SquareHeat({1: level(0.0)}, coarse).of_evidence.key


def test_without_key_slices_nothing_is_hot() -> None:
    frame = Letterbox((32, 32), 32, (32, 32), (0, 0), 1.0)
    cold = coarse_heat(SquareHeat({}, {0: np.ones((8, 8), np.float32)}), "CP", frame)
    assert not cold.heat.any()


def square_heat() -> SquareHeat:
    rng = np.random.default_rng(2)
    coarse = {k: rng.random((8, 8), dtype=np.float32) for k in range(10)}
    key = {k: 2 * rng.random((16, 16), dtype=np.float32) for k in (7, 2)}
    return SquareHeat(key, coarse)


def test_maps_are_scaled_together_and_know_their_share_in_the_lung() -> None:
    frame = Letterbox((40, 40), 32, (32, 32), (0, 0), 1.0)
    lung = np.zeros((10, 40, 40), bool)
    lung[:, :20] = True
    heat = square_heat()
    maps = heatmaps(heat, "CP", HeatMethod.ALL_LAYERS, frame, lung)
    assert [m.slice_index for m in maps] == [7, 2]
    assert {m.method for m in maps} == {HeatMethod.ALL_LAYERS}
    assert 0.7 < max(float(m.heat.max()) for m in maps) <= 1.0
    for m in maps:
        assert m.share_in_lung == pytest.approx(m.heat[:20].sum() / m.heat.sum(), abs=1e-5)
    coarse = coarse_heat(heat, "CP", frame)
    assert coarse.slice_indices == tuple(range(10))
    np.testing.assert_allclose(coarse.heat[3], heat.coarse[3] / heat.hottest, rtol=1e-5)


def test_coarse_maps_cover_a_slice_that_is_not_square_from_edge_to_edge() -> None:
    frame = Letterbox((32, 64), 32, (16, 32), (8, 0), 2.0)
    image = np.zeros((8, 8), np.float32)
    image[2:6] = 1.0  # the rows of the square that the slice fills
    coarse = coarse_heat(SquareHeat({0: image}, {0: image}), "CP", frame).heat[0]
    assert coarse.shape == (8, 8)
    assert coarse[1:-1].min() > 0.9
