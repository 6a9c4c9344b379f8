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
from groundglass.train.segmenter.augment import augment_lung_slice, change_greys
from groundglass.train.segmenter.drawing import draw_probabilities
from groundglass.train.segmenter.lesion_textures import LesionTextures
from groundglass.train.segmenter.slices import LungSlice
from groundglass.train.settings import SegmenterSettings


@dataclass(frozen=True, slots=True, eq=False)
class RandomChange:
    """How slices are changed: by which settings, with whose lesions, from which chance."""

    settings: SegmenterSettings
    textures: LesionTextures
    stream: RandomStream


@dataclass(frozen=True, eq=False)
class LungItems(Dataset[Item]):
    """Slices as the U-Net sees them, with their lungs; changed at random as `change` says."""

    slices: Sequence[LungSlice]
    recipe: Recipe
    change: RandomChange | None = None

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
        settings, rng = self.change.settings, self.change.stream.of(index)
        if settings.in_hu:
            hu, mask = augment_lung_slice(one, settings, self.change.textures, rng)
            return change_greys(segmenter_window(hu, self.recipe), settings, rng), mask
        drawn = draw(settings.augment, rng)
        image = segmenter_window(one.hu, self.recipe)[None]
        return drawn.images(image)[0], drawn.masks(lung[None])[0]


@dataclass(frozen=True, slots=True, eq=False)
class SegmenterData:
    """The U-Net's epochs: slices drawn by their shares, or every real one and some of phantoms."""

    real: tuple[LungSlice, ...]
    phantom: tuple[LungSlice, ...]
    held_out: tuple[LungSlice, ...]
    recipe: Recipe
    settings: SegmenterSettings
    seed: int
    textures: LesionTextures

    def train(self, epoch: int) -> Dataset[Item]:
        """The slices of one epoch, drawn, ordered and changed by (seed, epoch)."""
        change = RandomChange(self.settings, self.textures, RandomStream(self.seed, epoch))
        return LungItems(self._chosen(epoch), self.recipe, change)

    def validation(self) -> Dataset[Item]:
        """The slices held out, as they are."""
        return LungItems(self.held_out, self.recipe)

    def _chosen(self, epoch: int) -> list[LungSlice]:
        rng = RandomStream(self.seed, epoch).of()
        settings = self.settings
        if settings.draw.slices:
            together = [*self.real, *self.phantom]
            wanted = settings.draw.slices // settings.batch * settings.batch
            drawn = rng.choice(len(together), wanted, p=draw_probabilities(together, settings.draw))
            return [together[int(k)] for k in drawn]
        share, real, phantom = settings.phantom_share, self.real, self.phantom
        wanted = round(len(real) * share / (1 - share)) if real else len(phantom)
        picked = rng.permutation(len(phantom))[:wanted]
        together = [*real, *(phantom[int(k)] for k in picked)]
        order = [together[int(k)] for k in rng.permutation(len(together))]
        whole = len(order) // settings.batch * settings.batch
        return order[: whole or len(order)]
