"""From 8-bit images to what the networks take."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def to_tensor(images: NDArray[np.uint8]) -> Tensor:
    """(N, 1, H, W) floats 0 to 1 from (N, H, W) bytes."""
    return as_float(torch.from_numpy(images[:, None]))


def as_float(image: Tensor) -> Tensor:
    """Floats 0 to 1 from bytes, shape (N, 1, H, W), in the order convolutions are fastest in."""
    return (image.float() / 255).contiguous(memory_format=torch.channels_last)


def trimmed(image: Tensor, multiple: int = 32) -> tuple[slice, slice]:
    """The rows and columns of a batch outside which every image is black, and a margin.

    Black all round says nothing, and half of a chest image is black: a step on the rest costs half.

    Parameters
    ----------
    image : Tensor, shape (N, 1, H, W)
        Prepared slices; H and W multiples of `multiple`.
    multiple : int
        What the ends are rounded to, so that the networks' pools fit as before.
    """
    rows, columns = (image.amax(dim=dims)[0] for dims in ((0, 3), (0, 2)))
    return _span(rows, multiple), _span(columns, multiple)


def _span(seen: Tensor, multiple: int) -> slice:
    """Whole multiples around what is not 0, with at least half of one to spare."""
    lit = torch.nonzero(seen)
    if not len(lit):
        return slice(0, multiple)
    first = max(0, (int(lit[0]) - multiple // 2) // multiple)
    last = min(len(seen) // multiple, (int(lit[-1]) + multiple // 2) // multiple + 1)
    return slice(first * multiple, last * multiple)
