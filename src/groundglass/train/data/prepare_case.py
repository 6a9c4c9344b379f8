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
from groundglass.cohort.image_files import read_image
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
    classifier_image,
    prepare,
    why_not_chest_ct,
)
from groundglass.train.data.lesions import LesionSettings, insert_lesions
from groundglass.train.data.real_slices import RealSlice, prepare_slice, read_slice

Masks = NDArray[np.uint8]

#: Column of a slice case with the path of its lesion mask (an image of the slice's size, not 0
#: where there is disease), counted from the slice's folder.
LESION_COLUMN = "lesion"
#: Columns of a healthy slice case into which the phantom's findings are laid (`insert_lesions`).
INSERTED_COLUMNS = ("laid_label", "laid_severity", "laid_seed")


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
        images, lesion = _prepare_slice(case, segmenter_of(lungs.segmenter), recipe)
        return Prepared(images, lesion, is_volume=False, fingerprint=study_fingerprint(case.study))
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
        square = np.stack([_into(mask, frame) for mask in phantom.lung]).astype(np.bool_)
        volume_ml = int(np.count_nonzero(phantom.lung)) * phantom.volume.geometry.voxel_ml
    else:
        found = find_lungs(phantom.volume, segmenter_of(lungs.segmenter), recipe)
        square, volume_ml = found.square, found.volume_ml
    prepared = _prepare(phantom.volume, square, volume_ml, recipe)
    images, kept = _stacked(prepared)
    return images, np.stack([_into(phantom.lesion[index], frame) for index in kept])


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


def _prepare_slice(
    case: Case, segmenter: Segmenter, recipe: Recipe
) -> tuple[NDArray[np.uint8], Masks | None]:
    lesions = _lesion_settings(case)
    if lesions is not None:
        return _insert(_slice_of(case.study, segmenter, recipe), lesions, recipe)
    images = prepare_slice(case.study, segmenter, recipe)
    name = case.extra.get(LESION_COLUMN)
    if not name:
        return images, None
    mask, found = read_image(case.study.parent / name), read_slice(case.study, segmenter, recipe)
    if mask.shape != found.hu.shape:
        raise _unfit(f"a lesion mask of {mask.shape} pixels", "as many as the slice has")
    return images, _into(mask > 0, found.frame)[None]


@lru_cache(maxsize=4)
def _slice_of(path: Path, segmenter: Segmenter, recipe: Recipe) -> RealSlice:
    """A slice with its lungs, kept for the copies of it that follow."""
    return read_slice(path, segmenter, recipe)


def _lesion_settings(case: Case) -> LesionSettings | None:
    label, severity, seed = (case.extra.get(name, "") for name in INSERTED_COLUMNS)
    if not seed:
        return None
    try:
        return LesionSettings(label, float(severity), int(seed))
    except ValueError as error:
        raise _unfit(
            f"lesions of severity {severity!r} and seed {seed!r} to lay", "numbers"
        ) from error


def _insert(
    found: RealSlice, lesions: LesionSettings, recipe: Recipe
) -> tuple[NDArray[np.uint8], Masks]:
    lung = found.frame.inverse(found.lung.astype(np.float32)) > 0.5
    hu, lesion = insert_lesions(found.hu, lung, lesions)
    image = classifier_image(hu, found.lung, found.frame, recipe)
    return image[None], _into(lesion, found.frame)[None]


def _into(mask: NDArray[np.bool_], frame: Letterbox) -> Masks:
    """A mask on the square: 1 where more than half of a pixel is in it."""
    return (frame.forward(mask.astype(np.float32), 0.0) > 0.5).astype(np.uint8)


def _unfit(found: str, expected: str) -> InputError:
    return InputError(found, expected=expected, action="Leave the row out.")
