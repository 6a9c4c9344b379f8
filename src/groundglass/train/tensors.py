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
