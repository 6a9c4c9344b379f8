"""From prepared images to what the networks take."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def to_tensor(images: NDArray[np.uint8]) -> Tensor:
    """(N, 1, H, W) floats 0 to 1 from (N, H, W) bytes."""
    x = torch.from_numpy(images[:, None].astype(np.float32) / 255)
    return x.contiguous(memory_format=torch.channels_last)
