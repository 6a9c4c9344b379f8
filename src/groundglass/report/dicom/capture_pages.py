"""The result as pages to look at in any PACS viewer: the verdict first, then the key slices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.core.result import (
    MEASURED_BY_HU,
    RESEARCH_USE_ONLY,
    GroupPrediction,
    Heatmap,
    LungSide,
    OpacityBurden,
    TriageResult,
    Verdict,
)
from groundglass.report.dicom.canvas import (
    AMBER,
    BLACK,
    DIM,
    GREY,
    WHITE,
    Canvas,
    Picture,
    Rgb,
    Type,
)
from groundglass.report.dicom.glyphs import width_of
from groundglass.report.narrative import counted, millimetres, range_words
from groundglass.report.overlay import (
    DRAWING,
    heat_steps,
    heat_table,
    lung_outlines,
    window_grey,
)
from groundglass.report.terms import OUTCOME_TERMS, class_colour, class_name
from groundglass.report.view_model import Frame, ViewModel


@dataclass(frozen=True, slots=True)
class CaptureSettings:
    """How pages look.

    Parameters
    ----------
    edge : int
        Width and height of a page in pixels. 1024 fills the quarter of a diagnostic screen that
        viewers give one image of four, and halves to 512 legibly.
    key_slices : int
        Most slices shown, of those with a heat map; two to a page.
    """

    edge: int = 1024
    key_slices: int = 6


PAGES = CaptureSettings()

_MARGIN = 32
_BANNER = 56
_BODY = Type(24)
_SMALL = Type(20)
_QUIET = Type(20, GREY)
_HEADING = Type(22, GREY)
_STATEMENT = Type(22, AMBER)
_NOTE = Type(18, GREY)
#: The page's colours (`words.class_colour`) on black.
_COLOURS: dict[str, Rgb] = {
    "cp": (240, 110, 85),
    "ncp": (240, 180, 70),
    "ok": (95, 200, 135),
    "x0": (110, 170, 245),
    "x1": (190, 140, 240),
    "x2": (120, 210, 220),
}
_OUTLINE: Rgb = (90, 200, 215)
#: Pixels kept for the opacity burden, with what it says of itself, and for the footer.
_BURDEN_HEIGHT, _FOOTER = 206, 40
#: Pixels of the key slice beside the probabilities; what notes take, they take from it.
_PICTURE_HEIGHT = 290
#: Pixels that notes may take: all there can be, in letters that are still read.
_NOTES_HEIGHT = 112
#: Tells the CT image of a slice of the volume as read: "CT image 45".
Naming = Callable[[int], str]


def verdict_pages(
    view: ViewModel, naming: Naming, settings: CaptureSettings = PAGES
) -> list[Picture]:
    """A page with the verdict, then pages with the key slices; one page where there is no verdict.

    Parameters
    ----------
    view : ViewModel
        The study.
    naming : callable
        Tells what the CT image of a slice index is called in the PACS.
    settings : CaptureSettings
        Sizes.

    Returns
    -------
    list of ndarray of uint8, shape (edge, edge, 3)
        RGB.
    """
    if view.result.verdict is None:
        return [_no_verdict_page(view, settings)]
    shown = view.result.heatmaps[: settings.key_slices]
    pairs = [shown[k : k + 2] for k in range(0, len(shown), 2)]
    return [
        _verdict_page(view, view.result.verdict, naming, settings),
        *(_key_page(view, pair, naming, settings) for pair in pairs),
    ]


def refusal_page(
    title: str, lines: Sequence[str], program: str, settings: CaptureSettings = PAGES
) -> Picture:
    """A page that says that a study was not analysed, and why.

    Parameters
    ----------
    title : str
        In a few words.
    lines : sequence of str
        What was found, what was expected, what to do; one paragraph each.
    program : str
        Version of groundglass.
    settings : CaptureSettings
        Sizes.
    """
    canvas = _page(settings, f"groundglass {program}")
    width = settings.edge - 2 * _MARGIN
    y = canvas.paragraph((_MARGIN, _BANNER + 40), title, Type(44, AMBER, bold=True), width) + 16
    bottom = settings.edge - 60
    for number, line in enumerate(lines):
        left = len(lines) - number
        if y + 2 * _BODY.line > bottom:
            canvas.text((_MARGIN, y), f"and {counted(left, 'more line')}", _QUIET)
            break
        y = canvas.paragraph((_MARGIN, y), line, _BODY, width) + 12
    return canvas.pixels


def _page(settings: CaptureSettings, footer: str) -> Canvas:
    """An empty page that says what it is not for."""
    canvas = Canvas(settings.edge, settings.edge)
    canvas.fill((0, 0, settings.edge, _BANNER), AMBER)
    canvas.text((_MARGIN, 12), RESEARCH_USE_ONLY, Type(27, BLACK, bold=True))
    canvas.text((_MARGIN, settings.edge - 30), footer, Type(18, GREY))
    return canvas


def _footer(view: ViewModel) -> str:
    made = view.result.provenance
    slices, rows, columns = view.geometry.shape
    spacing = f"{view.geometry.spacing_mm[0]:.2f} mm apart"
    size = f"{slices} slices of {rows} x {columns}, {spacing}"
    return f"groundglass {made.groundglass_version}, weights {made.bundle}; {size}"


def _verdict_page(
    view: ViewModel, verdict: Verdict, naming: Naming, settings: CaptureSettings
) -> Picture:
    result = view.result
    canvas = _page(settings, _footer(view))
    width = settings.edge - 2 * _MARGIN
    title = Type(44, _colour(verdict.label, result), bold=True)
    y = canvas.paragraph((_MARGIN, _BANNER + 22), class_name(verdict.label), title, width) + 4
    statement = result.provenance.bundle_statement
    y = canvas.fitted((_MARGIN, y), statement, _STATEMENT, (width, 112)) + 12
    told = canvas.paragraph((_MARGIN, y), result.reason, _BODY, width)
    y = _notes(canvas, told, result)
    picture = _PICTURE_HEIGHT - (y - told)
    y += 14
    middle = settings.edge * 11 // 20
    below_left = _probabilities(canvas, (_MARGIN, y, middle - 24), result, verdict)
    box = (middle, y, settings.edge - _MARGIN, y + picture)
    below_right = _first_slice(canvas, box, view, naming)
    y = max(below_left, below_right) + 16
    below = 0 if result.opacity_burden is None else _BURDEN_HEIGHT
    y = _groups(canvas, (y, settings.edge - _FOOTER - below), result) + 14
    if result.opacity_burden is not None:
        _burden(canvas, y, result.opacity_burden, width)
    return canvas.pixels


def _notes(canvas: Canvas, y: int, result: TriageResult) -> int:
    """What must be known beside the reason, in as small letters as it takes; where it ends."""
    words = " ".join(note.text for note in result.notes_beside_reason)
    if not words:
        return y
    room = (canvas.width - 2 * _MARGIN, _NOTES_HEIGHT)
    return canvas.fitted((_MARGIN, y + 8), words, _STATEMENT, room)


def _probabilities(
    canvas: Canvas, box: tuple[int, int, int], result: TriageResult, verdict: Verdict
) -> int:
    """A bar for each class between left and right; where the next thing may begin."""
    left, y, right = box
    canvas.text((left, y), "Mean probability of the groups", _HEADING)
    y += _HEADING.line + 8
    for label in result.labels:
        share = verdict.probabilities[label]
        colour = _colour(label, result)
        canvas.text((left, y), class_name(label), _BODY)
        canvas.text_right((right, y), f"{share:.3f}", _BODY)
        y += _BODY.line
        canvas.fill((left, y, right, y + 18), DIM)
        canvas.fill((left, y, left + round(share * (right - left)), y + 18), colour)
        y += 36
    return y


def _first_slice(
    canvas: Canvas, box: tuple[int, int, int, int], view: ViewModel, naming: Naming
) -> int:
    """The strongest key slice with its heat within left, top, right, bottom; its caption below."""
    left, y, right, bottom = box
    if not view.result.heatmaps:
        return y
    heatmap = view.result.heatmaps[0]
    frame = view.frame_of(heatmap.slice_index)
    picture = _slice_picture(view, frame, (right - left, bottom - y), with_heat=True)
    rows: int = picture.shape[0]
    canvas.paste((left, y), picture)
    y += rows + 6
    words = f"{naming(heatmap.slice_index)} argued most for {class_name(heatmap.label)}"
    return canvas.paragraph((left, y), words, _QUIET, right - left)


def _groups(canvas: Canvas, room: tuple[int, int], result: TriageResult) -> int:
    """What the network said of each group of slices, as many as fit; where what follows begins."""
    y, bottom = room
    columns = [canvas.width - _MARGIN - 130 * k for k in reversed(range(len(result.labels)))]
    canvas.text((_MARGIN, y), "Groups of slices, feet to head", _HEADING)
    for x, label in zip(columns, result.labels, strict=True):
        canvas.text_right((x, y), label[:9], _HEADING)
    y += _HEADING.line
    position = {record.index: record.position_mm for record in result.slices}
    fits = max(2, (bottom - y) // _SMALL.line)
    shown = len(result.groups) if len(result.groups) <= fits else fits - 1
    for prediction in result.groups[:shown]:
        canvas.text((_MARGIN, y), _group_words(prediction, position), _SMALL)
        for x, label in zip(columns, result.labels, strict=True):
            wins = label == prediction.label
            kind = Type(20, _colour(label, result) if wins else GREY, bold=wins)
            canvas.text_right((x, y), f"{prediction.probabilities[label]:.3f}", kind)
        y += _SMALL.line
    if shown < len(result.groups):
        hidden = counted(len(result.groups) - shown, "more group")
        canvas.text((_MARGIN, y), f"and {hidden}", _QUIET)
        y += _QUIET.line
    return y


def _group_words(prediction: GroupPrediction, position: dict[int, float]) -> str:
    group = prediction.group
    spots = [position[k] for k in group.slice_indices if k in position]
    slices = counted(len(group.slice_indices), "slice")
    return f"{group.index + 1}: {slices}, z {range_words(spots)} mm"


def _burden(canvas: Canvas, y: int, burden: OpacityBurden, width: int) -> None:
    """Opacity by HU: both lungs, right, left."""
    ground, dense = burden.ground_glass_hu, burden.consolidation_hu
    canvas.text((_MARGIN, y), "Opacity burden", _HEADING)
    y = canvas.paragraph((_MARGIN, y + _HEADING.line), MEASURED_BY_HU, _NOTE, width) + 4
    sides = ((None, "both lungs"), (LungSide.RIGHT, "right"), (LungSide.LEFT, "left"))
    heads = [
        f"ground glass {ground[0]:g} to {ground[1]:g} HU",
        f"consolidation {dense[0]:g} to {dense[1]:g} HU",
    ]
    columns = (_MARGIN, 190, 330, 660)
    for x, words in zip(columns[2:], heads, strict=True):
        canvas.text((x, y), words, _QUIET)
    canvas.text((columns[1], y), "lung", _QUIET)
    for side, words in sides:
        y += _SMALL.line
        region = burden.of(side)
        values = (
            words,
            f"{region.lung_ml:.0f} ml",
            f"{region.ground_glass_ml:.0f} ml, {region.ground_glass_share:.1%}",
            f"{region.consolidation_ml:.0f} ml, {region.consolidation_share:.1%}",
        )
        for x, value in zip(columns, values, strict=True):
            canvas.text((x, y), value, _SMALL)


def _key_page(
    view: ViewModel, heatmaps: Sequence[Heatmap], naming: Naming, settings: CaptureSettings
) -> Picture:
    """Two key slices, each as it is and with its heat."""
    canvas = _page(settings, _footer(view))
    half = (settings.edge - 3 * (_MARGIN // 2)) // 2
    height = (settings.edge - _BANNER - 120) // 2
    y = _BANNER + 12
    for heatmap in heatmaps:
        frame = view.frame_of(heatmap.slice_index)
        canvas.text((_MARGIN // 2, y), _caption(view, frame, heatmap, naming), _SMALL)
        y += _SMALL.line + 4
        room = (half, height - _SMALL.line - 12)
        for column, with_heat in enumerate((False, True)):
            picture = _slice_picture(view, frame, room, with_heat=with_heat)
            canvas.paste((_MARGIN // 2 + column * (half + _MARGIN // 2), y), picture)
        y += height - _SMALL.line
    _legend(canvas, heatmaps[0].label, settings)
    return canvas.pixels


def _caption(view: ViewModel, frame: Frame, heatmap: Heatmap, naming: Naming) -> str:
    where = f"slice {frame.number} of {len(view.frames)} from the head"
    place = f"z {millimetres(frame.position_mm)} mm"
    inside = f"{heatmap.share_in_lung:.0%} of the heat in the lung"
    return f"{naming(heatmap.slice_index)}: {where}, {place}; {inside}"


def _legend(canvas: Canvas, label: str, settings: CaptureSettings) -> None:
    """What the colours mean."""
    y = settings.edge - 66
    words = f"Heat: what argued for {class_name(label)}; no lesion's outline"
    canvas.text((_MARGIN // 2, y), words, _QUIET)
    left = settings.edge - 250
    steps = np.linspace(DRAWING.heat_threshold, 1.0, 128)[None].repeat(16, axis=0)
    canvas.paste((left, y + 4), _blend(np.full(steps.shape, 128, np.uint8), steps))
    canvas.text((left - 44, y), f"{DRAWING.heat_threshold:g}", _QUIET)
    canvas.text((left + 138, y), "1 (hottest)", _QUIET)


def _no_verdict_page(view: ViewModel, settings: CaptureSettings) -> Picture:
    """That there is no verdict, why, what to do, and three slices to see what was judged."""
    result = view.result
    words = OUTCOME_TERMS[result.outcome]
    canvas = _page(settings, _footer(view))
    width = settings.edge - 2 * _MARGIN
    y = canvas.paragraph((_MARGIN, _BANNER + 30), words.title, Type(44, AMBER, bold=True), width)
    y = canvas.paragraph((_MARGIN, y + 16), result.reason, _BODY, width)
    y = canvas.paragraph((_MARGIN, y + 12), words.action, _BODY, width)
    y = _notes(canvas, y, result) + 24
    third = width // 3
    picks = np.linspace(0, len(view.frames) - 1, 5).round().astype(int)[1:-1]
    for column, k in enumerate(dict.fromkeys(picks.tolist())):
        frame = view.frames[k]
        picture = _slice_picture(view, frame, (third - 12, 320), with_heat=False)
        canvas.paste((_MARGIN + column * third, y), picture)
    at = (_MARGIN, y + 340)
    room = (width, max(0, settings.edge - _FOOTER - at[1]))
    canvas.fitted(at, result.provenance.bundle_statement, _STATEMENT, room)
    return canvas.pixels


def _slice_picture(
    view: ViewModel, frame: Frame, room: tuple[int, int], *, with_heat: bool
) -> Picture:
    """A slice as large as (width, height) allows, in true proportion, with R and L."""
    grey = window_grey(view.frame_hu(frame))
    width_mm, height_mm = view.size_mm
    scale = min(room[0] / width_mm, room[1] / height_mm)
    size = max(1, round(width_mm * scale)), max(1, round(height_mm * scale))
    way = cv2.INTER_AREA if size[0] < grey.shape[1] else cv2.INTER_LINEAR
    large = np.asarray(cv2.resize(grey, size, interpolation=way), dtype=np.uint8)
    heat = view.frame_heat(frame) if with_heat else None
    if heat is None:
        picture = np.repeat(large[..., None], 3, axis=2)
    else:
        wide = cv2.resize(np.ascontiguousarray(heat), size, interpolation=cv2.INTER_LINEAR)
        picture = _blend(large, np.asarray(wide, dtype=np.float32))
        _outline(picture, view.frame_mask(frame))
    return _lettered(picture)


def _blend(grey: Picture, heat: NDArray[np.floating]) -> Picture:
    """Heat laid over grey, shape (rows, columns, 3)."""
    picture = np.repeat(grey[..., None], 3, axis=2)
    steps = heat_steps(heat)
    drawn = steps > 0
    layer = heat_table()[steps[drawn]]
    opacity = layer[:, 3:].astype(np.float32) / 255
    mixed = picture[drawn] * (1 - opacity) + layer[:, :3] * opacity
    picture[drawn] = np.rint(mixed).astype(np.uint8)
    return picture


def _outline(picture: Picture, mask: NDArray[np.bool_]) -> None:
    """The lungs' outline, drawn into the picture."""
    scale = np.array([picture.shape[1] / mask.shape[1], picture.shape[0] / mask.shape[0]])
    fine = 16  # cv2 draws at fractions of a pixel
    lines = [
        np.rint(((line + 0.5) * scale - 0.5) * fine).astype(np.int32)
        for line in lung_outlines(mask)
    ]
    cv2.polylines(picture, lines, isClosed=True, color=_OUTLINE, lineType=cv2.LINE_AA, shift=4)


def _lettered(picture: Picture) -> Picture:
    """R on the image's left, L on its right: seen from the feet, as CT is read."""
    rows, columns = picture.shape[:2]
    canvas = Canvas(columns, rows)
    canvas.paste((0, 0), picture)
    kind = Type(20, WHITE)
    middle = rows // 2 - 10
    canvas.label((6, middle), "R", kind)
    canvas.label((columns - 6 - width_of("L", kind.size), middle), "L", kind)
    return canvas.pixels


def _colour(label: str, result: TriageResult) -> Rgb:
    return _COLOURS[class_colour(label, result.labels)]
