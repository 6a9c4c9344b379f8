"""Drawing on slices: lung window, heat as colour, lung outline.

All images are (row, column); colours are RGB or RGBA, 8 bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.core.result import HEAT_DRAWN_FROM
from groundglass.explain.opacity import CONSOLIDATION, GROUND_GLASS
from groundglass.prepare.intensity import window_to_uint8
from groundglass.report.png import indexed_png

Grey = NDArray[np.uint8]
Hu = NDArray[np.int16] | NDArray[np.float32]
Colour = NDArray[np.uint8]
Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class OverlaySettings:
    """How slices are drawn."""

    window_width_hu: float = 1500.0
    window_level_hu: float = -600.0
    """`window_width_hu`, `window_level_hu`: the lung window. 1500 and −600 HU are the values
    radiologists read lungs with."""
    heat_threshold: float = HEAT_DRAWN_FROM
    """Heat below it is not drawn; as a share of the study's hottest pixel."""
    heat_opacity: float = 0.6
    """Opacity of the hottest pixel; it grows from 0 at the threshold with the root of the heat. 0.6
    leaves the lesion visible under the colour."""
    colour_range: tuple[int, int] = (80, 192)
    """First and last entry of the 256-entry inferno map in use. Between these red minus blue grows
    with every entry, as does luminance; blended over any grey, a hotter pixel is therefore never
    drawn colder."""


DRAWING = OverlaySettings()

#: Colours of what was counted as opacity: none of the heat's, and apart in lightness too.
GROUND_GLASS_RGB, CONSOLIDATION_RGB = (64, 156, 255), (255, 130, 225)
#: Their layer: RGBA by `OpacityCells.kind`; what is not counted is not drawn.
_OPACITY_TABLE: Colour = np.zeros((max(GROUND_GLASS, CONSOLIDATION) + 1, 4), dtype=np.uint8)
_OPACITY_TABLE[GROUND_GLASS] = (*GROUND_GLASS_RGB, 120)
_OPACITY_TABLE[CONSOLIDATION] = (*CONSOLIDATION_RGB, 120)
#: Steps between the threshold and the hottest pixel in a picture.
_HEAT_STEPS = 255

#: Matplotlib's inferno (CC0), as OpenCV ships it; perceptually uniform. Shape (256, 3), RGB.
_INFERNO: Colour = np.asarray(
    cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_INFERNO),
    dtype=np.uint8,
)[:, 0, ::-1]

#: Outlines are traced on a grid of at least this many pixels across, so that they look smooth.
_OUTLINE_EDGE = 512

#: Largest distance in traced pixels by which an outline is straightened.
_OUTLINE_TOLERANCE = 0.4


def window_grey(hu: Hu, settings: OverlaySettings = DRAWING) -> Grey:
    """HU as grey through the lung window, as preparing shows it to the networks.

    Parameters
    ----------
    hu : ndarray, any shape
        Hounsfield units.
    """
    return window_to_uint8(hu, settings.window_level_hu, settings.window_width_hu)


def heat_colours(heat: NDArray[np.floating], settings: OverlaySettings = DRAWING) -> Colour:
    """Heat as a layer to lay over a slice.

    Parameters
    ----------
    heat : ndarray of float, any shape
        0 to 1, where 1 is the hottest pixel of the study.

    Returns
    -------
    ndarray of uint8, shape (..., 4)
        RGBA, not premultiplied; fully transparent up to the threshold.
    """
    first, last = settings.colour_range
    above = np.clip(np.nan_to_num(heat), 0.0, 1.0) - settings.heat_threshold
    share = np.clip(above, 0.0, None) / (1.0 - settings.heat_threshold)
    layer = np.empty((*heat.shape, 4), dtype=np.uint8)
    layer[..., :3] = _INFERNO[np.rint(first + share * (last - first)).astype(np.intp)]
    layer[..., 3] = np.rint(np.sqrt(share) * settings.heat_opacity * 255)
    return layer


