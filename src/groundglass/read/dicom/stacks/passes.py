"""Passes of the scanner over the body that share a series, told apart.

Regular positions are no proof of one acquisition: two breaths half a slice apart are as regular as
one. So the headers are asked whether places collide or not. What an acquisition is called (its
number, its time …) may also change along one stack: pieces that follow one another along the body
are one pass, pieces that lie over one another are two.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundglass.read.dicom.frames import Frame, slice_normal

#: Attributes whose value names an acquisition (PS3.3 C.7.6.16.2.2, C.8.2.1, C.8.15.3): frames of
#: two values that lie over one another are of two passes.
_NAMES = (
    "temporal_position_identifier", "temporal_position_index", "acquisition_number",
    "frame_acquisition_number", "stack_id", "irradiation_event_uid", "kvp",
)  # fmt: skip
#: Attributes that may change along one pass, or be typed carelessly: believed only where the
#: frames of each value are a whole pass.
_HINTS = (
    "acquisition_date", "exposure_mas", "tube_current_ma", "exposure_time_ms",
    "frame_exposure_mas", "frame_tube_current_ma", "frame_exposure_time_ms", "slice_thickness_mm",
    "contrast_bolus_agent", "protocol_name", "series_description", "series_number",
)  # fmt: skip
#: Attributes that count along a pass: where the places fall back among those already taken, a new
#: pass begins; believed only where each is a whole one.
_COUNTS = (
    "acquisition_datetime", "frame_acquisition_datetime", "acquisition_time", "instance_number",
)  # fmt: skip
#: More values than this are no passes between one another: what changes so often changes along one.
_MOST_HINTED = 8
#: Places nearer than this are one.
_SAME_PLACE_MM = 0.01
#: Where two pieces of a pass meet, so many places may have been scanned twice: helices that follow
#: one another are joined with little overlap. More of it, and they are two scans.
_JOIN_PLACES, _JOIN_SHARE = 3, 0.25
#: A whole pass reaches both ends of all frames within so many of its own steps.
_END_STEPS = 1.5
#: Steps are equal within this part of them, or within what rounding of positions does.
_EVEN, _ROUNDING_MM = 0.2, 0.15
_LEAST_PLACES = 3


@dataclass(frozen=True, slots=True)
class Pass:
    """Frames of one pass of the scanner, in no particular order.

    `doubled` are left out: at a join of two of its pieces their places were taken already.
    """

    frames: tuple[Frame, ...]
    doubled: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """Frames of one value, and where they lie along the normal in mm, ascending."""

    frames: tuple[Frame, ...]
    along: NDArray[np.float64]
    order: float = 0.0
    doubled: tuple[Frame, ...] = ()

    @classmethod
    def of(cls, frames: Sequence[Frame], along: NDArray[np.float64]) -> _Piece:
        """Frames at these places, in any order."""
        by_place = np.argsort(along, kind="stable")
        return cls(tuple(frames[int(k)] for k in by_place), along[by_place])

    @property
    def low(self) -> float:
        return float(self.along[0])

    @property
    def high(self) -> float:
        return float(self.along[-1])

    def parts(self, values: Sequence[object]) -> list[_Piece]:
        """The frames of each value."""
        members: defaultdict[object, list[int]] = defaultdict(list)
        for index, value in enumerate(values):
            members[value].append(index)
        return [self.part(own, value) for value, own in members.items()]

    def part(self, indices: Sequence[int], value: object = None) -> _Piece:
        """Some of the frames, in the order of their value or else of their Instance Number."""
        frames = tuple(self.frames[index] for index in indices)
        if not isinstance(value, int | float):
            numbers = (frame.header.instance_number for frame in frames)
            value = next((number for number in numbers if number is not None), 0)
        return _Piece(frames, self.along[list(indices)], float(value))

    def joined(self, other: _Piece) -> _Piece:
        """Both as one pass, without the other's frames at places that this one has."""
        for first, second in ((self, other), (other, self)):
            if second.low - first.high >= _SAME_PLACE_MM:
                along = np.concatenate([first.along, second.along])
                return _Piece(first.frames + second.frames, along, other.order, self.doubled)
        gaps = np.abs(other.along[:, None] - self.along[None, -_JOIN_PLACES:]).min(axis=1)
        new = gaps >= _SAME_PLACE_MM
        kept = tuple(frame for frame, is_new in zip(other.frames, new, strict=True) if is_new)
        doubled = tuple(f for f, is_new in zip(other.frames, new, strict=True) if not is_new)
        both = _Piece.of(self.frames + kept, np.concatenate([self.along, other.along[new]]))
        return replace(both, order=other.order, doubled=self.doubled + doubled)

    def takes(self, other: _Piece) -> bool:
        """Whether another piece goes on where this one ends, or joins it with little overlap."""
        if other.low - self.high >= _SAME_PLACE_MM:
            return True
        mine = int(np.count_nonzero(self.along >= other.low - _SAME_PLACE_MM))
        theirs = int(np.count_nonzero(other.along <= self.high + _SAME_PLACE_MM))
        shorter = min(len(self.along), len(other.along))
        return max(mine, theirs) <= min(_JOIN_PLACES, _JOIN_SHARE * shorter)

    def is_whole(self, part: _Piece) -> bool:
        """Whether a part of these frames is an even pass over all that they cover."""
        steps = np.diff(part.along)
        if len(part.along) < _LEAST_PLACES or steps.min() < _SAME_PLACE_MM:
            return False
        reach = _END_STEPS * float(np.median(steps))
        return (
            even_steps(part.along)
            and part.low - self.low <= reach
            and self.high - part.high <= reach
        )


