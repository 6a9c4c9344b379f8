"""The study along the body axis: coronal overview, groups, lung area, scores or contributions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from groundglass.core.result import GroupPrediction, SliceStatus
from groundglass.report.html.slice_images import data_uri, layer_uri, outline_path
from groundglass.report.overlay import encode_heat, encode_jpeg
from groundglass.report.resampling import fitted, fitted_shape
from groundglass.report.view_model import Frame, ViewModel

#: Largest size of the coronal image in units of the figure (CSS pixels at its natural size).
_MAX_WIDTH, _MAX_HEIGHT = 300.0, 520.0
#: Margins of the figure, the gap between its columns, and their widths.
_LEFT, _TOP, _BOTTOM, _GAP = 46.0, 34.0, 24.0, 14.0
_BAND_WIDTH, _CURVE_WIDTH, _SAID_WIDTH = 86.0, 122.0, 100.0

#: HU that the coronal image spreads over its grey scale before averaging: air to soft bone.
_AIR_HU, _DENSE_HU = -1000.0, 300.0

#: At least so many rows of each slice are averaged: what lies between looks like them.
_ROWS = 128

#: Longer side of the heat laid over it, in pixels.
_HEAT_EDGE = 160


@dataclass(frozen=True, slots=True)
class Band:
    """The stretch of a group of slices, from the top of the figure."""

    y: float
    height: float
    lane: int
    """Column it stands in, so that overlapping bands are side by side."""
    group: GroupPrediction


@dataclass(frozen=True, slots=True)
class Zone:
    """A stretch of slices that were left out."""

    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Row:
    """One slice on the figure."""

    y: float
    height: float
    frame: Frame
    area: float
    """Lung area as a share of the study's largest, 0 to 1."""
    contribution: float
    """What speaks for the class, as a share of the study's strongest evidence; negative against it,
    0 when it was not classified."""
    score: float | None
    """How surely the network sees findings on it by itself, 0 to 1; None where it was not asked."""


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything the figure draws; positions and sizes in its units, y down from the head.

    From left to right: the coronal image, the groups, the lung area, and what was said of each
    slice: its own score where the network judged slices by themselves, else its contribution.
    """

    image: str
    """Data URI of the coronal image."""
    outline: str
    """SVG path of the lungs' shadow, in tenths of a mm."""
    heat: str
    """Data URI of the hottest heat front to back; empty without heat."""
    width: float
    """Of the coronal image."""
    height: float
    scale: float
    """Units per mm."""
    rows: tuple[Row, ...]
    """Head to feet."""
    bands: tuple[Band, ...]
    lanes: int
    """Columns the bands need."""
    zones: tuple[Zone, ...]
    ticks: tuple[tuple[float, int], ...]
    """y and z in mm, every 50 mm."""
    ratios: tuple[object, object]
    """The limits on lung area towards the head and the feet of the largest, if they are known."""
    slice_threshold: float | None
    """The score from which a slice is ill; None where the verdict does not rest on scores."""

    left, top, band_width, curve_width = _LEFT, _TOP, _BAND_WIDTH, _CURVE_WIDTH

    @property
    def total_width(self) -> float:
        """Of the whole figure."""
        return _LEFT + (self.said_end if self.bars else self.said_x - _GAP) + 6

    @property
    def total_height(self) -> float:
        """Of the whole figure."""
        return _TOP + max(self.height, 40.0) + _BOTTOM

    @property
    def bands_x(self) -> float:
        """Where the groups begin."""
        return self.width + _GAP

    def band_x(self, band: Band) -> float:
        """Where a group's band begins."""
        return self.bands_x + band.lane * (_BAND_WIDTH + 4)

    @property
    def _bands_end(self) -> float:
        return self.bands_x + self.lanes * (_BAND_WIDTH + 4)

    @property
    def zone_width(self) -> float:
        """What was left out is hatched over the image and the groups."""
        return self._bands_end if self.bands else self.width

    @property
    def area_x(self) -> float:
        """Where the lung area is 0."""
        return (self._bands_end if self.bands else self.width + 10) + _GAP

    @property
    def area_path(self) -> str:
        """Lung area against z, as a closed SVG path."""
        x = self.area_x
        middles = [row.y + row.height / 2 for row in self.rows]
        points = " ".join(
            f"{x + row.area * _CURVE_WIDTH:.1f} {y:.1f}"
            for row, y in zip(self.rows, middles, strict=True)
        )
        return f"M{x:.1f} {middles[0]:.1f}L{points} {x:.1f} {middles[-1]:.1f}Z"

    @property
    def limits(self) -> list[dict[str, float | str]]:
        """The recipe's limits on lung area: towards the head and towards the feet."""
        peak = max(self.rows, key=lambda row: row.area)
        middle = peak.y + peak.height / 2
        sides = zip(self.ratios, (0.0, middle), (middle, self.height), strict=True)
        return [
            {
                "x": self.area_x + float(ratio) * _CURVE_WIDTH,
                "top": top,
                "bottom": bottom,
                "text": f"{ratio:g}",
            }
            for ratio, top, bottom in sides
            if peak.area > 0 and isinstance(ratio, int | float)
        ]

    @property
    def contribution_range(self) -> tuple[float, float]:
        """The lowest and highest contribution and 0; (0, 0) when there is none to show."""
        values = [row.contribution for row in self.rows]
        return min(0.0, *values), max(0.0, *values)

    @property
    def scored(self) -> bool:
        """Whether scores are shown, and not contributions."""
        return any(row.score is not None for row in self.rows)

    @property
    def said_x(self) -> float:
        """Where scores or contributions begin."""
        return self.area_x + _CURVE_WIDTH + _GAP

    @property
    def said_end(self) -> float:
        """Where they end."""
        return self.said_x + _SAID_WIDTH

    @property
    def _said_unit(self) -> float:
        low, high = self.contribution_range
        return _SAID_WIDTH / (high - low) if high > low else 0.0

    @property
    def said_zero(self) -> float:
        """Where a score or a contribution is 0."""
        return self.said_x - (0 if self.scored else self.contribution_range[0] * self._said_unit)

    @property
    def threshold_x(self) -> float | None:
        """Where the score lies from which a slice is ill."""
        if self.slice_threshold is None or not self.scored:
            return None
        return self.said_x + self.slice_threshold * _SAID_WIDTH

    @property
    def bars(self) -> list[dict[str, float | str]]:
        """What was said of each slice, to be drawn as a bar from `said_zero`."""
        return self._score_bars if self.scored else self._contribution_bars

    @property
    def _score_bars(self) -> list[dict[str, float | str]]:
        """Scores, apart by the threshold where there is one."""
        least = self.slice_threshold or 0.0
        return [
            {
                "x": self.said_x,
                "y": row.y,
                "width": row.score * _SAID_WIDTH,
                "height": row.height * 0.85,
                "side": "for" if row.score >= least else "against",
            }
            for row in self.rows
            if row.score is not None
        ]

    @property
    def _contribution_bars(self) -> list[dict[str, float | str]]:
        """Contributions: for the class to the right, against it to the left."""
        zero, unit = self.said_zero, self._said_unit
        return [
            {
                "x": zero + min(row.contribution, 0.0) * unit,
                "y": row.y,
                "width": abs(row.contribution) * unit,
                "height": row.height * 0.85,
                "side": "for" if row.contribution > 0 else "against",
            }
            for row in self.rows
            if row.contribution
        ]


