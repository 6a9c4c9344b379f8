"""Connected regions of a volume, found slice by slice.

Labelling each slice and joining the labels of neighbours gives the regions of 3-D labelling, in a
fraction of its time and memory, and on every core.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.prepare.threads import for_each

Labels = NDArray[np.integer]
#: Parts of one slice that 16 bits can number; a slice has at most one part per two pixels.
_MOST_SHORT = 2 * np.iinfo(np.uint16).max
#: Entries of OpenCV's tables, which are quicker than numpy's.
_TABLE = 256


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """Regions of voxels that touch face to face.

    A part is what a region has in one slice; parts are numbered through the volume. Each slice's
    part 0 is what lies outside all regions.
    """

    labels: Labels
    """Shape (slices, rows, columns). Number of each pixel's part, counted in its own slice."""
    first: NDArray[np.intp]
    """Shape (slices + 1,). Number in the volume of each slice's part 0, and the number of parts in
    all."""
    region: NDArray[np.intp]
    """Shape (parts,). Region of each part, by the number of its first part; 0 for the outside."""

    @classmethod
    def of(
        cls, mask_of: Callable[[int], NDArray[np.bool_]], shape: tuple[int, int, int]
    ) -> Regions:
        """Regions of a mask of this shape (slices, rows, columns).

        `mask_of` gives the mask of one slice, contiguous; called from several threads.
        """
        slices, rows, columns = shape
        short = rows * columns <= _MOST_SHORT
        labels: Labels = np.empty(shape, np.uint16 if short else np.int32)
        counts = np.zeros(slices + 1, dtype=np.intp)

        def label(index: int) -> None:
            image = mask_of(index).view(np.uint8)
            kind = cv2.CV_16U if short else cv2.CV_32S
            counts[index + 1], _ = cv2.connectedComponents(image, labels[index], 4, kind)

        for_each(label, range(slices))
        first = np.cumsum(counts)
        touching: list[NDArray[np.intp]] = [np.empty((0, 2), np.intp)] * slices

        def touch(index: int) -> None:
            pairs = _touching(labels[index - 1], labels[index])
            touching[index] = pairs + first[index - 1 : index + 1]

        for_each(touch, range(1, slices))
        region = _joined(int(first[-1]), np.concatenate(touching))
        region[first[:-1]] = 0
        return cls(labels, first, region)

    def total(self, of_parts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum over each region of a value of its parts; both by number, shape (parts,)."""
        summed = np.bincount(self.region, of_parts, minlength=len(self.region))
        return np.asarray(summed, dtype=np.float64)

    def sizes(self) -> NDArray[np.float64]:
        """Pixels of each region by number, shape (parts,); 0 for the outside."""
        parts = np.zeros(len(self.region))

        def count(index: int) -> None:
            first, last = self.first[index : index + 2]
            parts[first:last] = np.bincount(self.labels[index].ravel(), minlength=last - first)

        for_each(count, range(len(self.labels)))
        total = self.total(parts)
        total[0] = 0
        return total

    def mask(self, kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The volume's voxels that lie in kept regions; `kept` by number, shape (parts,)."""
        return np.stack([self.where(kept, index) for index in range(len(self.labels))])

    def where(self, kept: NDArray[np.bool_], index: int) -> NDArray[np.bool_]:
        """Pixels of one slice that lie in kept regions; `kept` by number, shape (parts,)."""
        parts = kept[self.region[self.first[index] : self.first[index + 1]]]
        parts[0] = False
        labels = self.labels[index]
        if len(parts) > _TABLE:
            return np.asarray(parts[labels])
        table = np.zeros(_TABLE, dtype=np.uint8)
        table[: len(parts)] = parts
        return np.asarray(cv2.LUT(labels.astype(np.uint8), table)).view(np.bool_)


def _touching(below: Labels, above: Labels) -> NDArray[np.intp]:
    """Pairs of parts, other than the outside, that share a pixel."""
    lower, upper = below.ravel(), above.ravel()
    # Along a row the pair seldom changes: only where it does is it looked at.
    changes = (lower[1:] != lower[:-1]) | (upper[1:] != upper[:-1])
    runs = np.append(0, np.flatnonzero(changes) + 1)
    lower, upper = lower[runs].astype(np.int64), upper[runs].astype(np.int64)
    both = (lower != 0) & (upper != 0)
    codes = np.unique(lower[both] << 32 | upper[both])
    return np.stack([codes >> 32, codes & 0xFFFFFFFF], axis=1).astype(np.intp)


def _joined(count: int, pairs: NDArray[np.intp]) -> NDArray[np.intp]:
    """The lowest number in each part's region (union-find with path halving)."""
    parent = list(range(count))

    def root(part: int) -> int:
        while parent[part] != part:
            parent[part] = parent[parent[part]]
            part = parent[part]
        return part

    for one, other in pairs.tolist():
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    return np.array([root(part) for part in range(count)], dtype=np.intp)
