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
    """Something that was not used, and why.

    Parameters
    ----------
    what : str
        File (relative to the input) or series, without patient identifiers.
    reason : str
        Why it was not used.
    missing_from : str
        Series Instance UID of the series that lacks an image without it; empty where none does,
        ANY_SERIES where nobody can tell which one does.
    """

    what: str
    reason: str
    missing_from: str = ""


@dataclass(frozen=True, slots=True)
class Instance:
    """One stored image (a DICOM SOP Instance, or one file of another format).

    Each format has its own kind of it, which adds what the header says.

    Parameters
    ----------
    path : Path
        The file that holds it.
    member : int or None
        Place in the directory of the zip archive at `path`, from 0: names may repeat. None for a
        plain file.
    sop_class_uid, sop_instance_uid : str
        Empty for what is not DICOM.
    """

    path: Path
    member: int | None = None
    sop_class_uid: str = ""
    sop_instance_uid: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """Images taken together (PS3.3 A.1.2.3).

    Parameters
    ----------
    series_instance_uid, study_instance_uid : str
        Empty for what is not DICOM.
    kind : SourceKind
        What it was read from.
    modality, description : str
        `Modality`, `SeriesDescription`.
    instances : tuple of Instance
        In no particular order.
    selection_reason : str
        Why this series was chosen; set by `select_chest_ct`.
    rejected : tuple of Rejection
        The series and files passed over in its favour; set by `select_chest_ct`.
    """

    series_instance_uid: str
    study_instance_uid: str
    kind: SourceKind
    modality: str
    description: str
    instances: tuple[Instance, ...]
    selection_reason: str = ""
    rejected: tuple[Rejection, ...] = ()


@dataclass(frozen=True, slots=True)
class Study:
    """Everything an input held, sorted into series.

    Parameters
    ----------
    series : tuple of Series
        Ordered by series number, then UID.
    rejected : tuple of Rejection
        Each file that could not be used, with its reason.
    """

    series: tuple[Series, ...]
    rejected: tuple[Rejection, ...] = ()
