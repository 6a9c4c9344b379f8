"""Train the lung U-Net: annotated real slices, and phantom slices from neck to abdomen."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groundglass.prepare import Recipe
from groundglass.prepare.intensity import segmenter_window
from groundglass.train.log import log_to
from groundglass.train.lung_augment import augment_lung_slice
from groundglass.train.lung_masks import AnnotatedSlice
from groundglass.train.networks import LungUNet
from groundglass.train.tensors import to_tensor


@dataclass(frozen=True, slots=True)
class SegmenterSettings:
    """How the lung U-Net is trained. All our choice; the paper trained 30 epochs at 2e-5.

    Parameters
    ----------
    steps : int
        Optimiser steps.
    batch : int
        Slices per step.
    phantom_share : float
        Part of each batch drawn from the phantoms.
    learning_rate, weight_decay : float
        Of AdamW; the rate rises for a tenth of the steps and falls as a cosine.
    seed : int
        Of everything random.
    """

    steps: int = 2900
    batch: int = 8
    phantom_share: float = 0.4
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    seed: int = 20210607


def segmentation_loss(logits: Tensor, lung: Tensor) -> Tensor:
    """Dice of the whole batch plus cross-entropy per pixel.

    Parameters
    ----------
    logits, lung : Tensor of float, shape (N, 1, H, W)
        Network output; truth, 0 or 1.
    """
    probability = torch.sigmoid(logits)
    overlap = (probability * lung).sum()
    dice = (2 * overlap + 1) / (probability.sum() + lung.sum() + 1)
    return F.binary_cross_entropy_with_logits(logits, lung) + (1 - dice)


def dice_per_slice(logits: Tensor, lung: Tensor) -> Tensor:
    """Dice coefficient of each slice, 1 where both masks are empty. Shape (N,)."""
    found = (logits > 0).float()
    overlap = (found * lung).sum(dim=(1, 2, 3))
    total = found.sum(dim=(1, 2, 3)) + lung.sum(dim=(1, 2, 3))
    return torch.where(total > 0, 2 * overlap / total.clamp(min=1), torch.ones_like(total))


@dataclass(frozen=True, slots=True, eq=False)
class LungSlices:
    """What the U-Net learns from and is watched on.

    Parameters
    ----------
    real, phantom, validation : sequence of AnnotatedSlice
        Real and synthetic training slices (all of the recipe's size); real slices to watch.
    """

    real: Sequence[AnnotatedSlice]
    phantom: Sequence[AnnotatedSlice]
    validation: Sequence[AnnotatedSlice]


def train_segmenter(
    slices: LungSlices, recipe: Recipe, settings: SegmenterSettings, folder: Path
) -> LungUNet:
    """Train and return the network; progress goes to `folder/log.jsonl`."""
    torch.manual_seed(settings.seed)
    net = LungUNet()
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(
        net.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.learning_rate, total_steps=settings.steps, pct_start=0.1
    )
    log = log_to(folder / "log.jsonl")
    (folder / "settings.json").write_text(json.dumps(asdict(settings)))
    begin = time.monotonic()
    for step, (image, lung) in enumerate(_batches(slices, recipe, settings), start=1):
        net.train()
        loss = segmentation_loss(net(image), lung)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if step % 100 == 0 or step == settings.steps:
            log(
                {
                    "step": step,
                    "loss": round(loss.item(), 4),
                    "dice": round(validate(net, slices.validation, recipe), 5),
                    "seconds": round(time.monotonic() - begin),
                }
            )
            torch.save(net.state_dict(), folder / "unet.part.pt")
    net.eval()
    # Only a finished training carries the name that says so.
    (folder / "unet.part.pt").rename(folder / "unet.pt")
    return net


@torch.no_grad()
def validate(net: nn.Module, slices: Sequence[AnnotatedSlice], recipe: Recipe) -> float:
    """Mean Dice per slice."""
    net.eval()
    image = np.stack([segmenter_window(s.hu, recipe) for s in slices])
    lung = torch.from_numpy(np.stack([s.lung for s in slices])[:, None].astype(np.float32))
    logits = torch.cat([net(to_tensor(image[i : i + 8])) for i in range(0, len(image), 8)])
    return float(dice_per_slice(logits, lung).mean())


def _batches(
    slices: LungSlices, recipe: Recipe, settings: SegmenterSettings
) -> Iterator[tuple[Tensor, Tensor]]:
    rng = np.random.default_rng(settings.seed)
    synthetic = round(settings.batch * settings.phantom_share) if slices.phantom else 0
    real = _shuffled(slices.real, rng)
    phantom = _shuffled(slices.phantom, rng) if synthetic else iter(())
    for _ in range(settings.steps):
        chosen = [next(phantom) for _ in range(synthetic)]
        chosen += [next(real) for _ in range(settings.batch - synthetic)]
        pairs = [augment_lung_slice(s.hu, s.lung, rng) for s in chosen]
        image = np.stack([segmenter_window(hu, recipe) for hu, _ in pairs])
        lung = np.stack([mask for _, mask in pairs])[:, None].astype(np.float32)
        yield to_tensor(image), torch.from_numpy(lung)


def _shuffled(
    slices: Sequence[AnnotatedSlice], rng: np.random.Generator
) -> Iterator[AnnotatedSlice]:
    while True:
        for index in rng.permutation(len(slices)):
            yield slices[int(index)]
