"""What an epoch consists of, and the items it gives: functions of (seed, epoch, item) alone.

No generator is carried from epoch to epoch. So a run that was cut off and goes on sees the same
slices, in the same order, changed in the same way, as one that was not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler, Sampler

from groundglass.train.settings import StageSettings

Item = dict[str, Tensor]


class EpochData(Protocol):
    """What a stage learns from and is watched on."""

    def train(self, epoch: int) -> Dataset[Item]:
        """The items of one epoch, in their order."""
        ...

    def validation(self) -> Dataset[Item]:
        """The items of every validation, in their order."""
        ...


class StageData(LightningDataModule):
    """Loaders of a stage, made anew for each epoch; a batch is spread over the devices."""

    def __init__(self, data: EpochData, settings: StageSettings, devices: int) -> None:
        super().__init__()
        self.data, self.settings, self.devices = data, settings, devices

    def train_dataloader(self) -> DataLoader[Item]:
        """The loader of the epoch that the trainer has come to."""
        epoch = self.trainer.current_epoch if self.trainer is not None else 0
        return self._loader(self.data.train(epoch))

    def val_dataloader(self) -> DataLoader[Item]:
        """The loader of the validation."""
        return self._loader(self.data.validation())

    def _loader(self, items: Dataset[Item]) -> DataLoader[Item]:
        return DataLoader(
            items,
            sampler=self._dealer(items),
            batch_size=max(1, self.settings.batch // self.devices),
            num_workers=self.settings.loader_processes,
            # A loader draws a number when it begins. Not from the generator that dropout uses:
            # a resumed run begins once more often.
            generator=torch.Generator(),
        )

    def _dealer(self, items: Dataset[Item]) -> Sampler[int] | None:
        """Deals items out to several devices in turn; Lightning's own would shuffle them again."""
        if self.trainer is None or self.trainer.world_size == 1:
            return None
        return DistributedSampler(
            items, self.trainer.world_size, self.trainer.global_rank, shuffle=False
        )


@dataclass(frozen=True, slots=True)
class RandomStream:
    """Where the randomness of an epoch comes from; epoch -1 where nothing is random."""

    seed: int
    epoch: int

    def of(self, *item: int) -> np.random.Generator:
        """The generator of one item of the epoch."""
        return np.random.default_rng([self.seed, self.epoch, *item])
