"""Windows: DICOM's linear window, and brighter stays brighter."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from groundglass.prepare import Recipe
from groundglass.prepare.intensity import (
    equalise,
    lung_window,
    segmenter_window,
    window_to_uint8,
)


@pytest.mark.parametrize(
    ("hu", "grey"), [(-1350, 0), (-3000, 0), (-600, 128), (150, 255), (3000, 255)]
)
def test_window_edges_and_centre(hu: int, grey: int) -> None:
    assert window_to_uint8(np.array([hu], np.int16), -600, 1500)[0] == grey


@pytest.mark.parametrize(("center", "width"), [(-600, 1500), (40, 400), (-500.5, 777)])
def test_grey_values_are_the_nearest_to_the_line_between_the_edges(
    center: float, width: float
) -> None:
    hu = np.arange(-2000, 2000, dtype=np.int16)
    line = np.interp(hu, [center - width / 2, center + width / 2], [0.0, 255.0])
    assert np.abs(window_to_uint8(hu, center, width) - line).max() <= 0.5 + 1e-3


def test_the_segmenter_sees_from_its_lowest_to_its_highest_hu() -> None:
    recipe = Recipe(segmenter_low_hu=-1000, segmenter_high_hu=200)
    hu = np.array([-1000, -1024, -995, -400, 195, 200, 3000], np.int16)
    assert segmenter_window(hu, recipe).tolist() == [0, 0, 1, 128, 254, 255, 255]


def test_window_never_turns_brighter_into_darker() -> None:
    hu = np.arange(-2000, 2000, dtype=np.int16)
    assert np.all(np.diff(window_to_uint8(hu, -600, 1500).astype(int)) >= 0)


def test_float_and_integer_hounsfield_units_look_the_same() -> None:
    hu = np.arange(-2000, 2000, dtype=np.int16)
    floats = window_to_uint8(hu.astype(np.float32), -600, 1500)
    assert np.array_equal(window_to_uint8(hu, -600, 1500), floats)


def test_equalisation_is_the_recipe_s() -> None:
    hu = np.random.default_rng(0).normal(-700, 150, (128, 128)).astype(np.int16)
    shown = {
        (clip, tiles): equalise(lung_window(hu, recipe), recipe)
        for clip in (2.0, 6.0)
        for tiles in (4, 8)
        for recipe in [Recipe(clahe_clip_limit=clip, clahe_tiles=tiles)]
    }
    assert {image.dtype for image in shown.values()} == {np.dtype(np.uint8)}
    for (clip, tiles), image in shown.items():
        judge = cv2.createCLAHE(clipLimit=clip, tileGridSize=(tiles, tiles))
        assert np.array_equal(image, judge.apply(window_to_uint8(hu, -600, 1500)))
    assert len({image.tobytes() for image in shown.values()}) == 4


def test_equalisation_raises_the_contrast_of_ground_glass() -> None:
    rng = np.random.default_rng(0)
    hu = rng.normal(-860, 20, (256, 256)).astype(np.int16)
    hu[100:130, 100:130] = -700
    plain = window_to_uint8(hu, -600, 1500).astype(float)
    shown = equalise(lung_window(hu, Recipe()), Recipe()).astype(float)
    lesion, around = np.s_[105:125, 105:125], np.s_[60:90, 100:130]
    assert shown[lesion].mean() - shown[around].mean() > plain[lesion].mean() - plain[around].mean()
