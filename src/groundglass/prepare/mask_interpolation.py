"""Lung probability of the slices between those that were segmented.

Lungs are smooth at the scale of thin slices, and the U-Net costs more than all else. Where two
segmented slices disagree about a pixel, the slices between them say themselves on whose side they
are: at the lung's edge air gives way to tissue, and the pixel looks like the one or like the other.
Where the image does not tell, nearness does (decision 0009).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from groundglass.prepare.recipe import Recipe
from groundglass.prepare.threads import for_each

Byte = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class MaskInterpolationSettings:
    """How slices are left to their neighbours."""

    thin_mm: float = 1.5
    """Slices further apart in mm than this are all segmented. Our choice: 1.5; leaving out every
    second slice of 2 mm kept the masks and moved the verdicts (decision 0009)."""
    apart_mm: float = 4.0
    """Largest distance in mm of segmented slices. Our choice: 4, where the masks of phantoms are as
    good as those of every slice (decision 0009)."""
    noise_hu: float = 25.0
    """Differences in HU that mean nothing. Our choice: 25, a little over the noise of a pixel of
    the networks' square."""


MASK_INTERPOLATION = MaskInterpolationSettings()


def slices_to_segment(
    count: int, spacing_mm: float, settings: MaskInterpolationSettings = MASK_INTERPOLATION
) -> NDArray[np.intp]:
    """Which slices the U-Net has to see: evenly spread, the first and the last among them."""
    # Spacings are measured: 1.0000001 mm must not make four slices three.
    thin = spacing_mm < settings.thin_mm + 1e-3
    step = max(1, int(settings.apart_mm / spacing_mm + 1e-3)) if thin else 1
    return np.union1d(np.arange(0, count, step), [count - 1]).astype(np.intp)


def interpolate_masks(
    segmented: Byte,
    at: NDArray[np.intp],
    images: Byte,
    recipe: Recipe,
    settings: MaskInterpolationSettings = MASK_INTERPOLATION,
) -> Byte:
    """Lung probability of every slice (uint8, 255 for certain) from that of some.

    Parameters
    ----------
    segmented : ndarray of uint8, shape (len(at), size, size)
        Of the slices in `at`, which stays as it is.
    at : ndarray of intp
        `slices_to_segment`.
    images : ndarray of uint8, shape (slices, size, size)
        What the U-Net sees of every slice (`segmenter_images`).
    recipe : Recipe
        The images' window.
    """
    if len(at) == len(images):
        return segmented
    probability = np.empty_like(images)
    probability[at] = segmented
    span_hu = recipe.segmenter_high_hu - recipe.segmenter_low_hu
    noise = np.float32(255 * settings.noise_hu / span_hu)
    gaps = [(low, high) for low, high in pairwise(at.tolist()) if high - low > 1]

    def fill(gap: int) -> None:
        _fill(probability, images, gaps[gap], noise)

    for_each(fill, range(len(gaps)))
    return probability


def _fill(probability: Byte, images: Byte, gap: tuple[int, int], noise: np.float32) -> None:
    """The slices of one gap, in place."""
    low, high = gap
    flat = probability.reshape(len(probability), -1)
    seen = images.reshape(len(images), -1)
    differ = np.flatnonzero(flat[low] != flat[high])
    one, other = (flat[index, differ].astype(np.float32) for index in gap)
    as_one, as_other = (seen[index, differ].astype(np.float32) for index in gap)
    for index in range(low + 1, high):
        share = np.float32((index - low) / (high - low))
        image = seen[index, differ].astype(np.float32)
        unlike_one = share * (np.abs(image - as_one) + noise)
        unlike_other = (1 - share) * (np.abs(image - as_other) + noise)
        mixed = one + (other - one) * (unlike_one / (unlike_one + unlike_other))
        flat[index] = flat[low]
        flat[index, differ] = np.rint(mixed).astype(np.uint8)
