"""What the lung U-Net learns from: slices with marked lungs, and slices of phantoms."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from groundglass.cohort import Case, StudyKind, open_study, study_kind
from groundglass.cohort.phantoms import read_phantom_settings
from groundglass.core.atomic_files import open_whole
from groundglass.errors import GroundglassError, InputError
from groundglass.phantom import training_slices
from groundglass.prepare import Letterbox, Recipe
from groundglass.read import read_study, read_volume, select_chest_ct
from groundglass.train.data.annotated_slices import read_annotated_slice
from groundglass.train.data.cache import (
    CacheSettings,
    ExcludedCase,
    Progress,
    in_processes,
    reason_of,
)
from groundglass.train.data.real_slices import frame_of_image

#: Changes when newer code would make other slices of the same case.
_VERSION = 1
_AIR_HU = -1024
#: Column with the path of the lung mask, counted from the study's folder.
MASK_COLUMN = "mask"


@dataclass(frozen=True, slots=True, eq=False)
class LungSlice:
    """One slice with its lungs.

    Parameters
    ----------
    patient : str
        Whose; never told.
    split : str
        Of the cohort; "" where it says nothing.
    synthetic : bool
        Whether it is of a phantom.
    hu : ndarray of int16, shape (size, size)
        Hounsfield units.
    lung : ndarray of bool, same shape
        Both lungs, without trachea.
    """

    patient: str
    split: str
    synthetic: bool
    hu: NDArray[np.int16]
    lung: NDArray[np.bool_]


def read_lung_slices(
    cases: Sequence[Case], per_study: int, recipe: Recipe, cache: CacheSettings, progress: Progress
) -> tuple[list[LungSlice], list[ExcludedCase]]:
    """Slices of every case, in parallel; those of whole studies are kept in the cache.

    Parameters
    ----------
    cases : sequence of Case
        With a column `mask`: a TIFF slice of "Finding and Measuring Lungs" (brought to HU) or a
        study, with a mask image or volume. Without: a phantom.
    per_study : int
        Slices taken of a study or a phantom.
    recipe : Recipe
        Size of the networks' square.
    cache : CacheSettings
        Where to, and how many processes.
    progress : callable
        Told (done, in all) cases.

    Returns
    -------
    slices : list of LungSlice
        In the table's order.
    excluded : list of ExcludedCase
        Cases that cannot be read.
    """
    cache.folder.mkdir(parents=True, exist_ok=True)
    jobs = [_Job(case, per_study, recipe.image_size, cache.folder) for case in cases]
    found: dict[int, list[LungSlice] | str] = {}
    for done, (place, result) in enumerate(in_processes(_read, jobs, cache.processes), start=1):
        found[place] = result
        progress(done, len(jobs))
    slices: list[LungSlice] = []
    excluded: list[ExcludedCase] = []
    for place, case in enumerate(cases):
        result = found[place]
        if isinstance(result, str):
            excluded.append(ExcludedCase(case.row, result))
        else:
            slices += result
    return slices, excluded


@dataclass(frozen=True, slots=True)
class _Job:
    case: Case
    per_study: int
    size: int
    folder: Path


def _read(job: _Job) -> list[LungSlice] | str:
    """The slices of a case, or why there are none."""
    try:
        kind = study_kind(job.case.study)
        if kind is StudyKind.PHANTOM:
            hu, lung = _phantom(job)
        elif kind is StudyKind.IMAGE:
            hu, lung = _slice(job)
        else:
            hu, lung = _study(job)
    except (GroundglassError, OSError) as error:
        return reason_of(job.case, error)
    case, synthetic = job.case, kind is StudyKind.PHANTOM
    return [
        LungSlice(case.patient, case.split, synthetic, one, mask)
        for one, mask in zip(hu, lung, strict=True)
    ]


_Pair = tuple[NDArray[np.int16], NDArray[np.bool_]]


def _phantom(job: _Job) -> _Pair:
    settings = replace(read_phantom_settings(job.case.study), matrix=job.size)
    decides = json.dumps([_VERSION, asdict(settings), job.per_study], sort_keys=True)
    kept = job.folder / f"lungs-{hashlib.sha256(decides.encode()).hexdigest()[:32]}.npz"
    if kept.exists():
        with np.load(kept) as found:
            return found["hu"], found["lung"]
    made = training_slices(settings, job.per_study)
    with open_whole(kept) as file:
        np.savez_compressed(file, hu=made.hu, lung=made.lung)
    return made.hu, made.lung


def _slice(job: _Job) -> _Pair:
    found = read_annotated_slice(job.case.study, _mask_path(job.case))
    frame = frame_of_image(found.hu.shape, job.size, 1.0)
    return _squared(found.hu[None], found.lung[None], frame)


def _study(job: _Job) -> _Pair:
    """Evenly spaced slices of a volume with a mask on the same grid."""
    volume = open_study(job.case).to_axial()[0]
    mask = read_volume(select_chest_ct(read_study(_mask_path(job.case)))).to_axial()[0]
    if mask.hu.shape != volume.hu.shape:
        raise InputError(
            f"a lung mask of {mask.hu.shape} voxels",
            expected=f"{volume.hu.shape}, as the study has",
            action="Give the mask on the study's grid.",
        )
    count = min(job.per_study, len(volume.hu))
    chosen = ((np.arange(count) + 0.5) * len(volume.hu) / count).astype(int)
    frame = Letterbox.of(volume.geometry, job.size)
    return _squared(volume.hu[chosen], mask.hu[chosen] > 0, frame)


def _squared(hu: NDArray[np.int16], lung: NDArray[np.bool_], frame: Letterbox) -> _Pair:
    square = [np.rint(frame.forward(one, _AIR_HU)).astype(np.int16) for one in hu]
    masks = [frame.forward(one.astype(np.float32), 0.0) > 0.5 for one in lung]
    return np.stack(square), np.stack(masks)


def _mask_path(case: Case) -> Path:
    return case.study.parent / case.extra[MASK_COLUMN]
