"""From the U-Net's opinion per slice to one lung mask: what a volume knows and a slice does not."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from groundglass.prepare.recipe import Recipe
from groundglass.prepare.spatial import SquareFrame

#: Blurred HU under which a voxel holds air.
_AERATED_BELOW_HU = -400.0


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
    gas_below_hu : float
        Blurred HU of gas in stomach and bowel; also of bullae, which seldom fill a whole lung.
    fat_hu : tuple of float
        Blurred HU of fat. Lung passes through these values at its edges but is never made of them.
    largest_foreign_share : float
        A region of a slice with more gas or fat than this is not lung.
    least_aerated_share : float
        A lung has at least this share of aerated voxels, however ill it is.
    smallest_hole_mm2 : float
        Smaller holes in a slice are vessels and are filled; larger ones (the dome of the liver)
        stay.
    """

    outside_air_hu: float = -940.0
    outside_margin_px: int = 2
    smallest_share: float = 0.1
    gas_below_hu: float = -960.0
    fat_hu: tuple[float, float] = (-150.0, -30.0)
    largest_foreign_share: float = 0.6
    least_aerated_share: float = 0.1
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
    blurred = np.stack([cv2.GaussianBlur(image, (5, 5), 0) for image in images])
    tissue = _Tissue.of(blurred, recipe, context)
    candidate &= ~_room(blurred, recipe, context)
    for index in np.flatnonzero(candidate.any(axis=(1, 2))):
        _drop_foreign(candidate[index], tissue.foreign[index], context)
    mask = _lungs(candidate, tissue.aerated, context)
    for index in np.flatnonzero(mask.any(axis=(1, 2))):
        _fill_small_holes(mask[index], context.smallest_hole_mm2 / pixel_mm**2)
    return mask


@dataclass(frozen=True, slots=True, eq=False)
class _Tissue:
    """What the voxels are made of, as far as blurred HU tell. Shapes as the images.

    `foreign` is gas or fat, `aerated` is thin but no gas.
    """

    foreign: NDArray[np.bool_]
    aerated: NDArray[np.bool_]

    @classmethod
    def of(cls, blurred: NDArray[np.uint8], recipe: Recipe, context: LungContext) -> _Tissue:
        gas = blurred < _grey(context.gas_below_hu, recipe)
        low, high = (_grey(hu, recipe) for hu in context.fat_hu)
        aerated = ~gas & (blurred < _grey(_AERATED_BELOW_HU, recipe))
        return cls(gas | ((blurred > low) & (blurred < high)), aerated)


def _grey(hu: float, recipe: Recipe) -> int:
    """Grey value of the segmenter's window at a HU."""
    span = recipe.segmenter_high_hu - recipe.segmenter_low_hu
    return round(255 * (hu - recipe.segmenter_low_hu) / span)


def _room(blurred: NDArray[np.uint8], recipe: Recipe, context: LungContext) -> NDArray[np.bool_]:
    """Air outside the body: as thin as air and connected to the edge of the images in 3-D."""
    regions, count = ndimage.label(blurred < _grey(context.outside_air_hu, recipe))
    if count == 0:
        return np.zeros(blurred.shape, dtype=np.bool_)
    edge = np.ones(blurred.shape[1:], dtype=np.bool_)
    edge[1:-1, 1:-1] = False
    touches = np.zeros(count + 1, dtype=np.bool_)
    touches[np.unique(regions[:, edge])] = True
    touches[0] = False
    room = touches[regions].astype(np.uint8)
    side = 2 * context.outside_margin_px + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.stack([cv2.dilate(slice_, kernel) for slice_ in room]).astype(np.bool_)


def _drop_foreign(
    candidate: NDArray[np.bool_], foreign: NDArray[np.bool_], context: LungContext
) -> None:
    """Remove the regions of one slice that are mostly gas or fat, in place."""
    count, regions = cv2.connectedComponents(candidate.astype(np.uint8), connectivity=4)
    size = np.bincount(regions.ravel(), minlength=count)
    strange = np.bincount(regions[foreign], minlength=count)
    drop = strange > context.largest_foreign_share * size
    drop[0] = False
    candidate[drop[regions]] = False


def _lungs(
    candidate: NDArray[np.bool_], aerated: NDArray[np.bool_], context: LungContext
) -> NDArray[np.bool_]:
    """The connected regions that hold air like a lung and are not small beside the largest."""
    regions, count = ndimage.label(candidate)
    sizes = np.bincount(regions.ravel(), minlength=count + 1)
    air = np.bincount(regions[aerated], minlength=count + 1)
    sizes[air < context.least_aerated_share * sizes] = 0
    sizes[0] = 0
    keep = sizes >= max(1.0, context.smallest_share * sizes.max())
    return np.asarray(keep[regions], dtype=np.bool_)


def _fill_small_holes(mask: NDArray[np.bool_], largest_px: float) -> None:
    """Fill holes of one slice in place."""
    _, regions, stats, _ = cv2.connectedComponentsWithStats((~mask).astype(np.uint8))
    small = stats[:, cv2.CC_STAT_AREA] <= largest_px
    small[0] = False  # the mask itself
    mask[small[regions]] = True


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
