"""One case from its study to the images the classifier sees, through the same code as service."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.analyse.triage import find_lungs
from groundglass.cohort import Case, StudyKind, open_study, study_fingerprint, study_kind
from groundglass.cohort.phantoms import read_phantom_settings
from groundglass.core.volume import Volume
from groundglass.errors import InputError
from groundglass.infer import CpuEngine, Precision, Segmenter
from groundglass.infer.bundle import sha256_of
from groundglass.phantom import Phantom, make_phantom
from groundglass.prepare import (
    Letterbox,
    PreparedStudy,
    Recipe,
    prepare,
    why_not_chest_ct,
)
from groundglass.train.data.prepare_slice import mask_on_square, prepare_slice

Masks = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Lungs:
    """Who finds the lungs: a U-Net, by its ONNX file and hash, or the phantoms' own truth."""

    segmenter: Path
    sha256: str
    true_lungs: bool = False

    @classmethod
    def of(cls, segmenter: Path, *, true_lungs: bool = False) -> Lungs:
        """Lungs by a U-Net, its hash taken now."""
        return cls(segmenter, sha256_of(segmenter), true_lungs)


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """What became of a study.

    Parameters
    ----------
    images : ndarray of uint8, shape (slices, size, size)
        The slices that stayed, feet to head.
    lesion : ndarray of uint8, same shape, or None
        1 in lesions, 0 elsewhere; None where nobody knows.
    is_volume : bool
        False for one slice alone.
    fingerprint : str
        `study_fingerprint`.
    """

    images: NDArray[np.uint8]
    lesion: Masks | None
    is_volume: bool
    fingerprint: str


def prepare_case(case: Case, lungs: Lungs, recipe: Recipe) -> Prepared:
    """Prepare a study, a phantom or a single slice.

    Raises
    ------
    InputError
        It cannot be opened, is no chest CT, or shows too few slices or too little lung: what
        service would give no verdict on is not trained on either.
    """
    cv2.setNumThreads(1)
    kind = study_kind(case.study)
    if kind is StudyKind.IMAGE:
        image, lesion = prepare_slice(case, segmenter_of(lungs.segmenter), recipe)
        fingerprint = study_fingerprint(case.study)
        return Prepared(image, lesion, is_volume=False, fingerprint=fingerprint)
    if kind is StudyKind.PHANTOM:
        phantom = make_phantom(read_phantom_settings(case.study))
        images, lesion = _prepare_phantom(phantom, lungs, recipe)
    else:
        images, lesion = _prepare_volume(open_study(case).to_axial()[0], lungs, recipe), None
    return Prepared(images, lesion, is_volume=True, fingerprint=study_fingerprint(case.study))


@lru_cache(maxsize=1)
def segmenter_of(path: Path) -> Segmenter:
    """The U-Net, compiled once per process, in f32 so that every machine prepares alike."""
    return Segmenter(path, CpuEngine(Precision.F32))


def _prepare_volume(axial: Volume, lungs: Lungs, recipe: Recipe) -> NDArray[np.uint8]:
    reason = why_not_chest_ct(axial)
    if reason:
        raise _unfit(f"no chest CT ({reason})", "a chest CT")
    found = find_lungs(axial, segmenter_of(lungs.segmenter), recipe)
    return _stacked(_prepare(axial, found.square, found.volume_ml, recipe))[0]


def _prepare_phantom(
    phantom: Phantom, lungs: Lungs, recipe: Recipe
) -> tuple[NDArray[np.uint8], Masks]:
    """Images and lesions of a made patient; its volume is axial already."""
    frame = Letterbox.of(phantom.volume.geometry, recipe.image_size)
    if lungs.true_lungs:
        square = np.stack([mask_on_square(mask, frame) for mask in phantom.lung]).astype(np.bool_)
        volume_ml = int(np.count_nonzero(phantom.lung)) * phantom.volume.geometry.voxel_ml
    else:
        found = find_lungs(phantom.volume, segmenter_of(lungs.segmenter), recipe)
        square, volume_ml = found.square, found.volume_ml
    prepared = _prepare(phantom.volume, square, volume_ml, recipe)
    images, kept = _stacked(prepared)
    return images, np.stack([mask_on_square(phantom.lesion[index], frame) for index in kept])


def _prepare(
    axial: Volume, square: NDArray[np.bool_], volume_ml: float, recipe: Recipe
) -> PreparedStudy:
    if len(axial.hu) < recipe.min_slices:
        raise _unfit(f"{len(axial.hu)} slices", f"at least {recipe.min_slices}")
    if volume_ml < recipe.min_lung_ml:
        raise _unfit(f"{volume_ml:.0f} ml of lung", f"at least {recipe.min_lung_ml:.0f} ml")
    return prepare(axial, square, recipe)


def _stacked(prepared: PreparedStudy) -> tuple[NDArray[np.uint8], list[int]]:
    kept = sorted(prepared.images)
    return np.stack([prepared.images[index] for index in kept]), kept


def _unfit(found: str, expected: str) -> InputError:
    return InputError(found, expected=expected, action="Leave the row out.")
