"""Which part of the lung mask is the right and which the left lung."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.prepare import Regions

Mask = NDArray[np.bool_]
Border = NDArray[np.float64]

#: A region holds at least this share of the mask to be a lung. A lung shrunken by half beside a
#: normal one still holds a third of both; our choice: 0.1.
_LEAST_SHARE = 0.1
#: Lungs lie beside each other: their centres differ by this share of the width of both.
_LEAST_APART = 0.2
#: How often lungs that touch are thinned by a cell until they part.
_THINNINGS = 3


def left_side(lung: Mask, middle: float) -> Mask:
    """Which cells of an axial grid lie on the left lung's side.

    In each row of an axial slice all of the right lung comes before all of the left one. Where the
    mask is two large regions, the border runs halfway between them, row by row. Lungs that touch
    are thinned until they part, and if they do not, are cut along the column of each slice with
    the least lung. A single lung is on the side of the image it lies on.

    Parameters
    ----------
    lung : ndarray of bool, shape (slices, rows, columns)
        Lung on a grid of cells of some 2 to 6 mm, slices feet to head, rows front to back, columns
        right to left; some of it True.

    Returns
    -------
    ndarray of bool, same shape
    """
    border = _border(lung, middle)
    return np.arange(lung.shape[2])[None, None] >= border[:, :, None]


def _border(lung: Mask, middle: float) -> Border:
    """First left column, shape (slices, rows)."""
    thinned = lung
    for _ in range(1 + _THINNINGS):
        pair = _two_lungs(thinned, int(np.count_nonzero(lung)))
        if pair:
            return _between(*pair)
        thinned = _thinner(thinned)
    on_the_left = lung & (np.arange(lung.shape[2]) >= middle)
    sides = np.count_nonzero(lung & ~on_the_left), np.count_nonzero(on_the_left)
    if min(sides) < _LEAST_SHARE * sum(sides):
        return np.full(lung.shape[:2], 0.0 if sides[1] > sides[0] else float(lung.shape[2]))
    return np.repeat(_valleys(lung)[:, None], lung.shape[1], axis=1)


def _thinner(lung: Mask) -> Mask:
    """Each slice without the cells at its edges."""
    kernel = np.ones((3, 3), np.uint8)
    slices = (
        cv2.erode(one, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
        for one in np.ascontiguousarray(lung).view(np.uint8)
    )
    return np.stack(list(slices)).view(np.bool_)


def _two_lungs(lung: Mask, whole: int) -> tuple[Mask, Mask] | None:
    """The right and the left lung, where two regions are large and beside each other."""
    cells = np.ascontiguousarray(lung)
    regions = Regions.of(lambda index: cells[index], cells.shape)
    sizes = regions.sizes()
    large = [k for k in np.argsort(sizes)[::-1][:2] if sizes[k] >= max(1, _LEAST_SHARE * whole)]
    if len(large) < 2:
        return None
    first, second = (regions.mask(np.arange(len(sizes)) == k) for k in large)
    apart = _mean_column(second) - _mean_column(first)
    if abs(apart) < _LEAST_APART * lung.shape[2]:
        return None
    return (first, second) if apart > 0 else (second, first)


def _mean_column(part: Mask) -> float:
    profile = part.sum(axis=(0, 1))
    return float((profile * np.arange(len(profile))).sum() / profile.sum())


def _between(right: Mask, left: Mask) -> Border:
    """Halfway between the lungs; in rows of one lung or none the slice's mean, if it fits."""
    columns = right.shape[2]
    last_right = columns - 1.0 - np.argmax(right[..., ::-1], axis=2)
    first_left = np.argmax(left, axis=2).astype(float)
    has_right, has_left = right.any(axis=2), left.any(axis=2)
    both = has_right & has_left
    halfway = np.where(both, (last_right + 1 + first_left) / 2, np.nan)
    overall = float(np.nanmean(halfway)) if both.any() else columns / 2
    mean = np.full(len(right), overall)
    seen = both.sum(axis=1) > 0
    mean[seen] = np.nanmean(halfway[seen], axis=1)
    border = np.repeat(mean[:, None], right.shape[1], axis=1)
    border = np.where(has_right, np.maximum(border, last_right + 1), border)
    border = np.where(has_left, np.minimum(border, first_left), border)
    return np.where(both, halfway, border)


def _valleys(lung: Mask) -> Border:
    """Per slice the column with the least lung in the middle third between its edges."""
    profile = lung.sum(axis=1).astype(float)
    # Four deviations to either side: a column along the row, two slices up and down the body.
    profile = cv2.GaussianBlur(profile, (9, 17), 1.0, sigmaY=2.0, borderType=cv2.BORDER_REFLECT)
    seen = np.flatnonzero(lung.sum(axis=(0, 1)))
    low, high = seen[0], seen[-1] + 1
    first = low + (high - low) // 3
    lowest = np.argmin(profile[:, first : high - (high - low) // 3], axis=1)
    return np.asarray(first + lowest, dtype=np.float64)
