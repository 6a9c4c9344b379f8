"""Which instance a DICOM file of ours holds, and which report a file belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from groundglass.read.dicom.headers.damage import PARSE_ERRORS
from groundglass.report import REFUSAL
from groundglass.report.writing import MANIFEST

_TAGS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")


@dataclass(frozen=True, slots=True)
class Identity:
    """Which instance a file holds, and how encoded."""

    path: Path
    """The file."""
    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    """`sop_class_uid`, `sop_instance_uid`, `study_instance_uid`, `series_instance_uid`: UIDs of its
    header."""
    transfer_syntax_uid: str
    """UID of its File Meta Information."""


def identify(path: Path) -> Identity | None:
    """Which instance a file holds; None when it is no whole DICOM file (PS3.10)."""
    try:
        header = dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS))
        return Identity(
            path,
            sop_class_uid=str(header.SOPClassUID),
            sop_instance_uid=str(header.SOPInstanceUID),
            study_instance_uid=str(header.StudyInstanceUID),
            series_instance_uid=str(header.SeriesInstanceUID),
            transfer_syntax_uid=str(header.file_meta.TransferSyntaxUID),
        )
    except (InvalidDicomError, *PARSE_ERRORS):
        return None


def report_of(path: Path) -> Path:
    """The folder of the report a file belongs to."""
    manifests = (MANIFEST, REFUSAL)
    whole = (at for at in path.parents if any((at / name).is_file() for name in manifests))
    return next(whole, path.parent)
