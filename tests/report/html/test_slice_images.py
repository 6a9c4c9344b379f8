from __future__ import annotations

import base64
import re
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

from groundglass.core.geometry import Geometry
from groundglass.core.result import TriageResult
from groundglass.core.volume import Volume
from groundglass.report.html.slice_images import FIGURES, browse_slices, layer_uri, outline_path
from groundglass.report.overlay import lung_outlines
from groundglass.report.view_model import ViewModel


def points_of(path: str) -> list[np.ndarray]:
    """The corners of each closed line of an SVG path of relative moves."""
    lines = []
    for part in filter(None, path.split("z")):
        numbers = [int(number) for number in re.findall(r"-?\d+", part)]
        assert re.fullmatch(r"M-?\d+ -?\d+l-?\d+(?:[ -]\d+)*", part)
        lines.append(np.cumsum(np.array(numbers).reshape(-1, 2), axis=0))
    return lines


@given(hnp.arrays(bool, (17, 23)))
def test_a_path_holds_the_outline_in_tenths_of_a_mm(mask: np.ndarray) -> None:
    drawn = points_of(outline_path(mask, (0.7, 1.3)))
    lines = lung_outlines(mask)
    assert len(drawn) == len(lines)
    for ours, line in zip(drawn, lines, strict=True):
        np.testing.assert_allclose(ours, (line + 0.5) * (13, 7), atol=0.5)


def test_long_steps_are_written_too() -> None:
    mask = np.zeros((400, 400), bool)
    mask[20:380, 30:370] = True
    (corners,) = points_of(outline_path(mask, (9.0, 9.0)))
    assert np.ptp(corners, axis=0) == pytest.approx((341 * 90, 361 * 90), abs=200)


def test_no_layer_has_no_address() -> None:
    assert layer_uri(b"") == ""
    assert layer_uri(b"\1").startswith("data:image/png;base64,")


def test_the_largest_size_within_the_budget_is_taken(result: TriageResult) -> None:
    noise = np.random.default_rng(5).integers(-1000, 200, (4, 300, 300)).astype(np.int16)
    geometry = Geometry(noise.shape, (5, 1, 1), (0, 0, 0), ((0, 0, 1), (0, 1, 0), (1, 0, 0)))
    bare = replace(
        result,
        mask=np.zeros(noise.shape, bool),
        slices=(),
        groups=(),
        heatmaps=(),
        coarse_heat=None,
        opacity_burden=None,
    )
    view = ViewModel(bare, Volume(noise, geometry))
    sizes = {}
    for edge in FIGURES.browse_edges:
        settings = replace(FIGURES, browse_edges=(edge,))
        sizes[edge] = sum(_bytes(figure.image) for figure in browse_slices(view, settings))
    for budget in (1, 30_000, 60_000, 90_000, 120_000, 10_000_000):
        shown = browse_slices(view, replace(FIGURES, browse_budget_bytes=budget))
        image = cv2.imdecode(np.frombuffer(_content(shown[0].image), np.uint8), -1)
        fitting = [edge for edge in FIGURES.browse_edges if sizes[edge] <= budget]
        assert max(image.shape) == min(300, max(fitting, default=FIGURES.browse_edges[-1]))


def _content(uri: str) -> bytes:
    return base64.b64decode(uri.split(",", 1)[1])


def _bytes(uri: str) -> int:
    return len(_content(uri))
