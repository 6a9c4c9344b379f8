"""An evaluation as files: page, figures, predictions, and the manifest that speaks for them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from groundglass.evaluate.run.document import encode, evaluation_document
from groundglass.evaluate.run.evaluation import Evaluation
from groundglass.evaluate.run.html import evaluation_page
from groundglass.evaluate.run.pictures import draw_all
from groundglass.report.writing import write_all

MANIFEST, PAGE = "evaluation.json", "report.html"


def write_evaluation(
    evaluation: Evaluation, precision: str, tables: dict[str, bytes], directory: Path
) -> None:
    """Write everything, or nothing; `evaluation.json` last.

    The directory is made when missing. It must be empty, or hold an earlier evaluation, which is
    replaced. Tables are CSV by file name.

    Raises
    ------
    ReportError
        The directory holds other things, or cannot be written.
    SettingsError
        matplotlib is not installed.
    """
    pictures = draw_all(evaluation)
    document = evaluation_document(evaluation, precision)
    files = {PAGE: evaluation_page(document, pictures), **pictures, **tables}
    document["files"] = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        for name, data in files.items()
    }
    write_all({**files, MANIFEST: encode(document)}, directory, MANIFEST)
