"""Whether two studies are the same pixels: digests that file names and headers do not change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundglass.cohort.images import read_image
from groundglass.cohort.phantoms import canonical_phantom, read_phantom_settings
from groundglass.cohort.studies import StudyKind, study_kind
from groundglass.core.study import SourceKind, Study
from groundglass.dicom import read_study, read_volume
from groundglass.dicom.frames import frames_of
from groundglass.dicom.pixels import FrameReader
from groundglass.errors import ReadError


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


def combine(digests: Iterable[bytes]) -> str:
    """The fingerprint of a study with these slices."""
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()


def slice_digests(path: Path) -> tuple[bytes, ...]:
    """The SHA-256 of each slice, in no particular order.

    DICOM: stored values of every frame of every series, decoded. NIfTI: HU of every slice. Images:
    grey values. A phantom: the settings that decide its voxels, as one digest.

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
        settings = canonical_phantom(read_phantom_settings(path))
        return (hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).digest(),)
    if kind is StudyKind.IMAGE:
        return (_digest(read_image(path)),)
    if kind is StudyKind.IMAGE_STACK:
        files = (p for p in path.rglob("*") if p.is_file() and p.name[0] != ".")
        return tuple(_digest(read_image(file)) for file in files)
    return digests_of(read_study(path))


def digests_of(study: Study) -> tuple[bytes, ...]:
    """The SHA-256 of each slice of a study that was read from DICOM or NIfTI files.

    Raises
    ------
    InputError
        Not one slice can be decoded.
    """
    found: list[bytes] = []
    failure: ReadError | None = None
    with FrameReader() as reader:
        for series in study.series:
            if series.kind is SourceKind.NIFTI:
                found += [_digest(plane) for plane in read_volume(series).hu]
                continue
            for instance in series.instances:
                for frame in frames_of(instance):
                    try:
                        found.append(_digest(reader.read(instance, frame.number)))
                    except ReadError as error:  # a dose sheet, a damaged file: not its pixels
                        failure = error
    if not found:
        raise failure or ReadError(
            "a study without pixels", expected="images", action="Check the path."
        )
    return tuple(found)


def _digest(pixels: NDArray[Any]) -> bytes:
    """SHA-256 of a picture's size and values, whatever type they are stored in."""
    whole = pixels.dtype.kind in "iu" or bool(np.all(pixels == np.round(pixels)))
    values = np.ascontiguousarray(pixels, "<i4" if whole else "<f4")
    return hashlib.sha256(f"{values.shape}".encode() + values.tobytes()).digest()