def heat_steps(heat: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Heat in 255 steps from the threshold to the hottest; 0 is not drawn.

    Parameters
    ----------
    heat : ndarray of float, any shape
        As for `heat_colours`.
    """
    above = np.nan_to_num(heat) - DRAWING.heat_threshold
    share = np.clip(above / (1.0 - DRAWING.heat_threshold), 0.0, 1.0)
    steps: NDArray[np.uint8] = np.rint(share * _HEAT_STEPS).astype(np.uint8)
    return steps


def heat_is_drawn(heat: NDArray[np.floating]) -> bool:
    """Whether anything of a map is seen: some of it reaches the first step above the threshold."""
    return bool(heat_steps(heat).any())


@cache
def heat_table() -> Colour:
    """The colours of `heat_steps`, shape (256, 4)."""
    steps = np.linspace(DRAWING.heat_threshold, 1.0, _HEAT_STEPS + 1)
    return heat_colours(steps)


def lung_outlines(mask: NDArray[np.bool_]) -> list[Points]:
    """Closed outlines of the lungs, just outside them.

    The line runs through the first pixels that are not lung, traced at display resolution: what
    lies in the lung, at the pleura too, is never under it.

    Parameters
    ----------
    mask : ndarray of bool, shape (rows, columns)
        Lung.

    Returns
    -------
    list of ndarray, shape (points, 2)
        (column, row) in pixels of `mask`, where the first pixel's centre is (0, 0).
    """
    left, top, columns, rows = cv2.boundingRect(mask.view(np.uint8))
    if not columns:
        return []
    part = mask.view(np.uint8)[top : top + rows, left : left + columns]
    factor = max(1, min(8, round(_OUTLINE_EDGE / max(mask.shape))))
    # A pixel for the line on every side, and one beyond it.
    padded = np.asarray(cv2.copyMakeBorder(part, 2, 2, 2, 2, cv2.BORDER_CONSTANT), dtype=np.uint8)
    fine = padded
    if factor > 1:
        fine = np.kron(padded, np.ones((factor, factor), np.uint8))
        fine |= _rounded(padded, fine.shape)
    grown = cv2.dilate(fine, np.ones((3, 3), np.uint8))
    found, _ = cv2.findContours(grown, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    straight = (cv2.approxPolyDP(line, _OUTLINE_TOLERANCE, closed=True) for line in found)
    corner = np.array([left, top]) - 2.5
    return [
        (line[:, 0].astype(np.float64) + 0.5) / factor + corner
        for line in straight
        if len(line) > 2
    ]


def _rounded(mask: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The mask enlarged, with inner corners filled so that coarse pixels look less like stairs."""
    smooth = cv2.resize(
        mask.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR
    )
    return (smooth > 0.5).astype(np.uint8)


def encode_jpeg(grey: Grey, quality: int) -> bytes:
    """A grey image as JPEG. `quality` runs from 0 to 100.

    With the standard's own Huffman tables: tables of the image's own make it 2 % smaller and take
    twice the time.
    """
    return bytes(cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


def encode_heat(heat: NDArray[np.floating]) -> bytes:
    """Heat as a layer of 255 steps, as PNG: compression must not reorder it.

    Parameters
    ----------
    heat : ndarray of float, shape (rows, columns)
        As for `heat_colours`.

    Returns
    -------
    bytes
        Empty where no pixel is drawn.
    """
    steps = heat_steps(heat)
    return indexed_png(steps, heat_table()) if steps.any() else b""


def encode_opacity(kind: NDArray[np.uint8]) -> bytes:
    """What was counted as opacity, as a PNG layer.

    Parameters
    ----------
    kind : ndarray of uint8, shape (rows, columns)
        `groundglass.core.result.OpacityCells.kind`.

    Returns
    -------
    bytes
        Empty where nothing was counted.
    """
    shown = np.where(kind >= GROUND_GLASS, kind, np.uint8(0))
    return indexed_png(shown, _OPACITY_TABLE) if shown.any() else b""
