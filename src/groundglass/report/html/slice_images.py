"""The page's slice images: key slices, and every slice for leafing through.

Figures are drawn in mm: images, outlines, scale bar and letters share one coordinate system whose
origin is the upper left corner of the cropped slice. Pixels that are not square, and slices that
are not, come out right without resampling.
"""

from __future__ import annotations

import base64
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.core.result import Heatmap, SliceStatus
from groundglass.explain import KeySlices, choose_key_slices
from groundglass.prepare.threads import for_each
from groundglass.report.overlay import (
    encode_heat,
    encode_jpeg,
    encode_opacity,
    lung_outlines,
    window_grey,
)
from groundglass.report.resampling import fitted
from groundglass.report.view_model import KEY_HEAT_EDGE, Frame, ViewModel


@dataclass(frozen=True, slots=True)
class FigureSettings:
    """How many images of what size go into the page."""

    key_slices: int = 9
    """Most slices shown large, of those that have a heat map; the others are in the viewer."""
    key_quality: int = 85
    browse_quality: int = 72
    """`key_quality`, `browse_quality`: jPEG quality, 0 to 100."""
    browse_budget_bytes: int = 3_600_000
    """For all slices together. A third more in base64; with key slices and heat maps the page stays
    under 8 MB, which mail systems and browsers of old workstations take."""
    browse_edges: tuple[int, ...] = (512, 448, 384, 352, 320, 288, 256, 192)
    """Sizes tried for the longer side, in pixels, largest first; the last is taken whatever it
    costs."""
    heat_edge: int = KEY_HEAT_EDGE
    coarse_edge: int = 96
    """`heat_edge`, `coarse_edge`: longer side of a heat layer in pixels: of a key slice, and of the
    others, whose maps have 32 cells."""


FIGURES = FigureSettings()


class _Numbers(dict[int, str]):
    """Whole numbers as they follow each other in an SVG path: a minus needs no space before it.

    Outlines are a hundred thousand small ones, which are looked up in a third of the time.
    """

    def __missing__(self, number: int) -> str:
        text = self[number] = f"{number: d}"
        return text


_NUMBERS = _Numbers()


@dataclass(frozen=True, slots=True)
class SliceFigure:
    """One slice, ready to draw."""

    frame: Frame
    image: str
    """Data URI of the slice through the lung window."""
    outline: str
    """SVG path of the lungs in tenths of a mm; empty without lung."""
    heat: str
    """Data URI of the heat layer; empty without heat."""
    opacity: str
    """Data URI of what was counted as opacity, on `ViewModel.opacity_box_mm`; empty without any."""


@dataclass(frozen=True, slots=True)
class KeySlice:
    """A slice shown large, with what made it one."""

    figure: SliceFigure
    heatmap: Heatmap | None
    """None where no heat is drawn and the slice is shown for orientation."""

    @property
    def evidence(self) -> bool:
        """Whether there is anything to lay over the plain slice."""
        return bool(self.figure.heat or self.figure.outline)


def key_slices(view: ViewModel, settings: FigureSettings = FIGURES) -> tuple[KeySlice, ...]:
    """The slices whose heat is evidence, as the result orders them; without any, three others."""
    if not view.key_heatmaps:
        frames = _orientation_frames(view)
        return tuple(KeySlice(_figure(view, f, None, settings.key_quality), None) for f in frames)
    chosen = view.key_heatmaps[: settings.key_slices]
    return tuple(
        KeySlice(
            _figure(view, view.frame_of(heatmap.slice_index), None, settings.key_quality), heatmap
        )
        for heatmap in chosen
    )


def browse_slices(view: ViewModel, settings: FigureSettings = FIGURES) -> tuple[SliceFigure, ...]:
    """Every slice, head to feet, no larger together than the budget."""
    edge = _affordable_edge(view, settings)
    figures: dict[int, SliceFigure] = {}

    def draw(index: int) -> None:
        figures[index] = _figure(view, view.frames[index], edge, settings.browse_quality)

    for_each(draw, range(len(view.frames)))  # OpenCV lets go of the interpreter
    return tuple(figures[index] for index in range(len(view.frames)))


