"""The lung segmenter: a U-Net (paper section 2.2.1, reference 23), small enough for a CPU.

Widths are our choice. The image is folded 2×2 into four channels before the first convolution and
the four logits of each cell are unfolded at the end: the output keeps every pixel, the first level
costs a quarter.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def _block(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


class LungUNet(nn.Module):
    """U-Net from an 8-bit slice to a lung logit per pixel.

    Parameters
    ----------
    widths : tuple of int
        Channels per level, from the finest.
    """

    FOLD = 2

    def __init__(self, widths: tuple[int, ...] = (24, 32, 48, 64, 96)) -> None:
        super().__init__()
        inputs = (self.FOLD**2, *widths[:-1])
        self.down = nn.ModuleList(map(_block, inputs, widths))
        finer, coarser = widths[-2::-1], widths[:0:-1]
        self.up = nn.ModuleList(_block(c + f, f) for c, f in zip(coarser, finer, strict=True))
        self.out = nn.Conv2d(widths[0], self.FOLD**2, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Lung logits.

        Parameters
        ----------
        image : Tensor of float, shape (N, 1, H, W)
            `segmenter_window`'s image, 0 to 1; H and W multiples of 32.

        Returns
        -------
        Tensor of float, shape (N, 1, H, W)
        """
        x, skips = self.contract(image)
        for block, skip in zip(self.up, skips, strict=True):
            x = block(torch.cat([F.interpolate(x, scale_factor=2.0, mode="nearest"), skip], 1))
        return F.pixel_shuffle(self.out(x), self.FOLD)

    def contract(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Activations of the coarsest level, and of the others, the finest last."""
        x = F.pixel_unshuffle(image, self.FOLD)
        levels = []
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)
            levels.append(x)
        return x, levels[-2::-1]
