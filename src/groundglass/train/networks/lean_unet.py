"""The lung U-Net as it is exported: the same answers for fewer operations.

Where the U-Net enlarges a map by repeating each pixel and convolves it 3×3, each result sees no
more than 2×2 different pixels. So the enlarged map need not exist: a transposed convolution of the
small one, 4×4 with stride 2, whose weights are sums of the 3×3 ones, gives the same, also at the
edges.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from groundglass.train.networks.free_enlarging import FreeEnlarging
from groundglass.train.networks.unet import LungUNet

#: Which taps of a 3×3 convolution meet at each tap of the 4×4 transposed one, along one axis.
MEETING = torch.tensor([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]], dtype=torch.float32)


class LeanUNet(nn.Module):
    """A trained `LungUNet` in evaluation mode, which is not changed."""

    def __init__(self, net: LungUNet) -> None:
        super().__init__()
        net.eval()
        self.net = net
        self.joins = nn.ModuleList(map(_Join, net.up))

    def forward(self, image: Tensor) -> Tensor:
        """Lung logits of images of shape (N, 1, H, W), as `LungUNet` gives them."""
        x, skips = self.net.contract(image)
        for join, skip in zip(self.joins, skips, strict=True):
            x = join(x, skip)
        return self.net.unfold(x, image)


class _Join(nn.Module):
    """A block of the U-Net's way up: over a map, enlarged twofold, and the skip beside it."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        conv, norm, *rest = block.children()
        met, beside, bias = _fused(conv, cast(nn.BatchNorm2d, norm))
        channels = len(beside)
        self.low = nn.ConvTranspose2d(len(met), channels, 4, stride=2, padding=1, bias=False)
        self.low.weight = nn.Parameter(met.contiguous())
        self.skip = nn.Conv2d(channels, channels, 3, padding=1)
        self.skip.weight = nn.Parameter(beside.contiguous())
        self.skip.bias = bias
        self.rest = nn.Sequential(*rest)

    def forward(self, low: Tensor, skip: Tensor) -> Tensor:
        found: Tensor = self.rest(self.skip(skip) + self.low(low))
        return found


def _fused(conv: nn.Module, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor, Tensor | None]:
    """Weights over the small map and over the skip, and the bias, the normalisation in them."""
    if isinstance(conv, FreeEnlarging):
        low = fuse_conv_bn_eval(conv.low, norm, transpose=True)
        skip = fuse_conv_bn_eval(conv.skip, norm)
        return low.weight.detach(), skip.weight.detach(), skip.bias
    fused = fuse_conv_bn_eval(cast(nn.Conv2d, conv), norm)
    weight = fused.weight.detach()
    # A skip has as many channels as its level, and so as the block gives.
    channels = len(weight)
    enlarged, beside = weight[:, :-channels], weight[:, -channels:]
    return torch.einsum("ka,lb,oiab->iokl", MEETING, MEETING, enlarged), beside, fused.bias
