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

Hu = NDArray[np.float32]
Mask = NDArray[np.bool_]

#: Pixels of the smallest lesion worth keeping.
_LEAST_PIXELS = 40
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


def cut_patches(
    hu: Hu | NDArray[np.int16], lesion: Mask, least_pixels: int = _LEAST_PIXELS
) -> list[Patch]:
    """The lesions of a slice with more than so many pixels, each for itself."""
    count, parts, boxes, _ = cv2.connectedComponentsWithStats(lesion.astype(np.uint8))
    patches = []
    for part in range(1, count):
        left, top, width, height, pixels = boxes[part]
        if pixels > least_pixels:
            box = np.s_[top : top + height, left : left + width]
            patches.append(Patch(hu[box].astype(np.float32), parts[box] == part))
    return patches


def write_patches(patches: Iterable[Patch], path: Path) -> None:
    """Keep patches in one file that `read_patches` reads."""
    kept = list(patches)
    with open_whole(path) as file:
        np.savez_compressed(
            file,
            shapes=np.array([one.mask.shape for one in kept], dtype=np.int64).reshape(-1, 2),
            hu=np.concatenate([one.hu.ravel() for one in kept]).astype(np.int16),
            mask=np.concatenate([one.mask.ravel() for one in kept]),
        )


def read_patches(path: Path) -> list[Patch]:
    """What `write_patches` kept."""
    with np.load(path) as found:
        shapes, hu, mask = found["shapes"], found["hu"], found["mask"]
    ends = np.cumsum(shapes.prod(axis=1))
    return [
        Patch(
            hu[end - rows * columns : end].reshape(rows, columns).astype(np.float32),
            mask[end - rows * columns : end].reshape(rows, columns),
        )
        for (rows, columns), end in zip(shapes.tolist(), ends.tolist(), strict=True)
    ]


def lay_patches(
    hu: Hu, lung: Mask, patches: list[Patch], rng: np.random.Generator
) -> tuple[Hu, Mask]:
    """A slice with a few real lesions in its lungs, most at the pleura and towards the back.

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
    tried: list[tuple[Hu, Mask]] = []
    for _ in range(_TRIES):
        ill = hu
        for _ in range(1 + rng.poisson(2.5)):
            ill = _lay(ill, lung, patches[int(rng.integers(len(patches)))], rng)
        tried.append((ill, lung & (ill > hu + _VISIBLE_HU)))
        if tried[-1][1].sum() > _LEAST_SHARE * lung.sum():
            break
    return max(tried, key=lambda one: int(one[1].sum()))


def _lay(hu: Hu, lung: Mask, patch: Patch, rng: np.random.Generator) -> Hu:
    """One lesion: scaled, perhaps mirrored, its border soft, vessels and walls left in sight."""
    scale = rng.uniform(0.6, 1.8)
    rows, columns = (max(3, int(side * scale)) for side in patch.mask.shape)
    if max(rows, columns) > 0.55 * len(hu):
        return hu
    texture = np.asarray(cv2.resize(patch.hu, (columns, rows)), dtype=np.float32)
    inside = np.asarray(cv2.resize(patch.mask.astype(np.float32), (columns, rows)))
    if rng.random() < 0.5:
        texture, inside = texture[:, ::-1], inside[:, ::-1]
    row, column = _place(lung, rng)
    top, left = row - rows // 2, column - columns // 2
    rows_in = slice(max(0, top), min(len(hu), top + rows))
    columns_in = slice(max(0, left), min(len(hu), left + columns))
    of_patch = np.s_[rows_in.start - top : rows_in.stop - top,
                     columns_in.start - left : columns_in.stop - left]  # fmt: skip
    share, there = np.zeros_like(hu), np.full_like(hu, -1000.0)
    share[rows_in, columns_in], there[rows_in, columns_in] = inside[of_patch], texture[of_patch]
    share = np.asarray(cv2.GaussianBlur(share, (0, 0), rng.uniform(0.6, 1.6)), dtype=np.float32)
    share *= cv2.GaussianBlur(lung.astype(np.float32), (3, 3), 0) * rng.uniform(0.75, 1.0)
    laid = hu + (there - hu) * share
    return np.asarray(np.where(hu > there, np.maximum(hu + (there - hu) * share / 2, laid), laid))


def _place(lung: Mask, rng: np.random.Generator) -> tuple[int, int]:
    """Row and column of a lesion's middle."""
    inner = cv2.erode(lung.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(np.bool_)
    at_pleura = lung & ~inner
    rows, columns = np.nonzero(at_pleura if rng.random() < 0.7 and at_pleura.any() else lung)
    towards_back = (rows - rows.min() + 1.0) ** 1.5 if rng.random() < 0.6 else np.ones(len(rows))
    chosen = rng.choice(len(rows), p=towards_back / towards_back.sum())
    return int(rows[chosen]), int(columns[chosen])
