from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from groundglass.core.result import SliceStatus, TriageResult
from groundglass.core.volume import Volume
from groundglass.report.html.overview import coronal_grey, coronal_heat, overview
from groundglass.report.html.slice_images import FIGURES, browse_slices, key_slices
from groundglass.report.view_model import ViewModel
from made_verdicts import by_share


@pytest.fixture(scope="module")
def view(volume: Volume, result: TriageResult) -> ViewModel:
    return ViewModel(result, volume)


def test_bands_cover_exactly_their_slices(view: ViewModel) -> None:
    layout = overview(view)
    for band in layout.bands:
        inside = {
            row.frame.record.index
            for row in layout.rows
            if row.frame.record
            and band.y - 1e-6 <= row.y
            and row.y + row.height <= band.y + band.height + 1e-6
        }
        assert inside == set(band.group.group.slice_indices)
    assert len(layout.bands) == len(view.result.groups)


def test_groups_that_share_slices_stand_side_by_side(volume: Volume, result: TriageResult) -> None:
    first, second, third = result.groups
    shared = (first.group.slice_indices[-1], *second.group.slice_indices)
    second = replace(second, group=replace(second.group, slice_indices=shared))
    layout = overview(ViewModel(replace(result, groups=(first, second, third)), volume))
    for one in layout.bands:
        for other in layout.bands:
            apart = one.y + one.height <= other.y + 1e-6 or other.y + other.height <= one.y + 1e-6
            assert one is other or apart or one.lane != other.lane
    assert layout.lanes == 2


def test_zones_are_the_slices_left_out(view: ViewModel, result: TriageResult) -> None:
    layout = overview(view)
    step = layout.rows[0].height
    out = sum(record.fate is not SliceStatus.KEPT for record in result.slices)
    assert sum(zone.height for zone in layout.zones) == pytest.approx(out * step)


def test_the_figure_keeps_the_bodys_proportions(view: ViewModel) -> None:
    layout = overview(view)
    slice_mm = view.geometry.spacing_mm[0]
    expected = view.size_mm[0] / (slice_mm * len(view.frames))
    assert layout.width / layout.height == pytest.approx(expected)


def test_contributions_keep_sign_and_order(view: ViewModel) -> None:
    rows = overview(view).rows
    shown = {row.frame.record.index: row.contribution for row in rows if row.frame.record}
    assert shown[7] < shown[8] < shown[9] < shown[10] == 1.0
    assert shown[12] == pytest.approx(-0.2)
    assert shown[0] == 0.0


def test_ticks_lie_where_their_slices_do(view: ViewModel) -> None:
    layout = overview(view)
    for y, z in layout.ticks:
        nearest = min(layout.rows, key=lambda row: abs(row.y + row.height / 2 - y))
        assert abs(nearest.frame.position_mm - z) <= view.geometry.spacing_mm[0]


def test_the_body_is_seen_from_the_front_head_up(volume: Volume, result: TriageResult) -> None:
    hu = volume.hu.copy()
    hu[-4:, :, 60:] = 1000  # towards the head, the patient's left
    grey = coronal_grey(ViewModel(result, Volume(hu, volume.geometry)))
    top, bottom = grey[: len(grey) // 2], grey[len(grey) // 2 :]
    assert top.astype(int).max() > bottom.astype(int).max()
    assert np.argmax(grey[0]) > grey.shape[1] / 2


def test_key_slices_are_the_results_in_its_order(view: ViewModel, result: TriageResult) -> None:
    keys = key_slices(view, replace(FIGURES, key_slices=3))
    assert [key.heatmap for key in keys] == list(result.heatmaps[:3])
    for key in keys:
        assert key.heatmap is not None
        assert key.figure.frame.record is not None
        assert key.figure.frame.record.index == key.heatmap.slice_index
        assert key.figure.heat


def test_without_heat_three_slices_through_the_lungs_are_shown(
    volume: Volume, result: TriageResult
) -> None:
    keys = key_slices(ViewModel(replace(result, heatmaps=()), volume))
    assert len(keys) == 3
    kept = {r.index for r in result.slices if r.fate is SliceStatus.KEPT}
    for key in keys:
        assert key.heatmap is None
        assert key.figure.frame.record is not None
        assert key.figure.frame.record.index in kept


def test_without_heat_the_slices_of_the_highest_scores_are_shown(
    volume: Volume, result: TriageResult
) -> None:
    order = np.random.default_rng(0).permutation(len(result.slices))
    scored = [replace(r, score=0.01 + 0.001 * float(order[r.index])) for r in result.slices]
    found = replace(result, heatmaps=(), slices=tuple(scored))
    shown = [key.figure.frame.record for key in key_slices(ViewModel(found, volume))]
    assert all(shown)
    scores = [record.score for record in shown if record and record.score is not None]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == max(r.score for r in scored if r.score is not None)


def test_a_small_budget_makes_small_slices_but_keeps_all(
    volume: Volume, result: TriageResult
) -> None:
    noise = np.random.default_rng(5).integers(-1000, 200, (6, 300, 300)).astype(np.int16)
    geometry = replace(volume.geometry, shape=noise.shape)
    view = ViewModel(
        replace(result, mask=np.zeros(noise.shape, bool), slices=(), groups=(), heatmaps=()),
        Volume(noise, geometry),
    )
    sizes = {}
    for budget in (10_000_000, 200_000, 1):
        figures = browse_slices(view, replace(FIGURES, browse_budget_bytes=budget))
        assert len(figures) == 6
        sizes[budget] = sum(len(figure.image) for figure in figures)
    assert sizes[10_000_000] > sizes[200_000] > sizes[1]
    assert sizes[200_000] <= 200_000 * 1.4


def test_heat_is_projected_where_the_lesion_is(volume: Volume, result: TriageResult) -> None:
    view = ViewModel(result, volume)
    heat = coronal_heat(view)
    assert heat.shape == coronal_grey(view).shape
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert row == len(volume.hu) - 1 - result.heatmaps[0].slice_index
    assert abs(column + view.crop.left - 28) <= 1
    assert overview(view).heat.startswith("data:image/png")


def test_scores_stand_in_the_place_of_contributions_with_their_threshold(
    volume: Volume, result: TriageResult
) -> None:
    found = by_share(result, 7)
    layout = overview(ViewModel(found, volume))
    scored = [row for row in layout.rows if row.score is not None]
    assert len(scored) == sum(record.score is not None for record in found.slices) > 7
    assert len(layout.bars) == len(scored)
    assert layout.threshold_x is not None
    for row, bar in zip(scored, layout.bars, strict=True):
        x, width = bar["x"], bar["width"]
        assert isinstance(x, float)
        assert isinstance(width, float)
        assert x == layout.said_zero
        assert (bar["side"] == "for") == (x + width >= layout.threshold_x) == (row.score == 0.9)
        assert x + width <= layout.said_end


def test_without_scores_there_is_no_threshold(view: ViewModel) -> None:
    layout = overview(view)
    assert not layout.scored
    assert layout.threshold_x is None
    assert {bar["side"] for bar in layout.bars} == {"for", "against"}
