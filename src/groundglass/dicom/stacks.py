"""One SeriesInstanceUID may hold several stacks; here they are told apart."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from groundglass.core.study import Instance, Series
from groundglass.dicom.frames import Frame, frames_of

#: Direction cosines or pixel spacings (mm) within this are one stack's: coarser than rounding,
#: finer than any real difference between two reconstructions.
_TOLERANCE = 1e-3
#: Positions that agree to this many digits (mm) are one place.
_SAME_PLACE_DIGITS = 2
#: Values of Image Type that tell images apart; later ones vary within a series at some makers.
_TYPE_VALUES = 3

#: What may tell two images at one place apart, most telling first.
_PHASES = (
    "TemporalPositionIdentifier", "TemporalPositionIndex", "AcquisitionNumber",
    "FrameAcquisitionNumber", "StackID", "KVP", "AcquisitionTime",
)  # fmt: skip


def split_stacks(series: Series) -> tuple[Series, ...]:
    """A series as consistent stacks, largest first; a plain series comes back as it is.

    Frames of different orientation, size, pixel spacing, kernel or image type are never one
    volume. Where positions still repeat, the first of `_PHASES` that tells every pair apart
    splits further.
    """
    if not series.instances[0].sop_class_uid:
        return (series,)
    frames = [frame for instance in series.instances for frame in frames_of(instance)]
    groups = [
        phase
        for alike in _group(frames, _kind).values()
        for plane in _by_plane(alike)
        for phase in _split_phases(plane)
    ]
    if len(groups) == 1:
        return (series,)
    ordered = sorted(groups, key=lambda group: (-len(group), _identity(group)))
    return tuple(replace(series, instances=_instances(group)) for group in ordered)


def _group(
    frames: Sequence[Frame], key: Callable[[Frame], tuple[object, ...]]
) -> dict[tuple[object, ...], list[Frame]]:
    groups: defaultdict[tuple[object, ...], list[Frame]] = defaultdict(list)
    for frame in frames:
        groups[key(frame)].append(frame)
    return dict(groups)


def _kind(frame: Frame) -> tuple[object, ...]:
    return (
        frame.size,
        frame.text("ConvolutionKernel"),
        frame.image_type[:_TYPE_VALUES],
        frame.text("SOPClassUID"),
        frame.text("PhotometricInterpretation"),
        frame.text("FrameOfReferenceUID"),
    )


def _by_plane(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Frames whose orientation and pixel spacing agree with the first of their group."""
    ordered = sorted(frames, key=lambda frame: _identity([frame]))
    planes = np.array([_plane(frame) for frame in ordered])
    groups: list[list[Frame]] = []
    left = np.arange(len(ordered))
    while left.size:
        off = np.abs(planes[left] - planes[left[0]]).max(axis=1)
        alike = off <= _TOLERANCE
        groups.append([ordered[int(index)] for index in left[alike]])
        left = left[~alike]
    return groups


def _plane(frame: Frame) -> list[float]:
    """Six cosines and two spacings in mm; zeros where the header has none."""
    cosines, spacing = frame.orientation, frame.pixel_spacing_mm
    return [*([0.0] * 6 if cosines is None else cosines), *(spacing or (0.0, 0.0))]


def _split_phases(frames: list[Frame]) -> list[list[Frame]]:
    """Phases that take each place once; no more of them than images at one place."""
    most = _images_at_one_place(frames)
    if most == 1:
        return [frames]
    for keyword in _PHASES:
        phases = _group(frames, lambda frame, k=keyword: (frame.values.get(k),))  # type: ignore[misc]
        apart = all(_images_at_one_place(phase) == 1 for phase in phases.values())
        if apart and len(phases) <= most:
            return list(phases.values())
    return [frames]


def _images_at_one_place(frames: Sequence[Frame]) -> int:
    places = Counter(
        tuple(round(value, _SAME_PLACE_DIGITS) for value in frame.position_mm)
        for frame in frames
        if frame.position_mm is not None
    )
    return max(places.values(), default=1)


def _identity(frames: Sequence[Frame]) -> tuple[str, int]:
    return min((frame.instance.sop_instance_uid, frame.number) for frame in frames)


def _instances(frames: Sequence[Frame]) -> tuple[Instance, ...]:
    """The objects that hold these frames, a multi-frame object cut to them."""
    by_object: defaultdict[str, list[Frame]] = defaultdict(list)
    for frame in frames:
        by_object[frame.instance.sop_instance_uid].append(frame)
    return tuple(_cut(members[0].instance, members) for members in by_object.values())


def _cut(instance: Instance, frames: Sequence[Frame]) -> Instance:
    groups = instance.attributes.get("PerFrameFunctionalGroupsSequence")
    if not isinstance(groups, tuple) or len(groups) == len(frames):
        return instance
    wanted = {frame.number for frame in frames}
    kept = tuple(group for group in groups if group["FrameNumber"] in wanted)
    attributes = {**instance.attributes, "PerFrameFunctionalGroupsSequence": kept}
    return replace(instance, attributes=attributes)
