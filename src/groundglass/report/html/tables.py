"""What the page's tables show, as plain values for its template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from groundglass.core.result import (
    MEASURED_BY_HU,
    LungSide,
    LungThird,
    OpacityBurden,
    RegionBurden,
    SliceRecord,
    SliceStatus,
    TriageResult,
)
from groundglass.core.volume import Volume
from groundglass.report.narrative import counted, flat, left_out, millimetres, range_words
from groundglass.report.terms import STATUS_TERMS, class_colour, class_name
from groundglass.report.view_model import ViewModel

Context = dict[str, Any]


def group_context(view: ViewModel) -> Context:
    """The groups with what the network said of each."""
    result = view.result
    position = {record.index: record.position_mm for record in result.slices}
    rows = []
    for prediction in result.groups:
        group = prediction.group
        spots = [position[i] for i in group.slice_indices if i in position]
        if group.interpolated:
            made = "interpolating along z"
        elif group.padding:
            made = f"appending {counted(group.padding, 'black image')}"
        else:
            made = "nothing to do"
        rows.append(
            {
                "number": group.index + 1,
                "range": range_words(spots),
                "count": len(group.slice_indices),
                "made": made,
                "size": group.size,
                "probabilities": [
                    {"value": prediction.probabilities[c], "wins": c == prediction.label}
                    for c in result.labels
                ],
            }
        )
    columns = [
        {"name": c, "words": class_name(c), "colour": class_colour(c, result.labels)}
        for c in result.labels
    ]
    return {"groups": rows, "columns": columns}


def burden_context(burden: OpacityBurden | None) -> Context | None:
    """The opacity burden by lung and third; None where it was not measured."""
    if burden is None:
        return None
    rows = [_burden_row("Both lungs", burden.total, part=False)]
    for side in LungSide:
        rows.append(_burden_row(f"{side.capitalize()} lung", burden.of(side), part=False))
        rows += [
            _burden_row(f"{third} third", burden.regions[side, third], part=True)
            for third in LungThird
        ]
    return {
        "rows": rows,
        "statement": MEASURED_BY_HU,
        "ground_glass": _hu_range(burden.ground_glass_hu),
        "consolidation": _hu_range(burden.consolidation_hu),
        "vessels": f"{burden.total.vessel_ml:.0f} ml",
    }


def _burden_row(name: str, region: RegionBurden, *, part: bool) -> Context:
    return {
        "name": name,
        "part": part,
        "lung": f"{region.lung_ml:.0f}",
        "ground_glass": f"{region.ground_glass_ml:.0f}",
        "ground_glass_share": f"{region.ground_glass_share:.1%}",
        "consolidation": f"{region.consolidation_ml:.0f}",
        "consolidation_share": f"{region.consolidation_share:.1%}",
    }


def _hu_range(limits: tuple[float, float]) -> str:
    return f"{limits[0]:g} to {limits[1]:+g} HU".replace("-", "−")


def left_out_context(view: ViewModel, volume: Volume) -> Context:
    """What was not used: slices, series, files."""
    slices = len(view.frames)
    records = sorted(view.result.slices, key=lambda r: -r.position_mm)
    return {
        "left_out": left_out(records, view.result.provenance.recipe),
        "selection_reason": volume.series.selection_reason if volume.series else "",
        "rejected": volume.series.rejected if volume.series else (),
        "table": [_table_row(r, slices - r.index) for r in records],
    }


def _table_row(record: SliceRecord, number: int) -> Context:
    return {
        "number": number,
        "position": millimetres(record.position_mm),
        "area": f"{record.lung_area_mm2 / 100:.1f}",
        "share": f"{record.relative_area:.0%}",
        "fate": STATUS_TERMS[record.fate].short,
        "used": record.fate is SliceStatus.KEPT,
        "reason": record.reason,
        "groups": group_numbers(record.groups),
        "contribution": _signed(record.contribution),
    }


def _signed(contribution: float | None) -> str:
    """With its sign and two significant figures; empty for none."""
    return "" if contribution is None else f"{contribution:+.2g}".replace("-", "−")


def facts_context(result: TriageResult, volume: Volume) -> Context:
    """Input, model, times, recipe, hashes and versions as pairs of name and value."""
    geometry, series, made = volume.geometry, volume.series, result.provenance
    slices, rows, columns = geometry.shape
    slice_mm, row_mm, column_mm = geometry.spacing_mm
    description = (series.description if series else "") or "no series description"
    size = f"{slices} slices of {rows} × {columns}"
    lung_ml = np.count_nonzero(result.mask) * geometry.voxel_ml
    input_facts = [
        ("Series", description),
        ("Modality", (series.modality if series else "") or "not given"),
        ("Size", size),
        ("Spacing", f"{slice_mm:.2f} mm between slices, {row_mm:.2f} × {column_mm:.2f} mm pixels"),
        ("Lung volume", f"{lung_ml / 1000:.2f} l in the segmentation"),
    ]
    if series and series.series_instance_uid:
        input_facts.append(("Series UID", series.series_instance_uid))
    input_facts += [("Note", note) for note in volume.notes]
    total = sum(result.timings_ms.values())
    return {
        "subject": f"{description} · {size} · {slice_mm:.2f} mm apart",
        "input_facts": input_facts,
        "model_facts": [
            ("Weights", made.bundle),
            *((f"  {name}", sha[:12]) for name, sha in sorted(made.bundle_sha256.items())),
            ("Precision", made.precision),
            ("groundglass", made.groundglass_version),
        ],
        "timing_facts": [
            *((stage, f"{ms / 1000:.2f} s") for stage, ms in result.timings_ms.items()),
            ("Together", f"{total / 1000:.2f} s"),
        ],
        "recipe_facts": flat(made.recipe),
        "hash_facts": sorted(made.bundle_sha256.items()),
        "version_facts": sorted(_text(made.versions).items()),
    }


def _text(values: Mapping[str, object]) -> dict[str, str]:
    return {key: str(value) for key, value in values.items()}


def group_numbers(groups: tuple[int, ...]) -> str:
    """Group indices as numbers from 1."""
    return ", ".join(str(index + 1) for index in groups)
