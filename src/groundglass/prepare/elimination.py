"""Which slices carry enough lung to be looked at (paper section 2.2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from groundglass.core.result import SliceRecord, SliceStatus
from groundglass.prepare.recipe import Recipe


def eliminate(
    lung_area_mm2: NDArray[np.float64], position_mm: NDArray[np.float64], recipe: Recipe
) -> tuple[SliceRecord, ...]:
    """Say for each slice whether it goes on, and why.

    The share of the study's largest lung area decides: headward of the largest slice under
    `headward_ratio`, feetward under `feetward_ratio`, the slice is eliminated. Head and feet come
    from patient coordinates (LPS z in mm, towards the head), never from the order of the array.
    """
    largest = int(np.argmax(lung_area_mm2))
    peak = float(lung_area_mm2[largest])
    records = []
    for index, (area, position) in enumerate(zip(lung_area_mm2, position_mm, strict=True)):
        relative = float(area) / peak if peak > 0 else 0.0
        headward = bool(position > position_mm[largest])
        fate, reason = _fate(relative, headward=headward, recipe=recipe)
        records.append(SliceRecord(index, float(position), float(area), relative, fate, reason))
    return _without_holes(records) if recipe.judge_between else tuple(records)


def _without_holes(records: Sequence[SliceRecord]) -> tuple[SliceRecord, ...]:
    """Keep what lies between kept slices and shows lung, whatever its area."""
    kept = [k for k, record in enumerate(records) if record.fate is SliceStatus.KEPT]
    between = range(kept[0], kept[-1] + 1) if kept else range(0)
    return tuple(
        replace(
            record,
            fate=SliceStatus.KEPT,
            reason=f"{record.relative_area:.2f} of the largest lung area, between judged slices",
        )
        if k in between and record.relative_area > 0 and record.fate is not SliceStatus.KEPT
        else record
        for k, record in enumerate(records)
    )


def _fate(relative: float, *, headward: bool, recipe: Recipe) -> tuple[SliceStatus, str]:
    if relative == 0.0:
        return SliceStatus.NO_LUNG, "no lung in this slice"
    ratio = recipe.headward_ratio if headward else recipe.feetward_ratio
    side = "headward" if headward else "feetward"
    share = f"{relative:.2f} of the largest lung area"
    if relative >= ratio:
        return SliceStatus.KEPT, f"{share}, {side} limit {ratio:.2f}"
    fate = SliceStatus.ELIMINATED_HEADWARD if headward else SliceStatus.ELIMINATED_FEETWARD
    return fate, f"{share}, under the {side} limit {ratio:.2f}"
