"""Real lesions cut from slices where somebody marked them, and laid into lungs that have none.

The phantom's findings are drawn; these have the texture of disease. They come from patients with
COVID-19, but where they are laid decides much of what a reader would call it: they teach ill
against healthy, never the kind. Only training patients may give any.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.core.atomic_files import open_whole
from groundglass.phantom.parenchyma import TISSUE_HU
from groundglass.train.data.filling import fill_alveoli

Hu = NDArray[np.float32]
Mask = NDArray[np.bool_]

#: Pixels of the smallest lesion worth keeping.
_LEAST_PIXELS = 40
#: HU of the lung around a lesion: brought to one scale, training slices have about this.
_AERATED_HU = -850.0
#: Sigma in pixels of the blur that leaves a lesion's texture and takes its scanner's grain.
_GRAIN_PX = 0.6
#: Share of a lesion's outline along a wall from which it lies at the pleura.
_AT_WALL = 0.12
#: How many pixels beyond the pleura a lesion of the pleura is laid, so that no gap is left.
_BEYOND_PX = 2.0
#: Share of the lung that must be visibly ill; fewer is tried again.
_LEAST_SHARE = 0.006
_TRIES = 5
#: How much denser than the lung it is laid into a pixel must have become to count as lesion, in HU.
_VISIBLE_HU = 60


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """One lesion: HU of the rectangle around it, and which of its pixels are lesion."""

    hu: Hu
    mask: Mask
    wall: tuple[float, float]
    """(column, row) of length 1 from its middle towards the wall it lies at; (0, 0) at none."""


def cut_patches(
    hu: Hu | NDArray[np.int16], lung: Mask, lesion: Mask, least_pixels: int = _LEAST_PIXELS
) -> list[Patch]:
    """The lesions of a slice with more than so many pixels, each for itself."""
    count, parts, boxes, middles = cv2.connectedComponentsWithStats(lesion.astype(np.uint8))
    patches = []
    for part in range(1, count):
        left, top, width, height, pixels = boxes[part]
        if pixels > least_pixels:
            box = np.s_[top : top + height, left : left + width]
            wall = _wall(parts == part, lung, middles[part])
            patches.append(Patch(hu[box].astype(np.float32), parts[box] == part, wall))
    return patches


def _wall(lesion: Mask, lung: Mask, middle: NDArray[np.float64]) -> tuple[float, float]:
    """Where the wall is that a lesion lies at."""
    around = cv2.dilate(lesion.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(np.bool_)
    around &= ~lesion
    rows, columns = np.nonzero(around & ~lung)
    if len(rows) < _AT_WALL * around.sum():
        return 0.0, 0.0
    towards = np.array([columns.mean(), rows.mean()]) - middle
    column, row = towards / max(float(np.hypot(*towards)), 1e-6)
    return float(column), float(row)


def write_patches(patches: Iterable[Patch], path: Path) -> None:
    """Keep patches in one file that `read_patches` reads."""
    kept = list(patches)
    with open_whole(path) as file:
        np.savez_compressed(
            file,
            shapes=np.array([one.mask.shape for one in kept], dtype=np.int64).reshape(-1, 2),
            hu=np.concatenate([one.hu.ravel() for one in kept]).astype(np.int16),
            mask=np.concatenate([one.mask.ravel() for one in kept]),
            wall=np.array([one.wall for one in kept]).reshape(-1, 2),
        )


def read_patches(path: Path) -> list[Patch]:
    """What `write_patches` kept."""
    with np.load(path) as found:
        shapes, hu, mask, walls = (found[name] for name in ("shapes", "hu", "mask", "wall"))
    ends = np.cumsum(shapes.prod(axis=1))
    return [
        Patch(
            hu[end - rows * columns : end].reshape(rows, columns).astype(np.float32),
            mask[end - rows * columns : end].reshape(rows, columns),
            (column, row),
        )
        for (rows, columns), end, (column, row) in zip(
            shapes.tolist(), ends.tolist(), walls.tolist(), strict=True
        )
    ]


def lay_patches(
    hu: Hu, lung: Mask, patches: list[Patch], rng: np.random.Generator
) -> tuple[Hu, Mask]:
    """A slice with a few real lesions in its lungs, those of the pleura at the pleura.

    Of a lesion its texture is taken, as the share of air that is replaced; grain and sharpness are
    those of the slice.

    Parameters
    ----------
    hu : ndarray of float32, shape (size, size)
        A slice without lesions in HU on the networks' square, front of the body up.
    lung : ndarray of bool, same shape
        Its lungs; some of it True.
    patches : list of Patch
        To choose from.
    rng : Generator
        Decides which, where, how large.

    Returns
    -------
    hu : ndarray of float32, same shape
        The slice, ill.
    lesion : ndarray of bool, same shape
        Where it is visibly denser than before.
    """
    places = _places(lung)
    tried: list[tuple[Hu, Mask]] = []
    for _ in range(_TRIES):
        filled = np.zeros_like(hu)
        for _ in range(1 + rng.poisson(2.5)):
            patch = patches[int(rng.integers(len(patches)))]
            np.maximum(filled, _laid(patch, places, rng), out=filled)
        filled *= cv2.GaussianBlur(lung.astype(np.float32), (3, 3), 0)
        tried.append((filled, lung & ((TISSUE_HU - hu) * filled > _VISIBLE_HU)))
        if tried[-1][1].sum() > _LEAST_SHARE * lung.sum():
            break
    filled, lesion = max(tried, key=lambda one: int(one[1].sum()))
    return fill_alveoli(hu, lung, filled, rng), lesion


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """Where lesions can be: (column, row) of pixels, and of the pleura its normals outward."""

    size: int
    lung: NDArray[np.int64]
    pleura: NDArray[np.int64]
    outward: Hu


def _places(lung: Mask) -> _Places:
    inner = cv2.erode(lung.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.bool_)
    rim = lung & ~inner if (lung & ~inner).any() else lung
    smooth = cv2.GaussianBlur(lung.astype(np.float32), (0, 0), 3.0)
    x, y = (cv2.Sobel(smooth, cv2.CV_32F, *along, ksize=3)[rim] for along in ((1, 0), (0, 1)))
    outward = -np.stack([x, y], axis=1) / np.maximum(np.hypot(x, y), 1e-6)[:, None]
    pixels, at_rim = (np.argwhere(mask)[:, ::-1] for mask in (lung, rim))
    return _Places(len(lung), pixels, at_rim, np.asarray(outward, dtype=np.float32))


def _laid(patch: Patch, places: _Places, rng: np.random.Generator) -> Hu:
    """Share of air one lesion replaces: scaled, perhaps mirrored, turned to the wall."""
    scale = rng.uniform(0.65, 1.5)
    empty = np.zeros((places.size, places.size), dtype=np.float32)
    if max(patch.mask.shape) * scale > 0.55 * places.size:
        return empty
    mirror = -1 if rng.random() < 0.5 else 1
    filling, mask = (one[:, ::mirror].astype(np.float32) for one in (_filling(patch), patch.mask))
    rows, columns = np.nonzero(mask)
    points = np.stack([columns, rows], axis=1)
    middle = points.mean(axis=0)
    wall = np.array([patch.wall[0] * mirror, patch.wall[1]])
    if wall.any():
        place, normal = _at_pleura(places, wall, rng)
        angle = np.arctan2(normal[1], normal[0]) - np.arctan2(wall[1], wall[0])
        reach = float(((points - middle) @ wall).max()) * scale
        target = place + normal * (_BEYOND_PX - reach)
    else:
        target, angle = places.lung[int(rng.integers(len(places.lung)))], rng.uniform(-0.5, 0.5)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    move = np.column_stack([turn, target - turn @ middle])
    filling, share = (
        np.asarray(cv2.warpAffine(one, move, empty.shape), dtype=np.float32)
        for one in (filling, mask)
    )
    soft = np.asarray(cv2.GaussianBlur(share, (0, 0), rng.uniform(0.6, 2.2)), dtype=np.float32)
    inside = filling / np.maximum(share, 1e-3) * soft * (share > 0)
    return np.asarray(np.clip(inside, 0, 1) * rng.uniform(0.6, 1.0), dtype=np.float32)


def _filling(patch: Patch) -> Hu:
    """Share of the air that is replaced in a lesion, without its scanner's grain; 0 around it."""
    mask = patch.mask.astype(np.float32)
    denser = np.clip((patch.hu - _AERATED_HU) / (TISSUE_HU - _AERATED_HU), 0, 1) * mask
    of = cv2.GaussianBlur(mask, (0, 0), _GRAIN_PX)
    return np.asarray(cv2.GaussianBlur(denser, (0, 0), _GRAIN_PX) / np.maximum(of, 0.1) * mask)


def _at_pleura(
    places: _Places, wall: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A place at the pleura, and its normal, where a lesion is turned little; more behind."""
    behind = (places.pleura[:, 1] - places.pleura[:, 1].min() + 1.0) ** (rng.random() < 0.5)
    odds = behind * np.exp(4.0 * (places.outward @ wall - 1.0))
    chosen = int(rng.choice(len(odds), p=odds / odds.sum()))
    return places.pleura[chosen].astype(np.float64), places.outward[chosen].astype(np.float64)
