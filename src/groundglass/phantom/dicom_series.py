"""A phantom as a CT Image Storage series, as a scanner would send it (PS3.3 A.3)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from groundglass.phantom.settings import stream
from groundglass.phantom.thorax import Phantom

_RESCALE_INTERCEPT = -1024
_MANUFACTURER = "groundglass"


def write_dicom_series(phantom: Phantom, directory: Path | str) -> tuple[Path, ...]:
    """Write one file per slice.

    Parameters
    ----------
    phantom : Phantom
        What to write. The same phantom always gives the same files and UIDs.
    directory : Path or str
        Where to; made if it is not there. Files of the same names are replaced.

    Returns
    -------
    tuple of Path
        The files, feet to head.

    Notes
    -----
    CT Image IOD, PS3.3 A.3, Explicit VR Little Endian. Patient, dates and equipment are invented;
    the study description says so.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    shared = _shared(phantom)
    paths = []
    for index in range(phantom.volume.geometry.shape[0]):
        dataset = _slice(phantom, shared, index)
        path = folder / f"CT{index + 1:04d}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        paths.append(path)
    return tuple(paths)


def _uid(phantom: Phantom, what: str) -> str:
    """A UID that depends on everything that makes the phantom, and on nothing else."""
    return str(generate_uid(entropy_srcs=["groundglass phantom", repr(phantom.settings), what]))


def _shared(phantom: Phantom) -> Dataset:
    """The attributes every slice has alike."""
    rng = stream(phantom.settings.seed, "dicom header")
    day = f"2021{int(rng.integers(1, 13)):02d}{int(rng.integers(1, 29)):02d}"
    age = int(rng.integers(19, 90))
    data = Dataset()
    data.SpecificCharacterSet = "ISO_IR 192"
    data.SOPClassUID = CTImageStorage
    data.StudyDate = data.SeriesDate = data.AcquisitionDate = data.ContentDate = day
    data.StudyTime = data.SeriesTime = data.AcquisitionTime = data.ContentTime = "101500"
    data.AccessionNumber = f"PH{phantom.settings.seed:08d}"[:16]
    data.Modality = "CT"
    data.ReferringPhysicianName = ""
    data.StudyDescription = "SYNTHETIC PHANTOM CHEST CT"
    data.SeriesDescription = "SYNTHETIC PHANTOM thorax " + (
        "lung" if phantom.scan.sharpness > 0.5 else "soft"
    )
    _patient(data, phantom.settings.seed, f"{age:03d}Y", f"{2021 - age}0101")
    data.PatientSex = "F" if rng.random() < 0.5 else "M"
    data.Manufacturer = _MANUFACTURER
    data.ManufacturerModelName = "Synthetic thorax"
    data.DeviceSerialNumber = "0000"
    data.SoftwareVersions = "phantom"
    data.InstitutionName = "None (synthetic)"
    data.StudyID = "1"
    data.SeriesNumber = 2
    data.AcquisitionNumber = 1
    data.StudyInstanceUID = _uid(phantom, "study")
    data.SeriesInstanceUID = _uid(phantom, "series")
    data.FrameOfReferenceUID = _uid(phantom, "frame of reference")
    data.PositionReferenceIndicator = ""
    data.PatientPosition = "HFS"
    data.BodyPartExamined = "CHEST"
    _acquisition(data, phantom)
    _pixels(data, phantom)
    return data


def _patient(data: Dataset, seed: int, age: str, born: str) -> None:
    data.PatientName = f"Phantom^{seed:04d}"
    data.PatientID = f"PHANTOM-{seed:04d}"
    data.PatientBirthDate = born
    data.PatientAge = age
    data.PatientIdentityRemoved = "YES"
    data.DeidentificationMethod = "Synthetic data: there is no patient"


def _acquisition(data: Dataset, phantom: Phantom) -> None:
    """CT Image Module, PS3.3 C.8.2.1."""
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.KVP = 120
    data.XRayTubeCurrent = 180
    data.ExposureTime = 500
    data.GantryDetectorTilt = 0
    data.ScanOptions = "HELIX"
    data.RotationDirection = "CW"
    data.ConvolutionKernel = "LUNG" if phantom.scan.sharpness > 0.5 else "SOFT"
    data.SliceThickness = round(phantom.scan.thickness_mm, 3)
    data.SpacingBetweenSlices = round(phantom.volume.geometry.spacing_mm[0], 4)
    data.ReconstructionDiameter = round(
        phantom.volume.geometry.spacing_mm[1] * phantom.volume.geometry.shape[1], 2
    )


def _pixels(data: Dataset, phantom: Phantom) -> None:
    """Image Plane and Image Pixel Modules, PS3.3 C.7.6.2 and C.7.6.3."""
    geometry = phantom.volume.geometry
    data.PixelSpacing = [f"{geometry.spacing_mm[1]:.8g}", f"{geometry.spacing_mm[2]:.8g}"]
    data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.Rows, data.Columns = geometry.shape[1:]
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
    data.PixelRepresentation = 1
    data.RescaleIntercept, data.RescaleSlope, data.RescaleType = _RESCALE_INTERCEPT, 1, "HU"
    data.WindowCenter, data.WindowWidth = [-600, 40], [1500, 400]
    data.WindowCenterWidthExplanation = ["LUNG", "MEDIASTINUM"]
    data.BurnedInAnnotation = "NO"
    data.LossyImageCompression = "00"
    if phantom.scan.padding_hu is not None:
        padding = int(phantom.scan.padding_hu) - _RESCALE_INTERCEPT
        data.add_new("PixelPaddingValue", "SS", padding)


def _slice(phantom: Phantom, shared: Dataset, index: int) -> Dataset:
    data = Dataset()
    data.update(shared)
    data.SOPInstanceUID = _uid(phantom, f"slice {index}")
    data.InstanceNumber = index + 1
    position = phantom.volume.geometry.position_mm((index, 0, 0))
    data.ImagePositionPatient = [f"{value:.10g}" for value in position]
    data.SliceLocation = f"{position[2]:.10g}"
    stored = phantom.volume.hu[index].astype(np.int32) - _RESCALE_INTERCEPT
    data.PixelData = stored.astype("<i2").tobytes()
    data["PixelData"].VR = "OW"
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta = meta
    return data
