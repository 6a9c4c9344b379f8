"""What the header of a DICOM image says, typed, and how bytes become it (PS3.5 section 6)."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataelem import RawDataElement
from pydicom.uid import UID

from groundglass.core.study import Instance
from groundglass.read.dicom.headers.charsets import decode
from groundglass.read.dicom.headers.patient_traits import PatientTraits


def bytes_of(element: RawDataElement) -> bytes:
    """Its value as it is stored."""
    return element.value if isinstance(element.value, bytes) else b""


def text(element: RawDataElement) -> str:
    """Text for people, which `convert` has brought to UTF-8."""
    letters = decode(bytes_of(element), ()).strip(" \0")
    if letters.isprintable():
        return letters
    return "".join(c if c.isprintable() else " " for c in letters)


def _texts(element: RawDataElement) -> tuple[str, ...]:
    return tuple(part.strip(" \0") for part in text(element).split("\\"))


def _ascii(element: RawDataElement) -> list[str]:
    return bytes_of(element).decode("ascii").strip(" \0").split("\\")


def _decimals(element: RawDataElement) -> tuple[float, ...]:
    values = tuple(float(part) for part in _ascii(element))
    if not all(math.isfinite(value) for value in values):
        raise ValueError("not a finite number")
    return values


def _decimal(element: RawDataElement) -> float:
    return _decimals(element)[0]


def _integer(element: RawDataElement) -> int:
    return int(_ascii(element)[0])


def _binary(form: str) -> Callable[[RawDataElement], Any]:
    """How a number of this form (of `struct`) is read."""

    def convert(element: RawDataElement) -> Any:
        order = "<" if element.is_little_endian else ">"
        return struct.unpack(order + form, bytes_of(element)[: struct.calcsize(form)])[0]

    return convert


#: Numbers stored in binary (VR US, UL, FD).
short, long, double = _binary("H"), _binary("I"), _binary("d")
Convert = Callable[[RawDataElement], Any]


def _said(keyword: str, convert: Convert, default: object = None) -> Any:
    """A field that an attribute of this keyword (PS3.6) fills, at the top of a data set."""
    return field(default=default, metadata={"keyword": keyword, "convert": convert})


def _in_frames(keyword: str, convert: Convert, default: object = None) -> Any:
    """A field that only the functional groups of an enhanced object fill."""
    return field(default=default, metadata={"keyword": keyword, "convert": convert, "top": False})


@dataclass(frozen=True, slots=True)
class PixelLocation:
    """Where an instance's Pixel Data lies.

    The first byte of the value, in the file or, of a deflated data set (PS3.5 annex A.5), in what
    it inflates to; its bytes, None when encapsulated (annex A.4); its value representation, OW
    where the file does not say (annex A.1); the first byte of the deflated data set in the file.
    """

    offset: int
    length: int | None
    vr: str = "OW"
    inflated: bool = False
    deflated_start: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CtHeader:
    """What the header of an image says that choosing, assembling and reporting ask for.

    No patient's name, number or birth date, only whether they are another's (`patient`). A field is
    called by its attribute's keyword, with its unit; empty or None where the header does not say.
    """

    sop_class_uid: str = _said("SOPClassUID", text, "")
    sop_instance_uid: str = _said("SOPInstanceUID", text, "")
    study_instance_uid: str = _said("StudyInstanceUID", text, "")
    series_instance_uid: str = _said("SeriesInstanceUID", text, "")
    frame_of_reference_uid: str = _said("FrameOfReferenceUID", text, "")
    irradiation_event_uid: str = _said("IrradiationEventUID", text, "")
    modality: str = _said("Modality", text, "")
    manufacturer: str = _said("Manufacturer", text, "")
    manufacturer_model_name: str = _said("ManufacturerModelName", text, "")
    study_description: str = _said("StudyDescription", text, "")
    series_description: str = _said("SeriesDescription", text, "")
    derivation_description: str = _said("DerivationDescription", text, "")
    protocol_name: str = _said("ProtocolName", text, "")
    body_part_examined: str = _said("BodyPartExamined", text, "")
    patient_position: str = _said("PatientPosition", text, "")
    contrast_bolus_agent: str = _said("ContrastBolusAgent", text, "")
    convolution_kernel: tuple[str, ...] = _said("ConvolutionKernel", _texts, ())
    image_type: tuple[str, ...] = _said("ImageType", _texts, ())
    frame_type: tuple[str, ...] = _in_frames("FrameType", _texts, ())

    series_number: int | None = _said("SeriesNumber", _integer)
    instance_number: int | None = _said("InstanceNumber", _integer)
    acquisition_number: int | None = _said("AcquisitionNumber", _integer)
    frame_acquisition_number: int | None = _in_frames("FrameAcquisitionNumber", short)
    temporal_position_identifier: int | None = _said("TemporalPositionIdentifier", _integer)
    temporal_position_index: int | None = _in_frames("TemporalPositionIndex", long)
    stack_id: str = _in_frames("StackID", text, "")
    acquisition_date: str = _said("AcquisitionDate", text, "")
    acquisition_time: str = _said("AcquisitionTime", text, "")
    acquisition_datetime: str = _said("AcquisitionDateTime", text, "")
    frame_acquisition_datetime: str = _in_frames("FrameAcquisitionDateTime", text, "")
    kvp: float | None = _said("KVP", _decimal)
    tube_current_ma: int | None = _said("XRayTubeCurrent", _integer)
    exposure_mas: int | None = _said("Exposure", _integer)
    exposure_time_ms: int | None = _said("ExposureTime", _integer)
    frame_tube_current_ma: float | None = _in_frames("XRayTubeCurrentInmA", double)
    frame_exposure_mas: float | None = _in_frames("ExposureInmAs", double)
    frame_exposure_time_ms: float | None = _in_frames("ExposureTimeInms", double)

    image_position_mm: tuple[float, ...] = _said("ImagePositionPatient", _decimals, ())
    image_orientation: tuple[float, ...] = _said("ImageOrientationPatient", _decimals, ())
    pixel_spacing_mm: tuple[float, ...] = _said("PixelSpacing", _decimals, ())
    slice_thickness_mm: float | None = _said("SliceThickness", _decimal)
    window_center_hu: tuple[float, ...] = _said("WindowCenter", _decimals, ())
    rescale_slope: float | None = _said("RescaleSlope", _decimal)
    rescale_intercept: float | None = _said("RescaleIntercept", _decimal)
    rescale_type: str = _said("RescaleType", text, "")

    number_of_frames: int = _said("NumberOfFrames", _integer, 1)
    rows: int = _said("Rows", short, 0)
    columns: int = _said("Columns", short, 0)
    photometric_interpretation: str = _said("PhotometricInterpretation", text, "")
    samples_per_pixel: int = _said("SamplesPerPixel", short, 1)
    bits_allocated: int | None = _said("BitsAllocated", short)
    bits_stored: int | None = _said("BitsStored", short)
    high_bit: int | None = _said("HighBit", short)
    pixel_representation: int | None = _said("PixelRepresentation", short)
    # May be VR SS: kept as 16 bits and read with Pixel Representation later.
    pixel_padding_value: int | None = _said("PixelPaddingValue", short)
    pixel_padding_range_limit: int | None = _said("PixelPaddingRangeLimit", short)

    #: Mask of the bits of each pixel that hold an overlay.
    overlay_bits: int = 0
    has_modality_lut: bool = False
    transfer_syntax_uid: UID = UID("")  # noqa: RUF009  (a str)
    #: Where its pixels lie; None of floating point pixels.
    pixels: PixelLocation | None = None
    patient: PatientTraits = PatientTraits()  # noqa: RUF009  (frozen)
    #: What stands in where the data set has no SOP Instance UID: that of the File Meta Information,
    #: and one made from the file's content.
    media_storage_sop_instance_uid: str = ""
    uid_from_content: str = ""
    #: Of an enhanced object: what it says of each frame, with all that it says of the object.
    frames: tuple[CtHeader, ...] = ()
    frame_number: int = 1


@dataclass(frozen=True, slots=True)
class DicomInstance(Instance):
    """A DICOM image by its header."""

    header: CtHeader = field(default_factory=CtHeader)


def dicom_instances(instances: Iterable[Instance]) -> list[DicomInstance]:
    """Those of them that are DICOM."""
    return [one for one in instances if isinstance(one, DicomInstance)]
