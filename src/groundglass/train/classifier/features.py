"""What the frozen encoder makes of groups: computed once, kept, read at every epoch of the head."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from groundglass.core.atomic_files import open_whole
from groundglass.train.classifier.epochs import balanced
from groundglass.train.data.augment import draw
from groundglass.train.data.cache import Images, PreparedCase, Progress
from groundglass.train.data.tensors import to_tensor
from groundglass.train.fit.datamodule import Item, RandomStream
from groundglass.train.networks import SliceEncoder
from groundglass.train.settings import SequenceSettings

#: Slices per pass.
_PORTION = 10


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Features of groups, (groups, size, features), and the number of each one's case."""

    features: NDArray[np.float32]
    case: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class FeatureMaker:
    """Computes features of groups, or reads what an earlier run computed with the same encoder."""

    encoder: SliceEncoder
    encoder_sha256: str
    size: int
    settings: SequenceSettings
    seed: int
    folder: Path

    def of(self, cases: Sequence[PreparedCase], variants: int, progress: Progress) -> Groups:
        """Features of every group as it is, and of `variants` changed copies of each.

        All slices of a copy are changed alike. `progress` is told (done, in all) cases.
        """
        kept = self.folder / f"features-{self._key(cases, variants)}.npz"
        if kept.exists():
            with np.load(kept) as found:
                return Groups(found["features"], found["case"])
        features, numbers = [], []
        for number, case in enumerate(cases):
            progress(number, len(cases))
            for images in self._views(number, case, variants):
                features.append(encode(self.encoder, images))
                numbers.append(number)
        progress(len(cases), len(cases))
        made = Groups(np.stack(features), np.array(numbers, dtype=np.int64))
        self._keep(made, kept)
        return made

    def _views(self, number: int, case: PreparedCase, variants: int) -> Iterator[Images]:
        for group in case.groups(self.size):
            images = case.group_images(group)
            yield images
            for variant in range(variants):
                rng = RandomStream(self.seed, variant).of(number, group.index)
                yield draw(self.settings.augment, rng).images(images)

    def _key(self, cases: Sequence[PreparedCase], variants: int) -> str:
        augment = asdict(self.settings.augment) if variants else None
        decides = [self.encoder_sha256, self.size, variants, augment, self.seed,
                   [case.path.name for case in cases]]  # fmt: skip
        return hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:16]

    def _keep(self, made: Groups, path: Path) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with open_whole(path) as file:
            np.savez(file, features=made.features, case=made.case)


@torch.no_grad()
def encode(encoder: SliceEncoder, images: Images) -> NDArray[np.float32]:
    """Features, shape (slices, features), of images, shape (slices, size, size)."""
    encoder.eval()
    parts = [images[k : k + _PORTION] for k in range(0, len(images), _PORTION)]
    found: NDArray[np.float32] = torch.cat([encoder.encode(to_tensor(p)) for p in parts]).numpy()
    return found


class GroupItems(Dataset[Item]):
    """Groups' features with their patient's class, in the order given."""

    def __init__(self, groups: Groups, targets: Sequence[int], order: NDArray[np.int64]) -> None:
        self.features = torch.from_numpy(groups.features)
        self.target = torch.tensor([targets[int(case)] for case in groups.case])
        self.order = order

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> Item:
        group = int(self.order[index])
        return {
            "features": self.features[group],
            "target": self.target[group],
            "index": torch.tensor(index),
        }


@dataclass(frozen=True, slots=True, eq=False)
class SequenceData:
    """The head's epochs; targets are classes of cases."""

    train_groups: Groups
    validation_groups: Groups
    train_targets: tuple[int, ...]
    validation_targets: tuple[int, ...]
    settings: SequenceSettings
    seed: int

    def train(self, epoch: int) -> Dataset[Item]:
        """Every group and copy once, in an order decided by (seed, epoch)."""
        return GroupItems(self.train_groups, self.train_targets, self._order(epoch))

    def validation(self) -> Dataset[Item]:
        """The groups held out."""
        order = np.arange(len(self.validation_groups.features))
        return GroupItems(self.validation_groups, self.validation_targets, order)

    def _order(self, epoch: int) -> NDArray[np.int64]:
        rng = RandomStream(self.seed, epoch).of()
        count = len(self.train_groups.features)
        if self.settings.balance == "sampling":
            targets = [self.train_targets[int(case)] for case in self.train_groups.case]
            return rng.permutation(np.array(balanced(targets, rng)))
        return rng.permutation(count)
