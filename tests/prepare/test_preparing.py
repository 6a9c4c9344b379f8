"""What the classifier is shown of a slice."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from groundglass.prepare import Letterbox, Recipe, classifier_image
from groundglass.prepare.intensity import equalise, lung_window

SIZE = 128
FILLED = replace(Recipe(), image_size=SIZE, outside_hu=40.0)


def _slice(side: int) -> tuple[np.ndarray, np.ndarray]:
    """A slice of `side` pixels in HU, and its lungs on the square."""
    rng = np.random.default_rng(7)
    lung = np.zeros((SIZE, SIZE), dtype=bool)
    lung[30:100, 20:55] = lung[30:100, 75:110] = True
    hu = np.where(lung, -850, 30).astype(np.float32) + rng.normal(0, 25, lung.shape)
    hu[60:75, 25:40] += 400
    return cv2.resize(hu.astype(np.float32), (side, side), interpolation=cv2.INTER_NEAREST), lung


def _frame(side: int) -> Letterbox:
    return Letterbox((side, side), SIZE, (SIZE, SIZE), (0, 0), 2.5)


def _far_from(lung: np.ndarray, pixels: int) -> np.ndarray:
    return cv2.dilate(lung.astype(np.uint8), np.ones((2 * pixels + 1, 2 * pixels + 1))) == 0


def test_what_lies_outside_the_lungs_changes_nothing_where_it_is_filled() -> None:
    hu, lung = _slice(SIZE)
    cropped = np.where(_far_from(lung, 6), np.float32(-1000), hu)
    whole, crop = (classifier_image(one, lung, _frame(SIZE), FILLED) for one in (hu, cropped))
    assert np.array_equal(whole, crop)
    plain = replace(FILLED, outside_hu=None)
    assert not np.array_equal(
        classifier_image(hu, lung, _frame(SIZE), plain),
        classifier_image(cropped, lung, _frame(SIZE), plain),
    )


@pytest.mark.parametrize("outside", [None, 40.0])
def test_only_lungs_and_a_margin_are_seen(outside: float | None) -> None:
    hu, lung = _slice(SIZE)
    image = classifier_image(hu, lung, _frame(SIZE), replace(FILLED, outside_hu=outside))
    assert not image[_far_from(lung, 5)].any()
    assert image[lung].any()


def test_an_image_of_another_size_looks_alike_where_it_is_filled() -> None:
    (small, lung), (large, _) = _slice(SIZE), _slice(4 * SIZE)
    images = [
        classifier_image(hu, lung, _frame(len(hu)), FILLED).astype(float) for hu in (small, large)
    ]
    assert np.abs(images[0] - images[1])[lung].mean() < 2


def test_without_a_filling_the_slice_is_equalised_as_the_paper_s_bundle_had_it() -> None:
    hu, lung = _slice(2 * SIZE)
    recipe = replace(FILLED, outside_hu=None)
    frame = _frame(2 * SIZE)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    seen = cv2.dilate(lung.astype(np.uint8), kernel)
    expected = frame.forward(equalise(lung_window(hu, recipe), recipe), 0) * seen
    assert np.array_equal(classifier_image(hu, lung, frame, recipe), expected)


def test_a_bundle_without_the_setting_is_prepared_as_before_it() -> None:
    values = Recipe().to_dict()
    del values["outside_hu"]
    assert Recipe.from_dict(values) == Recipe()
    assert Recipe.from_dict(FILLED.to_dict()).outside_hu == 40.0
