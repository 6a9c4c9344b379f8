"""The report as one page: nothing fetched, nothing outside the file."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

import jinja2
import numpy as np
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup
from numpy.typing import NDArray

from groundglass.core.result import RESEARCH_USE_ONLY, TriageResult
from groundglass.core.volume import Volume
from groundglass.report.html.overview import Overview, overview
from groundglass.report.html.slice_images import (
    KeySlice,
    SliceFigure,
    browse_slices,
    key_slices,
)
from groundglass.report.html.tables import (
    Context,
    burden_context,
    facts_context,
    group_context,
    group_numbers,
    left_out_context,
)
from groundglass.report.narrative import counted, heat_facts, limits, millimetres, verdict_narrative
from groundglass.report.overlay import (
    CONSOLIDATION_RGB,
    DRAWING,
    GROUND_GLASS_RGB,
    heat_colours,
)
from groundglass.report.terms import (
    GLOSSARY,
    OUTCOME_TERMS,
    STATUS_TERMS,
    class_colour,
    class_name,
)
from groundglass.report.view_model import Frame, ViewModel

#: Widths in the overview, in its units.
_LEFT, _TOP, _BOTTOM, _GAP = 46.0, 34.0, 24.0, 14.0
_BAND_WIDTH, _CURVE_WIDTH, _SAID_WIDTH = 86.0, 122.0, 100.0


def render_page(result: TriageResult, volume: Volume) -> bytes:
    """The report page.

    Parameters
    ----------
    result : TriageResult
        What was found.
    volume : Volume
        The volume that was judged.

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
        "research_use_only": RESEARCH_USE_ONLY,
        "statement": result.provenance.bundle_statement,
        "glossary": GLOSSARY,
        "counted": counted,
        **_verdict_context(result),
        **_figure_context(view),
        **group_context(view),
        "burden": burden_context(result.opacity_burden),
        **left_out_context(view, volume),
        **facts_context(result, volume),
    }
    # Piece by piece: one letter beyond ASCII would make the whole page twice as large in between.
    return b"".join(piece.encode() for piece in _template().generate(context))


