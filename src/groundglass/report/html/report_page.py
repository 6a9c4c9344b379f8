"""The report as one page: nothing fetched, nothing outside the file."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from functools import cache, partial
from importlib.resources import files
from typing import Any

import jinja2
import numpy as np
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from groundglass.core.result import (
    MEASURED_BY_HU,
    RESEARCH_USE_ONLY,
    GroupPrediction,
    LungSide,
    LungThird,
    SliceGroup,
    TriageResult,
)
from groundglass.core.verdict_words import (
    Answers,
    class_name,
    ill_slices,
    in_a_sentence,
    not_judged_sentence,
    percent,
)
from groundglass.core.volume import Volume
from groundglass.report.html.environment import page_environment
from groundglass.report.html.overview import Overview, overview
from groundglass.report.html.slice_images import SliceFigure, browse_slices, key_slices
from groundglass.report.narrative import (
    counted,
    flat,
    heat_facts,
    left_out,
    limits,
    millimetres,
    range_words,
    signed,
    verdict_narrative,
)
from groundglass.report.overlay import CONSOLIDATION_RGB, DRAWING, GROUND_GLASS_RGB, heat_colours
from groundglass.report.terms import OUTCOME_TERMS, STATUS_TERMS, class_colour, glossary
from groundglass.report.view_model import ViewModel

_Context = dict[str, Any]


def render_page(result: TriageResult, volume: Volume) -> bytes:
    """The report page.

    Returns
    -------
    bytes
        UTF-8 HTML. Styles and scripts are bound by hash in its content security policy (CSP3
        section 2.4), images are data URIs: whatever a header says, nothing else runs or loads.
    """
    view = ViewModel(result, volume)
    css, js = _asset("report.css"), _asset("report.js")
    context = {
        "css": Markup(css),  # noqa: S704  (our own files)
        "js": Markup(js),  # noqa: S704
        "policy": _policy(css, js),
        "result": view.result,
        "view": view,
        "series": volume.series,
        "terms": None if result.verdict else OUTCOME_TERMS[result.outcome],
        "answers": Answers.of(result.verdict) if result.verdict else None,
        "glossary": glossary(result.verdict),
        "colour": lambda label: class_colour(label, result.labels),
        **_narrative_context(view),
        **_picture_context(view),
        **_facts_context(result, volume),
    }
    # Piece by piece: one letter beyond ASCII would make the whole page twice as large in between.
    return b"".join(piece.encode() for piece in _template().generate(context))


@cache
def _template() -> jinja2.Template:
    """The page's template, compiled once."""
    environment = page_environment("groundglass.report.html")
    environment.filters |= {
        "spec": format,
        "class_name": class_name,
        "percent": percent,
        "in_a_sentence": in_a_sentence,
        "millimetres": millimetres,
        "range_words": range_words,
        "hu_range": _hu_range,
        "group_numbers": group_numbers,
        "signed": lambda value: "" if value is None else signed(value, "+.2g"),
    }
    environment.globals |= {
        "counted": counted,
        "ill_slices": ill_slices,
        "research_use_only": RESEARCH_USE_ONLY,
        "measured_by_hu": MEASURED_BY_HU,
        "status_terms": STATUS_TERMS,
        "sides": tuple(LungSide),
        "thirds": tuple(LungThird),
    }
    return environment.get_template("report.html.j2")


def _asset(name: str) -> str:
    return files(__package__).joinpath("templates", name).read_text("utf-8")


def _policy(css: str, js: str) -> str:
    """A content security policy under which only the page's own style and script work."""
    style, script = (
        f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in (css, js)
    )
    return (
        f"default-src 'none'; img-src data:; style-src {style}; script-src {script}; "
        "base-uri 'none'; form-action 'none'"
    )


def _narrative_context(view: ViewModel) -> _Context:
    """What is told in sentences and by slice."""
    result = view.result
    records = result.slices[::-1]
    position = {record.index: record.position_mm for record in records}

    def positions(group: SliceGroup) -> list[float]:
        return [position[index] for index in group.slice_indices if index in position]

    return {
        "story": verdict_narrative(result),
        "unseen": not_judged_sentence(result.not_judged) if result.not_judged else "",
        "limits": limits(result),
        "heat_facts": heat_facts(result),
        "left_out": left_out(records, result.provenance.recipe),
        "band_words": partial(_band_words, result),
        "records": records,
        "positions": positions,
    }


def _band_words(result: TriageResult, prediction: GroupPrediction) -> _Context:
    """A group's band: its colour, a word beside its number, a line below, and all in one."""
    found = result.verdict.by_share if result.verdict else None
    if found is None:
        label = prediction.label
        probability = f"{prediction.probabilities[label]:.3f}"
        return {
            "colour": class_colour(label, result.labels),
            "short": label,
            "below": probability,
            "whole": f"{class_name(label)} {probability}",
        }
    ill = ill_slices(prediction, found)
    mean = sum(prediction.probabilities[kind] for kind in found.kinds)
    return {
        "colour": "ill" if ill else "ok",
        "short": f"{ill} ill",
        "below": f"mean {mean:.3f}",
        "whole": f"{counted(ill, 'ill slice')}, mean score {mean:.3f}",
    }


