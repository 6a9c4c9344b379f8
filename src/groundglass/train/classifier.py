"""Train the classifier in the paper's two stages: encoder on slices, then the head on groups."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from groundglass.train.log import Log
from groundglass.train.networks import SequenceHead, SliceEncoder
from groundglass.train.prepared_cohort import PreparedCase
from groundglass.train.tensors import to_tensor

Images = NDArray[np.uint8]
_Net = TypeVar("_Net", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class ClassifierSettings:
    """How the classifier is trained: a reduction of the paper's protocol that a CPU can run.

    Parameters
    ----------
    encoder_epochs, head_epochs : int
        Paper: 100 and 200.
    slices_per_patient : int
        Slices drawn from each patient in an epoch of the encoder; the paper uses all.
    batch : int
        Slices per step of the encoder.
    encoder_rate, head_rate : float
        Learning rates of Adam. Paper: 1e-4; higher because the epochs are fewer.
    variants : int
        Augmented copies of each training group whose features the head learns from.
    patience : int
        Epochs without a better validation loss before a stage stops. Paper: 25.
    seed : int
        Of everything random.
    """

    encoder_epochs: int = 8
    head_epochs: int = 200
    slices_per_patient: int = 12
    batch: int = 16
    encoder_rate: float = 1e-3
    head_rate: float = 5e-4
    variants: int = 2
    patience: int = 25
    seed: int = 20210607


def train_encoder(
    train: Sequence[PreparedCase],
    validation: Sequence[PreparedCase],
    labels: Sequence[str],
    settings: ClassifierSettings,
    log: Log,
) -> SliceEncoder:
    """Stage one: slices with their patient's label (paper section 2.3.1)."""
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    net = SliceEncoder(classes=len(labels))
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    steps = settings.encoder_epochs * (len(train) * settings.slices_per_patient // settings.batch)
    optimiser = torch.optim.Adam(net.parameters(), lr=settings.encoder_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.encoder_rate, total_steps=steps + settings.encoder_epochs
    )
    best = _Best(net, settings.patience)
    for epoch in range(1, settings.encoder_epochs + 1):
        begin = time.monotonic()
        drawn = _draw(train, settings.slices_per_patient, rng)
        losses = []
        net.train()
        for start in range(0, len(drawn) - settings.batch + 1, settings.batch):
            part = drawn[start : start + settings.batch]
            images = np.stack([augment_group(c.images[k][None], rng)[0] for c, k in part])
            target = torch.tensor([labels.index(c.case.label) for c, _ in part])
            loss = F.cross_entropy(net(to_tensor(images)), target)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        held_out, accuracy = _validate_encoder(net, validation, labels)
        log(
            {
                "stage": "encoder",
                "epoch": epoch,
                "loss": round(float(np.mean(losses)), 4),
                "validation_loss": round(held_out, 4),
                "validation_patient_accuracy": round(accuracy, 4),
                "seconds": round(time.monotonic() - begin),
            }
        )
        if best.should_stop(held_out):
            break
    return best.restore(net)


def train_head(
    train: tuple[Tensor, Tensor],
    validation: tuple[Tensor, Tensor],
    head: SequenceHead,
    settings: ClassifierSettings,
    log: Log,
) -> SequenceHead:
    """Stage two: the frozen encoder's features of whole groups (paper section 2.3.2).

    Parameters
    ----------
    train, validation : tuple of Tensor
        Features (groups, size, features) and class indices (groups,).
    head : SequenceHead
        Freshly made.
    settings : ClassifierSettings
        Rates and epochs.
    log : callable
        Told the losses.
    """
    torch.manual_seed(settings.seed)
    features, target = train
    optimiser = torch.optim.AdamW(head.parameters(), lr=settings.head_rate, weight_decay=1e-2)
    best = _Best(head, settings.patience)
    for epoch in range(1, settings.head_epochs + 1):
        head.train()
        for part in torch.split(torch.randperm(len(features)), 32):
            loss = F.cross_entropy(head(features[part]), target[part], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        with torch.no_grad():
            logits = head.eval()(validation[0])
            held_out = F.cross_entropy(logits, validation[1]).item()
            accuracy = (logits.argmax(1) == validation[1]).float().mean().item()
        log(
            {
                "stage": "head",
                "epoch": epoch,
                "loss": round(loss.item(), 4),
                "validation_loss": round(held_out, 4),
                "validation_group_accuracy": round(accuracy, 4),
            }
        )
        if best.should_stop(held_out):
            break
    return best.restore(head)


@torch.no_grad()
def encode_groups(
    encoder: SliceEncoder,
    cases: Sequence[PreparedCase],
    labels: Sequence[str],
    *,
    variants: int = 0,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """Features of every group, as seen and in augmented variants.

    Augmentation changes all slices of a group alike: they are one patient on one scanner.
    """
    rng = np.random.default_rng(seed)
    encoder.eval()
    features, target = [], []
    for case in cases:
        for group in case.groups:
            images = case.group_images(group)
            for variant in range(variants + 1):
                seen = augment_group(images, rng) if variant else images
                parts = [encoder.encode(to_tensor(part)) for part in _parts(seen)]
                features.append(torch.cat(parts))
                target.append(labels.index(case.case.label))
    return torch.stack(features), torch.tensor(target)


def augment_group(images: Images, rng: np.random.Generator) -> Images:
    """One randomly chosen change in a random range, the same for all slices (paper 2.2.1, 2.3.1).

    Parameters
    ----------
    images : ndarray of uint8, shape (slices, size, size)
        Prepared slices.
    rng : Generator
        Source of chance.
    """
    kind = rng.integers(6)
    if kind == 0:
        return np.ascontiguousarray(images[:, :, ::-1])
    if kind == 1:
        return _moved(images, rng)
    if kind == 2:
        sigma = rng.uniform(0.3, 1.2)
        return np.stack([cv2.GaussianBlur(image, (0, 0), sigma) for image in images])
    if kind == 3:
        gain, offset = rng.uniform(0.85, 1.15), rng.uniform(-15, 15)
        bright = np.clip(images * np.float32(gain) + np.float32(offset), 0, 255)
        # Black stays black: outside the lungs there is nothing to brighten.
        return np.asarray(bright * (images > 0), dtype=np.uint8)
    if kind == 4:
        noise = rng.normal(0, rng.uniform(2, 12), images.shape)
        return np.asarray(np.clip(images + noise, 1, 255) * (images > 0), dtype=np.uint8)
    return images


def _moved(images: Images, rng: np.random.Generator) -> Images:
    size = images.shape[1]
    matrix = cv2.getRotationMatrix2D(
        (size / 2, size / 2), rng.uniform(-15, 15), rng.uniform(0.85, 1.15)
    )
    matrix[:, 2] += rng.uniform(-0.06, 0.06, 2) * size
    return np.stack([cv2.warpAffine(image, matrix, (size, size)) for image in images])


def _parts(images: Images) -> list[Images]:
    """The images in portions that fit a small memory."""
    return [images[start : start + 10] for start in range(0, len(images), 10)]


def _draw(
    cases: Sequence[PreparedCase], per_patient: int, rng: np.random.Generator
) -> list[tuple[PreparedCase, int]]:
    """Slices of an epoch, the same number from each patient, shuffled."""
    drawn = [
        (case, int(k))
        for case in cases
        for k in rng.choice(len(case.images), per_patient, replace=len(case.images) < per_patient)
    ]
    return [drawn[int(k)] for k in rng.permutation(len(drawn))]


@torch.no_grad()
def _validate_encoder(
    net: SliceEncoder, cases: Sequence[PreparedCase], labels: Sequence[str]
) -> tuple[float, float]:
    """Mean loss per slice and accuracy per patient (mean logit), on every third slice."""
    net.eval()
    losses, right = [], 0
    for case in cases:
        logits = net(to_tensor(case.images[::3]))
        target = labels.index(case.case.label)
        losses.append(F.cross_entropy(logits, torch.full((len(logits),), target)).item())
        right += int(logits.mean(0).argmax()) == target
    return float(np.mean(losses)), right / len(cases)


class _Best:
    """Remembers the best weights and says when to stop."""

    def __init__(self, net: nn.Module, patience: int) -> None:
        self._loss, self._since, self._patience = float("inf"), 0, patience
        self._net, self._state = net, {}  # type: ignore[var-annotated]

    def should_stop(self, loss: float) -> bool:
        if loss < self._loss:
            self._loss, self._since = loss, 0
            self._state = {k: v.detach().clone() for k, v in self._net.state_dict().items()}
        else:
            self._since += 1
        return self._since >= self._patience

    def restore(self, net: _Net) -> _Net:
        net.load_state_dict(self._state)
        net.eval()
        return net
