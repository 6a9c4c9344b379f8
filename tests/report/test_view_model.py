from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest

from groundglass.core.geometry import Geometry
from groundglass.core.result import TriageResult
from groundglass.core.volume import Volume
from groundglass.explain.opacity import GROUND_GLASS
from groundglass.report.view_model import Crop, ViewModel, body_crop

StoredAs = Callable[..., tuple[Volume, TriageResult]]

WAYS = [
    (order, flips)
    for order in permutations((0, 1, 2))
    for flips in product((False, True), repeat=3)
]


@pytest.mark.parametrize(("order", "flips"), WAYS)
def test_the_patient_looks_the_same_however_the_volume_is_stored(
    study: tuple[Volume, TriageResult],
    stored_as: StoredAs,
    order: tuple[int, int, int],
    flips: tuple[bool, ...],
) -> None:
    volume, result = study
    plain = ViewModel(result, volume)
    stored, found = stored_as(volume, result, order, flips)
    view = ViewModel(found, stored)
    assert view.size_mm == plain.size_mm
    for ours, theirs in zip(plain.frames, view.frames, strict=True):
        assert theirs.number == ours.number
        assert theirs.position_mm == pytest.approx(ours.position_mm)
        assert np.array_equal(view.frame_hu(theirs), plain.frame_hu(ours))
        assert np.array_equal(view.frame_mask(theirs), plain.frame_mask(ours))
        heat, plain_heat = view.frame_heat(theirs), plain.frame_heat(ours)
        if order[0] != 0 or plain_heat is None:  # across the body: never judged
            assert heat is None
        else:
            np.testing.assert_allclose(heat, plain_heat, atol=1e-6)
        if order[0] == 0:
            assert theirs.record is not None
            assert ours.record is not None
            assert theirs.record.lung_area_mm2 == ours.record.lung_area_mm2


def test_right_is_on_the_left_front_is_up_and_head_comes_first(
    volume: Volume, result: TriageResult
) -> None:
    hu = volume.hu.copy()
    head_right_front = (len(hu) - 1, 12, 20)  # LPS: small x is right, small y is front
    hu[head_right_front] = 3000
    view = ViewModel(result, Volume(hu, volume.geometry))
    image = view.frame_hu(view.frames[0])
    row, column = np.unravel_index(image.argmax(), image.shape)
    assert image[row, column] == 3000
    assert row < image.shape[0] / 2
    assert column < image.shape[1] / 2
    assert view.frames[0].number == 1


def test_every_slice_index_is_found_again(
    volume: Volume, result: TriageResult, stored_as: StoredAs
) -> None:
    stored, found = stored_as(volume, result, (0, 1, 2), (True, False, True))
    view = ViewModel(found, stored)
    for record in view.result.slices:
        frame = view.frame_of(record.index)
        assert frame.record is record
        as_read = found.slices[view.index_as_read(record.index)]
        assert as_read == replace(record, index=as_read.index)
        assert frame.position_mm == pytest.approx(as_read.position_mm)


def test_the_crop_holds_the_body_and_drops_air(volume: Volume) -> None:
    crop = body_crop(volume)
    inside = crop.of(volume.hu)
    assert (volume.hu > -350).sum() == (inside > -350).sum()
    assert inside.size < volume.hu.size


def test_air_alone_is_shown_whole() -> None:
    hu = np.full((4, 30, 20), -1000, dtype=np.int16)
    geometry = Geometry(hu.shape, (5, 2, 2), (0, 0, 0), ((0, 0, 1), (0, 1, 0), (1, 0, 0)))
    assert body_crop(Volume(hu, geometry)) == Crop(0, 30, 0, 20)


def test_key_slices_show_their_own_map_and_the_others_the_coarse_one(
    volume: Volume, result: TriageResult
) -> None:
    view = ViewModel(result, volume)
    key = {h.slice_index: h.heat for h in result.heatmaps}
    assert result.coarse_heat is not None
    seen = set(result.coarse_heat.slice_indices)
    for frame in view.frames:
        heat = view.frame_heat(frame)
        if frame.axial_index in key:
            assert np.array_equal(heat, view.crop.of(key[frame.axial_index]))
        elif frame.axial_index in seen:
            assert heat is not None
            assert heat.max() == pytest.approx(0.6, abs=0.1)
            assert heat.shape == view.frame_hu(frame).shape
        else:
            assert heat is None


def test_smaller_heat_is_the_same_heat(volume: Volume, result: TriageResult) -> None:
    view = ViewModel(result, volume)
    for frame in view.frames:
        heat, small = view.frame_heat(frame), view.frame_heat(frame, 30)
        if heat is None:
            assert small is None
            continue
        assert small is not None
        assert max(small.shape) == 30
        ours, theirs = (np.array(np.unravel_index(m.argmax(), m.shape)) / m.shape for m in
                        (small, heat))  # fmt: skip
        assert np.abs(ours - theirs).max() < 0.1
        assert small.max() == pytest.approx(heat.max(), abs=0.1)


def test_opacity_lies_on_its_own_voxels(
    study: tuple[Volume, TriageResult], stored_as: StoredAs
) -> None:
    volume, result = stored_as(*study, (0, 2, 1), (True, False, True))
    view = ViewModel(result, volume)
    left, top, width, height = view.opacity_box_mm
    _, row_mm, column_mm = view.geometry.spacing_mm
    lesions = 0
    for frame in view.frames:
        kinds = view.frame_opacity(frame)
        assert kinds is not None
        for row, column in np.argwhere(kinds >= GROUND_GLASS):
            y = top + (row + 0.5) * height / kinds.shape[0]
            x = left + (column + 0.5) * width / kinds.shape[1]
            assert view.frame_hu(frame)[int(y / row_mm), int(x / column_mm)] == -300
            lesions += 1
    assert lesions > 20


def test_without_a_burden_there_is_no_opacity(volume: Volume, result: TriageResult) -> None:
    view = ViewModel(replace(result, opacity_burden=None), volume)
    assert all(view.frame_opacity(frame) is None for frame in view.frames)
