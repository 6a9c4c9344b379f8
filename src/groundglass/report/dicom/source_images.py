"""The CT images a result speaks of: which one each slice is, and whose study they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from pydicom.dataset import Dataset
from pydicom.valuerep import format_number_as_ds

from groundglass.core.geometry import Geometry, Vector
from groundglass.core.quiet import quietly
from groundglass.core.study import Instance, Series
from groundglass.core.volume import Volume
from groundglass.errors import ReportError
from groundglass.read.dicom.frames import Frame, frames_in
from groundglass.read.dicom.identification import read_identification
from groundglass.read.dicom.uids import identified, is_valid, study_uid_of
from groundglass.report.dicom.encoding import element, sequence
from groundglass.report.dicom.result_uids import Identity

#: Tags of the references.
_SERIES, _INSTANCES, _SERIES_UID = 0x00081115, 0x0008114A, 0x0020000E
_SOURCE_IMAGES = 0x00082112


@dataclass(frozen=True, slots=True)
class SourceImage:
    """The image that is one slice of the volume."""

    sop_class_uid: str
    """The object that holds it."""
    sop_instance_uid: str
    frame_number: int | None
    """From 1; None for an object that is a single image."""
    position_mm: Vector
    """LPS centre of its first pixel in mm."""
    name: str
    """What it is called in a viewer: "CT image 45", by Instance Number or frame."""


@dataclass(frozen=True, slots=True, eq=False)
class SourceImages:
    """The images of a volume, and whose they are."""

    header: Dataset
    """Patient, study and equipment, as `read_identification` gives them."""
    images: tuple[SourceImage, ...]
    """By slice index of the volume."""
    geometry: Geometry
    study_instance_uid: str
    """Where they are filed; the study is one of our own where theirs is not valid."""
    series_instance_uid: str
    identified: bool
    """Whether other systems can find them by their UIDs: else nothing refers to them."""

    @classmethod
    def of(cls, volume: Volume) -> SourceImages:
        """The images a volume was read from; reads one file's header, and no pixels.

        Parameters
        ----------
        volume : Volume
            Of a series for which `why_no_dicom` finds no reason.

        Raises
        ------
        ReportError
            The series is not the one the volume was read from.
        ReadError
            Its files are no longer there.
        """
        series = cast(Series, volume.series)
        frames = frames_in(series.instances)
        positions = [frame.position_mm for frame in frames]
        if len(frames) != volume.geometry.shape[0] or None in positions:
            raise ReportError(
                f"a series of {len(frames)} images beside a volume of {volume.geometry.shape[0]}",
                expected="the series the volume was read from",
                action="Give the volume as `read_volume` returned it.",
            )
        along = np.asarray(positions) @ np.asarray(volume.geometry.directions[0])
        return cls(
            header=identify(series.instances),
            images=tuple(_image(frames[int(k)]) for k in np.argsort(along, kind="stable")),
            geometry=volume.geometry,
            study_instance_uid=study_uid_of(series.instances),
            series_instance_uid=series.series_instance_uid,
            identified=identified(series.instances),
        )

    @property
    def keys(self) -> list[tuple[str, int | None]]:
        """What identifies each image."""
        return [(image.sop_instance_uid, image.frame_number) for image in self.images]

    def frame_of_reference_uid(self, identity: Identity) -> str:
        """The CT's frame of reference; one of our own where it has no valid one (PS3.3 C.7.4.1)."""
        stated = str(self.header.get("FrameOfReferenceUID") or "").strip(" \0")
        return stated if is_valid(stated) else identity.uid("frame of reference")

    def evidence(self, indices: Sequence[int]) -> list[Dataset]:
        """What documents refer to: each object that holds one of these slices, once."""
        shared = empty_header(self.study_instance_uid, self.series_instance_uid)
        shared.Rows, shared.Columns = self.geometry.shape[1:]
        found: dict[str, Dataset] = {}
        for image in (self.images[index] for index in indices):
            item = Dataset()
            item.update(shared)
            item.SOPClassUID, item.SOPInstanceUID = image.sop_class_uid, image.sop_instance_uid
            found.setdefault(image.sop_instance_uid, item)
        return list(found.values())

    def references(self, indices: Iterable[int]) -> dict[int, bytes]:
        """Which images an object comes from (PS3.3 C.7.6.1.1.3).

        Returns
        -------
        dict of int to bytes
            Source Image Sequence and Referenced Series Sequence by tag (`encoding.file_bytes`).
        """
        used = {image.sop_instance_uid: image for image in (self.images[k] for k in indices)}
        objects = [object_reference(image) for image in used.values()]
        series = sequence(_INSTANCES, *objects)
        series += element(_SERIES_UID, b"UI", self.series_instance_uid.encode())
        return {
            _SOURCE_IMAGES: sequence(_SOURCE_IMAGES, *objects),
            _SERIES: sequence(_SERIES, series),
        }


def why_no_dicom(series: Series | None) -> str | None:
    """Why there can be no DICOM results; None where there can be."""
    if series is None:
        return "The volume was made in memory: there is no study to write results into."
    if not series.instances or not all(image.sop_class_uid for image in series.instances):
        return "The input is not DICOM: there is no study to write results into."
    return None


def why_captures_only(series: Series) -> str | None:
    """Why there can be only captures, which refer to no image; None where there can be all.

    A reference to an image that no archive knows by this UID sends its reader nowhere.
    """
    if identified(series.instances):
        return None
    return (
        "Only captures: the images have no valid Study, Series or SOP Instance UID by which "
        "anything could refer to them."
    )


def identify(instances: Sequence[Instance]) -> Dataset:
    """Patient, study and equipment, as the first image states them.

    The first by UID: the same for every order of the files.

    Raises
    ------
    ReadError
        Its file can no longer be read.
    """
    first = min(instances, key=lambda instance: instance.sop_instance_uid)
    with quietly():  # values written against the standard are repeated, not judged
        return read_identification(first)


def empty_header(study_instance_uid: str, series_instance_uid: str) -> Dataset:
    """What highdicom asks of a source, with nothing of the patient's in it."""
    header = Dataset()
    header.StudyInstanceUID, header.SeriesInstanceUID = study_instance_uid, series_instance_uid
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID",
                    "StudyDate", "StudyTime", "AccessionNumber"):  # fmt: skip
        setattr(header, keyword, "")
    return header


def object_reference(image: SourceImage) -> bytes:
    """A reference to the object that holds an image, as elements (PS3.3 table 10-11)."""
    return element(0x00081150, b"UI", image.sop_class_uid.encode()) + element(
        0x00081155, b"UI", image.sop_instance_uid.encode()
    )


def _image(frame: Frame) -> SourceImage:
    header = frame.instance.header
    many = bool(header.frames) or header.number_of_frames > 1
    return SourceImage(
        sop_class_uid=frame.instance.sop_class_uid,
        sop_instance_uid=frame.instance.sop_instance_uid,
        frame_number=frame.number if many else None,
        position_mm=cast(Vector, frame.position_mm),
        name=_name(frame, many=many),
    )


def _name(frame: Frame, *, many: bool) -> str:
    number = frame.instance.header.instance_number
    image = "CT image" if number is None else f"CT image {number}"
    return f"{image} frame {frame.number}" if many else image


def decimal_string(value: float) -> str:
    """A number as DICOM writes decimals: at most 16 characters (PS3.5 section 6.2)."""
    return format_number_as_ds(float(value))
