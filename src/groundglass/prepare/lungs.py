"""From the U-Net's opinion per slice to one lung mask: what a volume knows and a slice does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.prepare.letterbox import Letterbox
from groundglass.prepare.recipe import Recipe
from groundglass.prepare.regions import Regions
from groundglass.prepare.threads import for_each

Byte = NDArray[np.uint8]
Mask = NDArray[np.bool_]

#: Blurred HU under which a voxel holds air.
_AERATED_BELOW_HU = -400.0


@dataclass(frozen=True, slots=True)
class MaskCleanupSettings:
    """How the mask of a volume is cleaned of what no slice by itself can tell from lung."""

    outside_air_hu: float = -940.0
    """Blurred HU under which border-connected air is background air, not lung. Lung parenchyma lies
    above even in deep inspiration (-860 on average); only large bullae lie below, and they seldom
    reach the edge of the image."""
    outside_margin_px: int = 2
    """Pixels by which background air grows, for the partial volume at the skin."""
    smallest_share: float = 0.1
    """A separate region smaller than this share of the largest one is not a lung: bowel gas,
    trachea, air under the arm. A shrunken lung is seldom under a tenth of the other."""
    gas_below_hu: float = -960.0
    """Blurred HU of gas in stomach and bowel; also of bullae, which seldom fill a whole lung."""
    fat_hu: tuple[float, float] = (-150.0, -30.0)
    """Blurred HU of fat. Lung passes through these values at its edges but is never made of
    them."""
    largest_foreign_share: float = 0.6
    """A region of a slice with more gas or fat than this is not lung."""
    least_aerated_share: float = 0.1
    """A lung has at least this share of aerated voxels, however ill it is."""
    smallest_hole_mm2: float = 60.0
    """Smaller holes in a slice are vessels and are filled; larger ones (the dome of the liver)
    stay."""


def clean_lung_mask(
    probability: NDArray[np.uint8],
    images: NDArray[np.uint8],
    pixel_mm: float,
    recipe: Recipe,
    settings: MaskCleanupSettings | None = None,
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

    Returns ------- ndarray of bool, same shape All False where there is no lung.
    """
    settings = settings or MaskCleanupSettings()
    blurred = np.empty_like(images)

    def blur(index: int) -> None:
        cv2.GaussianBlur(images[index], (5, 5), 0, dst=blurred[index])

    for_each(blur, range(len(images)))
    candidate = _candidate(probability, blurred, recipe, settings)
    return _lungs(candidate, blurred, pixel_mm, recipe, settings)


def _candidate(
    probability: Byte, blurred: Byte, recipe: Recipe, settings: MaskCleanupSettings
) -> Mask:
    """What the U-Net takes for lung, without background air and what is mostly gas or fat."""
    least = np.uint8(round(255 * recipe.lung_threshold))
    candidate = np.empty(blurred.shape, dtype=np.bool_)
    air_of = _background_air(blurred, recipe, settings)
    foreign = _foreign_greys(recipe, settings)

    def choose(index: int) -> None:
        np.greater(probability[index], least, out=candidate[index])
        if candidate[index].any():
            candidate[index] &= ~air_of(index)
        if candidate[index].any():
            strange = np.asarray(cv2.LUT(blurred[index], foreign), dtype=np.bool_)
            _drop_foreign(candidate[index], strange, settings)

    for_each(choose, range(len(blurred)))
    return candidate


def _grey(hu: float, recipe: Recipe) -> int:
    """Grey value of the segmenter's window at a HU."""
    span = recipe.segmenter_high_hu - recipe.segmenter_low_hu
    return round(255 * (hu - recipe.segmenter_low_hu) / span)


def _foreign_greys(recipe: Recipe, settings: MaskCleanupSettings) -> Byte:
    """For each blurred grey 1 where it is that of gas or fat, shape (256,)."""
    grey = np.arange(256)
    low, high = (_grey(hu, recipe) for hu in settings.fat_hu)
    gas = grey < _grey(settings.gas_below_hu, recipe)
    return (gas | ((grey > low) & (grey < high))).astype(np.uint8)


def _aerated_greys(recipe: Recipe, settings: MaskCleanupSettings) -> Byte:
    """For each blurred grey 1 where it is thin but no gas, shape (256,)."""
    grey = np.arange(256)
    thin = grey < _grey(_AERATED_BELOW_HU, recipe)
    return (thin & (grey >= _grey(settings.gas_below_hu, recipe))).astype(np.uint8)


