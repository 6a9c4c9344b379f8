"""Frames → one regular grid, by their positions alone; or the reason why they are none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.core.geometry import Geometry, Vector
from groundglass.errors import AssemblyError
from groundglass.read.dicom.frames import Frame, slice_normal

_NAMED = 6  # instances named in a message before "and n more"
#: So many spacings, each of so many steps in a row, are told as spacings and not as gaps.
_MOST_SPACINGS, _LEAST_RUN = 4, 3
#: How near to a whole number of steps a gap is, where slices are missing.
_WHOLE_STEPS = 0.15


@dataclass(frozen=True, slots=True)
class AssemblySettings:
    """How far from a perfect grid a series may be."""

    least_slices: int = 3
    """Fewest slices that make a volume. Two fix a spacing; three are needed to see that it is
    regular."""
    orientation_tolerance: float = 1e-3
    """Largest difference of a direction cosine between slices. Some write cosines with three or
    four digits; 1e-3 over a field of 500 mm is 0.5 mm, less than a pixel, and no two
    reconstructions lie so near."""
    position_tolerance: float = 0.1
    """Largest distance of a slice from its place on the regular grid, as a part of the slice
    spacing. Scanners round positions (0.01 to 0.1 mm) and jitter by some hundredths of a
    millimetre; a tenth of a slice mixes nothing a reader could see."""
    position_tolerance_mm: float = 0.06
    """The same in mm for very thin slices, where rounding to 0.1 mm is a large part of the spacing.
    The larger of both holds."""
    gap_factor: float = 1.5
    """A step of more than this many spacings is called a gap: nothing irregular reaches it, one
    missing slice (2.0) does."""
    lateral_tolerance_mm: float = 1.0
    """Largest sideways shift between slices over the whole stack. A tilted gantry shifts by tens of
    mm; rounding stays under 0.1 mm; 1 mm is about a pixel."""


@dataclass(frozen=True, slots=True)
class FrameGrid:
    """Frames in their order along the normal (row direction × column direction), on a grid.

    Slice k of `geometry` is frame k.
    """

    frames: tuple[Frame, ...]
    geometry: Geometry


def lay_out(frames: Sequence[Frame], settings: AssemblySettings) -> FrameGrid:
    """Order frames by their positions and check that they make one regular grid.

    Neither file order nor Instance Number nor Slice Location is looked at (PS3.3 C.7.6.2.1.1 makes
    Image Position and Orientation the only ones with a defined meaning).

    Raises
    ------
    AssemblyError
        Naming the first thing that is wrong, where it is, and what to do.
    """
    orientation, positions = _planes(frames, settings)
    normal = slice_normal(orientation.tolist())
    along = positions @ normal
    order = np.argsort(along, kind="stable")
    ordered = tuple(frames[int(i)] for i in order)
    along, positions = along[order], positions[order]
    if len(frames) < settings.least_slices:
        raise AssemblyError(
            f"{len(frames)} slices",
            expected=f"at least {settings.least_slices}",
            action="Give the whole series.",
        )
    _refuse_tilt(positions, along, normal, settings)
    spacing = _regular_spacing(ordered, along, settings)
    rows_mm, columns_mm = ordered[0].header.pixel_spacing_mm
    rows, columns = ordered[0].size
    return FrameGrid(
        ordered,
        Geometry(
            shape=(len(ordered), rows, columns),
            spacing_mm=(spacing, rows_mm, columns_mm),
            origin_mm=_vector(positions[0]),
            directions=(_vector(normal), _vector(orientation[3:]), _vector(orientation[:3])),
        ),
    )


def _vector(values: NDArray[np.float64]) -> Vector:
    return float(values[0]), float(values[1]), float(values[2])


def _planes(
    frames: Sequence[Frame], settings: AssemblySettings
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The common orientation (6,) and every position (n, 3), LPS mm."""
    for frame in frames:
        for keyword in frame.missing_placement:
            raise AssemblyError(
                f"no usable {keyword} in {frame.name}",
                expected="position, orientation and spacing of every slice (PS3.3 C.7.6.2)",
                action="Give the scanner's own images; copies may have lost them.",
            )
    first = min(frames, key=lambda frame: frame.position_mm or ())
    cosines = np.array([frame.orientation for frame in frames], dtype=np.float64)
    reference = np.array(first.orientation, dtype=np.float64)
    spacings = np.array([frame.pixel_spacing_mm for frame in frames])
    sizes = np.array([frame.size for frame in frames])
    turned = np.abs(cosines - reference).max(axis=1) > settings.orientation_tolerance
    for what, differs in (
        ("orientation", turned),
        ("size", np.any(sizes != first.size, axis=1)),
        ("pixel spacing", np.any(~np.isclose(spacings, first.pixel_spacing_mm or 0), axis=1)),
    ):
        if differs.any():
            others = [frames[int(index)] for index in np.flatnonzero(differs)]
            raise AssemblyError(
                f"slices of more than one {what} ({_names(others)} differ from {first.name})",
                expected=f"one {what} in a series",
                action="Give one reconstruction.",
            )
    positions = np.array([frame.position_mm for frame in frames], dtype=np.float64)
    return reference, positions


