"""The whole way: same input, same result, however it is stored; and named outcomes, no crashes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from groundglass.analyse.triage import Triage
from groundglass.core.geometry import Geometry, Reorientation
from groundglass.core.notes import NoteKind
from groundglass.core.result import (
    KIND_NOT_TOLD,
    CheckName,
    HeatMethod,
    Outcome,
    ShareOfSlices,
    SliceStatus,
    TriageResult,
    Verdict,
)
from groundglass.core.volume import Volume
from groundglass.errors import SettingsError
from groundglass.explain import ExplainSettings
from groundglass.infer import Classifier, CpuEngine, Precision, load_bundle
from groundglass.infer.bundle_metadata import Conformal
from groundglass.phantom import Phantom, PhantomSettings, make_phantom

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


def fates(result: TriageResult) -> dict[float, tuple[SliceStatus, float | None]]:
    return {round(r.position_mm, 6): (r.fate, r.contribution) for r in result.slices}


def test_threads_that_share_the_networks_get_what_each_would_alone(
    triage: Triage, volume: Volume, result: TriageResult
) -> None:
    other = replace(volume, hu=np.ascontiguousarray(volume.hu[:, :, ::-1]))
    alone = {False: result, True: triage(other)}
    mirrored = [False, True] * 3
    with ThreadPoolExecutor(len(mirrored)) as pool:
        found = list(pool.map(lambda which: triage(other if which else volume), mirrored))
    for which, one in zip(mirrored, found, strict=True):
        assert one.verdict == alone[which].verdict
        assert np.array_equal(one.mask, alone[which].mask)
        assert [m.slice_index for m in one.heatmaps] == [
            m.slice_index for m in alone[which].heatmaps
        ]
        for mine, its in zip(one.heatmaps, alone[which].heatmaps, strict=True):
            assert np.array_equal(mine.heat, its.heat)


def test_a_chest_ct_gets_a_verdict_with_its_evidence(result: TriageResult, volume: Volume) -> None:
    assert result.outcome is Outcome.VERDICT
    assert result.verdict is not None
    assert sum(result.verdict.probabilities.values()) == pytest.approx(1.0)
    assert result.mask.shape == volume.hu.shape
    assert [record.index for record in result.slices] == list(range(len(volume.hu)))
    kept = {r.index for r in result.slices if r.fate is SliceStatus.KEPT}
    assert kept == {index for group in result.groups for index in group.group.slice_indices}
    assert all((r.contribution is not None) == (r.index in kept) for r in result.slices)
    assert {heatmap.slice_index for heatmap in result.heatmaps} <= kept
    assert all(0 <= h.heat.min() <= h.heat.max() <= 1 for h in result.heatmaps)


@pytest.mark.parametrize(
    ("lowest", "highest", "outcome"),
    [(0.0, 1.0, Outcome.FOR_A_READER), (2.0, 0.0, Outcome.FOR_A_READER), (0.0, 0.0, None)],
    ids=["both fit", "neither fits", "the verdict alone fits"],
)
def test_a_bundle_calibrated_to_say_so_leaves_a_study_for_a_reader(
    triage: Triage,
    volume: Volume,
    result: TriageResult,
    *,
    lowest: float,
    highest: float,
    outcome: Outcome | None,
) -> None:
    bundle, metadata = triage.bundle, triage.bundle.metadata
    allowed = Conformal(0.1, lowest, highest, "a test", 20, 20)
    try:
        triage.bundle = replace(bundle, metadata=replace(metadata, conformal=allowed))
        found = triage(volume)
    finally:
        triage.bundle = bundle
    assert result.verdict is not None
    assert result.verdict.label != "healthy"
    if outcome is None:
        assert found.verdict == result.verdict
        return
    assert found.outcome is outcome
    assert found.verdict is None
    assert found.reason.startswith("For a reader: ")
    assert found.groups == found.heatmaps == ()
    assert all(record.groups == () for record in found.slices)
    assert np.array_equal(found.mask, result.mask)


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
        Reorientation((0, 1, 2), (True, False, False)),
        Reorientation((0, 1, 2), (False, True, True)),
        Reorientation((0, 2, 1), (True, False, True)),
    ],
    ids=["head first", "turned half round", "rows and columns exchanged"],
)
def test_the_way_it_is_stored_changes_nothing(
    triage: Triage, result: TriageResult, volume: Volume, turn: Reorientation
) -> None:
    turned = Volume(
        np.ascontiguousarray(turn.apply(volume.hu)), turn.apply_geometry(volume.geometry)
    )
    found = triage(turned)
    assert found.verdict == result.verdict
    assert np.array_equal(found.mask, turn.apply(result.mask))
    assert fates(found) == fates(result)
    assert found.consistency is not None
    assert result.consistency is not None
    assert found.consistency.similarity == result.consistency.similarity
    assert found.opacity_burden == result.opacity_burden
    assert found.not_judged == result.not_judged
    assert found.checks == result.checks
    assert found.coarse_heat is not None
    assert result.coarse_heat is not None
    cells = dict(zip(result.coarse_heat.slice_indices, result.coarse_heat.heat, strict=True))
    back = len(volume.hu) - 1 if turn.flips[0] else 0
    for index, image in zip(found.coarse_heat.slice_indices, found.coarse_heat.heat, strict=True):
        assert np.array_equal(turn.inverse.apply_image(image), cells[abs(back - index)])
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
    turn = Reorientation((2, 0, 1), (False, True, False))
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


@pytest.fixture(scope="module", params=[3, 6])
def healthy(request: pytest.FixtureRequest) -> Phantom:
    """Whole lungs that are called healthy."""
    settings = PhantomSettings(
        label="healthy", seed=request.param, matrix=128, slice_count=30, slice_spacing_mm=9.0
    )
    return make_phantom(settings)


def slices_of(phantom: Phantom, part: slice) -> Volume:
    volume = phantom.volume
    hu = volume.hu[part]
    above = range(len(volume.hu))[part][0] * volume.geometry.spacing_mm[0]
    x, y, z = volume.geometry.origin_mm
    return Volume(hu, replace(volume.geometry, shape=hu.shape, origin_mm=(x, y, z + above)))


def kinds(result: TriageResult) -> set[NoteKind]:
    return {note.kind for note in result.notes}


def test_whole_lungs_are_called_healthy(triage: Triage, healthy: Phantom) -> None:
    found = triage(healthy.volume)
    assert found.verdict is not None
    assert found.verdict.label == "healthy"
    assert kinds(found) == {NoteKind.COARSE_PIXELS}  # 128 of them: they are


def test_part_of_the_lungs_is_never_called_healthy(triage: Triage, healthy: Phantom) -> None:
    """However many slices are missing at either end, where a fifth of the area or more shows."""
    share = healthy.lung.sum(axis=(1, 2)) / healthy.lung.sum(axis=(1, 2)).max()
    inside = np.flatnonzero(share > 0.2)
    for index in inside[:: len(inside) // 4].tolist():
        for part, kind in (
            (slice(index, None), NoteKind.CUT_AT_FEET),
            (slice(None, index + 1), NoteKind.CUT_AT_HEAD),
        ):
            volume = slices_of(healthy, part)
            if len(volume.hu) < triage.bundle.recipe.min_slices:
                continue
            found = triage(volume)
            assert found.verdict is None or found.verdict.label != "healthy"
            if found.outcome is not Outcome.NO_LUNG:
                assert kind in kinds(found)
                assert found.outcome is Outcome.PART_OF_LUNGS or found.verdict is not None


def said(label: str, by_share: ShareOfSlices | None = None) -> Verdict:
    """A verdict, whatever was judged."""
    votes = {one: int(one == label) for one in ("CP", "NCP", "healthy")}
    probabilities = {one: 0.8 if one == label else 0.1 for one in votes}
    return Verdict(label, probabilities, votes, label, tie=False, by_share=by_share)


@pytest.mark.parametrize("label", ["CP", "healthy"])
def test_images_unlike_any_known_get_no_verdict(
    triage: Triage, volume: Volume, monkeypatch: pytest.MonkeyPatch, label: str
) -> None:
    monkeypatch.setattr(Classifier, "verdict", lambda _self, _groups: said(label))
    hu = volume.hu + np.random.default_rng(0).normal(0, 200, volume.hu.shape)
    found = triage(replace(volume, hu=np.rint(hu).astype(np.int16)))
    assert (found.outcome, found.verdict) == (Outcome.FOR_A_READER, None)
    assert "Noise: HU of noise in soft tissue" in found.reason
    assert (found.groups, found.heatmaps, found.opacity_burden) == ((), (), None)
    assert found.not_judged is not None


@pytest.mark.parametrize("label", ["CP", "healthy"])
def test_a_missing_lung_is_not_called_clear_and_hides_no_finding(
    triage: Triage, healthy: Phantom, monkeypatch: pytest.MonkeyPatch, label: str
) -> None:
    monkeypatch.setattr(Classifier, "verdict", lambda _self, _groups: said(label))
    volume, gone = healthy.volume, healthy.lung.copy()
    gone[:, :, gone.shape[2] // 2 :] = False
    found = triage(replace(volume, hu=np.where(gone, 35, volume.hu).astype(np.int16)))
    if label == "healthy":
        assert found.outcome is Outcome.FOR_A_READER
        assert "Smaller-lung" in found.reason
    else:
        assert found.outcome is Outcome.VERDICT
    assert [check.name for check in found.checks if not check.ok] == [CheckName.SMALLER_LUNG]


def test_images_are_measured_beside_every_verdict(result: TriageResult) -> None:
    assert {check.name for check in result.checks} == set(CheckName)
    assert all(check.ok for check in result.checks if check.refuses_findings)


@pytest.mark.parametrize("by_share", [True, False], ids=["by share", "by vote"])
def test_none_seen_is_not_given_where_much_was_not_judged(
    healthy: Phantom, monkeypatch: pytest.MonkeyPatch, *, by_share: bool
) -> None:
    """The paper's verdict stays as published; a verdict by the share of slices does not."""
    few = load_bundle("paper")
    few = replace(few, recipe=replace(few.recipe, headward_ratio=0.9))
    judged = ShareOfSlices(0, 10, 0.5, 0.25, {"CP": 0.5, "NCP": 0.5}, None) if by_share else None
    verdict = said("healthy", judged)
    monkeypatch.setattr(Classifier, "verdict", lambda _self, _groups: verdict)
    found = Triage(few, CpuEngine(Precision.F32))(healthy.volume)
    assert found.not_judged is not None
    assert found.not_judged.total.lung_share > 0.2
    if by_share:
        assert (found.outcome, found.verdict) == (Outcome.FOR_A_READER, None)
        assert f"{found.not_judged.total.lung_share:.0%} of the lung" in found.reason
        assert (found.groups, found.heatmaps, found.opacity_burden) == ((), (), None)
        assert found.mask.any()
    else:
        assert (found.outcome, found.verdict) == (Outcome.VERDICT, verdict)


