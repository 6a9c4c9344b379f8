"""The evaluation as one page: nothing fetched, nothing outside the file."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from groundglass.evaluate.run.document import Json
from groundglass.report.terms import class_name

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
        "methods": _methods(document),
    }
    return _template().render(context).encode()


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("groundglass.evaluate.run"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = figure
    environment.filters["number"] = number
    environment.filters["p_value"] = p_value
    environment.filters["class_name"] = class_name
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


def _methods(document: Json) -> list[str]:
    """How the intervals were made, each method once."""
    found = {cell["method"] for cell in document["figures"].values() if cell["method"]}
    return sorted(found)
