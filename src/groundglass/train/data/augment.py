"""Random changes of prepared slices: rotating, flipping, blurring, brightening (paper 2.2.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.train.settings import AugmentSettings

Images = NDArray[np.uint8]
_Change = Callable[[Images], Images]


@dataclass(frozen=True, slots=True, eq=False)
class Augmentation:
    """One drawn change, the same for every image it is given.

    The slices of a group are one patient on one scanner: they are changed alike, and a mask moves
    with its image.
    """

    place: tuple[_Change, ...] = ()
    """Changes of place, for images and masks."""
    look: tuple[_Change, ...] = ()
    """Changes of grey values, for images only."""

    def images(self, images: Images) -> Images:
        """The images changed: uint8, shape (slices, size, size), black staying black."""
        for change in (*self.place, *self.look):
            images = change(images)
        return images

    def masks(self, masks: Images) -> Images:
        """Masks moved as the images are; 255 (not known) stays 255."""
        if not self.place:
            return masks
        known, unknown = np.where(masks == 255, 0, masks), (masks == 255).astype(np.uint8)
        soft, covered = known * np.uint8(255), unknown * np.uint8(255)
        for change in self.place:
            soft, covered = change(soft), change(covered)
        return np.where(covered > 127, 255, soft > 127).astype(np.uint8)


def draw(settings: AugmentSettings, rng: np.random.Generator) -> Augmentation:
    """Choose what a step changes, and how much."""
    if settings.at_once == 0:
        chosen = [kind for kind in settings.kinds if rng.random() < settings.probability]
    elif rng.random() < settings.probability:
        picked = rng.choice(len(settings.kinds), settings.at_once, replace=False)
        chosen = [settings.kinds[int(k)] for k in picked]
    else:
        chosen = []
    place = [_PLACE[kind](settings, rng) for kind in chosen if kind in _PLACE]
    look = [_LOOK[kind](settings, rng) for kind in chosen if kind in _LOOK]
    return Augmentation(tuple(place), tuple(look))


def _flip(_settings: AugmentSettings, _rng: np.random.Generator) -> _Change:
    return lambda images: np.ascontiguousarray(images[:, :, ::-1])


def _rotate(settings: AugmentSettings, rng: np.random.Generator) -> _Change:
    return _warp(_angle(settings, rng), 1.0, (0.0, 0.0))


def _move(settings: AugmentSettings, rng: np.random.Generator) -> _Change:
    scale = rng.uniform(*settings.scale)
    across, down = rng.uniform(-settings.shift, settings.shift, 2)
    return _warp(_angle(settings, rng), scale, (across, down))


def _angle(settings: AugmentSettings, rng: np.random.Generator) -> float:
    return float(rng.uniform(-settings.rotate_degrees, settings.rotate_degrees))


def _warp(angle: float, scale: float, shift: tuple[float, float]) -> _Change:
    def change(images: Images) -> Images:
        size = images.shape[1]
        matrix = cv2.getRotationMatrix2D((size / 2, size / 2), angle, scale)
        matrix[:, 2] += np.array(shift) * size
        return np.stack([cv2.warpAffine(image, matrix, (size, size)) for image in images])

    return change


def _blur(settings: AugmentSettings, rng: np.random.Generator) -> _Change:
    sigma = float(rng.uniform(*settings.blur_sigma_px))
    return lambda images: np.stack([cv2.GaussianBlur(image, (0, 0), sigma) for image in images])


def _brighten(settings: AugmentSettings, rng: np.random.Generator) -> _Change:
    gain = rng.uniform(*settings.gain)
    offset = rng.uniform(-settings.offset, settings.offset)
    return _scale(np.arange(256) * gain + offset)


def _contrast(settings: AugmentSettings, rng: np.random.Generator) -> _Change:
    # Drawn on a logarithmic scale, so that darker and brighter are as likely.
    low, high = np.log(settings.gamma)
    exponent = float(np.exp(rng.uniform(low, high)))
    return _scale(255 * np.linspace(0.0, 1.0, 256) ** exponent)


def _scale(table: NDArray[np.floating[Any]]) -> _Change:
    """Another grey value for each; black stays, as outside the lungs there is nothing to see."""
    grey = np.clip(np.rint(table), 0, 255).astype(np.uint8)
    grey[0] = 0
    return lambda images: grey[images]


def _noise(settings: AugmentSettings, rng: np.random.Generator) -> _Change:
    width = rng.uniform(*settings.noise)
    # A generator of its own: the change must be the same however many images it is given.
    seed = int(rng.integers(2**63))

    def change(images: Images) -> Images:
        noise = np.random.default_rng(seed).standard_normal(images.shape, dtype=np.float32)
        noisy = np.clip(images + np.float32(width) * noise, 1, 255)
        return np.asarray(noisy * (images > 0), dtype=np.uint8)

    return change


_Draw = Callable[[AugmentSettings, np.random.Generator], _Change]
_PLACE: dict[str, _Draw] = {"flip": _flip, "rotate": _rotate, "move": _move}
_LOOK: dict[str, _Draw] = {
    "blur": _blur,
    "brighten": _brighten,
    "contrast": _contrast,
    "noise": _noise,
}