def test_a_cut_study_shows_its_lungs_and_says_which_end_is_cut(
    triage: Triage, healthy: Phantom
) -> None:
    area = healthy.lung.sum(axis=(1, 2))
    cut = int(area.argmax())
    found = triage(slices_of(healthy, slice(cut, None)))
    assert found.outcome is Outcome.PART_OF_LUNGS
    assert found.mask.any()
    assert found.slices[0].relative_area > 0.9
    assert f"{found.slices[0].relative_area:.0%} of the largest lung area" in found.reason
    assert "towards the feet" in found.reason
    assert "towards the head" not in found.reason
    assert (found.groups, found.heatmaps, found.opacity_burden) == ((), (), None)
    assert not any(record.groups for record in found.slices)
    assert {note.kind for note in found.notes_beside_reason} == {NoteKind.COARSE_PIXELS}


def test_head_and_feet_are_the_patients_however_it_is_stored(
    triage: Triage, healthy: Phantom
) -> None:
    volume = slices_of(healthy, slice(int(healthy.lung.sum(axis=(1, 2)).argmax()), None))
    turn = Reorientation((0, 1, 2), (True, False, True))
    stored = Volume(
        np.ascontiguousarray(turn.apply(volume.hu)), turn.apply_geometry(volume.geometry)
    )
    one, two = triage(volume), triage(stored)
    assert one.notes == two.notes
    assert (one.outcome, one.reason) == (two.outcome, two.reason)


