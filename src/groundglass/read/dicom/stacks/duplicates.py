"""Files that claim the same SOP Instance UID."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter

import numpy as np

from groundglass.core.study import Rejection
from groundglass.errors import ReadError
from groundglass.read.dicom.frames import frames_of
from groundglass.read.dicom.headers.attributes import FRAME_FIELDS
from groundglass.read.dicom.headers.ct_header import CtHeader, DicomInstance
from groundglass.read.dicom.pixels.frame_reader import FrameReader

#: What makes two files the same picture of one patient at the same place in the same units. How
#: the pixels are packed (transfer syntax, allocated bits) may differ.
_of_image = attrgetter(
    "series_instance_uid", "modality", "rows", "columns", "number_of_frames", "image_position_mm",
    "image_orientation", "pixel_spacing_mm", "rescale_slope", "rescale_intercept", "patient",
)  # fmt: skip
_of_frame = attrgetter(*FRAME_FIELDS)


def drop_duplicates(
    instances: Sequence[tuple[str, DicomInstance]], reader: FrameReader
) -> tuple[list[DicomInstance], list[Rejection]]:
    """Each SOP Instance once (PS3.3 C.12.1: the UID identifies it for ever).

    Copies that agree are kept once. If copies disagree nobody can say which is right: none is used.
    Images come with the names messages use, sorted by them.
    """
    by_uid: defaultdict[object, list[tuple[str, DicomInstance]]] = defaultdict(list)
    for name, instance in instances:
        by_uid[instance.sop_instance_uid or (instance.path, instance.member)].append(
            (name, instance)
        )
    kept: list[DicomInstance] = []
    rejected: list[Rejection] = []
    for family in by_uid.values():
        first_name, first = family[0]
        if _borrowed(family, reader):
            kept += [_by_content(instance) for _, instance in family]
        elif all(_same_image(first, other, reader) for _, other in family[1:]):
            kept.append(first)
            rejected += [
                Rejection(name, f"the same image as {first_name}") for name, _ in family[1:]
            ]
        else:
            names = ", ".join(name for name, _ in family)
            rejected += [
                Rejection(
                    name,
                    f"copies that differ under one SOP Instance UID: {names}",
                    missing_from=instance.header.series_instance_uid,
                )
                for name, instance in family
            ]
    return kept, rejected


def _borrowed(family: Sequence[tuple[str, DicomInstance]], reader: FrameReader) -> bool:
    """Whether different images have the UID of one File Meta, which some tools write for all."""
    first = family[0][1]
    return all(instance.header.uid_from_content for _, instance in family) and not all(
        _same_image(first, other, reader) for _, other in family[1:]
    )


def _by_content(instance: DicomInstance) -> DicomInstance:
    uid = instance.header.uid_from_content
    header = replace(instance.header, sop_instance_uid=uid)
    return replace(instance, sop_instance_uid=uid, header=header)


def _meaning(header: CtHeader) -> tuple[object, ...]:
    return (*_of_image(header), *(_of_frame(frame) for frame in header.frames))


def _same_image(first: DicomInstance, second: DicomInstance, reader: FrameReader) -> bool:
    if _meaning(first.header) != _meaning(second.header):
        return False
    try:
        return all(
            np.array_equal(reader.read(first, n), reader.read(second, n))
            for n in range(1, len(frames_of(first)) + 1)
        )
    except ReadError:
        return False
