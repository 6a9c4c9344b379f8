"""What a study of a cohort is, and how it is opened: the one place that tells the kinds apart."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from groundglass.cohort.case import Case
from groundglass.cohort.image_files import files_below, read_image, read_stack, stack_settings
from groundglass.cohort.phantoms import PHANTOM_SUFFIX, read_phantom_settings
from groundglass.core.volume import Volume
from groundglass.errors import InputError, ReadError
from groundglass.phantom import make_phantom
from groundglass.read import read_study, read_volume, select_chest_ct
from groundglass.read.image_stack.pictures import IMAGE_SUFFIXES
from groundglass.read.sources import list_entries, without_file_names

_NIFTI_SUFFIXES = (".nii", ".nii.gz")
_METAIMAGE_SUFFIXES = (".mha", ".mhd")


class StudyKind(StrEnum):
    """What a study's path leads to."""

    DICOM = "dicom"
    NIFTI = "nifti"
    IMAGE = "image"
    IMAGE_STACK = "image-stack"
    METAIMAGE = "metaimage"
    PHANTOM = "phantom"

    @property
    def is_volume(self) -> bool:
        """Whether `open_study` makes a volume of it; an image is one slice."""
        return self is not StudyKind.IMAGE


def study_kind(path: Path) -> StudyKind:
    """The kind of a study, by the endings of its file names.

    A folder in which every file is named as a picture is an image stack; any other folder, and any
    file of another name (a zip archive, a file without ending), is taken for DICOM, whose reader
    looks into the files and says what is wrong with them.

    Parameters
    ----------
    path : Path
        Folder or file.

    Raises
    ------
    ReadError
        There is nothing there, or a folder without files.
    """
    if path.is_dir():
        files = files_below(path)
        if not files:
            raise _nothing("an empty folder")
        pictures = all(file.name.lower().endswith(IMAGE_SUFFIXES) for file in files)
        return StudyKind.IMAGE_STACK if pictures else StudyKind.DICOM
    if not path.is_file():
        raise _nothing("no file or folder of that name")
    name = path.name.lower()
    if name.endswith(PHANTOM_SUFFIX):
        return StudyKind.PHANTOM
    if name.endswith(_METAIMAGE_SUFFIXES):
        return StudyKind.METAIMAGE
    if name.endswith(_NIFTI_SUFFIXES):
        return StudyKind.NIFTI
    return StudyKind.IMAGE if name.endswith(IMAGE_SUFFIXES) else StudyKind.DICOM


def open_study(case: Case) -> Volume:
    """The volume of a case.

    Parameters
    ----------
    case : Case
        DICOM, NIfTI, MetaImage, a phantom, or an image stack whose row states what images do not
        say.

    Returns
    -------
    Volume
        HU; of DICOM the chest CT that `select_chest_ct` chooses.

    Raises
    ------
    InputError
        It cannot be opened; the row is named, never the patient.
    """
    try:
        kind = study_kind(case.study)
        if not kind.is_volume:
            raise ReadError(
                "a single image",
                expected="a study of many slices (DICOM, NIfTI, an image stack, a phantom)",
                action="Use it for slices alone: `open_slice`.",
            )
        if kind is StudyKind.PHANTOM:
            return make_phantom(read_phantom_settings(case.study)).volume
        if kind is StudyKind.IMAGE_STACK:
            return read_stack(case.study, stack_settings(case))
        return read_volume(select_chest_ct(read_study(case.study)))
    except InputError as error:
        raise in_row(case, error) from error


def open_slice(case: Case) -> NDArray[np.uint8]:
    """The picture of a slice case.

    Parameters
    ----------
    case : Case
        A PNG, JPEG or TIFF of 8 bits.

    Returns
    -------
    ndarray of uint8, shape (rows, columns)
        Grey values as stored; what they mean in HU is not known.

    Raises
    ------
    InputError
        It is no such picture; the row is named.
    """
    try:
        if study_kind(case.study) is not StudyKind.IMAGE:
            raise ReadError(
                "no image file", expected="a PNG, JPEG or TIFF", action="Use open_study."
            )
        return read_slice(case.study)
    except InputError as error:
        raise in_row(case, error) from error


def read_slice(path: Path) -> NDArray[np.uint8]:
    """The grey values of a picture of 8 bits, shape (rows, columns).

    Raises
    ------
    ReadError
        It cannot be read, or has more bits.
    """
    pixels = read_image(path)
    if pixels.dtype != np.uint8:
        raise ReadError(
            f"an image of {pixels.dtype}",
            expected="8 bits a pixel",
            action="Window it to 8 bits first.",
        )
    return pixels.astype(np.uint8, copy=False)


def in_row(case: Case, error: InputError) -> InputError:
    """The same refusal, with the row it is about; file names, which may name people, stay out."""
    found = without_names(case, error.found)
    return InputError(f"row {case.row}: {found}", expected=error.expected, action=error.action)


def without_names(case: Case, text: str) -> str:
    """Text about a study, each name of a file of it replaced."""
    return without_file_names(text, _file_names(case.study))


def _file_names(study: Path) -> set[str]:
    try:
        entries, rejected = list_entries(study)
    except ReadError:
        return set()
    return {entry.name for entry in entries} | {rejection.what for rejection in rejected}


def _nothing(found: str) -> ReadError:
    return ReadError(
        found, expected="the study", action="Correct the path in the table, or leave the row out."
    )