def test_a_pneumonia_in_part_of_the_lungs_is_told_with_the_cut(
    triage: Triage, volume: Volume
) -> None:
    whole = triage(volume)
    area = [record.lung_area_mm2 for record in whole.slices]
    part = slice(int(np.argmax(area)), None)
    hu = volume.hu[part]
    found = triage(Volume(hu, replace(volume.geometry, shape=hu.shape)))
    assert found.verdict is not None
    assert found.verdict.label == KIND_NOT_TOLD
    assert NoteKind.CUT_AT_FEET in kinds(found)


def test_a_lung_of_tissue_and_a_narrow_field_are_told(triage: Triage, healthy: Phantom) -> None:
    volume, lung = healthy.volume, healthy.lung.copy()
    lung[:, :, lung.shape[2] // 2 :] = False
    hu = volume.hu.copy()
    hu[lung] = 35
    found = triage(Volume(hu, volume.geometry))
    (note,) = (note for note in found.notes if note.kind is NoteKind.ONE_LUNG)
    assert "the patient's right side" in note.text
    narrow = make_phantom(replace(healthy.settings, field_of_view_mm=200.0, matrix=256))
    assert NoteKind.CUT_BY_FIELD in kinds(triage(narrow.volume))


def test_the_result_says_what_made_it(result: TriageResult, triage: Triage) -> None:
    made = result.provenance
    assert made.bundle_sha256 == triage.bundle.sha256
    assert made.bundle_statement == triage.bundle.statement
    assert made.recipe == triage.bundle.recipe.to_dict()
    assert made.precision == "f32"
    assert {"openvino", "ncnn", "numpy", "opencv"} <= set(made.versions)
    assert {"segment", "measure", "prepare", "classify", "explain"} <= set(result.timings_ms)


def test_the_lungs_opacities_are_measured(result: TriageResult, volume: Volume) -> None:
    burden = result.opacity_burden
    assert burden is not None
    voxels = np.count_nonzero(result.mask)
    assert burden.total.lung_ml == pytest.approx(voxels * volume.geometry.voxel_ml, rel=1e-6)
    assert burden.total.ground_glass_ml > 50


def test_what_was_not_judged_is_said(result: TriageResult, volume: Volume) -> None:
    """It is the lung of slices with another fate than kept, to the voxel."""
    assert result.not_judged is not None
    total = result.not_judged.total
    kept = [record.fate is SliceStatus.KEPT for record in result.slices]
    other = np.count_nonzero(result.mask[np.logical_not(kept)]) * volume.geometry.voxel_ml
    assert total.lung_ml == pytest.approx(other, rel=1e-6)
    assert total.lung_share > 0
    assert result.opacity_burden is not None
    found = result.opacity_burden.total
    assert total.of_opacity_ml == pytest.approx(found.ground_glass_ml + found.consolidation_ml)


def test_the_heat_says_how_steady_it_is(result: TriageResult) -> None:
    found = result.consistency
    assert found is not None
    assert set(found.slice_indices) <= {h.slice_index for h in result.heatmaps}
    assert len(found.similarity) == 4
    assert 0.9 < found.mean <= 1


def test_every_classified_slice_has_coarse_heat(result: TriageResult) -> None:
    coarse = result.coarse_heat
    assert coarse is not None
    kept = {r.index for r in result.slices if r.contribution is not None}
    assert set(coarse.slice_indices) == kept
    assert 0 <= coarse.heat.min() <= coarse.heat.max() <= 1


def test_any_class_is_explained_and_healthy_argues_against_the_others(
    triage: Triage, volume: Volume
) -> None:
    found = {label: triage(volume, explain=label) for label in ("CP", "healthy")}
    for label, one in found.items():
        assert one.explained_label == label
        assert {h.label for h in one.heatmaps} <= {label}
    assert found["CP"].verdict == found["healthy"].verdict
    said = {
        label: np.array([r.contribution for r in one.slices if r.contribution is not None])
        for label, one in found.items()
    }
    assert np.corrcoef(said["CP"], said["healthy"])[0, 1] < -0.5


def test_an_unknown_class_is_refused(triage: Triage, volume: Volume) -> None:
    with pytest.raises(SettingsError, match="flu"):
        triage(volume, explain="flu")


def test_the_papers_map_is_a_setting(bundle: Path, volume: Volume, result: TriageResult) -> None:
    settings = ExplainSettings(method=HeatMethod.GRAD_CAM, consistency_slices=0)
    found = Triage.load(bundle, Precision.F32, settings)(volume)
    assert found.verdict == result.verdict
    assert found.consistency is None
    assert {h.method for h in found.heatmaps} == {HeatMethod.GRAD_CAM}
