"""A made chest of ellipses, and results made by hand for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from groundglass.core.geometry import Geometry, Reorientation
from groundglass.core.notes import Note, NoteKind
from groundglass.core.result import (
    CheckName,
    CoarseHeat,
    GroupPrediction,
    HeatConsistency,
    Heatmap,
    InputCheck,
    LeftOut,
    LungSide,
    LungThird,
    NotJudged,
    OpacityBurden,
    Outcome,
    Provenance,
    RegionBurden,
    RuleFiring,
    SliceGroup,
    SliceRecord,
    SliceStatus,
    TriageResult,
    Verdict,
)
from groundglass.core.study import Instance, Rejection, Series, SourceKind
from groundglass.core.volume import Volume
from groundglass.explain import find_opacity
from made_result import ANALYSIS

StoredAs = Callable[..., tuple[Volume, TriageResult]]

#: Ends without a verdict whose slices were classified all the same.
JUDGED_WITHOUT_VERDICT = (Outcome.PART_OF_LUNGS, Outcome.FOR_A_READER)
LABELS = ("CP", "NCP", "healthy")
SHAPE = (24, 72, 96)
SPACING = (6.0, 4.0, 3.5)


def _ellipse(centre: tuple[float, float], radii: tuple[float, float]) -> np.ndarray:
    rows, columns = np.mgrid[: SHAPE[1], : SHAPE[2]]
    y, x = (rows - centre[0]) / radii[0], (columns - centre[1]) / radii[1]
    return y**2 + x**2 <= 1


@pytest.fixture(scope="session")
def lungs() -> np.ndarray:
    """Two lungs that widen towards the feet, in slices 3 to 20."""
    mask = np.zeros(SHAPE, dtype=bool)
    for k in range(3, 21):
        size = 1.0 - 0.7 * (k - 3) / 17
        right = _ellipse((34, 32), (18 * size, 11 * size))
        left = _ellipse((34, 64), (18 * size, 10 * size))
        mask[k] = right | left
    return mask


@pytest.fixture(scope="session")
def volume(lungs: np.ndarray) -> Volume:
    """A body in air, lungs in it, a lesion in the patient's right lung."""
    hu = np.full(SHAPE, -1000, dtype=np.int16)
    hu[:, _ellipse((36, 48), (28, 40))] = 40
    hu[lungs] = -850
    lesion = _ellipse((46, 28), (4, 4)) & lungs[8]
    hu[7:11, lesion] = -300
    geometry = Geometry(SHAPE, SPACING, (-168.0, -140.0, -300.0), ((0, 0, 1), (0, 1, 0), (1, 0, 0)))
    return Volume(hu, geometry, _series(), ("padding filled with air",))


def _series() -> Series:
    return Series(
        series_instance_uid="1.2.826.0.1.3680043.8.498.1",
        study_instance_uid="1.2.826.0.1.3680043.8.498.2",
        kind=SourceKind.DICOM,
        modality="CT",
        description="Thorax 6.0 mm lung",
        instances=tuple(Instance(Path(f"PLANTED^NAME-{k}.dcm")) for k in range(SHAPE[0])),
        selection_reason="axial, covers the chest, lung kernel",
        rejected=(Rejection("series 1", "a localizer"), Rejection("notes.txt", "not an image")),
    )


