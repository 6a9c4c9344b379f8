"""The result as files: `result.json` for machines, `report.html` for a reader."""

from __future__ import annotations

import hashlib
from pathlib import Path

from groundglass.core.result import TriageResult
from groundglass.core.volume import Volume
from groundglass.errors import ReportError
from groundglass.report.page import render_page
from groundglass.report.result_json import encode_document, result_document, result_schema
from groundglass.report.writing import MANIFEST, write_all

__all__ = ["result_document", "result_schema", "write_report"]

PAGE = "report.html"


def write_report(result: TriageResult, volume: Volume, directory: Path | str) -> Path:
    """Write the report into a directory: all of it, or nothing.

    `result.json` is written last and lists the other files with their SHA-256: where it is, the
    report is whole. The same result gives the same bytes, but for its timings.

    Parameters
    ----------
    result : TriageResult
        What was found.
    volume : Volume
        The volume that was judged; its series says what was chosen and what was passed over.
    directory : Path or str
        Made when missing. Must be empty, or hold an earlier report, which is replaced once the
        new one is complete.

    Returns
    -------
    Path
        The directory.

    Raises
    ------
    ReportError
        When result and volume do not belong together, the directory holds other things, or it
        cannot be written.
    """
    if result.mask.shape != volume.hu.shape:
        raise ReportError(
            f"a lung mask of shape {result.mask.shape}",
            expected=f"the volume's shape {volume.hu.shape}",
            action="Give the volume that this result was made from.",
        )
    page = render_page(result, volume)
    document = result_document(result, volume)
    document["files"] = {
        PAGE: {"sha256": hashlib.sha256(page).hexdigest(), "bytes": len(page)},
    }
    target = Path(directory)
    write_all({PAGE: page, MANIFEST: encode_document(document)}, target)
    return target
