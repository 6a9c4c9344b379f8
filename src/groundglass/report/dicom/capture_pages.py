"""The result as pictures for receivers that show nothing but images: verdict, then key slices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from groundglass.core.result import RESEARCH_USE_ONLY, Heatmap, TriageResult, Verdict
from groundglass.core.verdict_words import Answers, class_name, in_a_sentence, not_judged_sentence
from groundglass.report.narrative import counted, millimetres, plain
from groundglass.report.overlay import (
    DRAWING,
    heat_steps,
    heat_table,
    lung_outlines,
    window_grey,
)
from groundglass.report.terms import OUTCOME_TERMS, class_colour
from groundglass.report.view_model import Frame, ViewModel

Rgb = tuple[int, int, int]
Picture = NDArray[np.uint8]

#: Width and height of a page in pixels. 1024 fills the quarter of a diagnostic screen that viewers
#: give one image of four, and halves to 512 legibly.
EDGE = 1024
#: Most slices shown, of those with a heat map; two to a page.
KEY_SLICES = 6
_MARGIN, _BANNER, _FOOTER = 32, 56, 40
#: Height of the smallest picture that is still worth showing.
_LEAST_PICTURE = 120
#: Letters smaller than this are cut off rather than read.
_SMALLEST = 12

WHITE: Rgb = (235, 238, 242)
GREY: Rgb = (150, 158, 168)
AMBER: Rgb = (245, 190, 70)
BLACK: Rgb = (0, 0, 0)
_BACKGROUND: Rgb = (12, 14, 18)
_OUTLINE: Rgb = (90, 200, 215)
#: The page's colours (`terms.class_colour`) on black.
_COLOURS: dict[str, Rgb] = {
    "cp": (240, 110, 85),
    "ncp": (240, 180, 70),
    "ok": (95, 200, 135),
    "ill": (245, 145, 100),
    "x0": (110, 170, 245),
    "x1": (190, 140, 240),
    "x2": (120, 210, 220),
}


@dataclass(frozen=True, slots=True)
class Naming:
    """What a reader knows things by."""

    image: Callable[[int], str]
    """Tells the CT image of an axial slice: "CT image 45"."""
    analysis: str
    """Which analysis of the study it is, and when it was made."""


@dataclass(frozen=True, slots=True)
class Type:
    """How letters look: height in pixels, colour, and whether they are drawn thicker."""

    size: int
    colour: Rgb = WHITE
    bold: bool = False

    @property
    def line(self) -> int:
        """Distance of two lines in pixels."""
        return round(self.size * 1.28)


_BODY, _QUIET, _STATEMENT = Type(24), Type(20, GREY), Type(22, AMBER)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own typeface: it comes with it and looks the same on every machine."""
    return ImageFont.load_default(size)


def write_line(draw: ImageDraw.ImageDraw, at: tuple[int, int], words: str, kind: Type) -> None:
    """One line whose upper left corner is `at`."""
    draw.text(at, plain(words), kind.colour, _font(kind.size), stroke_width=int(kind.bold))


@lru_cache(maxsize=4)
def empty_page(footer: str) -> Image.Image:
    """A page with its banner and footer."""
    image = Image.new("RGB", (EDGE, EDGE), _BACKGROUND)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, EDGE, _BANNER - 1), fill=AMBER)
    write_line(draw, (_MARGIN, 12), RESEARCH_USE_ONLY, Type(27, BLACK, bold=True))
    write_line(draw, (_MARGIN, EDGE - 30), footer, Type(18, GREY))
    return image


