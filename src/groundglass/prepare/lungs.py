"""From the U-Net's opinion per slice to one lung mask: what a volume knows and a slice does not."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from groundglass.prepare.recipe import Recipe
from groundglass.prepare.spatial import SquareFrame


@dataclass(frozen=True, slots=True)
class LungContext:
    """Settings of the volume context.

    Parameters
    ----------
    outside_air_hu : float
        Blurred HU under which border-connected air is the room, not lung. Lung parenchyma lies
        above even in deep inspiration (-860 on average); only large bullae lie below, and they
        seldom reach the edge of the image.
    outside_margin_px : int
        Pixels by which the room grows, for the partial volume at the skin.
    smallest_share : float
        A separate region smaller than this share of the largest one is not a lung: bowel gas,
        trachea, air under the arm. A shrunken lung is seldom under a tenth of the other.
    smallest_hole_mm2 : float
        Smaller holes in a slice are vessels and are filled; larger ones (the dome of the liver)
        stay.
    """

    outside_air_hu: float = -940.0
    outside_margin_px: int = 2
    smallest_share: float = 0.1
    smallest_hole_mm2: float = 60.0


def clean_lung_mask(
    probability: NDArray[np.uint8],
    images: NDArray[np.uint8],
    pixel_mm: float,
    recipe: Recipe,
    context: LungContext | None = None,
) -> NDArray[np.bool_]:
    """Lung mask of a study from the U-Net's probabilities and the volume around them.

    Parameters
    ----------
    probability : ndarray of uint8, shape (slices, size, size)
        The U-Net's lung probability, 255 for certain.
    images : ndarray of uint8, same shape
        What it saw (`segmenter_window`).
    pixel_mm : float
        Side of a pixel in mm.
    recipe : Recipe
        Threshold and window.
    context : LungContext, optional
        Settings of the cleaning.

    Returns
    -------
    ndarray of bool, same shape
        All False where there is no lung.
    """
    context = context or LungContext()
    candidate = probability > np.uint8(round(255 * recipe.lung_threshold))
    candidate &= ~_room(images, recipe, context)
    mask = _large_regions(candidate, context.smallest_share)
    for index in np.flatnonzero(mask.any(axis=(1, 2))):
        _fill_small_holes(mask[index], context.smallest_hole_mm2 / pixel_mm**2)
    return mask


def _room(images: NDArray[np.uint8], recipe: Recipe, context: LungContext) -> NDArray[np.bool_]:
    """Air outside the body: as thin as air and connected to the edge of the images in 3-D."""
    span = recipe.segmenter_high_hu - recipe.segmenter_low_hu
    level = round(255 * (context.outside_air_hu - recipe.segmenter_low_hu) / span)
    air = np.stack([cv2.GaussianBlur(image, (5, 5), 0) for image in images]) < level
    regions, count = ndimage.label(air)
    if count == 0:
        return np.zeros(images.shape, dtype=np.bool_)
    edge = np.ones(images.shape[1:], dtype=np.bool_)
    edge[1:-1, 1:-1] = False
    touches = np.zeros(count + 1, dtype=np.bool_)
    touches[np.unique(regions[:, edge])] = True
    touches[0] = False
    room = touches[regions].astype(np.uint8)
    side = 2 * context.outside_margin_px + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.stack([cv2.dilate(slice_, kernel) for slice_ in room]).astype(np.bool_)


def _large_regions(candidate: NDArray[np.bool_], smallest_share: float) -> NDArray[np.bool_]:
    """The connected regions that are not small beside the largest."""
    regions, count = ndimage.label(candidate)
    if count == 0:
        return candidate
    sizes = np.bincount(regions.ravel(), minlength=count + 1)
    sizes[0] = 0
    keep = sizes >= max(1.0, smallest_share * sizes.max())
    keep[0] = False
    return np.asarray(keep[regions], dtype=np.bool_)


def _fill_small_holes(mask: NDArray[np.bool_], largest_px: float) -> None:
    """Fill holes of one slice in place."""
    count, regions, stats, _ = cv2.connectedComponentsWithStats((~mask).astype(np.uint8))
    small = np.flatnonzero(stats[:, cv2.CC_STAT_AREA] <= largest_px)
    small = small[small != 0] if count > 1 else small[:0]
    if len(small):
        mask[np.isin(regions, small)] = True


def lungs_on_volume(
    probability: NDArray[np.uint8], square: NDArray[np.bool_], frame: SquareFrame
) -> NDArray[np.bool_]:
    """The cleaned mask on the volume's own pixels, its edge where the U-Net drew it.

    Parameters
    ----------
    probability : ndarray of uint8, shape (slices, size, size)
        The U-Net's lung probability.
    square : ndarray of bool, same shape
        `clean_lung_mask`.
    frame : SquareFrame
        Between square and volume.

    Returns
    -------
    ndarray of bool, shape (slices, rows, columns)
    """
    kernel = np.ones((3, 3), np.uint8)
    mask = np.zeros((len(square), *frame.source_shape), dtype=np.bool_)
    for index in np.flatnonzero(square.any(axis=(1, 2))):
        inside = square[index].astype(np.uint8)
        # Probability decides the sub-pixel edge, the cleaned mask decides which edges exist.
        soft = np.where(inside, np.maximum(probability[index], 129), 0)
        rim = cv2.dilate(inside, kernel) > inside
        soft[rim] = np.minimum(probability[index][rim], 126)
        mask[index] = frame.back(soft.astype(np.uint8)) > 127
    return mask
