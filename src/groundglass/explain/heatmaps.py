"""From heat on the networks' square to maps on the volume's own pixels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.core.result import HEAT_DRAWN_FROM, CoarseHeat, Heatmap, HeatMethod
from groundglass.explain.settings import KeySlices
from groundglass.prepare import Letterbox

Float = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class SquareHeat:
    """Heat on the networks' square, not normalised."""

    key: dict[int, Float]
    """Shape (n, n). Of the key slices, the strongest evidence first."""
    coarse: dict[int, Float]
    """Shape (cells, cells). Of every classified slice, at the last layer's resolution."""

    @property
    def hottest(self) -> float:
        """The hottest pixel of the key slices, which becomes 1; 0 without them: all is cold."""
        return max((float(values.max()) for values in self.key.values()), default=0.0)

    @property
    def of_evidence(self) -> SquareHeat:
        """Without the key slices of which nothing would be drawn: they are no evidence."""
        least = HEAT_DRAWN_FROM * self.hottest
        hot = {k: one for k, one in self.key.items() if one.any() and float(one.max()) >= least}
        return SquareHeat(hot, self.coarse)


def choose_key_slices(
    strength: dict[int, float], position_mm: NDArray[np.float64], settings: KeySlices
) -> tuple[int, ...]:
    """The slices that carried the verdict, strongest first; none that speaks against it.

    Parameters
    ----------
    strength : dict of int to float
        By slice: scores of slices that were judged by themselves, or `contributions`.
    position_mm : ndarray, shape (slices,)
        LPS z of every slice of the volume.
    """
    chosen: list[int] = []
    carrying = [index for index, value in strength.items() if value > 0]
    for index in sorted(carrying, key=lambda k: (-strength[k], k)):
        apart = all(abs(position_mm[index] - position_mm[k]) >= settings.apart_mm for k in chosen)
        if apart:
            chosen.append(index)
        if len(chosen) == settings.count:
            break
    return tuple(chosen)


def heatmaps(
    heat: SquareHeat,
    label: str,
    method: HeatMethod,
    frame: Letterbox,
    lung: NDArray[np.bool_],
) -> tuple[Heatmap, ...]:
    """Maps of the key slices on the axial volume's pixels.

    Parameters
    ----------
    label : str
        The class spoken for.
    frame : Letterbox
        Between the networks' square and the volume's pixels.
    lung : ndarray of bool, shape (slices, rows, columns)
        Lung mask of the axial volume.

    Returns
    -------
    tuple of Heatmap
        Scaled together: 1 is the hottest pixel of all of them.
    """
    scale = _scale(heat)
    maps = []
    for index, square in heat.key.items():
        image = frame.from_grid(square * scale)
        total = float(image.sum())
        # Two sums of float32 may differ by a rounding; a share is never above one.
        inside = min(1.0, float(image[lung[index]].sum()) / total) if total > 0 else 0.0
        maps.append(Heatmap(index, label, image, inside, method))
    return tuple(maps)


def coarse_heat(heat: SquareHeat, label: str, frame: Letterbox) -> CoarseHeat:
    """Maps of all classified slices, each from edge to edge of its slice, on the same scale.

    Without key slices there is no scale, and all are 0. Where one layer alone is hotter than the
    sum of all in the key slices, it is 1.
    """
    scale = _scale(heat)
    images = [
        _edge_to_edge(np.minimum(image * scale, np.float32(1)), frame)
        for image in heat.coarse.values()
    ]
    return CoarseHeat(label, tuple(heat.coarse), np.stack(images))


def _scale(heat: SquareHeat) -> np.float32:
    return np.float32(1.0 / heat.hottest if heat.hottest > 0 else 0.0)


def _edge_to_edge(image: Float, frame: Letterbox) -> Float:
    """The part of a coarse map that the slice fills, on as many cells."""
    if frame.inner_shape == (frame.size, frame.size):
        return image
    square = cv2.resize(image, (frame.size, frame.size), interpolation=cv2.INTER_LINEAR)
    part = np.ascontiguousarray(square[frame.window])
    return np.asarray(cv2.resize(part, image.shape[::-1], interpolation=cv2.INTER_AREA))