def outline_path(mask: NDArray[np.bool_], pixel_mm: tuple[float, float]) -> str:
    """The lung outlines as an SVG path.

    Parameters
    ----------
    mask : ndarray of bool, shape (rows, columns)
        Lung.
    pixel_mm : tuple of float
        Distance between (rows, columns) in mm.

    Returns
    -------
    str
        In tenths of a mm from the upper left corner of the image, whole numbers and each point
        relative to the one before, which halves the page; empty without lung.
    """
    row_mm, column_mm = pixel_mm
    parts = []
    for line in lung_outlines(mask):
        points = np.rint((line + 0.5) * (10 * column_mm, 10 * row_mm)).astype(int)
        steps = np.diff(points, axis=0)
        moves = "".join(map(_NUMBERS.__getitem__, steps.ravel().tolist()))
        parts.append(f"M{points[0, 0]} {points[0, 1]}l{moves.lstrip()}z")
    return "".join(parts)


def data_uri(content: bytes, media_type: str) -> str:
    """Bytes as a data URI (RFC 2397)."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def _figure(view: ViewModel, frame: Frame, edge: int | None, quality: int) -> SliceFigure:
    _, row_mm, column_mm = view.geometry.spacing_mm
    grey = window_grey(view.frame_hu(frame))
    heat = view.frame_heat(frame, FIGURES.heat_edge if view.is_key(frame) else FIGURES.coarse_edge)
    cells = view.frame_opacity(frame)
    return SliceFigure(
        frame=frame,
        image=data_uri(encode_jpeg(fitted(grey, edge), quality), "image/jpeg"),
        outline=outline_path(view.frame_mask(frame), (row_mm, column_mm)),
        heat="" if heat is None else layer_uri(encode_heat(heat)),
        opacity="" if cells is None else layer_uri(encode_opacity(cells)),
    )


def layer_uri(png: bytes) -> str:
    """A layer as a data URI; nothing stays nothing."""
    return data_uri(png, "image/png") if png else ""


def _affordable_edge(view: ViewModel, settings: FigureSettings) -> int:
    """The largest size at which all slices fit the budget, judged on nine of them."""
    sample = _spread(view.frames, 9)
    greys = [window_grey(view.frame_hu(frame)) for frame in sample]

    def too_large(edge: int) -> bool:
        sizes = [len(encode_jpeg(fitted(grey, edge), settings.browse_quality)) for grey in greys]
        return bool(np.mean(sizes) * len(view.frames) > settings.browse_budget_bytes)

    # Too large ones come first: halving finds the first that is not.
    edges = settings.browse_edges
    return edges[bisect_left(edges[:-1], 0, key=lambda edge: -too_large(edge))]


def _orientation_frames(view: ViewModel) -> Sequence[Frame]:
    """Three slices: of the highest scores, else through what was used, the lungs, the volume."""
    score = {f.axial_index: f.record.score for f in view.frames if f.record and f.record.score}
    if score:
        positions = np.zeros(len(view.frames))
        positions[[f.axial_index for f in view.frames]] = [f.position_mm for f in view.frames]
        return [view.frame_of(k) for k in choose_key_slices(score, positions, KeySlices(count=3))]
    used = [f for f in view.frames if f.record and f.record.fate is SliceStatus.KEPT]
    lung = [f for f in view.frames if view.result.mask[f.axial_index].any()]
    frames = used or lung or list(view.frames)
    return _spread(frames, 5)[1:-1] if len(frames) >= 5 else _spread(frames, 3)


def _spread(frames: Sequence[Frame], count: int) -> list[Frame]:
    """At most `count` frames, evenly spread from the first to the last."""
    index = np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int)
    return [frames[i] for i in index]
