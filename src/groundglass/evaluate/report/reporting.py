"""An evaluation as files: page, pictures, predictions, and the manifest that speaks for them."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from groundglass.core.verdict_words import class_name
from groundglass.evaluate.report.document import Json, encode, evaluation_document
from groundglass.evaluate.report.pictures import draw_all
from groundglass.evaluate.run.evaluation import Evaluation
from groundglass.report.html.environment import page_environment
from groundglass.report.writing import write_all

MANIFEST, PAGE = "evaluation.json", "report.html"
#: Names of a class's figures, for people, in a table's order.
_MEASURES = {
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "PPV",
    "npv": "NPV",
    "f1": "F1",
    "auc": "AUC",
    "one_vs_rest_accuracy": "One-vs-rest accuracy",
}


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
    contents = {PAGE: evaluation_page(document, pictures), **pictures, **tables}
    document["files"] = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        for name, data in contents.items()
    }
    write_all({**contents, MANIFEST: encode(document)}, directory, MANIFEST)


def evaluation_page(document: Json, pictures: Mapping[str, bytes]) -> bytes:
    """The report page as UTF-8 HTML, made of what `evaluation.json` holds, and of PNG by file name.

    The style is bound by its hash in the content security policy, images are data URIs, there is
    no script.
    """
    css = files(__package__).joinpath("templates", "evaluation.css").read_text("utf-8")
    digest = b64encode(hashlib.sha256(css.encode()).digest()).decode()
    context = {
        "css": Markup(css),  # noqa: S704  (our own file)
        "policy": f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'",
        "d": document,
        "measures": _MEASURES,
        "pictures": {
            name: f"data:image/png;base64,{b64encode(data).decode()}"
            for name, data in pictures.items()
        },
        "methods": sorted({c["method"] for c in document["figures"].values() if c["method"]}),
    }
    return _template().render(context).encode()


def _template() -> jinja2.Template:
    environment = page_environment("groundglass.evaluate.report")
    environment.filters |= {
        "figure": figure, "number": number, "p_value": p_value, "class_name": class_name,
    }  # fmt: skip
    return environment.get_template("evaluation.html.j2")


def figure(cell: Mapping[str, Any] | None) -> str:
    """A figure with its interval, as in a table's cell."""
    if cell is None or cell["value"] is None:
        return "–"
    if cell["low"] is None:
        return number(cell["value"])
    return f"{cell['value']:.3f} ({cell['low']:.3f}–{cell['high']:.3f})"


def number(value: float | None) -> str:
    """A number with three decimals."""
    return "–" if value is None else f"{value:.3f}"


def p_value(value: float) -> str:
    """A p-value; a small one as an upper bound, never as zero."""
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"