def _refuse_tilt(
    positions: NDArray[np.float64],
    along: NDArray[np.float64],
    normal: NDArray[np.float64],
    settings: AssemblySettings,
) -> None:
    sideways = (positions - positions[0]) - np.outer(along - along[0], normal)
    shift = float(np.linalg.norm(sideways, axis=1).max())
    if shift <= settings.lateral_tolerance_mm:
        return
    expected = f"slices stacked along their normal, within {settings.lateral_tolerance_mm:g} mm"
    angle = float(np.degrees(np.arctan2(np.linalg.norm(sideways[-1]), along[-1] - along[0])))
    steady = np.outer(np.linspace(0, 1, len(along)), sideways[-1])
    if float(np.abs(sideways - steady).max()) <= settings.lateral_tolerance_mm:
        raise AssemblyError(
            f"slices tilted by {angle:.1f}° against their stacking direction (a tilted gantry)",
            expected=expected,
            action="Use a reconstruction without tilt (axial MPR at the scanner).",
        )
    raise AssemblyError(
        f"slices shifted sideways by up to {shift:.1f} mm",
        expected=expected,
        action="Use one reconstruction with one field of view.",
    )


def _regular_spacing(
    frames: Sequence[Frame], along: NDArray[np.float64], settings: AssemblySettings
) -> float:
    """The spacing in mm of slices sorted along the normal, if it is one."""
    steps = np.diff(along)
    spacing = float(np.median(steps))
    _refuse_repeats(frames, along, max(spacing * settings.position_tolerance, 1e-3))
    tolerance = max(spacing * settings.position_tolerance, settings.position_tolerance_mm)
    fitted = float((along[-1] - along[0]) / (len(along) - 1))
    grid = along[0] + fitted * np.arange(len(along))
    grid += float(np.median(along - grid))
    off = np.abs(along - grid)
    gaps = np.flatnonzero(steps > settings.gap_factor * spacing)
    if not gaps.size and off.max() <= tolerance:
        return fitted
    _refuse_several_spacings(steps, tolerance)
    if gaps.size:
        at = int(gaps[0])
        more = f" and {gaps.size - 1} more gaps" if gaps.size > 1 else ""
        raise AssemblyError(
            f"a gap of {steps[at]:.1f} mm between {_place(frames, at)} and "
            f"{_place(frames, at + 1)}, with slices {spacing:.2f} mm apart elsewhere{more}",
            expected="slices at one spacing without a gap",
            action=_action_for(steps[gaps], spacing),
        )
    at = int(off.argmax())
    raise AssemblyError(
        f"irregular spacing: {_place(frames, at)} is {off[at]:.2f} mm from its place in a grid "
        f"of {fitted:.2f} mm (steps from {steps.min():.2f} to {steps.max():.2f} mm)",
        expected=f"each slice within {tolerance:.2f} mm of its place",
        action="Use a reconstruction with one slice spacing.",
    )


def _refuse_several_spacings(steps: NDArray[np.float64], tolerance: float) -> None:
    """Of an irregular stack: spacings that follow one another, or alternate, are no gaps."""
    expected = "slices at one spacing"
    runs = np.split(steps, np.flatnonzero(np.abs(np.diff(steps)) > tolerance) + 1)
    if 1 < len(runs) <= _MOST_SPACINGS and min(map(len, runs)) >= _LEAST_RUN:
        told = ", then ".join(f"{len(run)} steps of {np.median(run):.2f} mm" for run in runs)
        raise AssemblyError(
            f"slices at {len(runs)} spacings ({told})",
            expected=expected,
            action="Use a reconstruction with one slice spacing.",
        )
    even, odd = steps[::2], steps[1::2]
    if len(odd) < _LEAST_RUN or max(np.ptp(even), np.ptp(odd)) > tolerance:
        return
    if abs(float(np.median(even) - np.median(odd))) > tolerance:
        raise AssemblyError(
            f"slices {np.median(even):.2f} and {np.median(odd):.2f} mm apart in turn: two passes "
            "over the body in one series",
            expected=expected,
            action="Give one acquisition.",
        )


def _action_for(gaps: NDArray[np.float64], spacing: float) -> str:
    """What to do about gaps: slices are missing where whole numbers of steps would fill them."""
    whole = np.abs(gaps / spacing - np.round(gaps / spacing)) <= _WHOLE_STEPS
    if whole.all():
        return "Send the missing slices; nothing is made up in their place."
    return "Give one acquisition at one slice spacing; these gaps are no whole numbers of slices."


def _refuse_repeats(frames: Sequence[Frame], along: NDArray[np.float64], tolerance: float) -> None:
    repeats = np.flatnonzero(np.diff(along) < tolerance)
    if repeats.size:
        at = int(repeats[0])
        raise AssemblyError(
            f"{repeats.size} of the slices at a place already taken: {frames[at].name} and "
            f"{frames[at + 1].name} both at {along[at]:.2f} mm",
            expected="one slice at each position",
            action="Give one reconstruction or phase.",
        )


def _place(frames: Sequence[Frame], index: int) -> str:
    height = frames[index].header.image_position_mm[2]
    return f"{frames[index].name} (z = {height:.1f} mm)"


def _names(frames: Sequence[Frame]) -> str:
    names = ", ".join(frame.name for frame in frames[:_NAMED])
    rest = len(frames) - _NAMED
    return names + (f" and {rest} more" if rest > 0 else "")
