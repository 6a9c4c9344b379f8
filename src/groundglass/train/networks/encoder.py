"""The slice encoder: four convolutions, each pooled to a vector (paper section 2.3.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SliceEncoder(nn.Module):
    """Four 3×3 convolutions with ReLU; the global maximum of each is a feature.

    The paper gives the number of layers, ReLU, global max pooling after each and the concatenation
    ("features from all layers are used equally"). Widths, kernels and the max-pool between the
    layers are our choice.

    Parameters
    ----------
    widths : tuple of int
        Channels per layer.
    classes : int
        Width of the softmax that trains it; dropped afterwards.
    """

    def __init__(self, widths: tuple[int, ...] = (16, 32, 64, 128), classes: int = 3) -> None:
        super().__init__()
        inputs = (1, *widths[:-1])
        self.layers = nn.ModuleList(
            nn.Conv2d(i, o, 3, padding=1) for i, o in zip(inputs, widths, strict=True)
        )
        self.features = sum(widths)
        self.classifier = nn.Linear(self.features, classes)

    def maps(self, image: Tensor) -> list[Tensor]:
        """Activations of each layer.

        Parameters
        ----------
        image : Tensor of float, shape (N, 1, H, W)
            `classifier_image`, 0 to 1.

        Returns
        -------
        list of Tensor
            Shapes (N, width, H / 2**k, W / 2**k) for layer k = 0 … 3.
        """
        found = []
        x = image
        for level, layer in enumerate(self.layers):
            x = F.relu(layer(F.max_pool2d(x, 2) if level else x))
            found.append(x)
        return found

    def encode(self, image: Tensor) -> Tensor:
        """Features, shape (N, sum of widths)."""
        return torch.cat([m.amax(dim=(2, 3)) for m in self.maps(image)], dim=1)

    def forward(self, image: Tensor) -> Tensor:
        """Class logits per slice, shape (N, classes); used to train the encoder."""
        logits: Tensor = self.classifier(self.encode(image))
        return logits
