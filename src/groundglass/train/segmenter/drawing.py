"""How often each slice is drawn: sources by their shares, a volume's ends more often."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from groundglass.train.segmenter.slices import LungSlice, SliceForm, SlicePlace
from groundglass.train.settings import DrawSettings


def draw_probabilities(slices: Sequence[LungSlice], settings: DrawSettings) -> NDArray[np.float64]:
    """Probability of each slice to be the next one drawn.

    The forms that are there share by `settings`; within a form each case (a volume, a phantom, an
    image) has the same share, whatever its number of slices; within a case the places weigh.

    Returns
    -------
    ndarray of float64, shape (len(slices),)
        Summing to 1.
    """
    share_of = {
        SliceForm.VOLUME: settings.volumes,
        SliceForm.EQUALISED: settings.equalised,
        SliceForm.SINGLE: settings.singles,
        SliceForm.PHANTOM: settings.phantoms,
    }
    weight_of = {
        SlicePlace.OUTSIDE: settings.outside_weight,
        SlicePlace.APEX: settings.apex_weight,
        SlicePlace.MIDDLE: 1.0,
        SlicePlace.BASE: settings.base_weight,
    }
    weights = np.array([weight_of[one.place] for one in slices])
    weights = _evened(weights, [one.case.row for one in slices])
    weights = _evened(weights, [one.form for one in slices])
    weights *= [share_of[one.form] for one in slices]
    return np.asarray(weights / weights.sum())


def _evened(weights: NDArray[np.float64], groups: Sequence[object]) -> NDArray[np.float64]:
    """Weights with the same sum in every group."""
    _, member = np.unique([str(one) for one in groups], return_inverse=True)
    return np.asarray(weights / np.bincount(member, weights)[member])
