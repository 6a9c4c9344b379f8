"""Whether a stack is the whole of what was scanned, or a part that something tells apart.

A part of the lungs makes as confident a verdict as all of them. So no stack is judged unless it
covers what its series covers, and no series that makes one stack only together with others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.core.study import ANY_SERIES, Rejection, Series
from groundglass.read.dicom.frames import Frame, frames_in, series_number, slice_normal
from groundglass.read.dicom.reconstructions import is_reconstruction
from groundglass.read.dicom.stacks.passes import even_steps
from groundglass.read.dicom.stacks.splitting import differences

#: Cosine between normals from which stacks run the same way: 8°, between axial and anything else.
_PARALLEL = 0.99
#: A stack covers another up to this part of its own step; a missing slice is a whole step.
_REACH = 0.75
#: Sideways shift in mm up to which slices of several series may be one stack's.
_SIDEWAYS_MM = 1.0
#: Fewest slices that several series must make together to be called one stack.
_LEAST_SLICES = 10
_NAMED = 3
#: How messages spell keywords.
_SPELT = {
    "ImagePositionPatient": "Image Position (Patient)",
    "ImageOrientationPatient": "Image Orientation (Patient)",
    "PixelSpacing": "Pixel Spacing",
}


@dataclass(frozen=True, slots=True)
class NamedStack:
    """One stack of an input, and how messages call it, without identifiers."""

    name: str
    series: Series


@dataclass(frozen=True, slots=True, eq=False)
class _Extent:
    """Where a stack's slices lie: LPS positions in mm, shape (n, 3), of at least one frame."""

    stack: NamedStack
    first: Frame
    positions: NDArray[np.float64]

    @classmethod
    def of(cls, stack: NamedStack) -> _Extent | None:
        frames = frames_in(stack.series.instances)
        positions = [frame.position_mm for frame in frames]
        if not frames or frames[0].missing_placement or None in positions:
            return None
        return cls(stack, frames[0], np.array(positions, dtype=np.float64))

    @property
    def normal(self) -> NDArray[np.float64]:
        return slice_normal(self.first.orientation or ())

    @property
    def in_plane(self) -> tuple[object, ...]:
        return self.first.size, self.first.pixel_spacing_mm

    @property
    def is_image(self) -> bool:
        """Whether it is what a slice can be missing from, and no scout or computed image."""
        return is_reconstruction(self.first)

    def along(self, normal: NDArray[np.float64]) -> NDArray[np.float64]:
        """Places in mm along a direction, ascending."""
        return np.sort(self.positions @ normal)


def whole_stacks(
    stacks: Sequence[NamedStack], set_aside: Sequence[Rejection]
) -> tuple[list[NamedStack], list[Rejection]]:
    """The stacks of an input that are whole, in the order given, and why the others are not.

    One rejection for each that is a part of a series with a whole stack; one for all stacks of a
    series without, or of several series that make one stack together. `set_aside` are files that
    were not used.
    """
    rejections: dict[int, Rejection] = {}
    extents = {id(stack): _Extent.of(stack) for stack in stacks}
    by_series: defaultdict[tuple[str, str], list[NamedStack]] = defaultdict(list)
    for stack in stacks:
        one = stack.series
        by_series[one.study_instance_uid, one.series_instance_uid].append(stack)
    for (_, uid), members in by_series.items():
        placed = [extent for one in members if (extent := extents[id(one)]) is not None]
        lost = [one for one in set_aside if one.missing_from in {uid or ANY_SERIES, ANY_SERIES}]
        if lost:
            rejections |= _without_images(members, placed, lost)
        elif len(members) > 1:
            rejections |= _within_series(members, placed)
    left = [extent for key, extent in extents.items() if extent and key not in rejections]
    rejections |= _across_series(left)
    whole = [stack for stack in stacks if id(stack) not in rejections]
    unique = {id(rejection): rejection for rejection in rejections.values()}
    return whole, list(unique.values())


def _without_images(
    members: Sequence[NamedStack], placed: Sequence[_Extent], lost: Sequence[Rejection]
) -> dict[int, Rejection]:
    """That a series lacks images, for each of its stacks of CT slices."""
    count = len(lost)
    rejection = Rejection(
        series_name(members[0].series),
        f"{count} {'images that are' if count > 1 else 'image that is'} or may be of it cannot be "
        f"used, and a part is not judged; the first: {lost[0].reason}",
    )
    return {id(extent.stack): rejection for extent in placed if extent.is_image}


def _within_series(
    members: Sequence[NamedStack], placed: Sequence[_Extent]
) -> dict[int, Rejection]:
    """Why stacks of one series are no wholes, by the stack's id."""
    unplaced = _unplaced(members)
    rejections: dict[int, Rejection] = {}
    for group in _parallel(placed):
        if not any(extent.is_image for extent in group):
            continue  # no CT: whatever it is, it will be told why it is not taken
        if unplaced is not None:
            rejections |= {id(extent.stack): unplaced for extent in group}
        elif len(group) > 1:
            rejections |= _parts(group)
    return rejections


def _parallel(extents: Sequence[_Extent]) -> list[list[_Extent]]:
    """Stacks that run the same way; a scout of another size or spacing is with nobody."""
    groups: list[list[_Extent]] = []
    for extent in extents:
        for group in groups:
            alike = extent.in_plane == group[0].in_plane
            both_images = extent.is_image and group[0].is_image
            if (alike or both_images) and abs(extent.normal @ group[0].normal) > _PARALLEL:
                group.append(extent)
                break
        else:
            groups.append([extent])
    return groups


