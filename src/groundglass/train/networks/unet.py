"""The lung segmenter: a U-Net (paper section 2.2.1, reference 23), small enough for a CPU.

Fold and widths are our choice. The image is folded into cells before the first convolution and the
logits of each cell are unfolded at the end: there are no levels as fine as pixels, which would cost
most and tell least. Two small convolutions between, on cells of half the side, that see the image
once more, find the lung's edge to the pixel.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Channels where the edge is found.
_EDGE = 16


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
    fold : int
        Side of the square of pixels that becomes one cell of the finest level; even.
    """

    def __init__(self, widths: tuple[int, ...], fold: int) -> None:
        super().__init__()
        self.fold, fine = fold, fold // 2
        inputs = (fold**2, *widths[:-1])
        self.down = nn.ModuleList(map(_block, inputs, widths))
        finer, coarser = widths[-2::-1], widths[:0:-1]
        self.up = nn.ModuleList(_block(c + f, f) for c, f in zip(coarser, finer, strict=True))
        self.out = nn.Conv2d(widths[0], fold**2, 1)
        self.edge = nn.Sequential(
            nn.Conv2d(widths[0] // 4 + fine**2, _EDGE, 3, padding=1, bias=False),
            nn.BatchNorm2d(_EDGE),
            nn.ReLU(inplace=True),
            nn.Conv2d(_EDGE, fine**2, 3, padding=1),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Lung logits.

        Parameters
        ----------
        image : Tensor of float, shape (N, 1, H, W)
            `segmenter_window`'s image, 0 to 1; H and W multiples of the fold, doubled per level
            after the first.

        Returns
        -------
        Tensor of float, shape (N, 1, H, W)
        """
        x, skips = self.contract(image)
        for block, skip in zip(self.up, skips, strict=True):
            x = block(torch.cat([F.interpolate(x, scale_factor=2.0, mode="nearest"), skip], 1))
        return self.unfold(x, image)

    def unfold(self, x: Tensor, image: Tensor) -> Tensor:
        """Logits from the finest level's activations, the edge looked up in the image."""
        fine = self.fold // 2
        seen = torch.cat([F.pixel_shuffle(x, 2), F.pixel_unshuffle(image, fine)], 1)
        return F.pixel_shuffle(F.pixel_shuffle(self.out(x), 2) + self.edge(seen), fine)

    def contract(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Activations of the coarsest level, and of the others, the finest last."""
        x = F.pixel_unshuffle(image, self.fold)
        levels = []
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)
            levels.append(x)
        return x, levels[-2::-1]
