"""Made findings on any volume: a result without running the networks."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import numpy as np

from groundglass.core.analysis import Analysis
from groundglass.core.result import (
    CoarseHeat,
    GroupPrediction,
    Heatmap,
    LeftOut,
    LungSide,
    LungThird,
    NotJudged,
    OpacityBurden,
    Outcome,
    Provenance,
    RegionBurden,
    SliceGroup,
    SliceRecord,
    SliceStatus,
    TriageResult,
    Verdict,
)
from groundglass.core.volume import Volume

LABELS = ("CP", "NCP", "healthy")
ANSWER = {"CP": 0.8125, "NCP": 0.1, "healthy": 0.0875}
_CELLS = 8
#: Ends without a verdict whose slices were classified all the same.
JUDGED_WITHOUT_VERDICT = (Outcome.PART_OF_LUNGS, Outcome.FOR_A_READER)


def made_result(volume: Volume, key_slices: tuple[int, ...] = (5, 7, 11)) -> TriageResult:
    """Two ellipses for lungs, a verdict, and heat that no flip or exchange leaves as it is."""
    slices, rows, columns = volume.hu.shape
    z, y, x = np.mgrid[0 : 1 : slices * 1j, -1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    width = 0.35 - 0.2 * z
    mask = ((x - 0.45) / width) ** 2 + (y / 0.6) ** 2 < 1
    mask |= ((x + 0.4) / width) ** 2 + (y / 0.5) ** 2 < 1
    mask[:2] = mask[-2:] = False
    used = tuple(range(2, slices - 2))
    group = SliceGroup(0, used, 50, max(0, 50 - len(used)), interpolated=False)
    heat = np.exp(-(((x[0] - 0.5) / 0.3) ** 2) - ((y[0] + 0.2) / 0.2) ** 2).astype(np.float32)
    records = tuple(
        SliceRecord(
            index=k,
            position_mm=volume.geometry.position_mm((k, 0, 0))[2],
            lung_area_mm2=float(mask[k].sum()),
            relative_area=float(mask[k].sum() / mask.sum(axis=(1, 2)).max()),
            fate=SliceStatus.KEPT if k in used else SliceStatus.NO_LUNG,
            reason="made",
            groups=(0,) if k in used else (),
            contribution=1.0 / (1 + k) if k in used else None,
        )
        for k in range(slices)
    )
    return TriageResult(
        outcome=Outcome.VERDICT,
        reason="1 of 1 group voted CP.",
        labels=LABELS,
        verdict=Verdict("CP", ANSWER, {"CP": 1, "NCP": 0, "healthy": 0}, "CP", tie=False),
        groups=(GroupPrediction(group, ANSWER, "CP"),),
        slices=records,
        mask=mask,
        heatmaps=tuple(
            Heatmap(k, "CP", heat * np.float32(1 - 0.1 * n), 0.75) for n, k in enumerate(key_slices)
        ),
        timings_ms={"segment": 100.0},
        provenance=PROVENANCE,
        coarse_heat=_coarse(used),
        opacity_burden=_burden(float(mask.sum()) * volume.geometry.voxel_ml),
        not_judged=_not_judged(float(mask.sum()) * volume.geometry.voxel_ml),
        analysis=ANALYSIS,
    )


def without_verdict(result: TriageResult, outcome: Outcome, reason: str) -> TriageResult:
    """The same study, had it ended so."""
    return replace(
        result,
        outcome=outcome,
        reason=reason,
        verdict=None,
        groups=(),
        mask=np.zeros_like(result.mask),
        heatmaps=(),
        coarse_heat=None,
        opacity_burden=None,
        not_judged=result.not_judged if outcome in JUDGED_WITHOUT_VERDICT else None,
    )


def _coarse(used: tuple[int, ...]) -> CoarseHeat:
    cells = np.linspace(0, 0.5, len(used) * _CELLS * _CELLS, dtype=np.float32)
    return CoarseHeat("CP", used, cells.reshape(len(used), _CELLS, _CELLS))


def _burden(lung_ml: float) -> OpacityBurden:
    regions = {
        (side, third): RegionBurden(lung_ml / 6, 1.5 + k, 0.25 * k, 3.0)
        for k, (side, third) in enumerate((s, t) for s in LungSide for t in LungThird)
    }
    return OpacityBurden((-700.0, -300.0), (-300.0, 100.0), regions)


def _not_judged(lung_ml: float) -> NotJudged:
    """A tenth of the upper, two of the middle and three tenths of the lower third."""
    thirds = {
        third: LeftOut(k * lung_ml / 30, 2.0 * k, lung_ml / 3, 8.0 + k)
        for k, third in enumerate(LungThird, start=1)
    }
    return NotJudged(thirds)


#: When everything made here is said to have been analysed.
ANALYSIS = Analysis(datetime(2026, 3, 1, 14, 30, 5, tzinfo=timezone(timedelta(hours=1))))
PROVENANCE = Provenance(
    groundglass_version="0.1.0",
    bundle="made 1",
    bundle_sha256={"encoder.onnx": "ab" * 32, "segmenter.onnx": "cd" * 32},
    bundle_statement="Made up for a test – its verdict means nothing.",
    recipe={"vote_threshold": 0.9, "headward_ratio": 0.4, "feetward_ratio": 0.9},
    precision="f32",
    versions={"numpy": "2.0"},
)