def overview(view: ViewModel) -> Overview:
    """Lay the study out along the body axis."""
    slice_mm, _, column_mm = view.geometry.spacing_mm
    width_mm, height_mm = view.size_mm[0], slice_mm * len(view.frames)
    scale = min(_MAX_WIDTH / width_mm, _MAX_HEIGHT / height_mm)
    step = slice_mm * scale
    top_mm = view.frames[0].position_mm + slice_mm / 2
    rows = _rows(view, step)
    recipe, verdict = view.result.provenance.recipe, view.result.verdict
    found = verdict.by_share if verdict else None
    bands = _bands(view, rows)
    shadow = np.flip(np.any(view.crop.of(view.result.mask), axis=1), axis=0)
    return Overview(
        image=data_uri(encode_jpeg(coronal_grey(view), 85), "image/jpeg"),
        outline=outline_path(shadow, (slice_mm, column_mm)),
        heat=layer_uri(encode_heat(fitted(coronal_heat(view), _HEAT_EDGE))),
        width=width_mm * scale,
        height=height_mm * scale,
        scale=scale,
        rows=rows,
        bands=bands,
        lanes=1 + max((band.lane for band in bands), default=0),
        zones=_zones(rows),
        ticks=_ticks(top_mm, height_mm, scale),
        ratios=(recipe.get("headward_ratio"), recipe.get("feetward_ratio")),
        slice_threshold=found.slice_threshold if found else None,
    )


