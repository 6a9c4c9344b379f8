"""What was read: a study, its series, and what could not be used and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class SourceKind(StrEnum):
    """The kind of thing a series was read from."""

    DICOM = "dicom"
    DICOM_MULTIFRAME = "dicom-multiframe"
    NIFTI = "nifti"
    METAIMAGE = "metaimage"
    IMAGE_STACK = "image-stack"


#: In the place of a Series Instance UID: a damaged file may be of any series.
ANY_SERIES = "any"


@dataclass(frozen=True, slots=True)
class Rejection:
    """Something that was not used, and why."""

    what: str
    """File (relative to the input) or series, without patient identifiers."""
    reason: str
    """Why it was not used."""
    missing_from: str = ""
    """Series Instance UID of the series that lacks an image without it; empty where none does,
    ANY_SERIES where nobody can tell which one does."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One stored image (a DICOM SOP Instance, or one file of another format).

    Each format has its own kind of it, which adds what the header says.
    """

    path: Path
    """The file that holds it."""
    member: int | None = None
    """Place in the directory of the zip archive at `path`, from 0: names may repeat. None for a
    plain file."""
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    """`sop_class_uid`, `sop_instance_uid`: empty for what is not DICOM."""


@dataclass(frozen=True, slots=True)
class Series:
    """Images taken together (PS3.3 A.1.2.3)."""

    series_instance_uid: str
    study_instance_uid: str
    """`series_instance_uid`, `study_instance_uid`: empty for what is not DICOM."""
    kind: SourceKind
    """What it was read from."""
    modality: str
    description: str
    """`modality`, `description`: as DICOM's Modality and Series Description."""
    instances: tuple[Instance, ...]
    """In no particular order."""
    selection_reason: str = ""
    """Why this series was chosen; set by `select_chest_ct`."""
    rejected: tuple[Rejection, ...] = ()
    """The series and files passed over in its favour; set by `select_chest_ct`."""


@dataclass(frozen=True, slots=True)
class Study:
    """Everything an input held, sorted into series."""

    series: tuple[Series, ...]
    """Ordered by series number, then UID."""
    rejected: tuple[Rejection, ...] = ()
    """Each file that could not be used, with its reason."""