def _background_air(
    blurred: Byte, recipe: Recipe, settings: MaskCleanupSettings
) -> Callable[[int], Mask]:
    """Air outside the body: as thin as air and connected to the edge of the images in 3-D.

    Returns
    -------
    callable
        Gives that in one slice.
    """
    thin = _grey(settings.outside_air_hu, recipe)
    regions = Regions.of(lambda index: blurred[index] < thin, blurred.shape)
    touches = np.zeros(len(regions.region), dtype=np.bool_)
    for index, labels in enumerate(regions.labels):
        edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        touches[regions.region[regions.first[index] + np.unique(edge)]] = True
    side = 2 * settings.outside_margin_px + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))

    def air_of(index: int) -> Mask:
        air = regions.where(touches, index)
        return np.asarray(cv2.dilate(air.view(np.uint8), kernel)).view(np.bool_)

    return air_of


def _drop_foreign(candidate: Mask, foreign: Mask, settings: MaskCleanupSettings) -> None:
    """Remove the regions of one slice that are mostly gas or fat, in place."""
    box = _box(candidate)
    part = candidate[box]
    image = np.ascontiguousarray(part).view(np.uint8)
    count, regions = cv2.connectedComponents(image, connectivity=4)
    size = np.bincount(regions.ravel(), minlength=count)
    strange = np.bincount(regions[foreign[box]], minlength=count)
    drop = strange > settings.largest_foreign_share * size
    drop[0] = False
    if drop.any():
        part[drop[regions]] = False


def _lungs(
    candidate: Mask, blurred: Byte, pixel_mm: float, recipe: Recipe, settings: MaskCleanupSettings
) -> Mask:
    """The connected regions that hold air like a lung and are not small beside the largest.

    Small holes of their slices are filled.
    """
    largest_px = settings.smallest_hole_mm2 / pixel_mm**2
    mask = np.zeros_like(candidate)
    somewhere: Mask = np.any(candidate, axis=0)
    if not somewhere.any():
        return mask
    box = _box(somewhere, margin=1 + int(np.sqrt(largest_px)))
    parts = np.ascontiguousarray(candidate[:, *box])
    aerated = _aerated_greys(recipe, settings)
    regions = Regions.of(lambda index: parts[index], parts.shape)
    size, air = np.zeros((2, len(regions.region)))

    def measure(index: int) -> None:
        first, last = regions.first[index : index + 2]
        parts, labels = last - first, regions.labels[index].ravel()
        thin = cv2.LUT(np.ascontiguousarray(blurred[index][box]), aerated).ravel()
        # Numbered apart where thin: counting once takes half the time of counting with weights.
        counts = np.bincount(labels + parts * thin, minlength=2 * parts).reshape(2, -1)
        size[first:last], air[first:last] = counts.sum(axis=0), counts[1]

    for_each(measure, range(len(parts)))
    total = regions.total(size)
    total[regions.total(air) < settings.least_aerated_share * total] = 0
    total[0] = 0
    keep = total >= max(1.0, settings.smallest_share * total.max())

    def finish(index: int) -> None:
        lung = regions.where(keep, index)
        if lung.any():
            _fill_small_holes(lung, largest_px)
            mask[index][box] = lung

    for_each(finish, range(len(parts)))
    return mask


def _box(inside: Mask, margin: int = 0) -> tuple[slice, slice]:
    """Rows and columns that hold what is inside, and a margin as far as there is room."""
    box = []
    for axis, size in enumerate(inside.shape):
        hit = np.flatnonzero(inside.any(axis=1 - axis))
        first, last = (int(hit[0]), int(hit[-1]) + 1) if len(hit) else (0, 0)
        box.append(slice(max(0, first - margin), min(size, last + margin)))
    return box[0], box[1]


def _fill_small_holes(mask: Mask, largest_px: float) -> None:
    """Fill holes of one slice in place."""
    _, regions = cv2.connectedComponents((~mask).view(np.uint8))
    small = np.bincount(regions.ravel()) <= largest_px
    small[0] = False  # the mask itself
    if small.any():
        mask[small[regions]] = True


def lungs_on_volume(
    probability: NDArray[np.uint8], square: NDArray[np.bool_], frame: Letterbox
) -> NDArray[np.bool_]:
    """The cleaned mask on the volume's own pixels, its edge where the U-Net drew it.

    `probability` and `square` (of `clean_lung_mask`) have the shape (slices, size, size).
    """
    kernel = np.ones((3, 3), np.uint8)
    mask = np.zeros((len(square), *frame.source_shape), dtype=np.bool_)

    def draw(index: int) -> None:
        inside = square[index].view(np.uint8)
        rim = cv2.dilate(inside, kernel) - inside
        # Probability decides the sub-pixel edge, the cleaned mask decides which edges exist.
        here = probability[index]
        soft = np.maximum(here, 129) * inside + np.minimum(here, 126) * rim
        drawn = frame.inverse(soft) > 127
        # What lies outside is not written: memory that only reads as zero takes no room.
        box = _box(drawn)
        mask[index][box] = drawn[box]

    for_each(draw, np.flatnonzero(square.any(axis=(1, 2))).tolist())
    return mask
