from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from groundglass.core.analysis import Completeness, EarlierResult
from groundglass.core.result import (
    RESEARCH_USE_ONLY,
    RESULT_OUTCOMES,
    LungSide,
    LungThird,
    Outcome,
    TriageResult,
)
from groundglass.core.volume import Volume
from groundglass.errors import ReportError
from groundglass.report import result_document, result_schema, write_report
from groundglass.report.result_json import encode_document

ENDS = [outcome for outcome in RESULT_OUTCOMES if outcome is not Outcome.VERDICT]
Ending = Callable[[TriageResult, Outcome], TriageResult]


def read(directory: Path) -> dict:
    return json.loads((directory / "result.json").read_text("utf-8"))


def burden_leaves(document: dict) -> Iterator[tuple[str, object]]:
    """The regions of the opacity burden, which the document lists and the result maps."""
    for entry in document["opacity_burden"]["regions"]:
        key = (LungSide(entry["side"]), LungThird(entry["third"]))
        for name, value in entry["burden"].items():
            if not name.endswith("_share"):
                yield f"/opacity_burden/regions/{key}/{name}", value


def leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Every scalar below a value with the way to it; arrays are left out."""
    if is_dataclass(value):
        for field in fields(value):
            yield from leaves(getattr(value, field.name), f"{path}/{field.name}")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}/{key}")
    elif isinstance(value, tuple | list):
        for index, item in enumerate(value):
            yield from leaves(item, f"{path}/{index}")
    elif isinstance(value, datetime):
        yield path, value.isoformat()
    elif not isinstance(value, np.ndarray):
        yield path, value


def where_in_json(path: str) -> str:
    """The document keeps the result's own structure but for a few renamed places."""
    if path == "/coarse_heat/label":
        return "/explained_label"
    if path == "/analysis/replaced":
        return "/analysis/replaces"
    if path.startswith("/groups/"):
        return path.replace("/group/", "/", 1)
    return path.replace("/heatmaps/", "/key_slices/", 1)


def test_a_report_read_back_is_the_result_written(
    tmp_path: Path, volume: Volume, result: TriageResult
) -> None:
    write_report(result, volume, tmp_path)
    found = read(tmp_path)
    document = dict(leaves(found)) | dict(burden_leaves(found))
    written = list(leaves(result))
    assert len(written) > 200
    for path, value in written:
        if path.startswith(("/coarse_heat/slice_indices/", "/opacity_burden/cells/")):
            continue  # the slices with a contribution; where the report draws
        assert document[where_in_json(path)] == value, path
    geometry = dict(leaves(volume.geometry, "/geometry"))
    assert {path: document[path] for path in geometry} == geometry


def test_what_a_revision_says_of_itself_keeps_the_schema(
    tmp_path: Path, volume: Volume, result: TriageResult
) -> None:
    analysis = replace(
        result.analysis,
        revision=2,
        completeness=Completeness.INCOMPLETE,
        missing={"1.2": 3, "1.3": 4},
        replaced=EarlierResult(1, result.analysis.at, "1", "2", "3", "4"),
    )
    write_report(replace(result, analysis=analysis), volume, tmp_path)
    document = read(tmp_path)
    assert not list(Draft202012Validator(result_schema()).iter_errors(document))
    told = document["analysis"]
    assert (told["revision"], told["completeness"], told["missing"]) == (2, "incomplete", 7)
    assert (told["replaces"]["revision"], told["replaces"]["sop_instance_uid"]) == (1, "4")
    assert [note["kind"] for note in document["notes"][:2]] == ["incomplete", "replaces"]


def test_lung_volume_is_the_masks(volume: Volume, result: TriageResult) -> None:
    voxels = int(result.mask.sum())
    expected = voxels * 6.0 * 4.0 * 3.5 / 1000
    assert result_document(result, volume)["lung_volume_ml"] == pytest.approx(expected)


def test_slice_numbers_count_from_the_head_however_stored(
    volume: Volume, result: TriageResult, stored_as: Callable[..., tuple[Volume, TriageResult]]
) -> None:
    def numbers(volume: Volume, result: TriageResult) -> dict[float, int]:
        document = result_document(result, volume)
        return {round(s["position_mm"], 3): s["number"] for s in document["slices"]}

    plain = numbers(volume, result)
    assert plain[max(plain)] == 1
    stored, found = stored_as(volume, result, (0, 2, 1), (True, True, False))
    assert numbers(stored, found) == plain


@pytest.mark.parametrize("outcome", RESULT_OUTCOMES)
def test_every_outcome_keeps_the_schema(
    tmp_path: Path, volume: Volume, result: TriageResult, without_verdict: Ending, outcome: Outcome
) -> None:
    ended = result if outcome is Outcome.VERDICT else without_verdict(result, outcome)
    write_report(ended, volume, tmp_path)
    document = read(tmp_path)
    Draft202012Validator.check_schema(result_schema())
    assert not list(Draft202012Validator(result_schema()).iter_errors(document))
    assert document["outcome"] == outcome.value
    assert document["research_use_only"] == RESEARCH_USE_ONLY
    assert document["statement"] == result.provenance.bundle_statement


