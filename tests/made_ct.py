"""Made CT series for tests: a small thorax, its DICOM data sets, and ways to write them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import get_encoder
from pydicom.sequence import Sequence
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from groundglass.read.dicom.headers.ct_header import CtHeader

SLICES, SIDE = 24, 64
SPACING_MM = (10.0, 5.0, 5.0)
STUDY_UID = "1.2.826.0.1.3680043.8.498.1"
_Encode = Callable[[NDArray[np.uint16], int], bytes]
NATIVE = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)


@lru_cache(maxsize=16)
def thorax(slices: int = SLICES, side: int = SIDE, seed: int = 0) -> NDArray[np.int16]:
    """(slice, row, column) HU from feet to head: no axis can be turned without being seen.

    Lungs taper to the head, the heart is on the patient's left (image right), the spine at the
    back, the liver at the bottom right of the patient (image left).
    """
    rng = np.random.default_rng(seed)
    z, y, x = np.mgrid[0 : 1 : slices * 1j, -1 : 1 : side * 1j, -1 : 1 : side * 1j]
    hu = np.full(z.shape, -1000.0)
    hu[(x / 0.85) ** 2 + (y / 0.65) ** 2 < 1] = 40.0
    width = 0.30 - 0.15 * z
    for center in (-0.4, 0.4):
        hu[((x - center) / width) ** 2 + (y / 0.45) ** 2 < 1] = -850.0
    hu[((x - 0.15) / 0.2) ** 2 + ((y + 0.2) / 0.2) ** 2 < (z < 0.5)] = 45.0
    hu[(x**2 + (y - 0.5) ** 2) < 0.01] = 700.0
    hu[(x < 0) & (hu < -500) & (hu > -900) & (z < 0.2)] = 60.0
    hu = (hu + rng.normal(0, 15, hu.shape)).round().clip(-1024, 3071).astype(np.int16)
    hu.flags.writeable = False
    return hu


def ct_series(
    hu: NDArray[np.int16] | None = None,
    *,
    number: int = 1,
    spacing_mm: tuple[float, float, float] = SPACING_MM,
    **header: object,
) -> list[Dataset]:
    """Data sets of a classic CT series, one per slice from feet to head; `header` overrides."""
    hu = thorax() if hu is None else hu
    return [_slice(hu[k], k, number, spacing_mm, header) for k in range(len(hu))]


def _slice(
    hu: NDArray[np.int16],
    index: int,
    number: int,
    spacing_mm: tuple[float, float, float],
    header: dict[str, object],
) -> Dataset:
    data = Dataset()
    data.SOPClassUID = CTImageStorage
    data.SOPInstanceUID = f"{STUDY_UID}.{number}.{index + 1}"
    data.StudyInstanceUID = STUDY_UID
    data.SeriesInstanceUID = f"{STUDY_UID}.{number}"
    data.FrameOfReferenceUID = f"{STUDY_UID}.9"
    data.Modality = "CT"
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.PatientName = "Made^Up"
    data.PatientID = "NOBODY"
    data.StudyDescription = "CT CHEST"
    data.SeriesDescription = "made"
    data.SeriesNumber = number
    data.InstanceNumber = index + 1
    data.ConvolutionKernel = "B40f"
    data.SliceThickness = spacing_mm[0]
    data.ImagePositionPatient = [-160.0, -150.0, -300.0 + index * spacing_mm[0]]
    data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    data.PixelSpacing = list(spacing_mm[1:])
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.Rows, data.Columns = hu.shape
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 12, 11
    data.PixelRepresentation = 0
    data.RescaleIntercept, data.RescaleSlope = -1024, 1
    data.PixelData = (hu.astype(np.int32) + 1024).astype("<u2").tobytes()
    for keyword, value in header.items():
        setattr(data, keyword, value)
    return data


def stored(data: Dataset) -> NDArray[np.uint16]:
    """The 16 bits of each pixel of an uncompressed little endian data set."""
    return np.frombuffer(data.PixelData, "<u2").reshape(data.Rows, data.Columns)


def encode(data: Dataset, syntax: UID) -> bytes:
    """One frame compressed for a transfer syntax."""
    return _ENCODERS[syntax](stored(data), int(data.BitsStored))


def _rle(pixels: NDArray[np.uint16], _bits: int) -> bytes:
    return get_encoder(RLELossless).encode(
        pixels.tobytes(),
        rows=pixels.shape[0],
        columns=pixels.shape[1],
        samples_per_pixel=1,
        bits_allocated=16,
        bits_stored=16,
        pixel_representation=0,
        number_of_frames=1,
        photometric_interpretation="MONOCHROME2",
        encoding_plugin="pydicom",
    )


def _lossless(predictor: int) -> _Encode:
    return lambda pixels, bits: imagecodecs.jpeg8_encode(
        pixels, lossless=True, predictor=predictor, bitspersample=bits
    )


def _jpeg2000(level: int) -> _Encode:
    return lambda pixels, bits: imagecodecs.jpeg2k_encode(
        pixels, level=level, codecformat="J2K", bitspersample=bits
    )


_ENCODERS: dict[UID, _Encode] = {
    RLELossless: _rle,
    JPEGLossless: _lossless(5),
    JPEGLosslessSV1: _lossless(1),
    JPEGBaseline8Bit: lambda pixels, _: imagecodecs.jpeg8_encode(
        (pixels >> 4).astype(np.uint8), level=98
    ),
    JPEGExtended12Bit: lambda pixels, _: imagecodecs.jpeg8_encode(
        pixels, bitspersample=12, level=98
    ),
    JPEGLSLossless: lambda pixels, _: imagecodecs.jpegls_encode(pixels),
    JPEGLSNearLossless: lambda pixels, _: imagecodecs.jpegls_encode(pixels, level=2),
    JPEG2000Lossless: _jpeg2000(0),
    JPEG2000: _jpeg2000(70),
    HTJ2KLossless: lambda pixels, _: imagecodecs.htj2k_encode(pixels),
    HTJ2K: lambda pixels, _: imagecodecs.htj2k_encode(pixels),
}


def as_bytes(data: Dataset, syntax: UID = ExplicitVRLittleEndian) -> bytes:
    """A whole DICOM file."""
    if syntax not in NATIVE:
        return encapsulated(data, [encode(data, syntax)], syntax)
    data = _copy(data)
    if "PixelData" in data:
        pixels = data.PixelData
        if syntax == ExplicitVRBigEndian and data.BitsAllocated == 16:
            pixels = np.frombuffer(pixels, "<u2").astype(">u2").tobytes()
        data.add_new("PixelData", "OW", pixels)
    return _save(data, syntax)


def _copy(data: Dataset) -> Dataset:
    """Shallow: elements may be replaced in it, not changed."""
    other = Dataset()
    other.update({element.tag: element for element in data})
    return other


def encapsulated(data: Dataset, frames: list[bytes], syntax: UID, **how: object) -> bytes:
    """A whole DICOM file around compressed frames; `how` goes to pydicom's `encapsulate`."""
    data = _copy(data)
    data.add_new("PixelData", "OB", encapsulate(frames, **how))
    data["PixelData"].is_undefined_length = True
    return _save(data, syntax)