def _picture_context(view: ViewModel) -> _Context:
    keys, figures, layout = key_slices(view), browse_slices(view), overview(view)
    width_mm, height_mm = view.size_mm
    first = keys[0].figure.frame.number - 1 if keys else 0
    facts = {"first": first, "hasHeat": bool(view.result.heatmaps)}
    return {
        "width_mm": round(width_mm, 2),
        "height_mm": round(height_mm, 2),
        "letter_mm": round(width_mm * 0.032, 2),
        "opacity_box": [round(mm, 2) for mm in view.opacity_box_mm],
        "opacity_colours": {
            "ground_glass": "#{:02x}{:02x}{:02x}".format(*GROUND_GLASS_RGB),
            "consolidation": "#{:02x}{:02x}{:02x}".format(*CONSOLIDATION_RGB),
        },
        "window": (
            f"Lung window: W {DRAWING.window_width_hu:g}, "
            f"L {signed(DRAWING.window_level_hu, 'g')} HU."
        ),
        "legend": _legend(),
        "keys": keys,
        "slices": figures,
        "ov": layout,
        "study": _study_json(view, figures, layout, facts),
    }


def _study_json(
    view: ViewModel, figures: Sequence[SliceFigure], layout: Overview, facts: _Context
) -> Markup:
    """What the script shows, as JSON that is safe within HTML."""
    slices = Markup(",").join(_slice_json(view, figure, layout) for figure in figures)
    return _with(facts, Markup('"slices":[') + slices + Markup("]"))


def _slice_json(view: ViewModel, figure: SliceFigure, layout: Overview) -> Markup:
    frame = figure.frame
    row = layout.rows[frame.number - 1]
    text = view.caption(frame)
    record = frame.record
    if record is not None:
        where = f" in group {group_numbers(record.groups)}" if record.groups else ""
        text += f" · {STATUS_TERMS[record.fate].short}{where}: {record.reason}"
        said = view.score_words(frame)
        text += f" · {said}" if said else ""
    facts: _Context = {
        "number": frame.number,
        "text": text,
        "y": round(row.y, 2),
        "height": round(row.height, 2),
    }
    # Base64 and paths hold nothing that would have to be escaped; looking for it in megabytes would
    # take a tenth of the page's time.
    pictures = ",".join(
        f'"{name}":"{getattr(figure, name)}"' for name in ("image", "heat", "opacity", "outline")
    )
    return _with(facts, Markup(pictures))  # noqa: S704


def _with(facts: _Context, more: Markup) -> Markup:
    """A JSON object of some facts, escaped, and of more that is JSON already."""
    return htmlsafe_json_dumps(facts)[:-1] + Markup(",") + more + Markup("}")


def _legend() -> _Context:
    """The colour scale as drawn over mid grey, with the threshold marked."""
    count, width, left = 64, 256.0, 6.0
    layer = heat_colours((np.arange(count) + 0.5) / count)
    return {
        "threshold": f"{DRAWING.heat_threshold:g}",
        "threshold_x": left + DRAWING.heat_threshold * width,
        "stops": [
            {
                "x": left + i * width / count,
                "width": width / count + 0.2,
                "colour": "#{:02x}{:02x}{:02x}".format(*layer[i, :3]),
                "opacity": round(float(layer[i, 3]) / 255, 3),
            }
            for i in range(count)
        ],
    }


def _facts_context(result: TriageResult, volume: Volume) -> _Context:
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
        ("Analysed", result.analysis.words),
        ("Completeness", result.analysis.completeness),
        ("Lung volume", f"{lung_ml / 1000:.2f} l in the segmentation"),
    ]
    if series and series.series_instance_uid:
        input_facts.append(("Series UID", series.series_instance_uid))
    times = {**result.timings_ms, "Together": sum(result.timings_ms.values())}
    hashes = sorted(made.bundle_sha256.items())
    return {
        "subject": f"{description} · {size} · {slice_mm:.2f} mm apart",
        "input_facts": [*input_facts, *(("Note", note) for note in volume.notes)],
        "model_facts": [
            ("Weights", made.bundle),
            *((f"  {name}", sha[:12]) for name, sha in hashes),
            ("Precision", made.precision),
            ("groundglass", made.groundglass_version),
        ],
        "timing_facts": [(stage, f"{ms / 1000:.2f} s") for stage, ms in times.items()],
        "recipe_facts": flat(made.recipe),
        "hash_facts": hashes,
        "version_facts": sorted(made.versions.items()),
    }


def _hu_range(between: tuple[float, float]) -> str:
    return f"{between[0]:g} to {between[1]:+g} HU".replace("-", "−")


def group_numbers(groups: tuple[int, ...]) -> str:
    """Group indices as numbers from 1."""
    return ", ".join(str(index + 1) for index in groups)
