"""From the groups' heat to maps on the volume's own pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.core.result import Heatmap
from groundglass.explain.gradcam import GroupHeat
from groundglass.prepare import SquareFrame


@dataclass(frozen=True, slots=True)
class KeySlices:
    """Which slices are shown.

    Parameters
    ----------
    count : int
        At most this many: what a reader looks through in a minute.
    apart_mm : float
        Least distance between two of them, so that one lesion does not fill the list.
    """

    count: int = 8
    apart_mm: float = 15.0


def contributions(heats: Sequence[GroupHeat], class_index: int) -> dict[int, float]:
    """Signed contribution of each classified slice to a class, by slice."""
    return {
        index: float(value)
        for heat in heats
        for index, value in zip(heat.slice_indices, heat.contribution[class_index], strict=True)
    }


def choose_key_slices(
    contribution: dict[int, float], position_mm: NDArray[np.float64], settings: KeySlices
) -> tuple[int, ...]:
    """The slices that carried the verdict, strongest first; none that argues against it.

    Parameters
    ----------
    contribution : dict of int to float
        By slice, from `contributions`.
    position_mm : ndarray, shape (slices,)
        LPS z of every slice of the volume.
    settings : KeySlices
        How many, how far apart.
    """
    chosen: list[int] = []
    carrying = [index for index, value in contribution.items() if value > 0]
    for index in sorted(carrying, key=lambda k: (-contribution[k], k)):
        apart = all(abs(position_mm[index] - position_mm[k]) >= settings.apart_mm for k in chosen)
        if apart:
            chosen.append(index)
        if len(chosen) == settings.count:
            break
    return tuple(chosen)


def heatmaps(
    heats: Sequence[GroupHeat],
    label: tuple[int, str],
    chosen: Sequence[int],
    frame: SquareFrame,
    lung: NDArray[np.bool_],
) -> tuple[Heatmap, ...]:
    """Maps of the chosen slices on the axial volume's pixels.

    Parameters
    ----------
    heats : sequence of GroupHeat
        Of every group.
    label : tuple of int and str
        The class's index and name.
    chosen : sequence of int
        Slices, in the order wanted.
    frame : SquareFrame
        Between the networks' square and the volume's pixels.
    lung : ndarray of bool, shape (slices, rows, columns)
        Lung mask of the axial volume.

    Returns
    -------
    tuple of Heatmap
        Scaled together: 1 is the hottest pixel of all classified slices.
    """
    class_index, name = label
    square = {
        index: values
        for heat in heats
        for index, values in zip(heat.slice_indices, heat.heat[class_index], strict=True)
    }
    hottest = max((float(values.max()) for values in square.values()), default=0.0)
    scale = 1.0 / hottest if hottest > 0 else 0.0
    return tuple(
        _map(index, name, frame.from_grid(square[index] * np.float32(scale)), lung[index])
        for index in chosen
    )


def _map(index: int, name: str, heat: NDArray[np.float32], lung: NDArray[np.bool_]) -> Heatmap:
    total = float(heat.sum())
    # Two sums of float32 may differ by a rounding; a share is never above one.
    inside = min(1.0, float(heat[lung].sum()) / total) if total > 0 else 0.0
    return Heatmap(index, name, heat, inside)
