"""Whether two studies are the same pixels: digests that file names and headers do not change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundglass.cohort.image_files import files_below, read_image
from groundglass.cohort.opening import StudyKind, study_kind
from groundglass.cohort.phantoms import canonical_phantom, read_phantom_settings
from groundglass.core.study import Series, SourceKind, Study
from groundglass.errors import ReadError
from groundglass.read import read_study, read_volume
from groundglass.read.dicom.frames import frames_of
from groundglass.read.dicom.headers.ct_header import dicom_instances
from groundglass.read.dicom.pixels.frame_reader import FrameReader


class SliceDigest(NamedTuple):
    """One slice, recognisable.

    Parameters
    ----------
    sha256 : bytes
        Of its size and values.
    blank : bool
        All its values are equal: such slices turn up everywhere and prove nothing.
    """

    sha256: bytes
    blank: bool


def study_fingerprint(path: Path) -> str:
    """A hash of a study's pixels: the same pixels give the same hash.

    SHA-256 over the sorted digests of its slices, so that the order of files, their names, their
    headers and how they are compressed change nothing.

    Parameters
    ----------
    path : Path
        A study of any `StudyKind`.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    InputError
        Nothing of it can be read.
    """
    return combine(slice_digests(path))


def combine(slices: Iterable[SliceDigest]) -> str:
    """The fingerprint of a study with these slices."""
    return hashlib.sha256(b"".join(sorted(one.sha256 for one in slices))).hexdigest()


def slice_digests(path: Path) -> list[SliceDigest]:
    """The digest of each slice, in no particular order.

    DICOM: stored values of every frame of every series, decoded. NIfTI and MetaImage: HU of every
    slice. Images: grey values. A phantom: the settings that decide its voxels, as one digest.

    Parameters
    ----------
    path : Path
        A study of any `StudyKind`.

    Raises
    ------
    InputError
        Nothing of it can be read.
    """
    kind = study_kind(path)
    if kind is StudyKind.PHANTOM:
        settings = json.dumps(canonical_phantom(read_phantom_settings(path)), sort_keys=True)
        return [SliceDigest(hashlib.sha256(settings.encode()).digest(), blank=False)]
    if kind is StudyKind.IMAGE:
        return [_digest(read_image(path))]
    if kind is StudyKind.IMAGE_STACK:
        return [_digest(read_image(file)) for file in files_below(path)]
    return digests_of(read_study(path))


def digests_of(study: Study) -> list[SliceDigest]:
    """The digest of each slice of a study that was read from DICOM, NIfTI or MetaImage files.

    What is no picture or cannot be decoded is left out.

    Raises
    ------
    InputError
        Nothing is left.
    """
    with FrameReader() as reader:
        found = [one for series in study.series for one in _digests_of_series(series, reader)]
    if not found:
        raise ReadError(
            "a study of which not one image can be decoded",
            expected="images",
            action="Copy or export it again.",
        )
    return found


def _digests_of_series(series: Series, reader: FrameReader) -> list[SliceDigest]:
    if series.kind in (SourceKind.NIFTI, SourceKind.METAIMAGE):
        return [_digest(plane) for plane in read_volume(series).hu]
    found: list[SliceDigest] = []
    for instance in dicom_instances(series.instances):
        for frame in frames_of(instance):
            try:
                found.append(_digest(reader.read(instance, frame.number)))
            except ReadError:  # a dose sheet, or a file whose pixels are gone
                continue
    return found


def _digest(pixels: NDArray[Any]) -> SliceDigest:
    """SHA-256 of a picture's size and values, whatever type they are stored in."""
    whole = pixels.dtype.kind in "iu" or bool(np.all(pixels == np.round(pixels)))
    values = np.ascontiguousarray(pixels, "<i4" if whole else "<f4")
    sha256 = hashlib.sha256(f"{values.shape}".encode() + values.tobytes()).digest()
    return SliceDigest(sha256, blank=bool(values.min() == values.max()))