def _save(data: Dataset, syntax: UID) -> bytes:
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.file_meta.MediaStorageSOPClassUID = data.get("SOPClassUID", CTImageStorage)
    data.file_meta.MediaStorageSOPInstanceUID = data.get("SOPInstanceUID") or "1.2.3"
    buffer = BytesIO()
    data.save_as(
        buffer,
        enforce_file_format=True,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
    )
    return buffer.getvalue()


def write(
    datasets: list[Dataset], folder: Path, syntax: UID = ExplicitVRLittleEndian, stem: str = "im"
) -> Path:
    """Each data set as a file of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, data in enumerate(datasets):
        (folder / f"{stem}{index:04d}").write_bytes(as_bytes(data, syntax))
    return folder


def enhanced_ct(hu: NDArray[np.int16] | None = None, **header: object) -> Dataset:
    """One Enhanced CT object (PS3.3 A.38) with its frames stored from head to feet."""
    hu = thorax() if hu is None else hu
    classic = ct_series(hu)
    data = copy.deepcopy(classic[0])
    for keyword in (
        *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"),
        *("RescaleSlope", "RescaleIntercept", "ConvolutionKernel"),
    ):
        delattr(data, keyword)
    data.SOPClassUID = EnhancedCTImageStorage
    data.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    data.NumberOfFrames = len(hu)
    data.PixelData = b"".join(part.PixelData for part in reversed(classic))
    data.SharedFunctionalGroupsSequence = Sequence([_shared_groups()])
    data.PerFrameFunctionalGroupsSequence = Sequence(
        [_frame_groups(part.ImagePositionPatient, k) for k, part in enumerate(reversed(classic), 1)]
    )
    for keyword, value in header.items():
        setattr(data, keyword, value)
    return data


def _group(**values: object) -> Sequence:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return Sequence([item])


def _shared_groups() -> Dataset:
    shared = Dataset()
    shared.PixelMeasuresSequence = _group(
        PixelSpacing=list(SPACING_MM[1:]), SliceThickness=SPACING_MM[0]
    )
    shared.PlaneOrientationSequence = _group(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    shared.PixelValueTransformationSequence = _group(
        RescaleIntercept=-1024, RescaleSlope=1, RescaleType="HU"
    )
    shared.CTImageFrameTypeSequence = _group(FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"])
    shared.CTReconstructionSequence = _group(ConvolutionKernel="LUNG")
    return shared


def _frame_groups(position: object, number: int) -> Dataset:
    frame = Dataset()
    frame.PlanePositionSequence = _group(ImagePositionPatient=list(position))  # type: ignore[call-overload]
    frame.FrameContentSequence = _group(
        FrameAcquisitionNumber=1, StackID="1", InStackPositionNumber=number
    )
    return frame


def ct_header(values: Mapping[str, Any]) -> CtHeader:
    """A header that says this, by keyword; None for what it does not say."""
    names = {one.metadata["keyword"]: one.name for one in fields(CtHeader) if one.metadata}
    said = {names[keyword]: value for keyword, value in values.items() if value is not None}
    return CtHeader(**said)
