"""Real lesions, cut out of slices where they are marked and laid in at another lung's pleura.

Dense disease that touches the chest wall or the spine is what a lung mask loses first, and made
disease, smooth and even, teaches it the dome of the liver as well. Real texture does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.train.data.patches import Patch, cut_patches
from groundglass.train.segmenter.slices import LungSlice

Slice = NDArray[np.float32]
Mask = NDArray[np.uint8]

#: Smaller lesions, in pixels, have no texture to lay in.
_FEWEST_PIXELS = 120
#: Median HU above which a lesion is dense: mostly consolidation.
_DENSE_HU = -350.0
_DENSE_SHARE = 0.75
#: Lungs of fewer pixels are ends in which there is no room.
_LEAST_LUNG_PX = 400
#: A lesion enlarged beyond this share of the image's side would fill the chest.
_LARGEST_SIDE = 150 / 256
#: How often a place is drawn towards the back, where lesions of the lying lie.
_DORSAL_SHARE = 0.7


@dataclass(frozen=True, slots=True, eq=False)
class LesionTextures:
    """All lesions large enough, and the dense ones among them."""

    patches: tuple[Patch, ...]
    dense: tuple[Patch, ...]

    @classmethod
    def of(cls, slices: Sequence[LungSlice]) -> Self:
        """The lesions marked in some slices; of those that are learnt from only."""
        patches = tuple(
            patch
            for one in slices
            for patch in cut_patches(one.hu, one.lung, one.lesion, _FEWEST_PIXELS)
        )
        return cls(patches, tuple(one for one in patches if _is_dense(one)))

    def lay(self, image: Slice, mask: Mask, rng: np.random.Generator) -> Slice:
        """One to three of them, changed in size, density and side, laid in at the pleura.

        Parameters
        ----------
        image : ndarray of float32, shape (rows, columns)
            HU.
        mask : ndarray of uint8, same shape
            The lungs, 0 or 1, which do not change.
        rng : Generator
            Source of chance.
        """
        if not self.patches or mask.sum() < _LEAST_LUNG_PX:
            return image
        rim = mask - cv2.erode(mask, np.ones((5, 5), np.uint8))
        rows, columns = np.nonzero(rim)
        for _ in range(rng.integers(1, 4)):
            among = self.dense if self.dense and rng.random() < _DENSE_SHARE else self.patches
            patch = _changed(among[int(rng.integers(len(among)))], rng)
            if max(patch.hu.shape) > _LARGEST_SIDE * image.shape[0]:
                continue
            dorsal = (rows - rows.min() + 1.0) ** 2
            weights = dorsal if rng.random() < _DORSAL_SHARE else np.ones(len(rows))
            place = int(rng.choice(len(rows), p=weights / weights.sum()))
            image = _laid(image, mask, patch, (int(rows[place]), int(columns[place])), rng)
        return image


def _is_dense(patch: Patch) -> bool:
    """Whether it is mostly consolidation."""
    return float(np.median(patch.hu[patch.mask])) > _DENSE_HU


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    """A patch as it is laid in: how much of each pixel it covers stands in `cover`."""

    hu: Slice
    cover: Slice


def _changed(patch: Patch, rng: np.random.Generator) -> _Shown:
    """Another size, the other side, perhaps denser: up to soft tissue."""
    times = rng.uniform(0.7, 2.2)
    size = (max(3, int(patch.hu.shape[1] * times)), max(3, int(patch.hu.shape[0] * times)))
    hu = cv2.resize(patch.hu, size, interpolation=cv2.INTER_CUBIC)
    cover = cv2.resize(patch.mask.astype(np.float32), size)
    if rng.random() < 0.5:
        hu, cover = hu[:, ::-1], cover[:, ::-1]
    inside = hu[cover > 0.5]
    if rng.random() < 0.6 and inside.size:
        hu = hu + np.float32(rng.uniform(0.0, max(0.0, 40.0 - float(np.median(inside)))))
    return _Shown(np.asarray(hu, np.float32), np.asarray(cover, np.float32))


def _laid(
    image: Slice, mask: Mask, patch: _Shown, centre: tuple[int, int], rng: np.random.Generator
) -> Slice:
    """The patch around a place, cut at the lung's edge; half of the time it only makes denser."""
    cover, hu = np.zeros_like(image), image.copy()
    here, there = zip(*map(_overlap, centre, patch.hu.shape, image.shape), strict=True)
    cover[here], hu[here] = patch.cover[there], patch.hu[there]
    inside = cv2.GaussianBlur(mask.astype(np.float32), (3, 3), 0)
    share = cv2.GaussianBlur(cover, (0, 0), 1.0) * inside
    laid = image * (1 - share) + hu * share
    return np.asarray(np.maximum(image, laid) if rng.random() < 0.5 else laid, np.float32)


def _overlap(centre: int, length: int, room: int) -> tuple[slice, slice]:
    """Along an axis: where in the image a patch around a place lies, and which part of it."""
    first = centre - length // 2
    low, high = max(0, first), min(room, first + length)
    return slice(low, high), slice(low - first, high - first)
