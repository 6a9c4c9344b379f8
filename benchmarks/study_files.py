"""Made studies to time: a phantom of any size as DICOM files, uncompressed or JPEG Lossless.

They are kept from one run to the next: making a slice takes longer than analysing it.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLosslessSV1, generate_uid

from groundglass.core.volume import Volume
from groundglass.phantom import PhantomSettings, make_phantom, write_dicom_series
from groundglass.read import read_study, read_volume, select_chest_ct

#: Length of what is scanned in mm, however many slices it is cut into, and the widest distance of
#: slices that is still taken for a chest.
_LENGTH_MM, _WIDEST_MM = 300.0, 10.0
_SEED = 7


@dataclass(frozen=True, slots=True)
class MadeStudy:
    """What a made study is like.

    Parameters
    ----------
    slices : int
        Over 300 mm, or every 10 mm where they are fewer than 30.
    matrix : int
        Rows and columns.
    compressed : bool
        JPEG Lossless, first-order prediction, which most scanners and archives write.
    """

    slices: int
    matrix: int = 512
    compressed: bool = False

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.slices}x{self.matrix}-{'jpeg' if self.compressed else 'plain'}"

    @property
    def words(self) -> str:
        """For people."""
        how = "JPEG Lossless" if self.compressed else "uncompressed"
        return f"{self.slices} slices of {self.matrix}×{self.matrix}, {how}"


def made(study: MadeStudy, folder: Path) -> Path:
    """The folder of a study's files; made if it is not there."""
    target = folder / study.name
    if target.is_dir():
        return target
    # Under another name until whole, so that a run broken off leaves no half study.
    begun = folder / f"{study.name}.begun"
    shutil.rmtree(begun, ignore_errors=True)
    if study.compressed:
        _compress(made(MadeStudy(study.slices, study.matrix), folder), begun)
    else:
        settings = PhantomSettings(
            label="CP",
            seed=_SEED,
            matrix=study.matrix,
            slice_count=study.slices,
            slice_spacing_mm=min(_LENGTH_MM / study.slices, _WIDEST_MM),
        )
        write_dicom_series(make_phantom(settings), begun)
    return begun.rename(target)


def numbered(study: MadeStudy, number: int, folder: Path, target: Path) -> Path:
    """A copy of a made study in `target` that has UIDs of its own, as another patient's would."""
    copy = target / f"{number:04}-{study.name}"
    copy.mkdir(parents=True)
    for path in sorted(made(study, folder).iterdir()):
        data = dcmread(path)
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
            setattr(data, keyword, _other_uid(data[keyword].value, number))
        data.SOPInstanceUID = _other_uid(data.SOPInstanceUID, number)
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        data.save_as(copy / path.name, enforce_file_format=True)
    return copy


def _other_uid(uid: str, number: int) -> str:
    return str(generate_uid(entropy_srcs=[uid, str(number)]))


def read(folder: Path) -> Volume:
    """The volume of a made study."""
    return read_volume(select_chest_ct(read_study(folder)))


def _compress(plain: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for path in sorted(plain.iterdir()):
        data = dcmread(path)
        frame = jpeg_lossless(np.frombuffer(data.PixelData, "<u2").reshape(data.Rows, data.Columns))
        data.PixelData = encapsulate([frame])
        data["PixelData"].VR = "OB"
        data["PixelData"].is_undefined_length = True
        data.file_meta.TransferSyntaxUID = JPEGLosslessSV1
        data.save_as(target / path.name, enforce_file_format=True)


def jpeg_lossless(pixels: NDArray[np.uint16]) -> bytes:
    """One frame of 16 bits as JPEG Lossless, Process 14, Selection Value 1."""
    frame: bytes = imagecodecs.jpeg8_encode(pixels, lossless=True, predictor=1, bitspersample=16)
    return frame
