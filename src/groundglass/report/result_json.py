"""The result as JSON, for machines.

The document's shape is `result.schema.json` beside this file, explained in
docs/reference/result-json.md. Arrays (mask, heat maps) are not in it; every other field of the
result is, under the field's own name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from importlib.resources import files
from typing import Any

import numpy as np

from groundglass.core.analysis import Analysis
from groundglass.core.result import (
    MEASURED_BY_HU,
    RESEARCH_USE_ONLY,
    HeatConsistency,
    Heatmap,
    LeftOut,
    LungSide,
    NotJudged,
    OpacityBurden,
    RegionBurden,
    ShareOfSlices,
    TriageResult,
    Verdict,
)
from groundglass.core.study import Series
from groundglass.core.volume import Volume
from groundglass.errors import ReportError

#: Grows in the first place when a reader of the old shape would misread the new one.
SCHEMA_VERSION = "2.1"

JsonObject = dict[str, Any]


def result_schema() -> JsonObject:
    """The JSON Schema (draft 2020-12) every document written here keeps."""
    text = files(__package__).joinpath("result.schema.json").read_text("utf-8")
    schema: JsonObject = json.loads(text)
    return schema


def result_document(result: TriageResult, volume: Volume) -> JsonObject:
    """What goes into `result.json`, but for the list of the report's other files."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "research_use_only": RESEARCH_USE_ONLY,
        "statement": result.provenance.bundle_statement,
        "outcome": result.outcome,
        "reason": result.reason,
        "analysis": analysis_document(result.analysis),
        "notes": result.all_notes,
        "checks": [{**_plain(check), "ok": check.ok} for check in result.checks],
        "labels": result.labels,
        "verdict": _verdict(result.verdict),
        "groups": [
            {**_plain(one.group), "probabilities": one.probabilities, "label": one.label}
            for one in result.groups
        ],
        "slices": _slices(result, volume),
        "explained_label": result.explained_label,
        "key_slices": [_key_slice(heatmap) for heatmap in result.heatmaps],
        "heat_outside_lung": result.heat_outside_lung,
        "consistency": _consistency(result.consistency),
        "lung_volume_ml": float(np.count_nonzero(result.mask)) * volume.geometry.voxel_ml,
        "opacity_burden": _burden(result.opacity_burden),
        "not_judged": _not_judged(result.not_judged),
        "input": _input(volume.series, volume.notes),
        "geometry": volume.geometry,
        "timings_ms": result.timings_ms,
        "provenance": result.provenance,
    }
    plain: JsonObject = _plain(document)
    return plain


def encode_document(document: JsonObject) -> bytes:
    """The document as UTF-8, keys sorted: the same document gives the same bytes.

    Raises
    ------
    ReportError
        When a number is not finite (JSON has no such number, RFC 8259 section 6) or a value of
        the recipe is not plain.
    """
    try:
        text = json.dumps(document, sort_keys=True, allow_nan=False, ensure_ascii=False, indent=1)
    except (TypeError, ValueError) as error:
        raise ReportError(
            f"a result that JSON cannot hold ({error})",
            expected="finite numbers and plain values, in the recipe too",
            action="Analyse the study again; if it comes back, report it as a defect.",
        ) from error
    return f"{text}\n".encode()


def analysis_document(analysis: Analysis) -> JsonObject:
    """Which analysis of the study it is, and what it replaces."""
    earlier = analysis.replaced
    replaces: JsonObject | None = None
    if earlier is not None:
        uids = ("study_instance_uid", "series_instance_uid", "sop_class_uid", "sop_instance_uid")
        replaces = {
            "revision": earlier.revision,
            "at": earlier.at.isoformat(),
            **{name: getattr(earlier, name) for name in uids},
        }
    return {
        "at": analysis.at.isoformat(),
        "revision": analysis.revision,
        "completeness": analysis.completeness.value,
        "missing": sum(analysis.missing.values()),
        "replaces": replaces,
    }


def stored_verdict(stated: Mapping[str, Any] | None) -> Verdict | None:
    """The verdict of a document, as `result_document` wrote it."""
    if stated is None:
        return None
    share = stated["by_share"]
    if share is not None:
        share = ShareOfSlices(**{name: share[name] for name in share if name != "share"})
    return Verdict(
        label=stated["label"],
        probabilities=stated["probabilities"],
        votes=stated["votes"],
        majority=stated["majority"],
        tie=stated["tie"],
        by_share=share,
    )


def _slices(result: TriageResult, volume: Volume) -> list[JsonObject]:
    """The slice table, each with its number from the head as the page counts."""
    reorientation = volume.geometry.to_axial()[1]
    slices = len(volume.hu)

    def number(index: int) -> int | None:
        along_body = reorientation.keeps_slices
        return slices - reorientation.apply_index(index, slices) if along_body else None

    return [{**_plain(record), "number": number(record.index)} for record in result.slices]


def _key_slice(heatmap: Heatmap) -> JsonObject:
    return {
        "slice_index": heatmap.slice_index,
        "label": heatmap.label,
        "method": heatmap.method,
        "share_in_lung": heatmap.share_in_lung,
        "hottest": float(heatmap.heat.max()),
    }


def _verdict(verdict: Verdict | None) -> JsonObject | None:
    if verdict is None:
        return None
    found: JsonObject = _plain(verdict)
    if verdict.by_share is not None:
        found["by_share"]["share"] = verdict.by_share.share
    return found


def _consistency(found: HeatConsistency | None) -> JsonObject | None:
    return None if found is None else {**_plain(found), "mean": found.mean}


def _burden(burden: OpacityBurden | None) -> JsonObject | None:
    if burden is None:
        return None
    return {
        "statement": MEASURED_BY_HU,
        "ground_glass_hu": burden.ground_glass_hu,
        "consolidation_hu": burden.consolidation_hu,
        "total": _region(burden.total),
        **{side: _region(burden.of(side)) for side in LungSide},
        "regions": [
            {"side": side, "third": third, "burden": _region(region)}
            for (side, third), region in burden.regions.items()
        ],
    }


def _not_judged(found: NotJudged | None) -> JsonObject | None:
    if found is None:
        return None
    thirds = {third: _left_out(part) for third, part in found.thirds.items()}
    return {"total": _left_out(found.total), "thirds": thirds}


def _left_out(part: LeftOut) -> JsonObject:
    shares = {"lung_share": part.lung_share, "opacity_share": part.opacity_share}
    return {**_plain(part), **shares}


def _region(region: RegionBurden) -> JsonObject:
    return {
        **_plain(region),
        "ground_glass_share": region.ground_glass_share,
        "consolidation_share": region.consolidation_share,
    }


def _input(series: Series | None, notes: tuple[str, ...]) -> JsonObject:
    """What was read and chosen.

    Of the header only UIDs and the series' description go out; of the file system, the names of
    files set aside, relative to the input: without them a reason is of no use.
    """
    rejected = series.rejected if series else ()
    told = ("kind", "modality", "series_instance_uid", "study_instance_uid", "selection_reason")
    return {
        **{name: getattr(series, name, None) for name in told},
        "series_description": series.description if series else None,
        "number_of_instances": len(series.instances) if series else None,
        "rejected": [{"what": one.what, "reason": one.reason} for one in rejected],
        "notes": notes,
    }


def _plain(value: object) -> Any:
    """Dataclasses, mappings, sequences, enumerations and numpy scalars as JSON's own types."""
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list | set | frozenset):
        items = sorted(value) if isinstance(value, set | frozenset) else value
        return [_plain(item) for item in items]
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return value
