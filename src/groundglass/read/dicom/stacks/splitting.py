"""One SeriesInstanceUID may hold several stacks; here they are told apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from groundglass.core.study import Instance, Rejection, Series
from groundglass.read.dicom.frames import Frame, frames_in
from groundglass.read.dicom.headers.ct_header import DicomInstance
from groundglass.read.dicom.stacks.passes import Pass, passes_of

#: Direction cosines or pixel spacings (mm) within this are one stack's: coarser than rounding,
#: finer than any real difference between two reconstructions.
_TOLERANCE = 1e-3
#: Values of Image Type that tell images apart; later ones vary within a series at some makers.
_TYPE_VALUES = 3


def split_stacks(series: Series) -> tuple[Series, ...]:
    """A series as consistent stacks, largest first; a plain series comes back as it is.

    Frames of different orientation, size, pixel spacing, kernel or image type are never one volume,
    nor are those of two passes over the body (`passes_of`). `rejected` of a stack has what was left
    out because its places were scanned twice.
    """
    if not series.instances[0].sop_class_uid:
        return (series,)
    frames = frames_in(series.instances)
    passes = [
        one
        for alike in _group(frames, kind).values()
        for plane in _by_plane(alike)
        for one in passes_of(plane)
    ]
    if len(passes) == 1 and not passes[0].doubled:
        return (series,)
    passes.sort(key=lambda one: (-len(one.frames), _identity(one.frames)))
    return tuple(
        replace(series, instances=_instances(one.frames), rejected=_left_out(one)) for one in passes
    )


def _left_out(one: Pass) -> tuple[Rejection, ...]:
    if not one.doubled:
        return ()
    images = f"{len(one.doubled)} image{'s' if len(one.doubled) > 1 else ''}"
    what = f"{images} at the join of two acquisitions"
    return (Rejection(what, "of each place that both scanned, one image is used"),)


def _group(
    frames: Sequence[Frame], key: Callable[[Frame], tuple[object, ...]]
) -> dict[tuple[object, ...], list[Frame]]:
    groups: defaultdict[tuple[object, ...], list[Frame]] = defaultdict(list)
    for frame in frames:
        groups[key(frame)].append(frame)
    return dict(groups)


#: What frames of one stack have in common, each with the words for it.
_COMMON: Mapping[str, Callable[[Frame], object]] = {
    "size": lambda frame: frame.size,
    "kernel": lambda frame: frame.kernel,
    "Image Type": lambda frame: frame.image_type[:_TYPE_VALUES],
    "object class": lambda frame: frame.header.sop_class_uid,
    "photometric interpretation": lambda frame: frame.header.photometric_interpretation,
    "Frame of Reference UID": lambda frame: frame.header.frame_of_reference_uid,
    "scanner": lambda frame: frame.header.manufacturer + frame.header.manufacturer_model_name,
    "Patient Position": lambda frame: frame.header.patient_position,
}


def kind(frame: Frame) -> tuple[object, ...]:
    """What frames of one stack have in common, beside orientation and pixel spacing."""
    return tuple(value(frame) for value in _COMMON.values())


def differences(one: Frame, other: Frame) -> list[str]:
    """In which of it two frames differ, in words."""
    return [words for words, value in _COMMON.items() if value(one) != value(other)]


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


def _identity(frames: Sequence[Frame]) -> tuple[str, int]:
    return min((frame.instance.sop_instance_uid, frame.number) for frame in frames)


def _instances(frames: Sequence[Frame]) -> tuple[Instance, ...]:
    """The objects that hold these frames, a multi-frame object cut to them."""
    by_object: defaultdict[str, list[Frame]] = defaultdict(list)
    for frame in frames:
        by_object[frame.instance.sop_instance_uid].append(frame)
    return tuple(_cut(members[0].instance, members) for members in by_object.values())


def _cut(instance: DicomInstance, frames: Sequence[Frame]) -> Instance:
    header = instance.header
    if not header.frames or len(header.frames) == len(frames):
        return instance
    wanted = {frame.number for frame in frames}
    kept = tuple(frame for frame in header.frames if frame.frame_number in wanted)
    return replace(instance, header=replace(header, frames=kept))
