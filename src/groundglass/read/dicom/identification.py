"""Whose study it is: the attributes that everything written into a study must repeat."""

from __future__ import annotations

import io
from contextlib import suppress

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag, Tag

from groundglass.core.study import Instance
from groundglass.errors import ReadError
from groundglass.read.dicom.headers.damage import PARSE_ERRORS
from groundglass.read.dicom.headers.dataset import PIXEL_TAGS, open_dataset
from groundglass.read.limits import LIMITS
from groundglass.read.sources import Sources

#: Patient, Clinical Trial Subject, General Study, Patient Study and Clinical Trial Study Modules
#: (PS3.3 C.7.1.1, C.7.1.3, C.7.2.1, C.7.2.2, C.7.2.3). An object of another series of the study
#: repeats them as they are.
PATIENT_AND_STUDY = (
    "SpecificCharacterSet",
    "PatientName", "PatientID", "IssuerOfPatientID", "TypeOfPatientID",
    "IssuerOfPatientIDQualifiersSequence", "PatientBirthDate", "PatientBirthTime", "PatientSex",
    "OtherPatientIDsSequence", "OtherPatientNames", "EthnicGroup", "PatientComments",
    "PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence",
    "LongitudinalTemporalInformationModified", "QualityControlSubject",
    "ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID", "ClinicalTrialSiteName", "ClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID", "ClinicalTrialTimePointID",
    "ClinicalTrialTimePointDescription",
    "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "StudyDescription",
    "AccessionNumber", "IssuerOfAccessionNumberSequence", "ReferringPhysicianName",
    "PhysiciansOfRecord", "ProcedureCodeSequence",
    "PatientAge", "PatientSize", "PatientWeight", "AdmissionID", "ServiceEpisodeID",
)  # fmt: skip
#: What is taken from the CT itself: where it lies, who made it, in which time zone, and whether it
#: had lost something by compression before it came to us.
_IMAGE = (
    "SOPClassUID", "FrameOfReferenceUID", "PositionReferenceIndicator", "BodyPartExamined",
    "Manufacturer", "ManufacturerModelName", "InstitutionName", "StationName",
    "DeviceSerialNumber", "SoftwareVersions",
    "TimezoneOffsetFromUTC", "LossyImageCompression", "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)  # fmt: skip
#: Deeper nesting than codes of codes has no place in these attributes.
_DEEPEST = 4


def read_identification(instance: Instance) -> Dataset:
    """Patient, study and equipment, as the file of any DICOM image of the study states them.

    Read for writing results into the same study, never for messages. Decoded by its own character
    set, which it still names. What cannot be parsed is left out: a result with an incomplete header
    is filed by its Study Instance UID. A ReadError where the file cannot be read any more.
    """
    with Sources() as sources:
        data = sources.read(instance, limit=LIMITS.header_bytes)
    wanted: list[BaseTag | int] = [Tag(keyword) for keyword in (*PATIENT_AND_STUDY, *_IMAGE)]
    try:
        opened = open_dataset(io.BytesIO(data))
        raw = read_dataset(
            opened.stream,
            opened.implicit,
            opened.little,
            stop_when=lambda tag, _vr, _length: int(tag) in PIXEL_TAGS,
            specific_tags=wanted,
        )
    except PARSE_ERRORS as error:
        raise ReadError(
            f"a DICOM header that cannot be parsed any more ({type(error).__name__})",
            expected="the file as it was when the study was read",
            action="Analyse the study again.",
        ) from error
    return _readable(raw)


def _readable(raw: Dataset) -> Dataset:
    """The elements that can be decoded."""
    found = Dataset()
    for tag in raw.keys():  # noqa: SIM118  (iterating a Dataset converts its values)
        with suppress(*PARSE_ERRORS):
            if not _deeper(raw[tag], _DEEPEST):
                found.add(raw[tag])
    return found


def _deeper(element: DataElement, levels: int) -> bool:
    """Whether sequences are nested in more levels than these."""
    if element.VR != "SQ":
        return False
    return levels == 0 or any(_deeper(part, levels - 1) for item in element.value for part in item)
