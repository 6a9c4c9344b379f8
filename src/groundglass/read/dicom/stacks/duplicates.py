"""Files that claim the same SOP Instance UID."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from groundglass.core.study import Instance, Rejection
from groundglass.errors import ReadError
from groundglass.read.dicom.frames import frames_of
from groundglass.read.dicom.pixels.frame_reader import FrameReader

#: What makes two files the same picture of one patient at the same place in the same units. How
#: the pixels are packed (transfer syntax, allocated bits) may differ.
_SAME = (
    "SeriesInstanceUID", "Modality", "Rows", "Columns", "NumberOfFrames", "ImagePositionPatient",
    "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept",
    "PerFrameFunctionalGroupsSequence", "PatientTraits",
)  # fmt: skip


def drop_duplicates(
    instances: Sequence[tuple[str, Instance]], reader: FrameReader
) -> tuple[list[Instance], list[Rejection]]:
    """Each SOP Instance once (PS3.3 C.12.1: the UID identifies it for ever).

    Copies that agree are kept once. If copies disagree nobody can say which is right: none is
    used.

    Parameters
    ----------
    instances : sequence of (str, Instance)
        With the name messages use, sorted by it.
    reader : FrameReader
        Reads the pixels of duplicates, to compare them.
    """
    by_uid: defaultdict[object, list[tuple[str, Instance]]] = defaultdict(list)
    for name, instance in instances:
        by_uid[instance.sop_instance_uid or (instance.path, instance.member)].append(
            (name, instance)
        )
    kept: list[Instance] = []
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
                    missing_from=str(instance.attributes.get("SeriesInstanceUID", "")),
                )
                for name, instance in family
            ]
    return kept, rejected


def _borrowed(family: Sequence[tuple[str, Instance]], reader: FrameReader) -> bool:
    """Whether different images have the UID of one File Meta, which some tools write for all."""
    first = family[0][1]
    return all("UIDFromContent" in instance.attributes for _, instance in family) and not all(
        _same_image(first, other, reader) for _, other in family[1:]
    )


def _by_content(instance: Instance) -> Instance:
    uid = str(instance.attributes["UIDFromContent"])
    return replace(
        instance, sop_instance_uid=uid, attributes={**instance.attributes, "SOPInstanceUID": uid}
    )


def _same_image(first: Instance, second: Instance, reader: FrameReader) -> bool:
    if any(first.attributes.get(key) != second.attributes.get(key) for key in _SAME):
        return False
    try:
        return all(
            np.array_equal(reader.read(first, n), reader.read(second, n))
            for n in range(1, len(frames_of(first)) + 1)
        )
    except ReadError:
        return False
