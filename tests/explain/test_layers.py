"""The map of all layers: evidence where responses stand out, and none where the image is black."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from groundglass.core.result import HeatMethod
from groundglass.explain import ExplainSettings, slice_heat
from groundglass.infer import SliceDetail

WIDTHS, CELLS = (3, 4), (32, 16)
SIDE_MM = 320.0


def detail(*responses: np.ndarray) -> SliceDetail:
    features = np.concatenate([r.max(axis=(2, 3)) for r in responses], axis=1)
    return SliceDetail(features, responses, tuple(map(in_lung, responses)))


def in_lung(response: np.ndarray) -> np.ndarray:
    cells = response.shape[-1]
    seen = np.zeros((1, cells, cells), np.bool_)
    seen[:, cells // 8 : -cells // 8, cells // 8 : -cells // 8] = True
    return seen


def nothing(level: float = 0.2) -> SliceDetail:
    return detail(
        *(
            np.full((1, width, cells, cells), level, np.float32)
            for width, cells in zip(WIDTHS, CELLS, strict=True)
        )
    )


def lung() -> SliceDetail:
    """A lung that fills the middle of the image, everywhere alike."""
    maps = [m.copy() for m in nothing().maps]
    for one in maps:
        one[:, :, in_lung(one)[0]] += 0.3
    return detail(*maps)


def with_spot(layer: int, channel: int, at: tuple[int, int]) -> SliceDetail:
    maps = [m.copy() for m in lung().maps]
    maps[layer][0, channel][at] += 1.0
    return detail(*maps)


def heat_of(seen: SliceDetail, gradient: np.ndarray, smoothing_mm: float = 7.0) -> np.ndarray:
    settings = ExplainSettings(smoothing_mm=smoothing_mm)
    return slice_heat(seen, gradient[None].astype(np.float32), settings, SIDE_MM)[0]


@pytest.mark.parametrize(("layer", "channel"), [(0, 1), (1, 2)])
def test_evidence_lies_where_its_layer_responded(layer: int, channel: int) -> None:
    at = (CELLS[layer] // 4, CELLS[layer] // 2)
    gradient = np.zeros(sum(WIDTHS))
    gradient[channel + layer * WIDTHS[0]] = 2.0
    heat = heat_of(with_spot(layer, channel, at), gradient)
    hottest = np.unravel_index(heat.argmax(), heat.shape)
    factor = CELLS[0] // CELLS[layer]
    assert np.abs(np.array(hottest) - (np.array(at) + 0.5) * factor + 0.5).max() <= 1
    assert heat_of(with_spot(layer, channel, at), -gradient).max() == pytest.approx(0, abs=1e-6)


def test_what_speaks_against_cancels_what_speaks_for() -> None:
    seen = with_spot(0, 0, (8, 8))
    seen.maps[0][0, 1, 8, 8] += 1.0
    gradient = np.zeros(sum(WIDTHS))
    gradient[0] = 1.0
    alone = heat_of(seen, gradient).max()
    gradient[1] = -0.6
    assert heat_of(seen, gradient).max() == pytest.approx(0.4 * alone, rel=1e-4)


@pytest.mark.parametrize("image", [nothing, lung])
def test_where_nothing_stands_out_it_is_cold_whatever_the_gradient(
    image: Callable[[], SliceDetail],
) -> None:
    gradient = np.random.default_rng(0).normal(size=sum(WIDTHS))
    assert heat_of(image(), gradient).max() < 1e-5


def test_outside_what_is_seen_nothing_is_hot() -> None:
    """Responses differ from those to black around the lung too: receptive fields reach there."""
    seen = with_spot(0, 0, (8, 8))
    seen.maps[1][0, 0, 0, 0] += 5.0
    heat = heat_of(seen, np.ones(sum(WIDTHS)), smoothing_mm=0.5)
    assert heat[:3, :3].max() == 0
    assert heat[8, 8] > 0


def test_a_response_half_as_far_out_counts_a_quarter() -> None:
    seen = with_spot(0, 0, (8, 8))
    seen.maps[0][0, 0, 20, 20] += 0.5
    gradient = np.zeros(sum(WIDTHS))
    gradient[0] = 1.0
    heat = heat_of(seen, gradient)
    assert heat[20, 20] == pytest.approx(heat[8, 8] / 4, rel=1e-3)


def test_smoothing_is_in_mm() -> None:
    gradient = np.zeros(sum(WIDTHS))
    gradient[0] = 1.0
    seen = with_spot(0, 0, (16, 16))
    narrow, wide = heat_of(seen, gradient, 12.0), heat_of(seen, gradient, 24.0)
    assert narrow.max() == pytest.approx(4 * wide.max(), rel=0.15)
    assert narrow.sum() == pytest.approx(wide.sum(), rel=0.05)


def test_grad_cam_uses_the_last_layer_alone() -> None:
    rng = np.random.default_rng(0)
    seen = detail(
        *(rng.random((1, w, c, c), dtype=np.float32) for w, c in zip(WIDTHS, CELLS, strict=True))
    )
    gradient = rng.normal(size=sum(WIDTHS)).astype(np.float32)
    settings = ExplainSettings(method=HeatMethod.GRAD_CAM)
    other = gradient.copy()
    other[: WIDTHS[0]] = 9.0
    one, two = (slice_heat(seen, g[None], settings, SIDE_MM) for g in (gradient, other))
    assert np.array_equal(one, two)
    assert one.shape == (1, CELLS[0], CELLS[0])
