"""The annotated lung slices: reading them, and bringing their grey values to Hounsfield units.

Source: Kaggle "Finding and Measuring Lungs in CT Data" (research use). Its values are not HU: air
lies near -796 and differs by image, soft tissue near +5, and circles outside the field of view are
filled with -1800 or -2600.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.errors import ReadError

#: Values under this are fill, not measurement.
_FILL_BELOW = -1200
#: Soft tissue of the source, and what it is in HU (muscle and blood without contrast).
_SOURCE_TISSUE, _TISSUE_HU = 5.0, 40.0
_SOURCE_AIR, _AIR_HU = -796.0, -1000.0
#: Fewer pixels of room air than this do not give a median; the source's usual value is taken.
_FEWEST_AIR_PIXELS = 300


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedSlice:
    """One slice with its lungs.

    Parameters
    ----------
    name : str
        The file's stem.
    hu : ndarray of int16, shape (rows, columns)
        Hounsfield units after calibration.
    lung : ndarray of bool, same shape
        Both lungs, without trachea.
    lesion : ndarray of bool, same shape
        Disease; nothing where none is marked.
    """

    name: str
    hu: NDArray[np.int16]
    lung: NDArray[np.bool_]
    lesion: NDArray[np.bool_]


def read_annotated_slices(folder: Path) -> list[AnnotatedSlice]:
    """Read `folder/images/*.tif` with `folder/masks/*.png`, in HU, sorted by name.

    Raises
    ------
    ReadError
        If there are none, or a slice has no mask.
    """
    paths = sorted((folder / "images").glob("*.tif"))
    if not paths:
        raise ReadError(
            f"no images/*.tif in {folder}",
            expected="the annotated lung slices",
            action="Give the folder that holds images/ and masks/.",
        )
    return [read_annotated_slice(path, folder / "masks" / f"{path.stem}.png") for path in paths]


def read_annotated_slice(image_path: Path, mask_path: Path) -> AnnotatedSlice:
    """Read one slice of the source with its mask, in HU.

    Raises
    ------
    ReadError
        If one of them cannot be read, or they differ in size.
    """
    values = cv2.imread(str(image_path), cv2.IMREAD_UNCHANGED)
    mask = cv2.imread(str(mask_path), cv2.IMREAD_GRAYSCALE)
    if values is None or mask is None or values.shape != mask.shape:
        raise ReadError(
            f"{image_path.name} without a readable image and a mask of its size",
            expected="a TIFF image and its mask as TIFF or PNG",
            action="Restore the missing file.",
        )
    lung = mask > 0
    hu = calibrate(values.astype(np.float32))
    return AnnotatedSlice(image_path.stem, hu, lung, np.zeros_like(lung))


def calibrate(values: NDArray[np.float32]) -> NDArray[np.int16]:
    """Grey values of the source as HU: room air to -1000, soft tissue to +40, fill to -1024.

    Parameters
    ----------
    values : ndarray of float32, shape (rows, columns)
        As stored in the source.

    Returns
    -------
    ndarray of int16, same shape
        Hounsfield units.
    """
    fill = values < _FILL_BELOW
    room = ~fill & ~_near_body(values) & (values < -600)
    air = float(np.median(values[room])) if room.sum() >= _FEWEST_AIR_PIXELS else _SOURCE_AIR
    slope = (_TISSUE_HU - _AIR_HU) / (_SOURCE_TISSUE - air)
    hu = _AIR_HU + (values - air) * slope
    hu[fill] = -1024
    return np.asarray(np.clip(np.rint(hu), -1024, 3071), dtype=np.int16)


def _near_body(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The body's outline, filled, with a margin of 4 pixels."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    soft = cv2.morphologyEx((values > -300).astype(np.uint8), cv2.MORPH_OPEN, kernel)
    outlines, _ = cv2.findContours(soft, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    body = np.zeros_like(soft)
    if outlines:
        cv2.drawContours(body, [max(outlines, key=cv2.contourArea)], -1, 1, cv2.FILLED)
    return cv2.dilate(body, kernel, iterations=2).astype(np.bool_)
