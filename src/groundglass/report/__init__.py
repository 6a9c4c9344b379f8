"""The result as files: for machines, for a reader, and as DICOM for the PACS it came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from groundglass.core.analysis import Analysis
from groundglass.core.result import RESEARCH_USE_ONLY, TriageResult
from groundglass.core.study import Instance, Series
from groundglass.core.volume import Volume
from groundglass.errors import GroundglassError, ReportError
from groundglass.report.dicom.settings import DICOM, DicomSettings
from groundglass.report.dicom.source_images import why_captures_only, why_no_dicom
from groundglass.report.html.report_page import render_page
from groundglass.report.result_json import (
    analysis_document,
    encode_document,
    result_document,
    result_schema,
)
from groundglass.report.writing import MANIFEST, write_all

if TYPE_CHECKING:
    from groundglass.report.dicom.result_builder import DicomObject

__all__ = ["DicomSettings", "result_document", "result_schema", "write_refusal", "write_report"]

PAGE = "report.html"
#: Folder of the DICOM results within the report.
DICOM_FOLDER = "dicom"
#: In the manifest's place where a study was refused.
REFUSAL = "refusal.json"


def write_report(
    result: TriageResult,
    volume: Volume,
    directory: Path | str,
    settings: DicomSettings = DICOM,
) -> Path:
    """Write the report into a directory: all of it, or nothing.

    `result.json` is written last and lists the other files with their SHA-256: where it is, the
    report is whole. The same result gives the same bytes, but for its timings; the DICOM results
    have none. The time of the analysis is part of the result.

    Parameters
    ----------
    result : TriageResult
        What was found.
    volume : Volume
        The volume that was judged; its series says what was chosen and what was passed over, and
        its first file, which must still be there, whose study the DICOM results belong to. They
        are left out where the volume was not read from DICOM, and `result.json` says so.
    directory : Path or str
        Made when missing. Must be empty, or hold an earlier report, which is replaced once the
        new one is complete.
    settings : DicomSettings
        What the DICOM results are.

    Returns
    -------
    Path
        The directory.

    Raises
    ------
    ReportError
        When result and volume do not belong together, the directory holds other things or is
        being written by another run, or it cannot be written.
    ReadError
        When the study's files are no longer there.
    """
    if result.mask.shape != volume.hu.shape:
        raise ReportError(
            f"a lung mask of shape {result.mask.shape}",
            expected=f"the volume's shape {volume.hu.shape}",
            action="Give the volume that this result was made from.",
        )
    reason = why_no_dicom(volume.series)
    # The page is mostly pictures, the objects mostly Python: side by side they fill two cores.
    with ThreadPoolExecutor(1) as pool:
        page = pool.submit(render_page, result, volume)
        objects = () if reason else _dicom_results(result, volume, settings)
        files = {PAGE: page.result(), **_named(objects)}
    document = result_document(result, volume)
    if objects:
        reason = why_captures_only(cast(Series, volume.series))
    document["dicom"] = {"reason": reason, "objects": [_described(made) for made in objects]}
    document["files"] = _hashes(files)
    target = Path(directory)
    write_all({**files, MANIFEST: encode_document(document)}, target)
    return target


def write_refusal(
    instances: Sequence[Instance],
    error: GroundglassError,
    directory: Path | str,
    analysis: Analysis | None = None,
) -> Path:
    """Write a capture that says that a study was not analysed, and why: all of it, or nothing.

    For what never became a result: no chest CT in the study, slices that make no regular volume.

    Parameters
    ----------
    instances : sequence of Instance
        Images of the study, at least one of them DICOM.
    error : GroundglassError
        Why.
    directory : Path or str
        As for `write_report`; an earlier refusal is replaced. `refusal.json` lists the capture.
    analysis : Analysis, optional
        When it was tried, and as which revision; now, and as the first, without.

    Returns
    -------
    Path
        The directory.

    Raises
    ------
    ReportError
        When no image is DICOM, or the directory is not usable.
    ReadError
        When the study's files are no longer there.
    """
    # Not at the top: highdicom takes as long to import as all the rest.
    from groundglass.report.dicom.results import refusal_results  # noqa: PLC0415

    analysis = analysis or Analysis.now()
    objects = refusal_results(instances, error, analysis)
    files = _named(objects)
    document = {
        "research_use_only": RESEARCH_USE_ONLY,
        "reason": str(error),
        "analysis": analysis_document(analysis),
        "dicom": {"reason": None, "objects": [_described(made) for made in objects]},
        "files": _hashes(files),
    }
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, indent=1)
    target = Path(directory)
    write_all({**files, REFUSAL: f"{text}\n".encode()}, target, REFUSAL)
    return target


def _dicom_results(
    result: TriageResult, volume: Volume, settings: DicomSettings
) -> Sequence[DicomObject]:
    # Not at the top: highdicom takes as long to import as all the rest.
    from groundglass.report.dicom.results import dicom_results  # noqa: PLC0415

    return dicom_results(result, volume, settings)


def _named(objects: Sequence[DicomObject]) -> dict[str, bytes]:
    return {f"{DICOM_FOLDER}/{made.name}": made.content for made in objects}


def _described(made: DicomObject) -> dict[str, Any]:
    """What an object is, for whoever sends it."""
    uids = ("sop_class", "sop_instance", "series_instance", "study_instance", "transfer_syntax")
    return {
        "file": f"{DICOM_FOLDER}/{made.name}",
        "kind": made.kind.value,
        **{f"{name}_uid": getattr(made, f"{name}_uid") for name in uids},
    }


def _hashes(files: Mapping[str, bytes]) -> dict[str, Any]:
    return {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        for name, content in files.items()
    }
