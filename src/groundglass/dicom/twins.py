"""Files that claim the same SOP Instance UID."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from groundglass.core.study import Instance, Rejection
from groundglass.dicom.frames import frames_of
from groundglass.dicom.pixels import FrameReader
from groundglass.errors import ReadError

#: What makes two files the same picture at the same place in the same units. How the pixels are
#: packed (transfer syntax, allocated bits) may differ.
_SAME = (
    "SeriesInstanceUID", "Modality", "Rows", "Columns", "NumberOfFrames", "ImagePositionPatient",
    "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept",
    "PerFrameFunctionalGroupsSequence",
)  # fmt: skip


def drop_twins(
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
        Reads the pixels of twins, to compare them.
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
        if all(_same_image(first, other, reader) for _, other in family[1:]):
            kept.append(first)
            rejected += [
                Rejection(name, f"the same image as {first_name}") for name, _ in family[1:]
            ]
        else:
            names = ", ".join(name for name, _ in family)
            rejected += [
                Rejection(name, f"different images with one SOP Instance UID: {names}")
                for name, _ in family
            ]
    return kept, rejected


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