def test_the_schema_tells_a_verdict_from_its_absence(volume: Volume, result: TriageResult) -> None:
    document = {**result_document(result, volume), "files": {}, "verdict": None}
    assert not Draft202012Validator(result_schema()).is_valid(document)


def test_a_volume_made_in_memory_has_no_input(volume: Volume, result: TriageResult) -> None:
    document = result_document(result, replace(volume, series=None))
    assert document["input"]["series_instance_uid"] is None
    assert Draft202012Validator(result_schema()).is_valid({**document, "files": {}})


def test_the_same_result_gives_the_same_bytes(
    tmp_path: Path, volume: Volume, result: TriageResult
) -> None:
    for name in ("a", "b"):
        write_report(result, volume, tmp_path / name)
    for name in ("result.json", "report.html"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_only_timings_and_the_pages_hash_tell_two_runs_apart(
    tmp_path: Path, volume: Volume, result: TriageResult
) -> None:
    write_report(result, volume, tmp_path / "a")
    write_report(replace(result, timings_ms={"segment": 7.0}), volume, tmp_path / "b")
    first, second = read(tmp_path / "a"), read(tmp_path / "b")
    assert {key for key in first if first[key] != second[key]} == {"timings_ms", "files"}


def test_numpy_numbers_become_plain_ones(volume: Volume, result: TriageResult) -> None:
    recipe = {"size": np.int64(256), "ratio": np.float32(0.5), "grid": np.arange(2)}
    changed = replace(result, provenance=replace(result.provenance, recipe=recipe))
    document = json.loads(encode_document(result_document(changed, volume)))
    assert document["provenance"]["recipe"] == {"size": 256, "ratio": 0.5, "grid": [0, 1]}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_what_json_cannot_hold_is_refused_and_nothing_is_left(
    tmp_path: Path, volume: Volume, result: TriageResult, value: object
) -> None:
    recipe = {"strange": value}
    changed = replace(result, provenance=replace(result.provenance, recipe=recipe))
    with pytest.raises(ReportError, match="JSON cannot hold"):
        write_report(changed, volume, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_result_of_another_volume_is_refused(
    tmp_path: Path, volume: Volume, result: TriageResult
) -> None:
    with pytest.raises(ReportError, match="lung mask of shape"):
        write_report(replace(result, mask=result.mask[1:]), volume, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_headers_do_not_leak(tmp_path: Path, volume: Volume, result: TriageResult) -> None:
    write_report(result, volume, tmp_path)
    for path in tmp_path.iterdir():
        assert b"PLANTED" not in path.read_bytes()


def test_the_manifest_names_the_page_by_its_hash(
    tmp_path: Path, volume: Volume, result: TriageResult
) -> None:
    write_report(result, volume, tmp_path)
    page = (tmp_path / "report.html").read_bytes()
    entry = read(tmp_path)["files"]["report.html"]
    assert entry == {"sha256": hashlib.sha256(page).hexdigest(), "bytes": len(page)}


def test_the_reference_describes_every_field() -> None:
    text = (Path(__file__).parents[2] / "docs/reference/result-json.md").read_text("utf-8")

    def names(schema: dict) -> Iterator[str]:
        for name, part in schema.get("properties", {}).items():
            yield name
            for inner in (part, part.get("items", {}), *part.get("oneOf", ())):
                yield from names(inner)

    missing = {name for name in names(result_schema()) if f"`{name}`" not in text}
    assert not missing


def test_burden_sums_and_shares_are_written_out(volume: Volume, result: TriageResult) -> None:
    burden = result_document(result, volume)["opacity_burden"]
    for name in ("lung_ml", "ground_glass_ml", "consolidation_ml", "vessel_ml"):
        whole = sum(entry["burden"][name] for entry in burden["regions"])
        assert burden["total"][name] == pytest.approx(whole)
        assert burden["right"][name] + burden["left"][name] == pytest.approx(whole)
    total = burden["total"]
    share = total["ground_glass_ml"] / total["lung_ml"]
    assert total["ground_glass_share"] == pytest.approx(share)
    assert "independent of the classifier" in burden["statement"]


def test_heat_outside_the_lung_is_weighed_by_heat(volume: Volume, result: TriageResult) -> None:
    hot, cold = result.heatmaps[0], replace(result.heatmaps[1], share_in_lung=0.0)
    cold = replace(cold, heat=hot.heat / 4)
    document = result_document(replace(result, heatmaps=(hot, cold)), volume)
    assert document["heat_outside_lung"] == pytest.approx(1 - 0.9 * 4 / 5, abs=1e-5)
    assert result_document(replace(result, heatmaps=()), volume)["heat_outside_lung"] is None


def test_what_was_not_judged_is_written_with_its_shares(
    volume: Volume, result: TriageResult
) -> None:
    found = result_document(result, volume)["not_judged"]
    assert [found["thirds"][third]["lung_share"] for third in LungThird] == pytest.approx(
        [0.1, 0.2, 0.3]
    )
    assert found["total"]["lung_share"] == pytest.approx(0.2)
    assert found["total"]["opacity_ml"] == 12.0
    assert found["total"]["opacity_share"] == pytest.approx(12 / 30)
