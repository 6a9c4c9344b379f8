"""What Lightning trains, whichever network it is: optimiser, schedule, dropout's chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from lightning.pytorch import LightningModule
from numpy.typing import NDArray
from torch import Tensor, nn

from groundglass.train.settings import StageSettings

#: Part of the steps in which the rate rises.
_RISE = {"one-cycle": 0.3, "cosine": 0.1}


@dataclass(frozen=True, slots=True)
class Schedule:
    """What the optimiser needs to know: the stage's settings and the run's seed."""

    settings: StageSettings
    seed: int


class StageModule(LightningModule):
    """What the three stages have in common: optimiser, schedule, dropout's chance."""

    def __init__(self, net: nn.Module, schedule: Schedule) -> None:
        super().__init__()
        self.net, self.schedule = net, schedule

    def configure_optimizers(self) -> Any:
        """Optimiser and schedule, stepped with every batch."""
        settings = self.schedule.settings
        kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
        optimiser = kinds[settings.optimiser](
            self.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        if settings.schedule == "constant":
            return {"optimizer": optimiser}
        # One more than there are: the schedule counts its beginning as a step.
        steps = int(self.trainer.estimated_stepping_batches) + 1
        rates = torch.optim.lr_scheduler.OneCycleLR(
            optimiser,
            settings.learning_rate,
            total_steps=steps,
            # Two steps up at least, in trainings of a few: it divides by one less.
            pct_start=min(1.0, max(_RISE[settings.schedule], 2 / steps)),
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": rates, "interval": "step"}}

    def on_train_epoch_start(self) -> None:
        """Make dropout a function of (seed, epoch, device), as the data are."""
        entropy = [self.schedule.seed, self.current_epoch, self.global_rank]
        torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))

    def log_training(self, loss: Tensor, items: int) -> None:
        """Keep the mean loss of the epoch."""
        self.log("loss", loss.detach(), on_step=False, on_epoch=True, batch_size=items,
                 sync_dist=True)  # fmt: skip


def gathered(module: LightningModule, rows: list[Tensor]) -> NDArray[np.float64]:
    """Rows (index, values …) from every device, in the items' order, each item once.

    Parameters
    ----------
    module : LightningModule
        What runs on the devices.
    rows : list of Tensor of float64, shape (n, 1 + values)
        Of this device; the first column is the item's number.

    Returns
    -------
    ndarray of float64, shape (items, values)
    """
    everywhere = cast("Tensor", module.all_gather(torch.cat(rows)))
    found = everywhere.reshape(-1, rows[0].shape[1]).cpu().numpy()
    # Devices get equally many items, so the last ones may come twice.
    _, first = np.unique(found[:, 0], return_index=True)
    return np.asarray(found[first][:, 1:])
