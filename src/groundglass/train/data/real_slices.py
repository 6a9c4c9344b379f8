"""Single 8-bit slices from public sets as the classifier sees them.

Such images do not say what their grey values mean, and each source (even each volume) scales them
its own way. Two tissues that every chest slice shows give the scale back: room air, or where it
is cut off or saturated the aerated lung, and soft tissue. The estimate serves training and
experiments only; a study to be judged has to bring its HU.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.errors import ReadError
from groundglass.infer import Segmenter
from groundglass.prepare import Letterbox, Recipe, clean_lung_mask
from groundglass.prepare.intensity import segmenter_window

Grey = NDArray[np.uint8]
Mask = NDArray[np.bool_]

#: HU of the tissues that give the scale: room air, aerated lung (its darkest third, on which
#: disease has little say), soft tissue.
_AIR_HU, _LUNG_HU, _TISSUE_HU = -1000.0, -870.0, 40.0
#: Part of the image that room air must fill to be believed.
_LEAST_AIR = 0.02
#: Width in mm of a chest image where nothing states it.
_USUAL_FIELD_MM = 350.0
_LEAST_LUNG = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class RealSlice:
    """One slice of a public set."""

    hu: NDArray[np.float32]
    """Shape (rows, columns). Hounsfield units, estimated where no window is known."""
    lung: Mask
    """Shape (size, size). Lung mask on the networks' square."""
    frame: Letterbox
    """Where the slice lies in it."""


def read_slice(
    path: Path, segmenter: Segmenter, recipe: Recipe, window: tuple[float, float] | None = None
) -> RealSlice:
    """A slice in HU, estimated unless its window is known, with its lungs.

    Parameters
    ----------
    path : Path
        PNG, JPEG or TIFF of 8 bits, axial, front of the body up.
    segmenter : Segmenter
        Finds its lungs.
    recipe : Recipe
        Every setting.
    window : tuple of float, optional
        Centre and width in HU of the window that made the image.

    Raises
    ------
    ReadError
        If it cannot be read, is not grey of 8 bits, or shows no lung.
    """
    grey = _read(path)
    frame = frame_of_image(grey.shape, recipe.image_size, _USUAL_FIELD_MM / recipe.image_size)
    if window is None:
        lung = _find_lung(grey_to_hu(grey, None), frame, segmenter, recipe)
        hu = grey_to_hu(grey, _on_slice(lung, frame))
    else:
        center, width = window
        hu = np.asarray(center - width / 2 + grey * (width / 255), dtype=np.float32)
    lung = _find_lung(hu, frame, segmenter, recipe)
    if lung.mean() < _LEAST_LUNG:
        raise ReadError(
            f"{100 * lung.mean():.1f} % of the image is lung",
            expected=f"at least {100 * _LEAST_LUNG:.0f} %, an axial slice through the chest",
            action="Leave this image out.",
        )
    return RealSlice(hu, lung, frame)


def grey_to_hu(grey: Grey, lung: Mask | None) -> NDArray[np.float32]:
    """Grey values as HU, by the tissues they show.

    Parameters
    ----------
    grey : ndarray of uint8, shape (rows, columns)
        As published.
    lung : ndarray of bool, same shape, or None
        Lung mask, if it is known yet; without it the dark half of the body stands in.

    Returns
    -------
    ndarray of float32, same shape
        Values at the ends of the grey scale may have been cut off by the publisher's window.

    Raises
    ------
    ReadError
        If it shows one grey only.
    """
    shown = _shown(grey)
    split, _ = cv2.threshold(grey[shown][:, None], 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    dark, bright = shown & (grey <= split), shown & (grey > split)
    if not (dark.any() and bright.any()):
        raise ReadError(
            "an image of one grey",
            expected="an axial slice through the chest, with lung and soft tissue",
            action="Leave this image out.",
        )
    tissue = _mode(grey[bright])
    room = _room(grey, shown, split)
    if room is not None:
        low, low_hu = room, _AIR_HU
    else:
        inside = grey[lung] if lung is not None and lung.any() else grey[dark]
        low, low_hu = float(np.percentile(inside, 33)), _LUNG_HU
    slope = (_TISSUE_HU - low_hu) / max(tissue - low, 1.0)
    hu = low_hu + (grey.astype(np.float32) - low) * slope
    hu[~shown] = _AIR_HU
    return np.asarray(np.clip(hu, -1024, 600), dtype=np.float32)


def _read(path: Path) -> Grey:
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None or image.dtype != np.uint8:
        raise ReadError(
            "an image that cannot be read as 8 bits",
            expected="PNG, JPEG or TIFF of 8 bits",
            action="Restore the file, or give HU as DICOM or NIfTI.",
        )
    if image.ndim == 3:
        image = cv2.cvtColor(image[:, :, :3], cv2.COLOR_BGR2GRAY)
    return np.asarray(image, dtype=np.uint8)


def _shown(grey: Grey) -> Mask:
    """What is not the fill around a round field of view (black, and connected to a corner)."""
    _, regions = cv2.connectedComponents((grey < 4).astype(np.uint8), connectivity=4)
    corners = {int(c) for c in regions[[0, 0, -1, -1], [0, -1, 0, -1]]} - {0}
    shown = ~np.isin(regions, sorted(corners))
    return shown if shown.mean() > 0.3 else np.ones_like(shown)


def _mode(values: Grey) -> float:
    counts = np.bincount(values, minlength=256).astype(np.float32)
    return float(np.argmax(cv2.GaussianBlur(counts[None], (9, 1), 0)))


def _room(grey: Grey, shown: Mask, split: float) -> float | None:
    """Grey value of the air around the body, where it is seen and not cut off at black."""
    dark = (shown & (grey <= split)).astype(np.uint8)
    _, regions = cv2.connectedComponents(cv2.morphologyEx(dark, cv2.MORPH_OPEN, np.ones((5, 5))))
    edge = shown & (cv2.erode(shown.astype(np.uint8), np.ones((9, 9))) == 0)
    edge[[0, -1]], edge[:, [0, -1]] = True, True
    outside = np.isin(regions, np.unique(regions[edge])) & (regions > 0)
    if outside.mean() < _LEAST_AIR:
        return None
    air = float(np.median(grey[outside]))
    return air if air > 8 else None


def frame_of_image(shape: tuple[int, ...], size: int, pixel_mm: float) -> Letterbox:
    """Where an image of square pixels lies in the networks' square, whose pixels are so large."""
    rows, columns = shape
    side = max(rows, columns)
    inner = (max(1, round(size * rows / side)), max(1, round(size * columns / side)))
    offset = ((size - inner[0]) // 2, (size - inner[1]) // 2)
    return Letterbox((rows, columns), size, inner, offset, pixel_mm)


def _find_lung(
    hu: NDArray[np.float32], frame: Letterbox, segmenter: Segmenter, recipe: Recipe
) -> Mask:
    seen = segmenter_window(frame.forward(hu, _AIR_HU), recipe)[None]
    mask = clean_lung_mask(segmenter(seen), seen, recipe)[0]
    return np.asarray(mask, dtype=np.bool_)


def _on_slice(lung: Mask, frame: Letterbox) -> Mask:
    return np.asarray(frame.inverse(lung.astype(np.float32)) > 0.5, dtype=np.bool_)