def coronal_grey(view: ViewModel) -> NDArray[np.uint8]:
    """The body seen from the front, as in a radiograph: mean attenuation front to back.

    Returns
    -------
    ndarray of uint8, shape (slices, columns)
        Head on top, the patient's right on the left; a pixel is one slice high and one column wide.
    """
    hu = view.crop.of(view.hu)
    step = max(1, hu.shape[1] // _ROWS)
    # Bounds of the volume's own type: others would make each slice four times as large.
    low, high = hu.dtype.type(_AIR_HU), hu.dtype.type(_DENSE_HU)
    mean = np.stack([np.clip(s[::step], low, high).mean(axis=0, dtype=np.float32) for s in hu])
    dark, bright = np.percentile(mean, (2.0, 99.8))
    share = np.clip((mean - dark) / max(bright - dark, 1.0), 0.0, 1.0)
    grey: NDArray[np.uint8] = np.rint(255 * share[::-1]).astype(np.uint8)
    return grey


def coronal_heat(view: ViewModel) -> NDArray[np.float32]:
    """The hottest heat front to back, as `coronal_grey` lies, in no more columns than are drawn.

    Returns
    -------
    ndarray of float32, shape (slices, columns)
    """
    crop = view.crop
    _, columns = fitted_shape((crop.bottom - crop.top, crop.right - crop.left), _HEAT_EDGE)
    heat = np.zeros((len(view.frames), columns), dtype=np.float32)
    for row, frame in zip(heat, view.frames, strict=True):
        found = view.frame_heat(frame, _HEAT_EDGE)
        if found is not None:
            np.max(found, axis=0, out=row)
    return heat


def _rows(view: ViewModel, step: float) -> tuple[Row, ...]:
    areas = np.array(
        [np.count_nonzero(view.result.mask[f.axial_index]) for f in view.frames], float
    )
    said = np.array([(f.record.contribution if f.record else None) or 0.0 for f in view.frames])
    areas /= max(areas.max(), 1.0)
    strongest = np.abs(said).max()
    said = said / strongest if strongest > 0 else said
    return tuple(
        Row(
            i * step,
            step,
            frame,
            area=float(areas[i]),
            contribution=float(said[i]),
            score=frame.record.score if frame.record else None,
        )
        for i, frame in enumerate(view.frames)
    )


def _bands(view: ViewModel, rows: Sequence[Row]) -> tuple[Band, ...]:
    """Groups in lanes."""
    bands: list[Band] = []
    free_below: list[float] = []  # per lane, the y down to which it is taken
    last = len(rows) - 1
    stretches = []
    for prediction in view.result.groups:
        seen = [last - i for i in prediction.group.slice_indices]
        if seen:
            stretches.append((rows[min(seen)], rows[max(seen)], prediction))
    for first, final, prediction in sorted(stretches, key=lambda s: s[0].y):
        bottom = final.y + final.height
        lane = next((k for k, y in enumerate(free_below) if y <= first.y + 1e-6), len(free_below))
        free_below[lane : lane + 1] = [bottom]
        bands.append(Band(first.y, bottom - first.y, lane, prediction))
    return tuple(bands)


def _zones(rows: Sequence[Row]) -> tuple[Zone, ...]:
    """Runs of slices with the same fate that were not used."""
    zones = []
    for fate, run in groupby(rows, key=lambda r: r.frame.record.fate if r.frame.record else None):
        stretch = list(run)
        if fate is not None and fate is not SliceStatus.KEPT:
            end = stretch[-1].y + stretch[-1].height
            zones.append(Zone(stretch[0].y, end - stretch[0].y))
    return tuple(zones)


def _ticks(top_mm: float, height_mm: float, scale: float) -> tuple[tuple[float, int], ...]:
    first = int(np.floor(top_mm / 50.0)) * 50
    marks = range(first, int(np.ceil(top_mm - height_mm)) - 1, -50)
    return tuple(((top_mm - z) * scale, z) for z in marks)
