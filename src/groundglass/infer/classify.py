"""The classifier: slice encoder and sequence head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.core.result import GroupPrediction, SliceGroup, Verdict
from groundglass.infer.bundle import ENCODER, FEATURES, HEAD, Bundle
from groundglass.infer.engine import Engine
from groundglass.infer.share import verdict_by_share
from groundglass.infer.vote import vote

#: Slices the encoder takes at a time; a group of 50 is five batches.
_BATCH = 10
#: Images at a time where every layer's activations are wanted: a few slices, each seen a few times.
_DETAIL_BATCH = 8


@dataclass(frozen=True, slots=True, eq=False)
class GroupEvidence:
    """A group's prediction with what the heat maps need."""

    prediction: GroupPrediction
    """The answer."""
    features: NDArray[np.float32]
    """Shape (size, features). Pooled features per image of the group, feet to head."""
    maps: NDArray[np.float32]
    """Shape (size, channels, rows, columns). Activations of the encoder's last layer, from the same
    pass."""
    foreground: NDArray[np.bool_]
    """Shape (size, rows, columns). Which of its cells are not black in the image."""


@dataclass(frozen=True, slots=True, eq=False)
class SliceDetail:
    """All that the encoder computes of some slices."""

    features: NDArray[np.float32]
    """Shape (slices, features). Pooled features."""
    maps: tuple[NDArray[np.float32], ...]
    """Activations of each layer, the finest first, averaged where they are finer than a quarter of
    the image; their channels are the features, in order."""
    foreground: tuple[NDArray[np.bool_], ...]
    """Which cells of each layer are not black in the image."""


class Classifier:
    """Encoder and head of a bundle."""

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        self._bundle = bundle
        self._labels = bundle.labels
        calibration = bundle.metadata.calibration
        self._temperature = calibration.temperature if calibration else 1.0
        encoder = bundle.path(ENCODER)
        layers = tuple(name for name in engine.outputs(encoder) if name != FEATURES)
        self._encoder = engine.compile(encoder, _BATCH, (FEATURES, layers[-1]))
        self._detail = engine.compile(encoder, _DETAIL_BATCH, (FEATURES, *layers))
        #: Whether the head judges slices by themselves, not a group as one.
        self.by_slice = bundle.metadata.share_rule is not None
        self._head = engine.compile(
            bundle.path(HEAD), bundle.recipe.group_size if self.by_slice else 1
        )
        size = bundle.recipe.image_size
        #: What a black image gives, which padding is made of.
        self.black: SliceDetail = self.detail(np.zeros((1, size, size), dtype=np.uint8))

    def __call__(self, group: SliceGroup, images: NDArray[np.uint8]) -> GroupEvidence:
        """Classify one group from `gather`'s images, uint8, shape (group.size, size, size)."""
        features, maps = self._encoded(images)
        probabilities = softmax(self.logits(features) / np.float32(self._temperature))
        if self.by_slice:
            prediction = GroupPrediction.of_each_slice(group, self._labels, probabilities)
        else:
            prediction = GroupPrediction.of(group, self._labels, probabilities.tolist())
        return GroupEvidence(prediction, features, maps, foreground_mask(images, maps.shape[-1]))

    def _encoded(
        self, images: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Features and the last layer's maps; those of padding, which is black, are known."""
        padded: NDArray[np.bool_] = images.max(axis=(1, 2)) == 0
        if not padded.any():
            features, maps = self._encoder(images[:, None])  # large: not put together once more
            return features, maps
        found = self._encoder(images[~padded, None])
        black = self.black.features, self.black.maps[-1]
        at = np.where(padded, np.count_nonzero(~padded), np.cumsum(~padded) - 1)
        features, maps = (np.concatenate(one)[at] for one in zip(found, black, strict=True))
        return features, maps

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logit of each class, before the temperature, of one group's (size, features).

        Shape (classes,); of a head that judges slices by themselves (size, classes).
        """
        (logits,) = self._head(features if self.by_slice else features[None])
        return np.asarray(logits if self.by_slice else logits[0], dtype=np.float32)

    def verdict(self, groups: Sequence[GroupPrediction]) -> Verdict:
        """The patient's verdict by the bundle's rule: share of ill slices, or the groups' vote."""
        bundle, rule = self._bundle, self._bundle.metadata.share_rule
        if rule is not None:
            return verdict_by_share(groups, bundle.healthy, rule)
        return vote(groups, bundle.healthy, bundle.recipe.vote_threshold)

    def detail(self, images: NDArray[np.uint8]) -> SliceDetail:
        """Encode slices once more, keeping every layer; some 1.4 times the cost of the verdict's.

        Parameters
        ----------
        images : ndarray of uint8, shape (slices, size, size)
            Prepared images, at least one.
        """
        features, *maps = self._detail(images[:, None])
        # Several layers share a grid.
        foreground = {
            cells: foreground_mask(images, cells) for cells in {one.shape[-1] for one in maps}
        }
        return SliceDetail(features, tuple(maps), tuple(foreground[one.shape[-1]] for one in maps))


def foreground_mask(images: NDArray[np.uint8], cells: int) -> NDArray[np.bool_]:
    """Which cells of a coarser grid are not black in half of their pixels or more.

    Parameters
    ----------
    images : ndarray of uint8, shape (slices, size, size)
        Prepared images.
    cells : int
        Side of the grid; divides that of the images, at most 255 pixels to a cell.

    Returns
    -------
    ndarray of bool, shape (slices, cells, cells)
    """
    count, size, _ = images.shape
    side = size // cells
    # Down first: whole rows of bytes add up quickest.
    down = (images > 0).reshape(count, cells, side, size).sum(axis=2, dtype=np.uint8)
    shown = np.zeros((count, cells, cells), dtype=np.uint16)
    for column in range(side):
        shown += down[..., column::side]
    return np.asarray(shown >= side**2 / 2, dtype=np.bool_)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities from logits along the last axis."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))
