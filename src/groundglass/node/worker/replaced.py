"""Which earlier result an analysis replaces, as its report on disk says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from groundglass.core.analysis import EarlierResult
from groundglass.node.queue.states import Job
from groundglass.report import REFUSAL
from groundglass.report.writing import MANIFEST

#: The kind of object that a later report refers to.
_REPORT = "structured-report"
_UIDS = ("study_instance_uid", "series_instance_uid", "sop_class_uid", "sop_instance_uid")


def replaced_by(earlier: Sequence[Job], root: Path) -> EarlierResult | None:
    """The last result before this one; None for a study's first.

    Parameters
    ----------
    earlier : sequence of Job
        As `Records.results_before` gives them.
    root : Path
        The spool's.
    """
    if not earlier:
        return None
    last = earlier[0]
    document = _document(root / last.report) if last.report else {}
    made = document.get("analysis", {}).get("at")
    # A report that retention has deleted, or of a version that did not say when it was made.
    at = datetime.fromisoformat(made) if made else datetime.fromtimestamp(last.changed_at, UTC)
    objects = document.get("dicom", {}).get("objects", ())
    report: dict[str, str] = next((one for one in objects if one["kind"] == _REPORT), {})
    return EarlierResult(last.revision, at, **{name: report[name] for name in _UIDS if report})


def _document(report: Path) -> dict[str, Any]:
    """What a report says of itself; nothing where it is gone."""
    for name in (MANIFEST, REFUSAL):
        try:
            found: dict[str, Any] = json.loads((report / name).read_text("utf-8"))
        except FileNotFoundError:
            continue
        return found
    return {}