class Page:
    """A dark page that says what it is not for, filled from the top; coordinates are (x, y)."""

    def __init__(self, footer: str) -> None:
        self._image = empty_page(footer).copy()
        self._draw = ImageDraw.Draw(self._image)
        self.y = _BANNER + 16

    @property
    def pixels(self) -> Picture:
        """Shape (EDGE, EDGE, 3), RGB."""
        return np.asarray(self._image, dtype=np.uint8)

    @property
    def left(self) -> int:
        """Pixels above the footer that are still free."""
        return EDGE - _FOOTER - self.y

    def text(self, at: tuple[int, int], words: str, kind: Type) -> None:
        """One line whose upper left corner is `at`."""
        write_line(self._draw, at, words, kind)

    def say(self, words: str, kind: Type, height: int = EDGE, margin: int = _MARGIN) -> None:
        """A paragraph of at most so many pixels: smaller letters first, then cut off."""
        height = min(height, self.left)
        for size in range(kind.size, _SMALLEST - 1, -1):
            fitting = Type(size, kind.colour, kind.bold)
            lines = wrapped(words, size, EDGE - 2 * margin)
            if len(lines) * fitting.line <= height:
                break
        fits = max(1, height // fitting.line)
        if len(lines) > fits:
            lines = [*lines[: fits - 1], f"{lines[fits - 1]} ..."]
        for line in lines:
            self.row([(margin, line)], fitting)

    def row(self, cells: Sequence[tuple[int, str]], kind: Type) -> None:
        """Words beside each other, each from its x on."""
        for x, words in cells:
            self.text((x, self.y), words, kind)
        self.y += kind.line

    def show(self, pictures: Sequence[Picture], margin: int = _MARGIN) -> None:
        """Pictures side by side, shape (rows, columns, 3) each."""
        x = margin
        for picture in pictures:
            self._image.paste(Image.fromarray(np.ascontiguousarray(picture)), (x, self.y))
            x += picture.shape[1] + _MARGIN // 2
        self.y += max(picture.shape[0] for picture in pictures)


def wrapped(words: str, size: int, width: int) -> list[str]:
    """Words broken into lines of at most `width` pixels; a longer word stands alone, cut off."""
    lines: list[str] = []
    taken = 0.0
    for word in plain(words).split():
        needed = width_of(f" {word}", size)
        if lines and taken + needed <= width:
            lines[-1] += f" {word}"
            taken += needed
        else:
            fits = next(n for n in range(len(word), 0, -1) if width_of(word[:n], size) <= width)
            lines.append(word[:fits])
            taken = width_of(word[:fits], size)
    return lines


@lru_cache(maxsize=4096)
def width_of(words: str, size: int) -> float:
    """Width of a line in pixels."""
    return _font(size).getlength(words)


def verdict_pages(view: ViewModel, naming: Naming, key_slices: int = KEY_SLICES) -> list[Picture]:
    """A page with the verdict, then pages with the key slices; one page where there is no verdict.

    Parameters
    ----------
    naming : Naming
        What the CT image of an axial slice is called in the PACS, and this analysis.

    Returns
    -------
    list of ndarray of uint8, shape (EDGE, EDGE, 3)
        RGB.
    """
    if view.result.verdict is None:
        return [_no_verdict_page(view, naming)]
    shown = view.key_heatmaps[:key_slices]
    pairs = [shown[k : k + 2] for k in range(0, len(shown), 2)]
    return [
        _verdict_page(view, view.result.verdict, naming),
        *(_key_page(view, pair, naming) for pair in pairs),
    ]


def refusal_page(title: str, lines: Sequence[str], program: str) -> Picture:
    """A page that says that a study was not analysed, and why.

    Parameters
    ----------
    title : str
        In a few words.
    lines : sequence of str
        What was found, what was expected, what to do; one paragraph each.
    """
    page = Page(f"groundglass {program}")
    page.say(title, Type(44, AMBER, bold=True))
    for number, line in enumerate(lines):
        page.y += 12
        if page.left < 3 * _BODY.line:
            page.say(f"and {counted(len(lines) - number, 'more line')}", _QUIET)
            break
        page.say(line, _BODY)
    return page.pixels


def _verdict_page(view: ViewModel, verdict: Verdict, naming: Naming) -> Picture:
    """Verdict, what to think of it, how it came about, and its strongest slice."""
    result = view.result
    page = Page(_footer(view))
    answers, colour = Answers.of(verdict), _colour(verdict.label, result)
    page.say(answers.findings, Type(44, colour, bold=True), 112)
    if answers.kind:
        page.say(answers.kind[0].upper() + answers.kind[1:], Type(30, colour, bold=True), 42)
    page.say(naming.analysis, _QUIET)
    page.say(result.provenance.bundle_statement, _STATEMENT, 112)
    page.y += 12
    page.say(result.reason, _BODY, 106)
    _say_notes(page, result)
    page.y += 12
    _say_probabilities(page, result, verdict)
    if view.key_heatmaps:
        heatmap = view.key_heatmaps[0]
        frame = view.frame_of(heatmap.slice_index)
        name = class_name(heatmap.label, verdict.by_share)
        words = f"{naming.image(heatmap.slice_index)} argued most for {in_a_sentence(name)}"
        page.y += 12
        page.say("; ".join(filter(None, [words, view.score_words(frame)])), _QUIET)
        _show_slice(page, view, frame, with_heat=True)
    return page.pixels


def _say_probabilities(page: Page, result: TriageResult, verdict: Verdict) -> None:
    """A row for each class: its probability and, by vote, its groups."""
    columns = (_MARGIN, EDGE // 2, EDGE * 3 // 4)
    votes = f"Votes of {counted(len(result.groups), 'group')}"
    by_vote = verdict.by_share is None
    heads = ("", "Mean probability", votes) if by_vote else ("", "Probability, derived")
    page.row(list(zip(columns, heads, strict=False)), _QUIET)
    for label in result.labels:
        told = [class_name(label, verdict.by_share), f"{verdict.probabilities[label]:.3f}"]
        if by_vote:
            told.append(str(verdict.votes.get(label, 0)))
        kind = Type(_BODY.size, _colour(label, result), bold=label == verdict.label)
        page.row(list(zip(columns, told, strict=False)), kind)


def _no_verdict_page(view: ViewModel, naming: Naming) -> Picture:
    """That there is no verdict, why, what to do, and a slice to see what was judged."""
    result = view.result
    terms = OUTCOME_TERMS[result.outcome]
    page = Page(_footer(view))
    page.say(terms.title, Type(44, AMBER, bold=True), 112)
    page.say(naming.analysis, _QUIET)
    for words in (result.reason, terms.action):
        page.y += 12
        page.say(words, _BODY, 150)
    _say_notes(page, result)
    page.y += 12
    page.say(result.provenance.bundle_statement, _STATEMENT, 112)
    page.y += 16
    _show_slice(page, view, view.frames[len(view.frames) // 2], with_heat=False)
    return page.pixels


def _show_slice(page: Page, view: ViewModel, frame: Frame, *, with_heat: bool) -> None:
    """A slice in what is left of the page, if that is enough to see anything."""
    if page.left >= _LEAST_PICTURE:
        room = (EDGE - 2 * _MARGIN, page.left)
        page.show([_slice_picture(view, frame, room, with_heat=with_heat)])


def _say_notes(page: Page, result: TriageResult) -> None:
    """What must be known beside the reason, in as small letters as it takes."""
    if result.not_judged is not None:
        page.y += 8
        page.say(not_judged_sentence(result.not_judged), _QUIET, 56)
    words = " ".join(note.text for note in result.notes_beside_reason)
    if words:
        page.y += 8
        page.say(words, _STATEMENT, 112)


def _key_page(view: ViewModel, heatmaps: Sequence[Heatmap], naming: Naming) -> Picture:
    """Two key slices, each as it is and with its heat, and what the colours mean."""
    page = Page(_footer(view))
    margin = _MARGIN // 2
    page.say(naming.analysis, Type(18, GREY), margin=margin)
    room = (EDGE - 3 * margin) // 2, (page.left - 3 * _QUIET.line) // 2 - 16
    for heatmap in heatmaps:
        frame = view.frame_of(heatmap.slice_index)
        said = (
            f"{naming.image(heatmap.slice_index)}: slice {frame.number} of {len(view.frames)} "
            f"from the head, z {millimetres(frame.position_mm)} mm",
            view.score_words(frame),
            f"{heatmap.share_in_lung:.0%} of the heat in the lung",
        )
        page.say("; ".join(filter(None, said)), Type(20), _QUIET.line, margin)
        page.show(
            [_slice_picture(view, frame, room, with_heat=heat) for heat in (False, True)], margin
        )
        page.y += 16
    page.y = EDGE - _FOOTER - _QUIET.line
    found = view.result.verdict.by_share if view.result.verdict else None
    name = in_a_sentence(class_name(heatmaps[0].label, found))
    words = f"Heat: what argued for {name}; no lesion's outline"
    scale = EDGE - 250
    cells = [
        (margin, words),
        (scale - 44, f"{DRAWING.heat_threshold:g}"),
        (scale + 138, "1 (hottest)"),
    ]
    steps = np.linspace(DRAWING.heat_threshold, 1.0, 128)[None].repeat(16, axis=0)
    page.row(cells, _QUIET)
    page.y -= _QUIET.line - 4
    page.show([_blend(np.full(steps.shape, 128, np.uint8), steps)], scale)
    return page.pixels


def _footer(view: ViewModel) -> str:
    made = view.result.provenance
    slices, rows, columns = view.geometry.shape
    size = f"{slices} slices of {rows} x {columns}, {view.geometry.spacing_mm[0]:.2f} mm apart"
    return f"groundglass {made.groundglass_version}, weights {made.bundle}; {size}"


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
        return _lettered(np.asarray(cv2.cvtColor(large, cv2.COLOR_GRAY2RGB), dtype=np.uint8))
    wide = cv2.resize(np.ascontiguousarray(heat), size, interpolation=cv2.INTER_LINEAR)
    picture = _blend(large, np.asarray(wide, dtype=np.float32))
    _outline(picture, view.frame_mask(frame))
    return _lettered(picture)


def _blend(grey: Picture, heat: NDArray[np.floating]) -> Picture:
    """Heat laid over grey, shape (rows, columns, 3)."""
    picture = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
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
    image = Image.fromarray(picture)
    middle = picture.shape[0] // 2 - 14
    for x, letter in ((4, _letter("R")), (picture.shape[1] - 20, _letter("L"))):
        image.paste(letter, (x, middle), letter)
    return np.asarray(image, dtype=np.uint8)


@cache
def _letter(letter: str) -> Image.Image:
    """Edged in black, to be read on any grey."""
    image = Image.new("RGBA", (20, 28))
    ImageDraw.Draw(image).text((3, 2), letter, WHITE, _font(20), stroke_width=3, stroke_fill=BLACK)
    return image


def _colour(label: str, result: TriageResult) -> Rgb:
    return _COLOURS[class_colour(label, result.labels)]
