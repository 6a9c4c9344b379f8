"""What all DICOM results have in common: whose they are, who made them, and that they are research.

The objects themselves are made elsewhere with empty patient and study; here they become part of
the study, and bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from functools import cached_property
from types import MappingProxyType

from highdicom import ContributingEquipment
from highdicom.sr import CodedConcept, DeviceObserverIdentifyingAttributes, ObserverContext
from pydicom.charset import convert_encodings
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian

from groundglass.core.analysis import Analysis
from groundglass.core.quiet import quietly
from groundglass.read.dicom.identification import PATIENT_AND_STUDY
from groundglass.read.dicom.result_series_descriptions import MANUFACTURER, MODEL
from groundglass.report.dicom.encoding import PIXEL_DATA, file_bytes
from groundglass.report.dicom.result_uids import (
    FILING,
    Identity,
    ResultKind,
    device_uid,
)
from groundglass.report.narrative import plain

#: Dates and times of what we make: the object, its content and its series (PS3.3 C.12.1, C.7.3.1).
_MADE = ("InstanceCreation", "Content", "Series")
_OFFSET = re.compile(r"[+-](?:0\d|1[0-4])[0-5]\d")
#: Attributes of patient and study that may be empty and not missing (PS3.5 7.4.3).
_NEVER_MISSING = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex",
    "StudyID", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DicomObject:
    """One DICOM result as a file."""

    kind: ResultKind
    name: str
    """File name: kind and number, nothing of the patient."""
    sop_class_uid: str
    """As in the file."""
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    transfer_syntax_uid: str
    """How it is encoded."""
    content: bytes = field(repr=False)
    """The whole file (PS3.10)."""


@dataclass(frozen=True, eq=False)
class ResultBuilder:
    """The study that results become part of."""

    header: Dataset
    """Patient, study and equipment of the CT."""
    study_instance_uid: str
    identity: Identity
    """Where UIDs come from."""
    program: str
    weights: str
    """Name and version of the bundle; empty where none was asked."""
    body_part: str
    """Body Part Examined (PS3.16 annex L)."""
    analysis: Analysis
    """When, and as which revision of the study."""

    @property
    def software_versions(self) -> list[str]:
        """Program and weights, each as an LO."""
        return [f"groundglass {self.program}", *filter(None, [self.encodable(self.weights)[:64]])]

    @property
    def version(self) -> str:
        """Program and weights in one line; at most 64 characters (VR LO)."""
        return self.encodable(f"{self.program}, weights {self.weights}")[:64]

    @property
    def at(self) -> datetime:
        """When it was analysed, in the CT's time zone where that states one.

        An object has one offset for all of its dates and times, those of the study included (PS3.3
        C.12.1.1.2).
        """
        stated = str(self.header.get("TimezoneOffsetFromUTC") or "").strip()
        if not _OFFSET.fullmatch(stated):
            return self.analysis.at
        offset = timedelta(hours=int(stated[1:3]), minutes=int(stated[3:]))
        return self.analysis.at.astimezone(timezone(-offset if stated[0] == "-" else offset))

    @property
    def analysed(self) -> str:
        """Which analysis it is, for a reader."""
        return replace(self.analysis, at=self.at).words

    @cached_property
    def _encodings(self) -> list[str]:
        """Python's names of the character sets that the CT's header declares; ASCII without any."""
        declared = self.header.get("SpecificCharacterSet")
        names = [declared] if isinstance(declared, str) else list(declared or [])
        beyond = [name for name in names if name and not name.endswith("IR 6")]
        if not beyond:
            return ["ascii"]
        with quietly(), suppress(LookupError):
            return ["ascii", *convert_encodings(beyond)]
        return ["ascii"]

    def encodable(self, text: str) -> str:
        """Text in the letters that the study's character set has.

        Patient and study stay in the study's own character set, so what we write must fit it: what
        it lacks is written with plain letters, and as ? where there are none.
        """
        if all(self._writes(letter) for letter in set(text)):
            return text
        return plain(text)

    def _writes(self, letter: str) -> bool:
        for encoding in self._encodings:
            try:
                letter.encode(encoding)
            except (UnicodeEncodeError, LookupError):
                continue
            return True
        return False

    def create(self, kind: ResultKind, number: int = 1) -> Dataset:
        """An object that says what it is and who made it, to be filled and finalized.

        highdicom's own objects would first read a table of the whole standard, 22 MB of it.

        Parameters
        ----------
        number : int
            Counts the objects of the kind, from 1.
        """
        dataset = Dataset()
        filing = FILING[kind]
        dataset.SOPClassUID, dataset.Modality = filing.sop_class_uid, filing.modality
        dataset.SOPInstanceUID = self.identity.instance_uid(kind, number)
        dataset.InstanceNumber = number
        dataset.SeriesInstanceUID = self.identity.series_uid(kind)
        dataset.SeriesNumber = filing.series_number
        revision = self.analysis.revision
        described = f"{filing.series_description} rev {revision} {self.at:%Y-%m-%d %H:%M}"
        dataset.SeriesDescription = described[:64]
        dataset.Manufacturer, dataset.ManufacturerModelName = MANUFACTURER, MODEL
        dataset.SoftwareVersions = self.software_versions
        dataset.DeviceSerialNumber = self.program
        for keyword in _NEVER_MISSING:
            setattr(dataset, keyword, None)
        dataset.StudyInstanceUID = self.study_instance_uid
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        return dataset

    def create_document(
        self, kind: ResultKind, root: Dataset, evidence: Sequence[Dataset]
    ) -> Dataset:
        """A document of a content tree, to be filled and finalized (PS3.3 C.17.2, C.17.6.2).

        Parameters
        ----------
        evidence : sequence of pydicom Dataset
            Everything that the tree refers to, as `SourceImages.evidence` gives it.
        """
        dataset = self.create(kind)
        for element in root:
            dataset.add(element)
        dataset.ReferencedPerformedProcedureStepSequence = []
        study = Dataset()
        study.StudyInstanceUID = self.study_instance_uid
        study.ReferencedSeriesSequence = _by_series(evidence)
        dataset.CurrentRequestedProcedureEvidenceSequence = [study]
        return dataset

    @property
    def observer(self) -> ObserverContext:
        """The program as the one who observed (PS3.16 TID 1002, TID 1004)."""
        return ObserverContext(
            observer_type=codes.DCM.Device,
            observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
                uid=device_uid(self.program),
                name=MODEL,
                manufacturer_name=MANUFACTURER,
                model_name=MODEL,
                serial_number=self.program,
            ),
        )

    def finalize(
        self,
        dataset: Dataset,
        kind: ResultKind,
        ready: Mapping[int, bytes] = MappingProxyType({}),
    ) -> DicomObject:
        """Make an object part of the study, and bytes.

        Parameters
        ----------
        dataset : pydicom Dataset
            Whole but for patient, study, dates and body part; changed here.
        ready : mapping of int to bytes, optional
            Elements as they are written, by tag (`frames.put_frames`).
        """
        for keyword in PATIENT_AND_STUDY:
            if keyword == "StudyInstanceUID":
                continue  # as `create` has it: that of the header may not be valid
            stated = self.header.get_item(keyword)
            if stated is not None and (stated.value or keyword in dataset):
                dataset[keyword] = self.header[keyword]
        for what in _MADE:
            setattr(dataset, f"{what}Date", f"{self.at:%Y%m%d}")
            setattr(dataset, f"{what}Time", f"{self.at:%H%M%S}")
        dataset.TimezoneOffsetFromUTC = f"{self.at:%z}"[:5]
        if PIXEL_DATA in ready:
            dataset.BodyPartExamined = self.body_part
        if "ContentLabel" in dataset:
            dataset.ContentCreatorName = None  # no person; the attribute may not be missing
        dataset.ContributingEquipmentSequence = self._equipment
        for group in dataset.get("DimensionOrganizationSequence", ()):
            group.DimensionOrganizationUID = self.identity.uid(f"{kind} dimensions")
        for index in dataset.get("DimensionIndexSequence", ()):
            index.DimensionOrganizationUID = self.identity.uid(f"{kind} dimensions")
        with quietly():  # values written against the standard are repeated, not judged
            content = file_bytes(dataset, ready)
        number = f"-{dataset.InstanceNumber}" if kind is ResultKind.CAPTURE else ""
        return DicomObject(
            kind=kind,
            name=f"{kind}{number}.dcm",
            sop_class_uid=str(dataset.SOPClassUID),
            sop_instance_uid=str(dataset.SOPInstanceUID),
            series_instance_uid=str(dataset.SeriesInstanceUID),
            study_instance_uid=str(dataset.StudyInstanceUID),
            transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
            content=content,
        )

    @cached_property
    def _equipment(self) -> Sequence[Dataset]:
        """The scanner, and the library that codes the content (PS3.3 C.12.1, CID 7005)."""
        items = []
        if str(self.header.get("Manufacturer") or ""):
            scanner = Dataset()
            for keyword in ("Manufacturer", "ManufacturerModelName", "InstitutionName",
                            "StationName", "DeviceSerialNumber", "SoftwareVersions"):  # fmt: skip
                if self.header.get(keyword):
                    scanner[keyword] = self.header[keyword]
            purpose = CodedConcept.from_code(codes.DCM.AcquisitionEquipment)
            scanner.PurposeOfReferenceCodeSequence = [purpose]
            items.append(scanner)
        library = ContributingEquipment.for_highdicom()
        del library.ContributionDateTime
        return [*items, library]


def _by_series(evidence: Sequence[Dataset]) -> list[Dataset]:
    """The evidence by series (PS3.3 table C.17-3a)."""
    by_series: dict[str, list[Dataset]] = {}
    for image in evidence:
        reference = Dataset()
        reference.ReferencedSOPClassUID = image.SOPClassUID
        reference.ReferencedSOPInstanceUID = image.SOPInstanceUID
        by_series.setdefault(str(image.SeriesInstanceUID), []).append(reference)
    found = []
    for uid, references in by_series.items():
        series = Dataset()
        series.SeriesInstanceUID = uid
        series.ReferencedSOPSequence = references
        found.append(series)
    return found
