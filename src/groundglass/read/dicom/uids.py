"""UIDs as files have them, valid or not, and those that stand in for them (PS3.5 section 9)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence

from pydicom import config
from pydicom.uid import UID

from groundglass.core.study import Instance
from groundglass.read.dicom.headers.ct_header import DicomInstance, dicom_instances

#: Never changes: a file without a UID gets the same one for ever.
_NAMESPACE = uuid.UUID("0e0b3f6c-3e0c-5f0e-9a27-6d1f2c8b5a41")
_VALID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")
_LONGEST = 64
#: After the name of a UID, by whether there is one.
_FAULT = {True: " that is not valid (PS3.5 section 9)", False: ""}


def as_uid(text: str) -> UID:
    """A UID of a file, which pydicom would warn of, quoting it, where it is not valid."""
    return UID(text, validation_mode=config.IGNORE)


def is_valid(text: str) -> bool:
    """Whether a text is a UID that other systems will take: numbers and dots, at most 64."""
    return len(text) <= _LONGEST and _VALID.fullmatch(text) is not None


def named(text: str, what: str) -> str:
    """How messages call a UID of the standard: by name; one that is not valid is not quoted.

    Then by `what` it is a UID of.
    """
    return as_uid(text).name if is_valid(text) else f"{what} without a valid UID"


def derived(what: str, content: bytes) -> str:
    """A UID of form 2.25 (PS3.5 B.2) that depends on some content and on nothing else."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, f'{what} {content.hex()}').int}"


def study_uid_of(instances: Sequence[Instance]) -> str:
    """The Study Instance UID that results are filed under: the images' own where it is valid.

    Else one made from it, or from the images where there is none: the same for every result.
    """
    stated = {image.header.study_instance_uid for image in dicom_instances(instances)}
    first = min(stated)
    if is_valid(first):
        return first
    images = "" if first else " ".join(sorted(image.sop_instance_uid for image in instances))
    return derived("study", f"{first}{images}".encode())


def notes_on(instances: Sequence[Instance]) -> set[str]:
    """What a reader should know of a series' missing and invalid UIDs, none of them quoted."""
    notes = set()
    many = len(instances)
    header = dicom_instances(instances)[0].header
    made = [image for image in dicom_instances(instances) if _is_made(image)]
    if made:
        notes.add(
            f"{len(made)} of {many} images have no SOP Instance UID; one made from the file's "
            "content stands in."
        )
    if bad := sum(not is_valid(image.sop_instance_uid) for image in instances):
        notes.add(f"{bad} of {many} images have a SOP Instance UID that is not valid.")
    for stated, name in (
        (header.study_instance_uid, "Study Instance UID"),
        (header.series_instance_uid, "Series Instance UID"),
    ):
        if not is_valid(stated):
            notes.add(f"The images have {'a' if stated else 'no'} {name}{_FAULT[bool(stated)]}.")
    if header.frame_of_reference_uid and not is_valid(header.frame_of_reference_uid):
        notes.add(f"The images have a Frame of Reference UID{_FAULT[True]}.")
    return notes


def identified(instances: Sequence[Instance]) -> bool:
    """Whether another system can find the images of a series by what their files state."""
    return all(
        is_valid(image.header.study_instance_uid)
        and is_valid(image.header.series_instance_uid)
        and is_valid(image.sop_instance_uid)
        and not _is_made(image)
        for image in dicom_instances(instances)
    )


def _is_made(image: DicomInstance) -> bool:
    """Whether its SOP Instance UID is made from its content."""
    return image.header.uid_from_content == image.sop_instance_uid
