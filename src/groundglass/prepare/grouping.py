"""Groups of slices for the sequence model (paper section 2.2.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundglass.core.result import SliceGroup

#: Splits the slices that stayed, feet to head, into groups of at most so many.
Grouping = Callable[[Sequence[int], int], tuple[SliceGroup, ...]]


def group_slices(slice_indices: Sequence[int], size: int) -> tuple[SliceGroup, ...]:
    """Split the slices that stayed, feet to head, into groups of `size`.

    A remainder of at least half a group is padded with black images; a smaller one is merged with
    the group before it and the two are resampled along z to `size`. Fewer slices than one group are
    one padded group. (Half exactly is open in the paper; it is padded.)
    """
    kept = tuple(slice_indices)
    full, rest = divmod(len(kept), size)
    merge = full > 0 and 0 < rest < size / 2
    plain = full - 1 if merge else full
    groups = [
        SliceGroup(k, kept[k * size : (k + 1) * size], size, padding=0, interpolated=False)
        for k in range(plain)
    ]
    tail = kept[plain * size :]
    if tail:
        padding = 0 if merge else size - len(tail)
        groups.append(SliceGroup(plain, tail, size, padding=padding, interpolated=merge))
    return tuple(groups)


def whole_groups(slice_indices: Sequence[int], size: int) -> tuple[SliceGroup, ...]:
    """Split the slices, feet to head, into groups of at most `size`, each slice as it is.

    For what judges slices by themselves: the groups are units of work, nothing is resampled.
    """
    kept = tuple(slice_indices)
    parts = (kept[start : start + size] for start in range(0, len(kept), size))
    return tuple(
        SliceGroup(k, part, len(part), padding=0, interpolated=False)
        for k, part in enumerate(parts)
    )


def sample_positions(group: SliceGroup) -> NDArray[np.float64]:
    """Where each image of a group lies among the group's slices, shape (size - padding,).

    Fractional where the group was resampled.
    """
    count = group.size - group.padding
    return np.linspace(0.0, len(group.slice_indices) - 1.0, count)


def gather(group: SliceGroup, images: NDArray[Any]) -> NDArray[Any]:
    """The sequence a group feeds to the network, shape (size, rows, columns).

    Of the group's slices in its order, shape (slices, rows, columns). Resampled groups are
    interpolated linearly along z; padding is black at the head end.
    """
    if group.interpolated:
        positions = sample_positions(group)
        low = np.floor(positions).astype(int)
        high = np.minimum(low + 1, len(images) - 1)
        weight = (positions - low).astype(np.float32)[:, None, None]
        mixed = images[low] * (1 - weight) + images[high] * weight
        if np.issubdtype(images.dtype, np.integer):
            mixed = np.rint(mixed)
        return np.asarray(mixed.astype(images.dtype))
    black = np.zeros((group.padding, *images.shape[1:]), dtype=images.dtype)
    return np.concatenate([images, black])
