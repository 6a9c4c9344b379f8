"""The lung U-Net's epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from groundglass.prepare import Recipe
from groundglass.prepare.intensity import segmenter_window
from groundglass.train.data.augment import draw
from groundglass.train.fit.datamodule import Item, RandomStream
from groundglass.train.segmenter.augment import augment_lung_slice
from groundglass.train.segmenter.slices import LungSlice
from groundglass.train.settings import SegmenterSettings


@dataclass(frozen=True, eq=False)
class LungItems(Dataset[Item]):
    """Slices as the U-Net sees them, with their lungs; changed at random as `change` says."""

    slices: Sequence[LungSlice]
    recipe: Recipe
    change: tuple[SegmenterSettings, RandomStream] | None = None

    def __len__(self) -> int:
        return len(self.slices)

    def __getitem__(self, index: int) -> Item:
        image, lung = self._shown(self.slices[index], index)
        return {
            "image": torch.from_numpy(image[None]),
            "lung": torch.from_numpy(lung[None]),
            "index": torch.tensor(index),
        }

    def _shown(self, one: LungSlice, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        lung = one.lung.astype(np.uint8)
        if self.change is None:
            return segmenter_window(one.hu, self.recipe), lung
        settings, stream = self.change
        rng = stream.of(index)
        if settings.in_hu:
            hu, mask = augment_lung_slice(one.hu, one.lung, settings.ill_share, rng)
            return segmenter_window(hu, self.recipe), mask
        drawn = draw(settings.augment, rng)
        image = segmenter_window(one.hu, self.recipe)[None]
        return drawn.images(image)[0], drawn.masks(lung[None])[0]


@dataclass(frozen=True, slots=True, eq=False)
class SegmenterData:
    """The U-Net's epochs: every real slice once, and a share of phantom slices."""

    real: tuple[LungSlice, ...]
    phantom: tuple[LungSlice, ...]
    held_out: tuple[LungSlice, ...]
    recipe: Recipe
    settings: SegmenterSettings
    seed: int

    def train(self, epoch: int) -> Dataset[Item]:
        """The slices of one epoch, drawn, ordered and changed by (seed, epoch)."""
        change = (self.settings, RandomStream(self.seed, epoch))
        return LungItems(self._chosen(epoch), self.recipe, change)

    def validation(self) -> Dataset[Item]:
        """The slices held out, as they are."""
        return LungItems(self.held_out, self.recipe)

    def _chosen(self, epoch: int) -> list[LungSlice]:
        rng = RandomStream(self.seed, epoch).of()
        share, real, phantom = self.settings.phantom_share, self.real, self.phantom
        wanted = round(len(real) * share / (1 - share)) if real else len(phantom)
        picked = rng.permutation(len(phantom))[:wanted]
        together = [*real, *(phantom[int(k)] for k in picked)]
        order = [together[int(k)] for k in rng.permutation(len(together))]
        whole = len(order) // self.settings.batch * self.settings.batch
        return order[: whole or len(order)]
