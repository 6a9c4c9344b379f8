"""What the lung U-Net learns from: slices with marked lungs, and slices of phantoms."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from groundglass.cohort import Case, StudyKind, open_study, study_kind
from groundglass.cohort.phantoms import read_phantom_settings
from groundglass.dicom import read_study, read_volume, select_chest_ct
from groundglass.errors import GroundglassError, InputError
from groundglass.phantom import training_slices
from groundglass.prepare import Recipe, SquareFrame
from groundglass.prepare.intensity import segmenter_window
from groundglass.train.augment import draw
from groundglass.train.cache import CacheSettings, Progress, SetAside, reason_of
from groundglass.train.data import Chance, Item
from groundglass.train.lung_augment import augment_lung_slice
from groundglass.train.lung_masks import read_annotated_slice
from groundglass.train.settings import SegmenterSettings

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
) -> tuple[list[LungSlice], list[SetAside]]:
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
    aside : list of SetAside
        Cases that cannot be read.
    """
    cache.folder.mkdir(parents=True, exist_ok=True)
    jobs = [_Job(case, per_study, recipe.image_size, cache.folder) for case in cases]
    found: dict[int, list[LungSlice] | str] = {}
    # Not forked: the parent may hold threads of PyTorch or OpenVINO.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cache.processes, mp_context=context) as pool:
        futures = {pool.submit(_read, job): place for place, job in enumerate(jobs)}
        for done, future in enumerate(as_completed(futures), start=1):
            found[futures[future]] = future.result()
            progress(done, len(jobs))
    slices: list[LungSlice] = []
    aside: list[SetAside] = []
    for place, case in enumerate(cases):
        result = found[place]
        if isinstance(result, str):
            aside.append(SetAside(case.row, result))
        else:
            slices += result
    return slices, aside


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
    part = kept.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as file:
        np.savez_compressed(file, hu=made.hu, lung=made.lung)
    part.replace(kept)
    return made.hu, made.lung


def _slice(job: _Job) -> _Pair:
    found = read_annotated_slice(job.case.study, _mask_path(job.case))
    rows, columns = found.hu.shape
    side = max(rows, columns)
    inner = (max(1, round(job.size * rows / side)), max(1, round(job.size * columns / side)))
    offset = ((job.size - inner[0]) // 2, (job.size - inner[1]) // 2)
    frame = SquareFrame((rows, columns), job.size, inner, offset, 1.0)
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
    frame = SquareFrame.of(volume.geometry, job.size)
    return _squared(volume.hu[chosen], mask.hu[chosen] > 0, frame)


def _squared(hu: NDArray[np.int16], lung: NDArray[np.bool_], frame: SquareFrame) -> _Pair:
    square = [np.rint(frame.into(one, _AIR_HU)).astype(np.int16) for one in hu]
    masks = [frame.into(one.astype(np.float32), 0.0) > 0.5 for one in lung]
    return np.stack(square), np.stack(masks)


def _mask_path(case: Case) -> Path:
    return case.study.parent / case.extra[MASK_COLUMN]


class LungItems(Dataset[Item]):
    """Slices as the U-Net sees them, with their lungs.

    Parameters
    ----------
    slices : sequence of LungSlice
        In the items' order.
    recipe : Recipe
        The U-Net's window.
    change : tuple of (SegmenterSettings, Chance), optional
        How they are changed at random; without it they are not.
    """

    def __init__(
        self,
        slices: Sequence[LungSlice],
        recipe: Recipe,
        change: tuple[SegmenterSettings, Chance] | None = None,
    ) -> None:
        self.slices, self.recipe, self.change = slices, recipe, change

    def __len__(self) -> int:
        return len(self.slices)

    def __getitem__(self, index: int) -> Item:
        image, lung = self._seen(self.slices[index], index)
        return {
            "image": torch.from_numpy(image[None]),
            "lung": torch.from_numpy(lung[None]),
            "index": torch.tensor(index),
        }

    def _seen(self, one: LungSlice, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        lung = one.lung.astype(np.uint8)
        if self.change is None:
            return segmenter_window(one.hu, self.recipe), lung
        settings, chance = self.change
        rng = chance.of(index)
        if settings.in_hu:
            hu, mask = augment_lung_slice(one.hu, one.lung, rng)
            return segmenter_window(hu, self.recipe), mask
        drawn = draw(settings.augment, rng)
        image = segmenter_window(one.hu, self.recipe)[None]
        return drawn.images(image)[0], drawn.masks(lung[None])[0]


@dataclass(frozen=True, slots=True, eq=False)
class SegmenterData:
    """The U-Net's epochs: every real slice once, and a share of phantom slices.

    Parameters
    ----------
    real, phantom : tuple of LungSlice
        To learn from.
    held_out : tuple of LungSlice
        To be watched on.
    recipe : Recipe
        The U-Net's window.
    settings : SegmenterSettings
        Share, batch and changes.
    seed : int
        Of the experiment.
    """

    real: tuple[LungSlice, ...]
    phantom: tuple[LungSlice, ...]
    held_out: tuple[LungSlice, ...]
    recipe: Recipe
    settings: SegmenterSettings
    seed: int

    @property
    def steps(self) -> int:
        """Optimiser steps in every epoch."""
        return -(-len(self._chosen(0)) // self.settings.batch)

    def train(self, epoch: int) -> Dataset[Item]:
        """The slices of one epoch, drawn, ordered and changed by (seed, epoch)."""
        change = (self.settings, Chance(self.seed, epoch))
        return LungItems(self._chosen(epoch), self.recipe, change)

    def validation(self) -> Dataset[Item]:
        """The slices held out, as they are."""
        return LungItems(self.held_out, self.recipe)

    def _chosen(self, epoch: int) -> list[LungSlice]:
        rng = Chance(self.seed, epoch).of()
        share, real, phantom = self.settings.phantom_share, self.real, self.phantom
        wanted = round(len(real) * share / (1 - share)) if real else len(phantom)
        picked = rng.permutation(len(phantom))[:wanted]
        together = [*real, *(phantom[int(k)] for k in picked)]
        order = [together[int(k)] for k in rng.permutation(len(together))]
        whole = len(order) // self.settings.batch * self.settings.batch
        return order[: whole or len(order)]
