"""What the lung U-Net learns from: slices with marked lungs, and slices of phantoms."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from groundglass.cohort import Case

#: Columns with the paths of the masks of lungs and lesions, counted from the study's folder.
MASK_COLUMN, LESION_MASK_COLUMN = "mask", "lesion_mask"
#: Column of a whole volume's slices, from 0 in its file, whose truth is wrong.
FAULTY_COLUMN = "faulty_slices"
#: How far beyond the lungs' ends, and into them, a slice is one of the end, in mm.
_APEX_MM, _BASE_MM = (20.0, 30.0), (25.0, 60.0)


class SliceForm(StrEnum):
    """What a slice was taken from."""

    VOLUME = "volume"
    """Every slice of a volume is marked."""
    EQUALISED = "equalised"
    """One of single slices that are equalised, with lesions."""
    SINGLE = "single"
    """Any other real slice, or one of few of a study."""
    PHANTOM = "phantom"


class SlicePlace(StrEnum):
    """Where in the lungs of its volume a slice lies; what is known of no volume is the middle."""

    OUTSIDE = "outside"
    APEX = "apex"
    MIDDLE = "middle"
    BASE = "base"


@dataclass(frozen=True, slots=True, eq=False)
class LungSlice:
    """One slice with its lungs."""

    case: Case
    """Of which row of the cohort."""
    form: SliceForm
    """What it was taken from."""
    place: SlicePlace
    """Where it lies."""
    hu: NDArray[np.int16]
    """Shape (size, size). Hounsfield units."""
    lung: NDArray[np.bool_]
    """Same shape. Both lungs, without trachea."""
    lesion: NDArray[np.bool_]
    """Same shape. Disease, where it is marked."""

    @property
    def synthetic(self) -> bool:
        """Whether it is of a phantom."""
        return self.form is SliceForm.PHANTOM


def slice_places(has_lung: NDArray[np.bool_], spacing_mm: float) -> list[SlicePlace]:
    """Where each slice of a volume lies, the apex's end first.

    Domes, stomach and shoulders, which are mistaken for lung, lie beside the ends: slices just
    beyond them belong to them.

    Parameters
    ----------
    has_lung : ndarray of bool, shape (slices,)
        Whether a slice has lung.
    spacing_mm : float
        Between slices.
    """
    seen = np.flatnonzero(has_lung)
    if not len(seen):
        return [SlicePlace.OUTSIDE] * len(has_lung)
    below_apex = (np.arange(len(has_lung)) - seen[0]) * spacing_mm
    below_base = (np.arange(len(has_lung)) - seen[-1]) * spacing_mm
    places = np.where(has_lung, SlicePlace.MIDDLE, SlicePlace.OUTSIDE).astype(object)
    places[(below_apex >= -_APEX_MM[0]) & (below_apex <= _APEX_MM[1])] = SlicePlace.APEX
    places[(below_base >= -_BASE_MM[1]) & (below_base <= _BASE_MM[0])] = SlicePlace.BASE
    return [SlicePlace(one) for one in places]