@cache
def _template() -> jinja2.Template:
    """The page's template, compiled once: every value is escaped, a missing one is an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("groundglass.report.html"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
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


def _verdict_context(result: TriageResult) -> Context:
    verdict = result.verdict
    if verdict is None:
        words = OUTCOME_TERMS[result.outcome]
        title, action, accent = words.title, words.action, ""
        probabilities: list[Context] = []
    else:
        title, action = class_name(verdict.label), ""
        accent = class_colour(verdict.label, result.labels)
        probabilities = [
            {
                "name": class_name(label),
                "value": verdict.probabilities[label],
                "colour": class_colour(label, result.labels),
            }
            for label in result.labels
        ]
    return {
        "verdict": verdict,
        "title": title,
        "action": action,
        "accent": accent,
        "reason": result.reason,
        "notes": [note.text for note in result.notes_beside_reason],
        "probabilities": probabilities,
        "story": verdict_narrative(result),
        "limits": limits(result),
    }


def _figure_context(view: ViewModel) -> Context:
    keys = key_slices(view)
    figures = browse_slices(view)
    layout = overview(view)
    width_mm, height_mm = view.size_mm
    has_heat = bool(view.result.heatmaps)
    label = view.result.explained_label
    first = keys[0].figure.frame.number - 1 if keys else 0
    return {
        "width_mm": round(width_mm, 2),
        "height_mm": round(height_mm, 2),
        "letter_mm": round(width_mm * 0.032, 2),
        "has_heat": has_heat,
        "heat_class": class_name(label) if label else "",
        "heat_facts": heat_facts(view.result),
        "opacity_box": dict(
            zip(
                ("x", "y", "width", "height"),
                (round(mm, 2) for mm in view.opacity_box_mm),
                strict=True,
            )
        ),
        "opacity_colours": {
            "ground_glass": "#{:02x}{:02x}{:02x}".format(*GROUND_GLASS_RGB),
            "consolidation": "#{:02x}{:02x}{:02x}".format(*CONSOLIDATION_RGB),
        },
        "window": (
            f"Lung window: W {DRAWING.window_width_hu:g}, L {_signed(DRAWING.window_level_hu)} HU."
        ),
        "legend": _legend(),
        "outlined": bool(view.result.mask.any()),
        "keys": [_key_context(key, len(figures)) for key in keys],
        "slices": figures,
        "ov": _overview_context(view, layout, keys),
        "study": _study_json(figures, layout, {"first": first, "hasHeat": has_heat}),
    }


def _key_context(key: KeySlice, total: int) -> Context:
    figure = key.figure
    note = ""
    if key.heatmap is not None:
        note = (
            f"hottest pixel {key.heatmap.heat.max():.2f} · "
            f"{key.heatmap.share_in_lung:.0%} of the heat inside the lung"
        )
    return {
        "image": figure.image,
        "heat": figure.heat,
        "outline": figure.outline,
        "evidence": bool(figure.heat or figure.outline),
        "number": figure.frame.number,
        "caption": _frame_words(figure.frame, total),
        "note": note,
    }


def _study_json(figures: Sequence[SliceFigure], layout: Overview, facts: Context) -> Markup:
    """What the script shows, as JSON that is safe within HTML."""
    slices = Markup(",").join(_slice_json(figure, layout, len(figures)) for figure in figures)
    return _with(facts, Markup('"slices":[') + slices + Markup("]"))


def _slice_json(figure: SliceFigure, layout: Overview, total: int) -> Markup:
    frame = figure.frame
    row = layout.rows[frame.number - 1]
    text = _frame_words(frame, total)
    record = frame.record
    if record is not None:
        where = f" in group {group_numbers(record.groups)}" if record.groups else ""
        text += f" · {STATUS_TERMS[record.fate].short}{where}: {record.reason}"
    facts: Context = {
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


def _with(facts: Context, more: Markup) -> Markup:
    """A JSON object of some facts, escaped, and of more that is JSON already."""
    return htmlsafe_json_dumps(facts)[:-1] + Markup(",") + more + Markup("}")


def _overview_context(view: ViewModel, layout: Overview, keys: tuple[KeySlice, ...]) -> Context:
    band_x = layout.width + _GAP
    band_end = band_x + layout.lanes * (_BAND_WIDTH + 4) if layout.bands else layout.width + 10
    area_x = band_end + _GAP
    said_x = area_x + _CURVE_WIDTH + _GAP
    said = _contributions(view, layout, said_x)
    end = said_x + _SAID_WIDTH if said["bars"] else said_x - _GAP
    labels = view.result.labels
    count = len(view.result.groups)
    return {
        **{name: getattr(layout, name) for name in ("image", "outline", "heat", "width", "height")},
        "scale": layout.scale,
        **{name: getattr(layout, name) for name in ("ticks", "zones")},
        "said": said,
        "left": _LEFT,
        "top": _TOP,
        "total_width": _LEFT + end + 6,
        "total_height": _TOP + max(layout.height, 40.0) + _BOTTOM,
        "band_x": band_x,
        "band_end": band_end if layout.bands else layout.width,
        "band_width": _BAND_WIDTH,
        "area_x": area_x,
        "curve_width": _CURVE_WIDTH,
        "bands": [
            {
                "x": band_x + band.lane * (_BAND_WIDTH + 4),
                "y": band.y,
                "height": band.height,
                "colour": class_colour(band.group.label, labels),
                "number": band.group.group.index + 1,
                "words": (
                    f"Group {band.group.group.index + 1}: "
                    f"{class_name(band.group.label)} "
                    f"{band.group.probabilities[band.group.label]:.3f}, "
                    f"{counted(len(band.group.group.slice_indices), 'slice')}"
                ),
                "label": band.group.label,
                "probability": f"{band.group.probabilities[band.group.label]:.3f}",
            }
            for band in layout.bands
        ],
        "area_path": _area_path(layout, area_x),
        "limits": _limits(layout, area_x, view.result.provenance.recipe),
        "key_marks": [
            layout.rows[k.figure.frame.number - 1].y + layout.rows[0].height / 2 for k in keys
        ],
        "alt": (
            f"The body from the front with {counted(count, 'group')} and the lung area along the "
            "body axis. The tables below hold the same figures."
        ),
    }


def _contributions(view: ViewModel, layout: Overview, x: float) -> Context:
    """Bars of what each slice argued, for the verdict to the right and against it to the left."""
    low, high = layout.contribution_range
    unit = _SAID_WIDTH / (high - low) if high > low else 0.0
    zero = x - low * unit
    return {
        "x": x,
        "end": x + _SAID_WIDTH,
        "zero": zero,
        "against": low < 0,
        "label": view.result.explained_label or "",
        "bars": [
            {
                "x": zero + min(row.contribution, 0.0) * unit,
                "y": row.y,
                "width": abs(row.contribution) * unit,
                "height": row.height * 0.85,
                "side": "for" if row.contribution > 0 else "against",
            }
            for row in layout.rows
            if row.contribution
        ],
    }


def _area_path(layout: Overview, x: float) -> str:
    """Lung area against z, as a closed SVG path."""
    points = [
        f"{x + row.area * _CURVE_WIDTH:.1f} {row.y + row.height / 2:.1f}" for row in layout.rows
    ]
    top, bottom = layout.rows[0], layout.rows[-1]
    return (
        f"M{x:.1f} {top.y + top.height / 2:.1f}L"
        + " ".join(points)
        + f" {x:.1f} {bottom.y + bottom.height / 2:.1f}Z"
    )


def _limits(layout: Overview, x: float, recipe: Mapping[str, object]) -> list[Context]:
    """The recipe's limits on lung area: towards the head and towards the feet of the largest."""
    peak = max(layout.rows, key=lambda row: row.area)
    middle = peak.y + peak.height / 2
    sides = (("headward_ratio", 0.0, middle), ("feetward_ratio", middle, layout.height))
    return [
        {"x": x + float(ratio) * _CURVE_WIDTH, "top": top, "bottom": bottom, "text": f"{ratio:g}"}
        for name, top, bottom in sides
        if peak.area > 0 and isinstance(ratio := recipe.get(name), int | float)
    ]


def _legend() -> Context:
    """The colour scale as drawn over mid grey, with the threshold marked."""
    count, width, left = 64, 256.0, 6.0
    layer = heat_colours(_steps(count))
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


def _frame_words(frame: Frame, total: int) -> str:
    return f"Slice {frame.number} of {total} · z {millimetres(frame.position_mm)} mm"


def _signed(value: float) -> str:
    return f"{value:g}".replace("-", "−")


def _steps(count: int) -> NDArray[np.float64]:
    """Heat at the middle of each of `count` equal steps from 0 to 1."""
    return (np.arange(count) + 0.5) / count