def even_steps(along: NDArray[np.float64]) -> bool:
    """Whether places along a line, ascending, in mm, lie at equal steps; two at least."""
    steps = np.diff(along)
    if not len(steps):
        return False
    return float(np.ptp(steps)) <= max(_EVEN * float(np.median(steps)), _ROUNDING_MM)


def passes_of(frames: Sequence[Frame]) -> tuple[Pass, ...]:
    """Tell passes apart in frames of one orientation; one pass where a frame has no position."""
    positions = [frame.position_mm for frame in frames]
    cosines = frames[0].orientation
    if len(frames) < 2 or cosines is None or None in positions:
        return (Pass(tuple(frames)),)
    along = np.array(positions, dtype=np.float64) @ slice_normal(cosines)
    return tuple(Pass(one.frames, one.doubled) for one in _passes(_Piece.of(frames, along)))


def _passes(stack: _Piece) -> list[_Piece]:
    for name in (*_NAMES, *_HINTS, *_COUNTS):
        parts = _split(stack, name)
        if len(parts) > 1:
            return [one for part in parts for one in _passes(part)]
        stack = parts[0]
    return [stack]


def _split(stack: _Piece, name: str) -> list[_Piece]:
    """The passes that an attribute tells apart."""
    stated = (getattr(frame.header, name) for frame in stack.frames)
    values = [None if value == "" else value for value in stated]
    distinct = set(values)
    if len(distinct) == 1:
        return [stack]
    if name in _NAMES and None not in distinct:
        first, *others = _chained(stack.parts(values))
        return [replace(first, doubled=stack.doubled + first.doubled), *others]
    if name in _COUNTS:
        parts = [] if None in distinct else _runs(stack, values)
    else:
        parts = stack.parts(values) if len(distinct) <= _MOST_HINTED else []
    return parts if len(parts) > 1 and all(map(stack.is_whole, parts)) else [stack]


def _chained(pieces: Sequence[_Piece]) -> list[_Piece]:
    """Pieces that follow one another along the body, as passes: the fewest there can be."""
    passes: list[_Piece] = []
    for piece in sorted(pieces, key=lambda one: (round(one.low, 2), one.order)):
        open_ends = [index for index, one in enumerate(passes) if one.takes(piece)]
        if not open_ends:
            passes.append(piece)
            continue
        # Of several, the one before it in time: acquisitions are numbered as they are made.
        best = min(
            open_ends,
            key=lambda k: (passes[k].order > piece.order, abs(passes[k].order - piece.order)),
        )
        passes[best] = passes[best].joined(piece)
    return passes


def _runs(stack: _Piece, values: Sequence[Any]) -> list[_Piece]:
    """Frames in the order of a count, cut where the places fall back among those taken."""
    runs: list[list[int]] = []
    low = high = 0.0
    counted = sorted(
        range(len(values)), key=lambda index: (str(type(values[index])), values[index])
    )
    for _, same in groupby(counted, key=lambda index: values[index]):
        indices = sorted(same)  # by place
        first, last = float(stack.along[indices[0]]), float(stack.along[indices[-1]])
        if runs and (first > high or last < low):
            runs[-1] += indices
            low, high = min(low, first), max(high, last)
        else:
            runs.append(indices)
            low, high = first, last
    return [stack.part(sorted(run)) for run in runs]
