"""An enlarging step of the lung U-Net that was trained in the form of an export."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FreeEnlarging(nn.Module):
    """In the place of a block's 3×3 convolution over an enlarged map and the skip beside it.

    An export convolves the map where it is small, 4×4 with stride 2, by sums of the 3×3 taps
    (`LeanUNet`). Trained further in that form, the weights are sums of no taps any more.

    Parameters
    ----------
    low, skip : Tensor
        Weights over the map, (in, out, 4, 4), and over the skip, (out, out, 3, 3).
    """

    def __init__(self, low: Tensor, skip: Tensor) -> None:
        super().__init__()
        channels = len(skip)
        self.low = nn.ConvTranspose2d(len(low), channels, 4, stride=2, padding=1, bias=False)
        self.skip = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        with torch.no_grad():
            self.low.weight.copy_(low)
            self.skip.weight.copy_(skip)

    def forward(self, joined: Tensor) -> Tensor:
        """As the convolution it stands for: the enlarged map's channels, then the skip's."""
        channels = self.skip.in_channels
        # Every other pixel of a map enlarged twofold is the map.
        low: Tensor = self.low(joined[:, :-channels, ::2, ::2])
        beside: Tensor = self.skip(joined[:, -channels:])
        return low + beside
