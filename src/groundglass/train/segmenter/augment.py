"""Random changes in HU for the lung U-Net: disease, place, and how the scanner shows it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.train.segmenter.domes import raise_dome
from groundglass.train.segmenter.lesion_textures import LesionTextures
from groundglass.train.segmenter.slices import LungSlice
from groundglass.train.settings import SegmenterSettings

Slice = NDArray[np.float32]
Mask = NDArray[np.uint8]

#: How often a slice is looked at closely, and how far from the middle, as a share of the side.
_CLOSE_SHARE, _ASIDE = 0.18, 40 / 256


def augment_lung_slice(
    one: LungSlice, settings: SegmenterSettings, textures: LesionTextures, rng: np.random.Generator
) -> tuple[Slice, Mask]:
    """One annotated slice, changed at random: disease, place, and how the scanner shows it.

    Parameters
    ----------
    one : LungSlice
        The slice with its truth.
    settings : SegmenterSettings
        How often each change is made.
    textures : LesionTextures
        Real lesions to lay in.
    rng : Generator
        Source of chance.

    Returns
    -------
    hu : ndarray of float32, shape (size, size)
    lung : ndarray of uint8, same shape
        0 or 1; disease stays inside the truth, a dome does not.
    """
    image, mask = one.hu.astype(np.float32), one.lung.astype(np.uint8)
    # A phantom has its own domes, and their truth is better.
    if not one.synthetic and rng.random() < settings.dome_share:
        image, mask = raise_dome(image, mask, rng)
    if rng.random() < settings.lesion_share:
        image = textures.lay(image, mask, rng)
    elif rng.random() < settings.ill_share:
        image = add_consolidation(image, mask, rng)
    image, mask = _move(image, mask, settings.upside_down_share, rng)
    return _show(image, rng), mask


def change_greys(image: Mask, settings: SegmenterSettings, rng: np.random.Generator) -> Mask:
    """Another window's or a viewer's greys: a bent scale, local equalisation.

    `image` is what the U-Net sees, uint8 of shape (size, size).
    """
    if rng.random() < settings.bent_share:
        exponent = np.exp(rng.uniform(-0.35, 0.35))
        table = 255 * np.linspace(0.0, 1.0, 256) ** exponent
        image = np.asarray(cv2.LUT(image, np.rint(table).astype(np.uint8)), dtype=np.uint8)
    if rng.random() < settings.equalised_share:
        clahe = cv2.createCLAHE(rng.uniform(1.0, 3.0), (8, 8))
        image = np.asarray(clahe.apply(image), dtype=np.uint8)
    return image


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


def _move(
    image: Slice, mask: Mask, upside_down_share: float, rng: np.random.Generator
) -> tuple[Slice, Mask]:
    """Mirror, rotate, scale and shift, so that position and field of view say nothing."""
    size = image.shape[0]
    if rng.random() < 0.5:
        image, mask = image[:, ::-1], mask[:, ::-1]
    if rng.random() < upside_down_share:
        image, mask = image[::-1], mask[::-1]
    matrix = _placing(mask, rng)
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


def _placing(mask: Mask, rng: np.random.Generator) -> NDArray[np.float64]:
    """The affine map of a change of place, shape (2, 3): the whole chest, or a close look.

    A close look at a part of a lung and what lies around it shows fat, muscle, bone, diaphragm and
    stomach that are not lung.
    """
    size = mask.shape[0]
    close = rng.random() < _CLOSE_SHARE
    scale = rng.uniform(1.3, 2.8) if close else rng.uniform(0.7, 1.3)
    matrix = cv2.getRotationMatrix2D((size / 2, size / 2), rng.normal(0.0, 8.0), scale)
    matrix[0, 1] += rng.uniform(-0.05, 0.05)
    rows, columns = np.nonzero(mask)
    if close and len(rows):
        middle = int(rng.integers(len(rows)))
        aside = rng.uniform(-_ASIDE, _ASIDE, 2) * size
        matrix[:, 2] = size / 2 - matrix[:, :2] @ [columns[middle], rows[middle]] + aside
    else:
        shift = 0.6 if close else 0.1
        matrix[:, 2] += rng.uniform(-shift, shift, 2) * size
    return np.asarray(matrix, dtype=np.float64)


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
