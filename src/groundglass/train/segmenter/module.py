"""What Lightning trains of the lung U-Net."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groundglass.train.data.tensors import as_float
from groundglass.train.fit.datamodule import Item
from groundglass.train.fit.module import Schedule, StageModule, gathered
from groundglass.train.networks import LungUNet

#: Pixels added to both sides of the Dice.
_SMOOTH_PX = 50


class SegmenterModule(StageModule):
    """Trains the lung U-Net on annotated slices.

    Parameters
    ----------
    net : LungUNet
        What is trained.
    schedule : Schedule
        Its settings and the run's seed.
    folded : bool
        Whether its batch normalisation keeps the statistics it begins with.
    """

    def __init__(self, net: LungUNet, schedule: Schedule, *, folded: bool = False) -> None:
        super().__init__(net, schedule)
        self._folded = folded
        self._found: list[Tensor] = []

    def on_train_epoch_start(self) -> None:
        """Leave what is folded in evaluation; Lightning keeps the mode that each part is in."""
        super().on_train_epoch_start()
        if self._folded:
            for part in self.modules():
                if isinstance(part, nn.BatchNorm2d):
                    part.eval()

    def training_step(self, batch: Item, _index: int) -> Tensor:
        """Dice plus cross-entropy."""
        loss = segmentation_loss(self.net(as_float(batch["image"])), batch["lung"].float())
        self.log_training(loss, len(batch["image"]))
        return loss

    def validation_step(self, batch: Item, _index: int) -> None:
        """Keep loss and Dice of each slice."""
        lung = batch["lung"].float()
        logits = self.net(as_float(batch["image"])).float()
        loss = F.binary_cross_entropy_with_logits(logits, lung, reduction="none")
        per_slice = torch.stack([loss.mean(dim=(1, 2, 3)), dice_per_slice(logits, lung)], dim=1)
        self._found.append(torch.cat([batch["index"][:, None].double(), per_slice.double()], dim=1))

    def on_validation_epoch_end(self) -> None:
        """Log the means over slices; the loss is that of training, slice by slice."""
        values = torch.from_numpy(gathered(self, self._found))
        self._found.clear()
        cross_entropy, dice = values.mean(dim=0).tolist()
        self.log_dict({"val_loss": cross_entropy + 1 - dice, "val_dice": dice})


def segmentation_loss(logits: Tensor, lung: Tensor) -> Tensor:
    """Twice the cross-entropy per pixel, plus one minus the mean Dice of the slices.

    The Dice is that of probabilities, and of each slice by itself: at the lungs' ends a few pixels
    of stomach or trachea weigh as much as a dome in the middle. Both sides are some pixels larger
    than they are, so that a slice without lung has a Dice that falls smoothly.

    Parameters
    ----------
    logits, lung : Tensor of float, shape (N, 1, H, W)
        Network output; truth, 0 or 1.
    """
    probability = torch.sigmoid(logits)
    overlap = (probability * lung).sum(dim=(1, 2, 3))
    total = probability.sum(dim=(1, 2, 3)) + lung.sum(dim=(1, 2, 3))
    dice = (2 * overlap + _SMOOTH_PX) / (total + _SMOOTH_PX)
    return 2 * F.binary_cross_entropy_with_logits(logits, lung) + 1 - dice.mean()


def dice_per_slice(logits: Tensor, lung: Tensor) -> Tensor:
    """Dice coefficient of each slice, 1 where both masks are empty. Shape (N,)."""
    found = (logits > 0).float()
    overlap = (found * lung).sum(dim=(1, 2, 3))
    total = found.sum(dim=(1, 2, 3)) + lung.sum(dim=(1, 2, 3))
    return torch.where(total > 0, 2 * overlap / total.clamp(min=1), torch.ones_like(total))
