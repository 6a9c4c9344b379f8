"""Slices left to their neighbours: which ones, and that the image says on whose side a pixel is."""

from __future__ import annotations

import numpy as np
import pytest

from groundglass.analyse.triage import find_lungs
from groundglass.infer import CpuEngine, Precision, Segmenter, load_bundle
from groundglass.infer.bundle import SEGMENTER
from groundglass.phantom import Phantom, PhantomSettings, make_phantom
from groundglass.prepare import Recipe, interpolate_masks, slices_to_segment
from groundglass.prepare.intensity import segmenter_window
from groundglass.prepare.mask_interpolation import MaskInterpolationSettings

SIZE, SLICES = 96, 13
AT = np.array([0, 4, 8, 12])


def disc(radius: float) -> np.ndarray:
    y, x = np.mgrid[:SIZE, :SIZE]
    return np.asarray(np.hypot(y - 48, x - 48) < radius)


def test_thick_slices_are_all_segmented_and_thin_ones_every_4_mm() -> None:
    assert slices_to_segment(5, 5.0).tolist() == [0, 1, 2, 3, 4]
    assert slices_to_segment(5, 1.6).tolist() == [0, 1, 2, 3, 4]
    assert slices_to_segment(5, 1.5000004).tolist() == [0, 2, 4]
    assert slices_to_segment(8, 1.0).tolist() == [0, 4, 7]
    assert slices_to_segment(8, 1.0000004).tolist() == [0, 4, 7]
    assert slices_to_segment(17, 0.5).tolist() == [0, 8, 16]
    assert slices_to_segment(1, 1.0).tolist() == [0]


def test_settings_say_how_far_apart() -> None:
    assert slices_to_segment(7, 1.0, MaskInterpolationSettings(apart_mm=2.0)).tolist() == [
        0,
        2,
        4,
        6,
    ]
    assert slices_to_segment(4, 1.4, MaskInterpolationSettings(apart_mm=1.0)).tolist() == [
        0,
        1,
        2,
        3,
    ]
    assert slices_to_segment(4, 2.0, MaskInterpolationSettings(thin_mm=3.0)).tolist() == [0, 2, 3]
    assert slices_to_segment(4, 3.1, MaskInterpolationSettings(thin_mm=3.0)).tolist() == [
        0,
        1,
        2,
        3,
    ]


@pytest.mark.parametrize("noise_hu", [25.0, 100.0])
def test_a_pixel_lies_between_by_likeness_and_nearness(noise_hu: float) -> None:
    """Weights are nearness times unlikeness, and unlikeness begins at the noise."""
    recipe = Recipe(segmenter_low_hu=-1000, segmenter_high_hu=275)  # 5 HU a grey value
    images = np.array([20, 60, 140, 90, 200], np.uint8).reshape(5, 1, 1)
    segmented = np.array([10, 250], np.uint8).reshape(2, 1, 1)
    settings = MaskInterpolationSettings(noise_hu=noise_hu)
    found = interpolate_masks(segmented, np.array([0, 4]), images, recipe, settings).ravel()
    assert (found[0], found[4]) == (10, 250)
    noise = noise_hu / 5
    for k in (1, 2, 3):
        grey = int(images[k, 0, 0])
        unlike_one, unlike_other = k / 4 * (grey - 20 + noise), (1 - k / 4) * (200 - grey + noise)
        expected = 10 + 240 * unlike_one / (unlike_one + unlike_other)
        assert abs(int(found[k]) - expected) <= 0.5 + 1e-3


def test_the_image_says_where_the_edge_is() -> None:
    """A lung that stays small for three slices and then is large: nearness alone gets it wrong."""
    radii = [20, 20, 20, 20, 30, 30, 30, 30, 30, 30, 10, 10, 10]
    truth = np.stack([disc(radius) for radius in radii])
    noise = np.random.default_rng(0).normal(0, 12, truth.shape)
    images = segmenter_window((np.where(truth, -850, 40) + noise).astype(np.float32), Recipe())
    segmented = (truth[AT] * 255).astype(np.uint8)
    found = interpolate_masks(segmented, AT, images, Recipe())
    assert np.array_equal(found > 127, truth)
    assert np.array_equal(found[AT], segmented)


def test_where_the_image_does_not_tell_nearness_does() -> None:
    """Consolidation against the chest wall: grey in grey."""
    images = np.full((SLICES, SIZE, SIZE), 180, dtype=np.uint8)
    segmented = np.stack([disc(20), disc(30), disc(30), disc(30)]).astype(np.uint8) * 255
    found = interpolate_masks(segmented, AT, images, Recipe())
    assert [int(found[k, 48, 48 + 25]) for k in range(5)] == [0, 64, 128, 191, 255]


def test_all_slices_segmented_is_all_there_is() -> None:
    segmented = np.random.default_rng(1).integers(0, 256, (4, 8, 8), dtype=np.uint8)
    found = interpolate_masks(segmented, np.arange(4), np.zeros((4, 8, 8), np.uint8), Recipe())
    assert np.array_equal(found, segmented)


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    settings = PhantomSettings(
        label="CP", severity=0.8, seed=13, matrix=192, slice_count=56, slice_spacing_mm=1.0
    )
    return make_phantom(settings)


def test_masks_are_as_good_as_those_of_every_slice(
    phantom: Phantom, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = load_bundle()
    segmenter = Segmenter(bundle.path(SEGMENTER), CpuEngine(Precision.F32))

    def dice() -> float:
        found = find_lungs(phantom.volume, segmenter, bundle.recipe).volume
        common = np.count_nonzero(found & phantom.lung)
        return 2 * common / (np.count_nonzero(found) + np.count_nonzero(phantom.lung))

    some = dice()
    monkeypatch.setattr(
        "groundglass.analyse.triage.slices_to_segment",
        lambda count, _: np.arange(count, dtype=np.intp),
    )
    assert some > dice() - 0.001
