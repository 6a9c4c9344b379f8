from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from groundglass.report.overlay import (
    CONSOLIDATION_RGB,
    DRAWING,
    GROUND_GLASS_RGB,
    encode_heat,
    encode_opacity,
    heat_colours,
    lung_outlines,
    window_grey,
)

HEATS = np.linspace(0, 1, 4001)


def over(layer: np.ndarray, grey: float) -> np.ndarray:
    """What is seen when a layer lies over a grey slice."""
    alpha = layer[..., 3:] / 255.0
    return (1 - alpha) * grey + alpha * layer[..., :3]


def warmth(colour: np.ndarray) -> np.ndarray:
    """Red minus blue: zero for every grey, so it belongs to the heat alone."""
    return colour[..., 0] - colour[..., 2]


@given(st.integers(0, 255))
def test_hotter_is_never_drawn_colder_whatever_lies_beneath(grey: int) -> None:
    seen = warmth(over(heat_colours(HEATS), grey))
    assert (np.diff(seen) >= -1e-9).all()
    assert seen[-1] - seen[0] > 100


def test_hotter_is_never_drawn_darker_or_fainter() -> None:
    layer = heat_colours(np.linspace(DRAWING.heat_threshold, 1, 3000)).astype(float)
    luminance = layer[:, :3] @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(luminance) >= 0).all()
    assert (np.diff(layer[:, 3]) >= 0).all()
    assert len(np.unique(luminance)) > 90


def test_distinct_heats_can_be_told_apart_in_the_picture() -> None:
    steps = np.linspace(DRAWING.heat_threshold + 0.02, 1, 40)
    assert (np.diff(warmth(over(heat_colours(steps), 128))) > 0.5).all()


@given(hnp.arrays(np.float32, (4, 5), elements=st.floats(0, 0.25, width=32)))
def test_heat_up_to_the_threshold_is_invisible(heat: np.ndarray) -> None:
    assert not heat_colours(heat)[..., 3].any()


@given(hnp.arrays(np.float64, 8, elements=st.floats(allow_nan=True, allow_infinity=True)))
def test_absurd_heat_stays_on_the_scale(heat: np.ndarray) -> None:
    layer = heat_colours(heat)
    hottest = heat_colours(np.ones(1))
    assert (layer[..., 3] <= hottest[..., 3]).all()
    assert not layer[np.isnan(heat), 3].any()


def test_lesions_stay_visible_under_the_hottest_colour() -> None:
    hottest = heat_colours(np.ones(1))
    dark, bright = over(hottest, 60.0), over(hottest, 200.0)
    assert (bright - dark > 50).all()


def decoded(png: bytes) -> np.ndarray:
    """RGBA."""
    read = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    return cv2.cvtColor(read, cv2.COLOR_BGRA2RGBA)


@given(st.integers(0, 255))
def test_hotter_is_never_drawn_colder_in_the_encoded_layer(grey: int) -> None:
    (line,) = decoded(encode_heat(HEATS[None]))
    seen = warmth(over(line, grey))
    assert (np.diff(seen) >= -1e-9).all()
    assert seen[-1] - seen[0] > 100


def test_the_encoded_layer_is_the_colours_to_half_a_step() -> None:
    heat = np.random.default_rng(3).random((40, 50))
    layer = decoded(encode_heat(heat)).astype(int)
    half = (1 - DRAWING.heat_threshold) / 255 / 2 + 1e-9
    lower, upper = heat_colours(heat - half).astype(int), heat_colours(heat + half).astype(int)
    assert (layer[..., 3] >= lower[..., 3]).all()
    assert (layer[..., 3] <= upper[..., 3]).all()
    drawn = layer[..., 3] > 0
    assert (warmth(layer)[drawn] >= warmth(lower)[drawn]).all()
    assert (warmth(layer)[drawn] <= warmth(upper)[drawn]).all()


@given(hnp.arrays(np.float32, (4, 5), elements=st.floats(-1, 0.25, width=32)))
def test_nothing_to_draw_is_no_layer(heat: np.ndarray) -> None:
    assert encode_heat(heat) == b""
    assert encode_heat(np.full((2, 2), np.nan)) == b""
    assert encode_opacity(np.array([[0, 1, 2]], np.uint8)) == b""


def test_window_ends_are_black_and_white() -> None:
    assert window_grey(np.array([-3000, -1350, -600, 150, 3000])).tolist() == [0, 0, 128, 255, 255]


masks = hnp.arrays(bool, st.tuples(st.integers(1, 24), st.integers(1, 24)))


def along(line: np.ndarray) -> np.ndarray:
    """Points on a closed outline, close together."""
    ends = np.roll(line, -1, axis=0)
    steps = np.linspace(0, 1, 60)[:, None, None]
    return (line + steps * (ends - line)).reshape(-1, 2)


@given(masks)
def test_the_outline_never_covers_lung(mask: np.ndarray) -> None:
    padded = np.pad(mask, 2)
    for line in lung_outlines(mask):
        column, row = np.rint(along(line)).astype(int).T + 2
        assert not padded[row, column].any()


@given(masks)
def test_the_outline_encloses_all_lung(mask: np.ndarray) -> None:
    scale = 64
    canvas = np.zeros((26 * scale, 26 * scale), np.uint8)
    lines = [np.rint((line + 1) * scale).astype(np.int32) for line in lung_outlines(mask)]
    cv2.fillPoly(canvas, lines, 1)  # even-odd: holes stay open
    rows, columns = np.nonzero(mask)
    assert canvas[(rows + 1) * scale, (columns + 1) * scale].all()


def test_no_lung_has_no_outline() -> None:
    assert lung_outlines(np.zeros((5, 5), bool)) == []


def test_only_ground_glass_and_consolidation_are_coloured() -> None:
    (layer,) = decoded(encode_opacity(np.arange(5, dtype=np.uint8)[None]))
    assert (layer[:, 3] > 0).tolist() == [False, False, False, True, True]
    assert tuple(layer[3, :3]) == GROUND_GLASS_RGB
    assert tuple(layer[4, :3]) == CONSOLIDATION_RGB
