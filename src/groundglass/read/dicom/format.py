"""DICOM as a format that is read: headers, series by their UIDs, duplicates kept once."""

from __future__ import annotations

from collections import defaultdict

from groundglass.core.study import Series, SourceKind
from groundglass.errors import ReadError
from groundglass.read.dicom.assessment import assess_series
from groundglass.read.dicom.decoding import decode_series
from groundglass.read.dicom.headers.ct_header import DicomInstance
from groundglass.read.dicom.headers.dataset import looks_like_dicom
from groundglass.read.dicom.headers.header import read_header, read_uids
from groundglass.read.dicom.pixels.frame_reader import FrameReader
from groundglass.read.dicom.stacks.duplicates import drop_duplicates
from groundglass.read.format import FoundFiles, SeriesFound, StudyIdentity
from groundglass.read.sources import Entry, Sources


class DicomFormat:
    """DICOM images, with or without preamble, one or many frames in a file."""

    kinds = frozenset((SourceKind.DICOM, SourceKind.DICOM_MULTIFRAME))
    recognises = staticmethod(looks_like_dicom)
    read = staticmethod(read_header)
    assess = staticmethod(assess_series)
    decode = staticmethod(decode_series)

    def identify(self, entry: Entry, sources: Sources, head: bytes) -> StudyIdentity:
        """By Study Instance UID; the header is read no further."""
        uid = read_uids(entry, sources, head).study_instance_uid
        if uid:
            return StudyIdentity(uid, uid)
        raise ReadError(
            "a DICOM file without a Study Instance UID",
            expected="one (PS3.3 C.7.2.1)",
            action="Give the study by itself to `groundglass run`.",
        )

    def sort(self, found: FoundFiles) -> SeriesFound:
        """Images by Study and Series Instance UID and modality, each once."""
        images = [(name, one) for name, one in found.instances if isinstance(one, DicomInstance)]
        with FrameReader() as reader:
            kept, rejected = drop_duplicates(images, reader)
        groups: defaultdict[tuple[str, str, str], list[DicomInstance]] = defaultdict(list)
        for image in kept:
            said = image.header
            groups[said.study_instance_uid, said.series_instance_uid, said.modality].append(image)
        return SeriesFound(tuple(map(_series_of, groups.values())), tuple(rejected))


def _series_of(images: list[DicomInstance]) -> Series:
    ordered = tuple(sorted(images, key=lambda image: image.sop_instance_uid))
    first = ordered[0].header
    many = any(image.header.number_of_frames > 1 for image in ordered)
    return Series(
        series_instance_uid=first.series_instance_uid,
        study_instance_uid=first.study_instance_uid,
        kind=SourceKind.DICOM_MULTIFRAME if many else SourceKind.DICOM,
        modality=first.modality,
        description=first.series_description,
        instances=ordered,
    )
