"""Made lung slices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from groundglass.cohort import Case
from groundglass.train.segmenter.slices import LungSlice, SliceForm, SlicePlace

SIZE = 96
MakeSlice = Callable[..., LungSlice]


@pytest.fixture
def make_slice() -> MakeSlice:
    """A slice with two lungs, a lesion in one of them."""

    def make(
        row: int = 2,
        form: SliceForm = SliceForm.VOLUME,
        place: SlicePlace = SlicePlace.MIDDLE,
        lesion_hu: int = 0,
    ) -> LungSlice:
        hu = np.full((SIZE, SIZE), 40, np.int16)
        lung, lesion = np.zeros((2, SIZE, SIZE), bool)
        lung[20:76, 12:42] = lung[20:76, 54:84] = True
        lesion[40:56, 14:30] = True
        hu[lung], hu[lesion] = -850, lesion_hu
        case = Case(f"p{row}", Path("/v.npz"), "CP", "train", "here", row)
        return LungSlice(case, form, place, hu, lung, lesion)

    return make
