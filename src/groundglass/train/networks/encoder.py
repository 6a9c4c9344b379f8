"""The slice encoder: four layers of convolution, each pooled to a vector (paper section 2.3.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SliceEncoder(nn.Module):
    """Layers of 3×3 convolutions with ReLU; the global maximum of each is a feature.

    The paper gives four layers of one convolution, ReLU, global max pooling after each and the
    concatenation ("features from all layers are used equally"). Widths, kernels, the max-pool
    between the layers, folding, normalisation and dropout are our choice.

    Parameters
    ----------
    widths : tuple of int
        Channels per layer.
    classes : int
        Width of the softmax that trains it; dropped afterwards.
    convolutions : int
        Convolutions per layer.
    norm : bool
        Batch normalisation after each convolution; export folds it into the weights.
    dropout : float
        Share of features dropped before the softmax.
    fold : int
        The image is folded fold×fold into as many channels before the first layer: no pixel is
        lost, and the finest layer costs that much less. 1: not folded.
    pools : tuple of int
        Layers, from 0, before which a 2×2 maximum halves the maps.
    """

    def __init__(  # noqa: PLR0913  (the sizes of a network, each given once)
        self,
        widths: tuple[int, ...] = (16, 32, 64, 128),
        classes: int = 3,
        *,
        fold: int = 1,
        pools: tuple[int, ...] = (1, 2, 3),
        convolutions: int = 1,
        norm: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        inputs = (fold**2, *widths[:-1])
        self.widths, self.fold, self.pools = widths, fold, pools
        self.layers = nn.ModuleList(
            _layer(i, o, convolutions, norm=norm) for i, o in zip(inputs, widths, strict=True)
        )
        self.features = sum(widths)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(self.features, classes)

    def maps(self, image: Tensor) -> list[Tensor]:
        """Activations of each layer.

        Parameters
        ----------
        image : Tensor of float, shape (N, 1, H, W)
            `classifier_image`, 0 to 1; H and W multiples of fold × 2**len(pools).

        Returns
        -------
        list of Tensor
            Shapes (N, width, h, w): h is H / fold, halved by the pools up to the layer.
        """
        found = []
        x = F.pixel_unshuffle(image, self.fold) if self.fold > 1 else image
        for level, layer in enumerate(self.layers):
            x = layer(F.max_pool2d(x, 2) if level in self.pools else x)
            found.append(x)
        return found

    def encode(self, image: Tensor) -> Tensor:
        """Features, shape (N, sum of widths)."""
        return pooled(self.maps(image))

    def forward(self, image: Tensor) -> Tensor:
        """Class logits per slice, shape (N, classes); used to train the encoder."""
        return self.classify(self.maps(image))

    def classify(self, maps: list[Tensor]) -> Tensor:
        """Class logits from the layers' activations."""
        logits: Tensor = self.classifier(self.dropout(pooled(maps)))
        return logits


def pooled(maps: list[Tensor]) -> Tensor:
    """Global maxima of all layers, concatenated."""
    # The same values as amax(dim=(2, 3)), with a backward pass a third cheaper.
    return torch.cat([F.adaptive_max_pool2d(one, 1).flatten(1) for one in maps], dim=1)


def _layer(channels_in: int, channels_out: int, convolutions: int, *, norm: bool) -> nn.Sequential:
    parts: list[nn.Module] = []
    for index in range(convolutions):
        channels = channels_out if index else channels_in
        parts.append(nn.Conv2d(channels, channels_out, 3, padding=1, bias=not norm))
        if norm:
            parts.append(nn.BatchNorm2d(channels_out))
        parts.append(nn.ReLU())
    return nn.Sequential(*parts)
