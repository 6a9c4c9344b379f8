"""The heat of a slice seen several times: where the evidence is, smoothed in mm, steady."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from groundglass.explain import AllLayers, EncodedViews, GradCam, LungTissue, encode_views
from groundglass.explain.all_layers import VIEWS
from groundglass.explain.consistency import similarity
from groundglass.explain.rigid_transform import RigidTransform
from groundglass.infer import SliceDetail, foreground_mask
from groundglass.prepare import Letterbox

WIDTHS, CELLS = (3, 4), (32, 16)
FRAME = Letterbox((256, 256), 256, (256, 256), (0, 0), 1.25)
TISSUE = LungTissue(np.zeros((256, 256), np.int16), np.ones((256, 256), np.bool_), FRAME)
SHOWN = AllLayers(smoothing_mm=7.0, softening_px=0.8)
NARROW = replace(SHOWN, smoothing_mm=0.5)


def in_lung(cells: int) -> np.ndarray:
    seen = np.zeros((cells, cells), np.bool_)
    seen[cells // 8 : -cells // 8, cells // 8 : -cells // 8] = True
    return seen


def lung() -> list[np.ndarray]:
    return [np.full((w, c, c), 0.5, np.float32) for w, c in zip(WIDTHS, CELLS, strict=True)]


def with_spot(layer: int, channel: int, at: tuple[int, int]) -> EncodedViews:
    maps = lung()
    maps[layer][channel][at] += 1.0
    return seen_once(maps)


def seen_once(maps: list[np.ndarray]) -> EncodedViews:
    layers = tuple(SHOWN.channel_evidence(one, in_lung(one.shape[-1])) for one in maps)
    features = np.concatenate([one.max(axis=(1, 2)) for one in maps])
    return EncodedViews(features, (RigidTransform(),), [layers], in_lung(CELLS[0]))


def gradient_of(layer: int, channel: int, value: float = 1.0) -> np.ndarray:
    gradient = np.zeros(sum(WIDTHS), np.float32)
    gradient[channel + layer * WIDTHS[0]] = value
    return gradient


@pytest.mark.parametrize(("layer", "channel"), [(0, 1), (1, 2)])
def test_evidence_lies_where_its_layer_responded(layer: int, channel: int) -> None:
    at = (CELLS[layer] // 4, CELLS[layer] // 2)
    spot = with_spot(layer, channel, at)
    heat = SHOWN.heat(spot, gradient_of(layer, channel, 2.0), TISSUE)
    hottest = np.unravel_index(heat.argmax(), heat.shape)
    factor = CELLS[0] // CELLS[layer]
    assert np.abs(np.array(hottest) - (np.array(at) + 0.5) * factor + 0.5).max() <= 1
    against = SHOWN.heat(spot, gradient_of(layer, channel, -2.0), TISSUE)
    assert against.max() == against.min() == 0


def test_a_lung_everywhere_alike_is_cold_whatever_the_gradient() -> None:
    gradient = np.random.default_rng(0).normal(size=sum(WIDTHS)).astype(np.float32)
    assert NARROW.heat(seen_once(lung()), gradient, TISSUE).max() < 1e-5


def test_smoothing_is_in_mm() -> None:
    spot, gradient = with_spot(0, 0, (16, 16)), gradient_of(0, 0)
    narrow, wide = (
        replace(SHOWN, smoothing_mm=mm).heat(spot, gradient, TISSUE) for mm in (12.0, 24.0)
    )
    assert narrow.max() == pytest.approx(4 * wide.max(), rel=0.15)
    assert narrow.sum() == pytest.approx(wide.sum(), rel=0.05)


def test_grad_cam_uses_the_last_layer_alone() -> None:
    rng = np.random.default_rng(0)
    last = rng.random((WIDTHS[1], CELLS[1], CELLS[1]), dtype=np.float32)
    weighed = GradCam().channel_evidence(last, in_lung(CELLS[1]))
    once = EncodedViews(np.zeros(sum(WIDTHS)), (RigidTransform(),), [(weighed,)], in_lung(CELLS[0]))
    gradient = rng.normal(size=sum(WIDTHS)).astype(np.float32)
    heat = GradCam().heat(once, gradient, TISSUE)
    cam = np.maximum((gradient[WIDTHS[0] :, None, None] * last).sum(axis=0), 0) / CELLS[1] ** 2
    np.testing.assert_allclose(heat, cv2.resize(cam, (CELLS[0],) * 2), atol=1e-6)


class OnAGrid:
    """An encoder of one channel whose cells are the brightest of 8×8 pixels, from a fixed grid."""

    def detail(self, images: np.ndarray) -> SliceDetail:
        cells = images.reshape(len(images), 1, 32, 8, 32, 8).max(axis=(3, 5)) / np.float32(255)
        return SliceDetail(
            cells.max(axis=(2, 3)), (cells.astype(np.float32),), (foreground_mask(images, 32),)
        )


def spotted(row: int, column: int) -> np.ndarray:
    image = np.zeros((256, 256), np.uint8)
    image[40:216, 40:216] = 80
    image[row : row + 5, column : column + 5] = 220
    return image


def steadiness(views: tuple[RigidTransform, ...]) -> float:
    """Mean similarity of the map under shifts within a cell."""
    method = replace(NARROW, views=views)
    moves = [RigidTransform(shift_px=(float(shift), -3.0)) for shift in range(8)]
    image = spotted(120, 120)
    images = [image, *(move.apply(image) for move in moves)]
    seen = encode_views(OnAGrid(), images, method)  # type: ignore[arg-type]
    shown, *moved = (method.heat(one, np.ones(1, np.float32), TISSUE) for one in seen)
    alike = (similarity(shown, heat, move) for heat, move in zip(moved, moves, strict=True))
    return float(np.mean(list(alike)))


def test_several_views_follow_a_shift_within_a_cell_better_than_one() -> None:
    several, one = (steadiness(views) for views in (VIEWS, (RigidTransform(),)))
    assert several > one + 0.1


def test_the_views_lie_half_a_cell_apart_on_either_side_of_the_image() -> None:
    """The encoder's cells are 8 pixels: where one view has a cell's border, the other has none."""
    first, second = VIEWS
    for one, other in zip(first.shift_px, second.shift_px, strict=True):
        assert 3 <= abs(one - other) <= 4
        assert one * other < 0
    assert first.clockwise_deg < 0 < second.clockwise_deg
    assert all(4 < abs(view.clockwise_deg) < 15 for view in VIEWS)  # training turned so far


def test_each_image_is_seen_from_every_view_however_many_there_are() -> None:
    images = [spotted(60 + 8 * k, 100) for k in range(7)]
    seen = encode_views(OnAGrid(), images, SHOWN)  # type: ignore[arg-type]
    assert [len(one.layers) for one in seen] == [len(VIEWS)] * 7
    for k, one in enumerate(seen):
        heat = SHOWN.heat(one, np.ones(1, np.float32), TISSUE)
        row, column = np.unravel_index(heat.argmax(), heat.shape)
        assert abs(8 * row + 4 - (62 + 8 * k)) <= 8
        assert abs(8 * column + 4 - 102) <= 8


def test_features_are_the_mean_over_the_views() -> None:
    class Counting(OnAGrid):
        """Says of every image how many came before it, in three features."""

        seen = 0

        def detail(self, images: np.ndarray) -> SliceDetail:
            found = super().detail(images)
            number = np.arange(self.seen, self.seen + len(images), dtype=np.float32)
            self.seen += len(images)
            features = number[:, None] * np.array([1, 10, 100], np.float32)
            return SliceDetail(features, found.maps, found.foreground)

    images = [spotted(60, 100)] * 5
    for method, views in ((NARROW, 2), (GradCam(), 1)):
        found = encode_views(Counting(), images, method)  # type: ignore[arg-type]
        for k, one in enumerate(found):
            mean = views * k + (views - 1) / 2
            assert one.features.tolist() == [mean, 10 * mean, 100 * mean]
            assert len(one.views) == views


def test_outside_what_is_seen_nothing_is_hot() -> None:
    (one,) = encode_views(OnAGrid(), [spotted(40, 40)], NARROW)  # type: ignore[arg-type]
    heat = NARROW.heat(one, np.ones(1, np.float32), TISSUE)
    assert heat[:4].max() < 1e-3 * heat.max()
    assert heat.max() > 0
