"""Random changes in HU for the lung U-Net: disease, place, and how the scanner shows it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Slice = NDArray[np.float32]
Mask = NDArray[np.uint8]


def augment_lung_slice(
    hu: NDArray[np.int16], lung: NDArray[np.bool_], ill_share: float, rng: np.random.Generator
) -> tuple[Slice, Mask]:
    """One annotated slice, changed at random: disease, place, and how the scanner shows it.

    Parameters
    ----------
    hu : ndarray of int16, shape (rows, columns)
        Hounsfield units.
    lung : ndarray of bool, same shape
        Lung truth.
    ill_share : float
        How often disease is made into it.
    rng : Generator
        Source of chance.

    Returns
    -------
    hu : ndarray of float32, same shape
    lung : ndarray of uint8, same shape
        0 or 1; disease stays inside the truth.
    """
    image, mask = hu.astype(np.float32), lung.astype(np.uint8)
    if rng.random() < ill_share:
        image = add_consolidation(image, mask, rng)
    image, mask = _move(image, mask, rng)
    return _show(image, rng), mask


def add_consolidation(image: Slice, mask: Mask, rng: np.random.Generator) -> Slice:
    """Fill a random part of the lung with ground glass or consolidation.

    The part is where a smooth random field is high, drawn towards the pleura half of the time:
    dense disease against the chest wall is what a mask must not lose.
    """
    size = image.shape[0]
    cells = int(rng.integers(3, 9))
    field = cv2.resize(
        rng.standard_normal((cells, cells)).astype(np.float32),
        image.shape[::-1],
        interpolation=cv2.INTER_CUBIC,
    )
    if rng.random() < 0.5:
        depth = cv2.distanceTransform(mask, cv2.DIST_L2, 3)
        field -= (depth / (0.06 * size)).astype(np.float32)
    inside = field[mask > 0]
    if inside.size == 0:
        return image
    level = np.quantile(inside, 1.0 - rng.uniform(0.03, 0.5))
    sharpness = rng.uniform(2.0, 12.0)
    share = 1.0 / (1.0 + np.exp(-np.clip(sharpness * (field - level), -30, 30)))
    share = share * cv2.GaussianBlur(mask.astype(np.float32), (3, 3), 0)
    density = rng.uniform(-650.0, -350.0) if rng.random() < 0.35 else rng.uniform(-150.0, 80.0)
    texture = cv2.GaussianBlur(rng.standard_normal(image.shape).astype(np.float32), (3, 3), 0)
    disease = np.maximum(image, density + 45.0 * texture)
    return np.asarray(image * (1 - share) + disease * share, dtype=np.float32)


def _move(image: Slice, mask: Mask, rng: np.random.Generator) -> tuple[Slice, Mask]:
    """Mirror, rotate, scale and shift, so that position and field of view say nothing."""
    size = image.shape[0]
    if rng.random() < 0.5:
        image, mask = image[:, ::-1], mask[:, ::-1]
    angle = rng.normal(0.0, 7.0)
    close = rng.random() < 0.15
    # A close look at some part of the body shows fat, muscle and bone that are not lung.
    scale, shift = (rng.uniform(1.5, 3.5), 1.0) if close else (rng.uniform(0.75, 1.25), 0.1)
    matrix = cv2.getRotationMatrix2D((size / 2, size / 2), angle, scale)
    matrix[0, 1] += rng.uniform(-0.05, 0.05)
    matrix[:, 2] += rng.uniform(-shift, shift, 2) * size
    square = (size, size)
    moved = cv2.warpAffine(
        np.ascontiguousarray(image),
        matrix,
        square,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=-1010.0,
    )
    # The mask is moved as grey and cut at half, so that its edge stays true below a pixel.
    soft = cv2.warpAffine(np.ascontiguousarray(mask).astype(np.float32), matrix, square)
    return np.asarray(moved, dtype=np.float32), (soft > 0.5).astype(np.uint8)


def _show(image: Slice, rng: np.random.Generator) -> Slice:
    """Noise, blur and small errors of scale."""
    if rng.random() < 0.3:
        blurred = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.2))
        image = np.asarray(blurred, dtype=np.float32)
    if rng.random() < 0.6:
        noise = rng.standard_normal(image.shape).astype(np.float32)
        if rng.random() < 0.5:
            noise = cv2.GaussianBlur(noise, (3, 3), 0) * 1.8
        image = image + noise * np.float32(rng.uniform(5.0, 70.0))
    gain, offset = rng.normal(1.0, 0.03), rng.normal(0.0, 20.0)
    return np.asarray((image + 1000.0) * gain - 1000.0 + offset, dtype=np.float32)
