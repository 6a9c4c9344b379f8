"""The whole way: same input, same result, however it is stored; and named outcomes, no crashes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from groundglass.core.geometry import AxialTurn, Geometry
from groundglass.core.result import Outcome, SliceFate, TriageResult
from groundglass.core.volume import Volume
from groundglass.infer import Precision
from groundglass.phantom import PhantomSettings, make_phantom
from groundglass.pipeline import Triage

AXES = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def triage(bundle: Path) -> Triage:
    return Triage.load(bundle, Precision.F32)


@pytest.fixture(scope="module")
def volume() -> Volume:
    settings = PhantomSettings(
        label="CP", severity=0.9, seed=11, matrix=192, slice_count=36, slice_spacing_mm=8.0
    )
    return make_phantom(settings).volume


@pytest.fixture(scope="module")
def result(triage: Triage, volume: Volume) -> TriageResult:
    return triage(volume)


def made_volume(hu: np.ndarray) -> Volume:
    geometry = Geometry(hu.shape, (5.0, 1.5, 1.5), (0.0, 0.0, 0.0), AXES)
    return Volume(hu.astype(np.int16), geometry)


def fates(result: TriageResult) -> dict[float, tuple[SliceFate, float | None]]:
    return {round(r.position_mm, 6): (r.fate, r.contribution) for r in result.slices}


def test_a_chest_ct_gets_a_verdict_with_its_evidence(result: TriageResult, volume: Volume) -> None:
    assert result.outcome is Outcome.VERDICT
    assert result.verdict is not None
    assert sum(result.verdict.probabilities.values()) == pytest.approx(1.0)
    assert result.mask.shape == volume.hu.shape
    assert [record.index for record in result.slices] == list(range(len(volume.hu)))
    kept = {r.index for r in result.slices if r.fate is SliceFate.KEPT}
    assert kept == {index for group in result.groups for index in group.group.slice_indices}
    assert all((r.contribution is not None) == (r.index in kept) for r in result.slices)
    assert {heatmap.slice_index for heatmap in result.heatmaps} <= kept
    assert all(0 <= h.heat.min() <= h.heat.max() <= 1 for h in result.heatmaps)


def test_predicting_twice_gives_the_same_bytes(
    triage: Triage, result: TriageResult, volume: Volume
) -> None:
    again = triage(volume)
    assert again.verdict == result.verdict
    assert again.groups == result.groups
    assert again.slices == result.slices
    assert again.mask.tobytes() == result.mask.tobytes()
    for one, two in zip(again.heatmaps, result.heatmaps, strict=True):
        assert one.heat.tobytes() == two.heat.tobytes()


@pytest.mark.parametrize(
    "turn",
    [
        AxialTurn((0, 1, 2), (True, False, False)),
        AxialTurn((0, 1, 2), (False, True, True)),
        AxialTurn((0, 2, 1), (True, False, True)),
    ],
    ids=["head first", "turned half round", "rows and columns exchanged"],
)
def test_the_way_it_is_stored_changes_nothing(
    triage: Triage, result: TriageResult, volume: Volume, turn: AxialTurn
) -> None:
    turned = Volume(
        np.ascontiguousarray(turn.apply(volume.hu)), turn.apply_geometry(volume.geometry)
    )
    found = triage(turned)
    assert found.verdict == result.verdict
    assert np.array_equal(found.mask, turn.apply(result.mask))
    assert fates(found) == fates(result)
    for one, two in zip(found.heatmaps, result.heatmaps, strict=True):
        full = np.zeros(volume.hu.shape, np.float32)
        full[two.slice_index] = two.heat
        assert np.array_equal(turn.apply(full)[one.slice_index], one.heat)


def test_too_few_slices_is_an_outcome(triage: Triage, volume: Volume) -> None:
    geometry = replace(volume.geometry, shape=(5, *volume.geometry.shape[1:]))
    found = triage(Volume(volume.hu[:5], geometry))
    assert (found.outcome, found.verdict) == (Outcome.TOO_FEW_SLICES, None)
    assert "5 found" in found.reason


def test_sagittal_slices_are_not_a_chest_ct(triage: Triage, volume: Volume) -> None:
    turn = AxialTurn((2, 0, 1), (False, True, False))
    sagittal = Volume(
        np.ascontiguousarray(turn.apply(volume.hu)), turn.apply_geometry(volume.geometry)
    )
    found = triage(sagittal)
    assert found.outcome is Outcome.NOT_CHEST_CT
    assert "90° off" in found.reason


@pytest.mark.parametrize("hu", [-1000, 40, 2000])
def test_one_value_everywhere_is_not_a_chest_ct(triage: Triage, hu: int) -> None:
    found = triage(made_volume(np.full((20, 64, 64), hu)))
    assert found.outcome is Outcome.NOT_CHEST_CT
    assert not found.mask.any()


def test_a_body_without_lungs_has_no_lung(triage: Triage) -> None:
    y, x = np.mgrid[:128, :128] - 64
    body = np.where(np.hypot(y, x) < 50, 40, -1000)
    found = triage(made_volume(np.repeat(body[None], 20, axis=0)))
    assert found.outcome is Outcome.NO_LUNG
    assert "at least 400 ml expected" in found.reason
    assert found.slices == ()


def test_the_result_says_what_made_it(result: TriageResult, triage: Triage) -> None:
    made = result.provenance
    assert made.bundle_sha256 == triage.bundle.sha256
    assert made.bundle_statement == triage.bundle.statement
    assert made.recipe == triage.bundle.recipe.to_dict()
    assert made.precision == "f32"
    assert {"openvino", "numpy", "opencv"} <= set(made.versions)
    assert {"segment", "prepare", "classify", "explain"} <= set(result.timings_ms)
