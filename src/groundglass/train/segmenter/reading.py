"""Reading what the lung U-Net learns from: each form of marked slices, volumes and phantoms."""

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
from groundglass.train.data.annotated_volumes import AnnotatedVolume, read_annotated_volume
from groundglass.train.data.cache import (
    CacheSettings,
    ExcludedCase,
    Progress,
    in_processes,
    reason_of,
)
from groundglass.train.data.equalised_slices import read_equalised_slice
from groundglass.train.data.real_slices import frame_of_image
from groundglass.train.segmenter.slices import (
    FAULTY_COLUMN,
    LESION_MASK_COLUMN,
    MASK_COLUMN,
    LungSlice,
    SliceForm,
    SlicePlace,
    slice_places,
)

#: Changes when newer code would make other slices of the same case.
_VERSION = 2
_AIR_HU = -1024
_WHOLE_VOLUME = ".npz"


def read_lung_slices(
    cases: Sequence[Case], per_study: int, recipe: Recipe, cache: CacheSettings, progress: Progress
) -> tuple[list[LungSlice], list[ExcludedCase]]:
    """Slices of every case, in parallel; those of whole studies are kept in the cache.

    Parameters
    ----------
    cases : sequence of Case
        With a column `mask`: a TIFF slice of "Finding and Measuring Lungs" (brought to HU), an
        equalised slice with a `lesion_mask` beside, a study with a mask volume, or a whole volume
        as npz. Without: a phantom.
    per_study : int
        Slices taken of a study or a phantom; of an npz all are.
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
        if is_whole_volume(job.case):
            return _whole_volume(job)
        kind = study_kind(job.case.study)
        if kind is StudyKind.PHANTOM:
            return _phantom(job)
        if kind is StudyKind.IMAGE:
            return _slice(job)
        return _study(job)
    except (GroundglassError, OSError) as error:
        return reason_of(job.case, error)


@dataclass(frozen=True, slots=True, eq=False)
class _Stack:
    """Slices of one case on the networks' square: HU, lungs, lesions."""

    hu: NDArray[np.int16]
    lung: NDArray[np.bool_]
    lesion: NDArray[np.bool_]

    def slices(self, case: Case, form: SliceForm) -> list[LungSlice]:
        """As slices of the middle, or outside where there is no lung."""
        return [
            LungSlice(case, form, _middle(lung), hu, lung, lesion)
            for hu, lung, lesion in zip(self.hu, self.lung, self.lesion, strict=True)
        ]


def _middle(lung: NDArray[np.bool_]) -> SlicePlace:
    return SlicePlace.MIDDLE if lung.any() else SlicePlace.OUTSIDE


def _phantom(job: _Job) -> list[LungSlice]:
    settings = replace(read_phantom_settings(job.case.study), matrix=job.size)
    decides = json.dumps([_VERSION, asdict(settings), job.per_study], sort_keys=True)
    kept = job.folder / f"lungs-{hashlib.sha256(decides.encode()).hexdigest()[:32]}.npz"
    if kept.exists():
        with np.load(kept) as found:
            stack = _Stack(found["hu"], found["lung"], found["lesion"])
    else:
        made = training_slices(settings, job.per_study)
        stack = _Stack(made.hu, made.lung, made.lesion)
        with open_whole(kept) as file:
            np.savez_compressed(file, hu=made.hu, lung=made.lung, lesion=made.lesion)
    return stack.slices(job.case, SliceForm.PHANTOM)


def _slice(job: _Job) -> list[LungSlice]:
    study, lungs = job.case.study, _mask_path(job.case, MASK_COLUMN)
    if job.case.extra.get(LESION_MASK_COLUMN):
        form = SliceForm.EQUALISED
        found = read_equalised_slice(study, lungs, _mask_path(job.case, LESION_MASK_COLUMN))
    else:
        form = SliceForm.SINGLE
        found = read_annotated_slice(study, lungs)
    frame = frame_of_image(found.hu.shape, job.size, 1.0)
    stack = _squared(found.hu[None], found.lung[None], found.lesion[None], frame)
    return stack.slices(job.case, form)


def _study(job: _Job) -> list[LungSlice]:
    """Evenly spaced slices of a volume with a mask on the same grid."""
    volume = open_study(job.case).to_axial()[0]
    path = _mask_path(job.case, MASK_COLUMN)
    mask = read_volume(select_chest_ct(read_study(path))).to_axial()[0]
    if mask.hu.shape != volume.hu.shape:
        raise InputError(
            f"a lung mask of {mask.hu.shape} voxels",
            expected=f"{volume.hu.shape}, as the study has",
            action="Give the mask on the study's grid.",
        )
    count = min(job.per_study, len(volume.hu))
    chosen = ((np.arange(count) + 0.5) * len(volume.hu) / count).astype(int)
    frame = Letterbox.of(volume.geometry, job.size)
    lung = mask.hu[chosen] > 0
    stack = _squared(volume.hu[chosen], lung, np.zeros_like(lung), frame)
    return stack.slices(job.case, SliceForm.SINGLE)


def _whole_volume(job: _Job) -> list[LungSlice]:
    """All slices of a volume whose truth is right, with where they lie."""
    volume = read_whole_volume(job.case, job.size)
    stack = _Stack(volume.hu, volume.lung, volume.lesion)
    found = stack.slices(job.case, SliceForm.VOLUME)
    places = slice_places(np.any(volume.lung, axis=(1, 2)), volume.spacing_mm[0])
    return [
        replace(one, place=place)
        for one, place, trusted in zip(found, places, volume.trusted, strict=True)
        if trusted
    ]


def is_whole_volume(case: Case) -> bool:
    """Whether a case is a volume that is marked on every slice."""
    return case.study.suffix == _WHOLE_VOLUME


def read_whole_volume(case: Case, size: int) -> AnnotatedVolume:
    """The volume of a case, on the networks' square of `size` pixels.

    Raises
    ------
    ReadError
        It cannot be read.
    """
    faulty = [int(one) for one in case.extra.get(FAULTY_COLUMN, "").split()]
    volume = read_annotated_volume(case.study, faulty)
    between, rows, _ = volume.spacing_mm
    shape = volume.hu.shape[1:]
    pixel_mm = rows * max(shape) / size
    stack = _squared(volume.hu, volume.lung, volume.lesion, frame_of_image(shape, size, pixel_mm))
    return replace(
        volume,
        hu=stack.hu,
        lung=stack.lung,
        lesion=stack.lesion,
        spacing_mm=(between, pixel_mm, pixel_mm),
    )


def _squared(
    hu: NDArray[np.int16], lung: NDArray[np.bool_], lesion: NDArray[np.bool_], frame: Letterbox
) -> _Stack:
    def masks(given: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return np.stack([frame.forward(one.astype(np.float32), 0.0) > 0.5 for one in given])

    square = [np.rint(frame.forward(one, _AIR_HU)).astype(np.int16) for one in hu]
    return _Stack(np.stack(square), masks(lung), masks(lesion))


def _mask_path(case: Case, column: str) -> Path:
    return case.study.parent / case.extra[column]