def _records(lungs: np.ndarray, geometry: Geometry) -> tuple[SliceRecord, ...]:
    area = lungs.sum(axis=(1, 2)) * geometry.spacing_mm[1] * geometry.spacing_mm[2]
    share = area / area.max()
    peak = int(area.argmax())
    records = []
    for k in range(len(lungs)):
        fate, reason, groups = SliceStatus.KEPT, f"{share[k]:.2f} of the largest", (k // 6,)
        if area[k] == 0:
            fate, reason, groups = SliceStatus.NO_LUNG, "no lung in the mask", ()
        elif k > peak and share[k] < 0.4:
            fate, reason, groups = SliceStatus.ELIMINATED_HEADWARD, "under the limit 0.40", ()
        records.append(
            SliceRecord(
                index=k,
                position_mm=geometry.position_mm((k, 0, 0))[2],
                lung_area_mm2=float(area[k]),
                relative_area=float(share[k]),
                fate=fate,
                reason=reason,
                groups=groups,
                contribution=float(k) if 7 <= k < 11 else -2.0 if k == 12 else None,
            )
        )
    return tuple(records)


def _groups(records: tuple[SliceRecord, ...]) -> tuple[GroupPrediction, ...]:
    kept = [r.index for r in records if r.fate is SliceStatus.KEPT]
    cuts = [0, len(kept) // 3, 2 * len(kept) // 3, len(kept)]
    answers = ((0.1, 0.2, 0.7), (0.93, 0.05, 0.02), (0.1, 0.15, 0.75))
    predictions = []
    for index, ((start, end), answer) in enumerate(zip(pairwise(cuts), answers, strict=True)):
        members = tuple(kept[start:end])
        group = SliceGroup(index, members, 6, max(0, 6 - len(members)), len(members) > 6)
        label = LABELS[int(np.argmax(answer))]
        predictions.append(GroupPrediction(group, dict(zip(LABELS, answer, strict=True)), label))
    return tuple(predictions)


PROVENANCE = Provenance(
    groundglass_version="0.1.0",
    bundle="synthetic-thorax 1",
    bundle_sha256={"cnn.onnx": "ab" * 32, "unet.onnx": "cd" * 32},
    bundle_statement="Trained on synthetic studies: the verdict is a demonstration.",
    recipe={"headward_ratio": 0.4, "feetward_ratio": 0.9, "tiles": (8, 8), "vote_threshold": 0.9},
    precision="f32",
    versions={"numpy": "2.0", "openvino": "2024.6"},
)


NOTES = (
    Note(NoteKind.CUT_AT_FEET, "The scan ends early: the lowest slice shows 12% & more."),
    Note(NoteKind.COARSE_PIXELS, "Pixels of 4.0 mm are coarse."),
)


BURDEN = OpacityBurden(
    ground_glass_hu=(-700.0, -300.0),
    consolidation_hu=(-300.0, 100.0),
    regions={
        (side, third): RegionBurden(500.0 + 10 * k, 25.0 * k, 4.0 * k, 30.0)
        for k, (side, third) in enumerate((s, t) for s in LungSide for t in LungThird)
    },
)


CHECKS = (
    InputCheck(CheckName.NOISE, "HU of noise in soft tissue", 12.5, None, 100.0, True),
    InputCheck(CheckName.CONTRAST_PHASE, "median HU of heart and vessels", None, 0.0, 350.0, True),
    InputCheck(CheckName.SMALLER_LUNG, "share of the air", 0.3, 0.35, None, False),
)


NOT_JUDGED = NotJudged(
    {
        third: LeftOut(100.0 * k, 2.0 * k, 1000.0, 8.0 + k)
        for k, third in enumerate(LungThird, start=1)
    }
)


@pytest.fixture(scope="session")
def result(volume: Volume, lungs: np.ndarray) -> TriageResult:
    """A verdict that the 0.9 rule made, with heat on the lesion."""
    records = _records(lungs, volume.geometry)
    groups = _groups(records)
    lesion = np.exp(-(((np.mgrid[:72, :96] - np.array([46, 28])[:, None, None]) / 6.0) ** 2).sum(0))
    heatmaps = tuple(
        Heatmap(k, "CP", (lesion * peak).astype(np.float32), 0.9)
        for k, peak in ((9, 1.0), (8, 0.9), (7, 0.8), (10, 0.7))
    )
    verdict = Verdict(
        label="CP",
        probabilities={c: float(np.mean([g.probabilities[c] for g in groups])) for c in LABELS},
        votes={"CP": 1, "NCP": 0, "healthy": 2},
        majority="healthy",
        tie=False,
        rule_firings=(RuleFiring(1, "CP", 0.93, 0.9),),
    )
    return TriageResult(
        outcome=Outcome.VERDICT,
        reason="Two of three groups are healthy, but group 2 names COVID-19 pneumonia.",
        labels=LABELS,
        verdict=verdict,
        groups=groups,
        slices=records,
        mask=lungs,
        heatmaps=heatmaps,
        timings_ms={"segment": 120.5, "classify": 30.25},
        provenance=PROVENANCE,
        coarse_heat=_coarse_heat(groups),
        consistency=HeatConsistency({"a turn": 0.97, "a shift": 0.99}, (9, 8)),
        opacity_burden=replace(BURDEN, cells=find_opacity(volume, lungs).cells),
        not_judged=NOT_JUDGED,
        checks=CHECKS,
        notes=NOTES,
        analysis=ANALYSIS,
    )


def _coarse_heat(groups: tuple[GroupPrediction, ...]) -> CoarseHeat:
    """A spot on the lesion in every classified slice."""
    indices = tuple(index for group in groups for index in group.group.slice_indices)
    spot = np.zeros((8, 8), np.float32)
    spot[5, 2] = 0.6
    return CoarseHeat("CP", indices, np.repeat(spot[None], len(indices), axis=0))


@pytest.fixture(scope="session")
def study(volume: Volume, result: TriageResult) -> tuple[Volume, TriageResult]:
    """The volume and its result."""
    return volume, result


@pytest.fixture(scope="session")
def without_verdict() -> Callable[[TriageResult, Outcome], TriageResult]:
    """Makes a result end in another way."""
    return _without_verdict


@pytest.fixture(scope="session")
def stored_as() -> StoredAs:
    """Stores a study in another axis order."""
    return _stored_as


def _without_verdict(result: TriageResult, outcome: Outcome) -> TriageResult:
    """The same study, had it ended so."""
    return replace(
        result,
        outcome=outcome,
        reason=f"Made to end as {outcome}.",
        verdict=None,
        groups=(),
        slices=() if outcome is Outcome.NOT_CHEST_CT else result.slices,
        mask=np.zeros_like(result.mask),
        heatmaps=(),
        coarse_heat=None,
        consistency=None,
        opacity_burden=None,
        not_judged=result.not_judged if outcome in JUDGED_WITHOUT_VERDICT else None,
    )


def _stored_as(
    volume: Volume, result: TriageResult, order: tuple[int, int, int], flips: tuple[bool, ...]
) -> tuple[Volume, TriageResult]:
    """The same patient and the same findings with the array's axes exchanged and flipped."""
    turn = Reorientation(order, (flips[0], flips[1], flips[2]))
    hu = np.ascontiguousarray(turn.apply(volume.hu))
    stored = Volume(hu, turn.apply_geometry(volume.geometry), volume.series, volume.notes)
    if order[0] != 0:  # such a study is never judged
        ended = _without_verdict(result, Outcome.NOT_CHEST_CT)
        return stored, replace(ended, mask=turn.apply(result.mask))
    return stored, result.reoriented(turn)
