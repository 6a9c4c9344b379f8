"""The encoder's epochs: which slices, in which order, changed in which way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from groundglass.train.data.augment import draw
from groundglass.train.data.cache import PreparedCase
from groundglass.train.fit.datamodule import Item, RandomStream
from groundglass.train.settings import AugmentSettings, EncoderSettings

#: (case, slice) pairs.
Plan = NDArray[np.int64]


def plan_epoch(
    slices: Sequence[int], targets: Sequence[int], settings: EncoderSettings, stream: RandomStream
) -> Plan:
    """Which slices an epoch of the encoder sees, in which order: (items, 2), case and slice.

    Whole batches only, unless there is less than one.
    """
    rng = stream.of()
    chosen = balanced(targets, rng) if settings.balance == "sampling" else range(len(slices))
    drawn = []
    for case in chosen:
        count = settings.slices_per_patient or slices[case]
        picked = rng.choice(slices[case], count, replace=slices[case] < count)
        drawn.append(np.stack([np.full(count, case), picked], axis=1))
    plan = rng.permutation(np.concatenate(drawn))
    whole = len(plan) // settings.batch * settings.batch
    return plan[: whole or len(plan)]


def balanced(targets: Sequence[int], rng: np.random.Generator) -> list[int]:
    """Cases with as many of each class as of the largest one; the smaller ones repeat."""
    by_class = [np.flatnonzero(np.asarray(targets) == one) for one in sorted(set(targets))]
    most = max(map(len, by_class))
    chosen: list[int] = []
    for members in by_class:
        times, rest = divmod(most, len(members))
        chosen += np.tile(members, times).tolist() + rng.permutation(members)[:rest].tolist()
    return chosen


def plan_validation(slices: Sequence[int], most: int) -> Plan:
    """Evenly spaced slices of every case, `most` of each; 0 takes all."""
    pairs = []
    for case, count in enumerate(slices):
        taken = count if most == 0 else min(most, count)
        picked = (np.arange(taken) + 0.5) * count / taken
        pairs += [(case, int(k)) for k in picked]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


@dataclass(frozen=True, eq=False)
class SliceItems(Dataset[Item]):
    """Slices of prepared cases, as planned, with their patient's class."""

    cases: Sequence[PreparedCase]
    targets: Sequence[int]
    plan: Plan
    view: SliceView

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, index: int) -> Item:
        place, number = map(int, self.plan[index])
        case, target = self.cases[place], self.targets[place]
        change = draw(self.view.augment, self.view.stream.of(index)) if self.view.augment else None
        image = np.array(case.images()[number])[None]
        item = {
            "image": torch.from_numpy(change.images(image) if change else image),
            "target": torch.tensor(target),
            "index": torch.tensor(index),
        }
        if self.view.with_lesions:
            mask = self._lesion(case, number, image)
            item["lesion"] = torch.from_numpy(change.masks(mask) if change else mask)
        return item

    def _lesion(self, case: PreparedCase, number: int, image: NDArray[Any]) -> NDArray[np.uint8]:
        """Lesions of a slice; the healthy have none, of others without masks nobody knows."""
        masks = case.lesion()
        if masks is not None:
            return np.array(masks[number])[None]
        healthy = case.case.label == self.view.healthy
        return np.full(image.shape, 0 if healthy else 255, dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class SliceView:
    """How slices become items: changed at random or not, with lesion masks or without."""

    stream: RandomStream
    healthy: str
    augment: AugmentSettings | None = None
    with_lesions: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class EncoderData:
    """The encoder's epochs."""

    train_cases: tuple[PreparedCase, ...]
    validation_cases: tuple[PreparedCase, ...]
    labels: tuple[str, ...]
    healthy: str
    settings: EncoderSettings
    seed: int

    def train(self, epoch: int) -> Dataset[Item]:
        """The slices of one epoch, drawn, ordered and changed by (seed, epoch)."""
        stream = RandomStream(self.seed, epoch)
        lesions = self.settings.lesion_weight > 0
        view = SliceView(stream, self.healthy, self.settings.augment, lesions)
        cases = self.train_cases
        return SliceItems(cases, targets_of(cases, self.labels), self._plan(stream), view)

    def validation(self) -> Dataset[Item]:
        """Evenly spaced slices of every validation patient, unchanged."""
        cases = self.validation_cases
        plan = plan_validation([case.slices for case in cases], self.settings.validation_slices)
        view = SliceView(RandomStream(self.seed, -1), self.healthy)
        return SliceItems(cases, targets_of(cases, self.labels), plan, view)

    def _plan(self, stream: RandomStream) -> Plan:
        slices = [case.slices for case in self.train_cases]
        return plan_epoch(slices, targets_of(self.train_cases, self.labels), self.settings, stream)


def targets_of(cases: Sequence[PreparedCase], labels: Sequence[str]) -> list[int]:
    """Class index of each case."""
    return [labels.index(case.case.label) for case in cases]
