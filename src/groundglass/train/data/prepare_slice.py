"""One single slice from its image to what the classifier sees, with whatever its row asks for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from groundglass.cohort import Case
from groundglass.cohort.image_files import WINDOW, read_image
from groundglass.errors import InputError
from groundglass.infer import Segmenter
from groundglass.prepare import Letterbox, Recipe, classifier_image
from groundglass.train.data.lesions import LesionSettings, insert_lesions
from groundglass.train.data.looks import another_look
from groundglass.train.data.patches import Patch, lay_patches, read_patches
from groundglass.train.data.real_slices import RealSlice, read_slice
from groundglass.train.data.realism import RealOrMade, lesion_features

Masks = NDArray[np.uint8]

#: Column with the path of a slice's lesion mask (an image of the slice's size, not 0 where there is
#: disease), counted from the slice's folder.
LESION_COLUMN = "lesion"
#: Columns of a slice into which findings are laid: what, how much of it, and the seed.
INSERTED_COLUMNS = ("laid_label", "laid_severity", "laid_seed")
#: Column with the file of real lesions (`write_patches`) that are laid in, counted from the
#: slice's folder; where it is empty, the phantom's findings are.
PATCHES_COLUMN = "laid_patches"
#: Column with the classifier (`RealOrMade`) that throws out what looks made, counted from the
#: slice's folder; where it is empty, nothing is thrown out.
REALISM_COLUMN = "laid_realism"
#: Column with the seed of `another_look`; as it is where empty.
LOOK_COLUMN = "look_seed"
#: Every column that decides what is made of a slice.
SLICE_COLUMNS = (*WINDOW, *INSERTED_COLUMNS, LOOK_COLUMN)

#: How a slice is called whose laid-in lesions were thrown out.
MADE = "laid-in lesions that look made"
_AIR_HU = -1000.0


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    """A slice on its way: with its lesions on the square, if they are known."""

    slice: RealSlice
    lesion: NDArray[np.bool_] | None


def prepare_slice(
    case: Case, segmenter: Segmenter, recipe: Recipe
) -> tuple[NDArray[np.uint8], Masks | None]:
    """The image of a slice case, (1, size, size), and its lesions where they are known.

    Raises
    ------
    InputError
        It cannot be read, shows no lung, its row asks for what cannot be, or what was laid in
        looks made.
    """
    found = _slice_of(case.study, _window_of(case), segmenter, recipe)
    shown = _with_findings(case, _Shown(found, _marked(case, found)))
    _throw_out(case, shown)
    if case.extra.get(LOOK_COLUMN):
        rng = np.random.default_rng(_number(case, LOOK_COLUMN))
        square = _on_square(shown.slice)
        hu, lung = another_look(square.hu, square.lung, rng)
        shown = replace(shown, slice=replace(square, hu=hu, lung=lung))
    one = shown.slice
    image = classifier_image(one.hu, one.lung, one.frame, recipe)
    return image[None], None if shown.lesion is None else shown.lesion[None].astype(np.uint8)


def mask_on_square(mask: NDArray[np.bool_], frame: Letterbox) -> Masks:
    """A mask on the square: 1 where more than half of a pixel is in it."""
    return (frame.forward(mask.astype(np.float32), 0.0) > 0.5).astype(np.uint8)


@lru_cache(maxsize=4)
def _slice_of(
    path: Path, window: tuple[float, float] | None, segmenter: Segmenter, recipe: Recipe
) -> RealSlice:
    """A slice with its lungs, kept for the copies of it that follow."""
    return read_slice(path, segmenter, recipe, window)


@lru_cache(maxsize=2)
def _realism_of(path: Path) -> RealOrMade:
    return RealOrMade.read(path)


def _throw_out(case: Case, shown: _Shown) -> None:
    """Refuse findings laid in that its row's classifier takes for made."""
    if not case.extra.get(REALISM_COLUMN) or shown.lesion is None:
        return
    real_or_made = _realism_of(case.study.parent / case.extra[REALISM_COLUMN])
    square = _on_square(shown.slice)
    if real_or_made(lesion_features(square.hu, square.lung, shown.lesion)) > real_or_made.limit:
        raise InputError(
            MADE, expected="such as real ones might look", action="Nothing: others are laid in."
        )


@lru_cache(maxsize=2)
def _patches_of(path: Path) -> list[Patch]:
    return read_patches(path)


def _window_of(case: Case) -> tuple[float, float] | None:
    """Centre and width of the window that made the image, where the row states it."""
    if not case.extra.get(WINDOW[0]):
        return None
    center, width = (_decimal(case, name) for name in WINDOW)
    return center, width


def _marked(case: Case, found: RealSlice) -> NDArray[np.bool_] | None:
    """The lesions somebody marked, on the square."""
    name = case.extra.get(LESION_COLUMN)
    if not name:
        return None
    mask = read_image(case.study.parent / name)
    if mask.shape != found.hu.shape:
        raise _unfit(f"a lesion mask of {mask.shape} pixels", "as many as the slice has")
    return mask_on_square(mask > 0, found.frame).astype(np.bool_)


def _with_findings(case: Case, shown: _Shown) -> _Shown:
    """The slice with what its row asks to lay in."""
    label, severity, seed = INSERTED_COLUMNS
    if not case.extra.get(seed):
        return shown
    if case.extra.get(PATCHES_COLUMN):
        square = _on_square(shown.slice)
        patches = _patches_of(case.study.parent / case.extra[PATCHES_COLUMN])
        rng = np.random.default_rng(_number(case, seed))
        hu, lesion = lay_patches(square.hu, square.lung, patches, rng)
        return _Shown(replace(square, hu=hu), lesion)
    one = shown.slice
    asked = LesionSettings(case.extra.get(label, ""), _decimal(case, severity), _number(case, seed))
    lung = one.frame.inverse(one.lung.astype(np.float32)) > 0.5
    hu, lesion = insert_lesions(one.hu, lung, asked)
    return _Shown(replace(one, hu=hu), mask_on_square(lesion, one.frame).astype(np.bool_))


def _on_square(found: RealSlice) -> RealSlice:
    """The slice as it lies in the networks' square."""
    size, frame = found.frame.size, found.frame
    square = Letterbox((size, size), size, (size, size), (0, 0), frame.pixel_mm)
    return RealSlice(frame.forward(found.hu, _AIR_HU), found.lung, square)


def _number(case: Case, column: str) -> int:
    try:
        return int(case.extra[column])
    except ValueError as error:
        raise _unfit(f"{column} {case.extra[column]!r}", "a whole number") from error


def _decimal(case: Case, column: str) -> float:
    try:
        return float(case.extra.get(column, ""))
    except ValueError as error:
        raise _unfit(f"{column} {case.extra.get(column, '')!r}", "a number") from error


def _unfit(found: str, expected: str) -> InputError:
    return InputError(found, expected=expected, action="Correct the row, or leave it out.")