def _parts(group: Sequence[_Extent]) -> dict[int, Rejection]:
    """Which of a series' parallel stacks do not cover what all of them cover."""
    normal = group[0].normal
    places = [extent.along(normal) for extent in group]
    every = np.unique(np.concatenate(places))
    part = [not _covers(own, every) for own in places]
    told = ", ".join(_told_apart(group))
    if all(part):
        images = sum(len(own) for own in places)
        rejection = Rejection(
            f"{series_name(group[0].stack.series)} ({images} images)",
            f"comes apart into {len(group)} stacks{told and f', which differ in {told}'}; none of "
            "them covers what all of them do, and a part is not judged",
        )
        return {id(extent.stack): rejection for extent in group}
    return {
        id(extent.stack): Rejection(
            extent.stack.name,
            f"a part of its series: it covers {own[-1] - own[0]:.0f} of "
            f"{every[-1] - every[0]:.0f} mm{told and f' (the stacks differ in {told})'}",
        )
        for extent, own, is_part in zip(group, places, part, strict=True)
        if is_part
    }


def _told_apart(group: Sequence[_Extent]) -> list[str]:
    first = group[0].first
    words = {word: None for other in group[1:] for word in differences(first, other.first)}
    if any(other.first.pixel_spacing_mm != first.pixel_spacing_mm for other in group[1:]):
        words["Pixel Spacing"] = None
    return list(words)


def _covers(own: NDArray[np.float64], every: NDArray[np.float64]) -> bool:
    """Whether places reach as far as all do."""
    reach = _REACH * (float(np.median(np.diff(own))) if len(own) > 1 else 0.0)
    return bool(own[0] - every[0] <= reach and every[-1] - own[-1] <= reach)


def _unplaced(members: Sequence[NamedStack]) -> Rejection | None:
    """That some CT images of a series say nothing of where they lie, if that is so."""
    frames = [
        frame
        for stack in members
        for frame in frames_in(stack.series.instances)
        if is_reconstruction(frame)
    ]
    missing = [(keyword, frame) for frame in frames for keyword in frame.missing_placement]
    if not missing:
        return None
    keyword, first = missing[0]
    count = len({(frame.instance.path, frame.number) for _, frame in missing})
    return Rejection(
        f"{series_name(members[0].series)} ({len(frames)} images)",
        f"no usable {_SPELT[keyword]} in {first.name}"
        + (f" and {count - 1} more" if count > 1 else "")
        + "; without its place a slice cannot be put into the stack",
    )


def _across_series(extents: Sequence[_Extent]) -> dict[int, Rejection]:
    """Why stacks of several series are no wholes: they make one only together."""
    alike: defaultdict[Hashable, list[_Extent]] = defaultdict(list)
    for extent in extents:
        alike[_look(extent)].append(extent)
    rejections: dict[int, Rejection] = {}
    for family in alike.values():
        if len(family) > 1 and any(one.is_image for one in family) and _make_one(family):
            names = ", ".join(extent.stack.name for extent in family[:_NAMED])
            more = f" and {len(family) - _NAMED} more" if len(family) > _NAMED else ""
            slices = sum(len(extent.positions) for extent in family)
            rejection = Rejection(
                f"{names}{more}",
                f"make one stack of {slices} slices together, though {_which_uids(family)}; "
                "a part is not judged",
            )
            rejections |= {id(extent.stack): rejection for extent in family}
    return rejections


def _look(extent: _Extent) -> Hashable:
    """What slices of one stack have in common, whatever series they are said to be of."""
    frame = extent.first
    cosines = tuple(round(value, 2) for value in frame.header.image_orientation)
    spacing = tuple(round(value, 3) for value in frame.pixel_spacing_mm or ())
    words = (frame.header.series_description, frame.kernel)
    return frame.size, spacing, cosines, words, frame.image_type[:3]


def _make_one(family: Sequence[_Extent]) -> bool:
    """Whether stacks make one even stack together that none of them is."""
    normal = family[0].normal
    positions = np.concatenate([extent.positions for extent in family])
    every = np.sort(positions @ normal)
    sideways = positions - positions[0]
    sideways -= np.outer(sideways @ normal, normal)
    if len(every) < _LEAST_SLICES or np.linalg.norm(sideways, axis=1).max() > _SIDEWAYS_MM:
        return False
    own = [extent.along(normal) for extent in family]
    return even_steps(every) and not any(even_steps(one) and _covers(one, every) for one in own)


def _which_uids(family: Sequence[_Extent]) -> str:
    """Which identifiers set the stacks apart."""
    series = {extent.stack.series.series_instance_uid for extent in family}
    if len(series) == len(family) and all(len(extent.positions) == 1 for extent in family):
        return "each image has a Series Instance UID of its own, as some de-identification writes"
    studies = {extent.stack.series.study_instance_uid for extent in family}
    if len(studies) > 1:
        return f"they name {len(studies)} studies"
    modalities = {extent.stack.series.modality for extent in family}
    return "they are of several modalities" if len(modalities) > 1 else "they are several series"


def series_name(series: Series) -> str:
    """How messages call a series, or the series a stack is of."""
    number = series_number(series)
    label = "series" if number is None else f"series {number}"
    return f"{label} '{series.description}'" if series.description else label
