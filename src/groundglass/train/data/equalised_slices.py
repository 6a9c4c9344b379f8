"""Contrast-equalised slices with marked lungs and lesions, brought near Hounsfield units.

Source: COVID-19-CT-Seg. Equalising bends the grey scale of each slice its own way, so that two
points give no true HU: what comes out shows the lung U-Net another contrast, and measures nothing.
Part of the slices is upside down, and stays so.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.errors import ReadError
from groundglass.train.data.annotated_slices import AnnotatedSlice
from groundglass.train.data.annotated_volumes import commonest_grey

Grey = NDArray[np.uint8]
Mask = NDArray[np.bool_]

#: HU of aerated lung (the darkest quarter of what is not ill) and of soft tissue.
LUNG_HU, TISSUE_HU = -860.0, 40.0
#: Its usual grey, where too little aerated lung is seen to tell.
_USUAL_LUNG_GREY = 40.0
_FEWEST_LUNG_PIXELS = 200
_TISSUE_GREYS = slice(120, 250)
#: Least difference of the two greys: a scale of less would be noise.
_LEAST_CONTRAST = 20.0


def read_equalised_slice(image: Path, lungs: Path, lesions: Path) -> AnnotatedSlice:
    """Read one slice with its masks.

    Raises
    ------
    ReadError
        One of them cannot be read, they differ in size, or hardly any lung is marked.
    """
    grey, marked, ill = (cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
                         for path in (image, lungs, lesions))  # fmt: skip
    if grey is None or marked is None or ill is None or not grey.shape == marked.shape == ill.shape:
        raise ReadError(
            f"{image.name} without readable masks of lungs and lesions of its size",
            expected="an image of 8 bits and its two masks",
            action="Restore the missing file.",
        )
    lesion = ill > 0
    lung = (marked > 0) | lesion
    if lung.sum() < _FEWEST_LUNG_PIXELS:
        raise ReadError(
            f"{lung.sum()} pixels of lung",
            expected=f"{_FEWEST_LUNG_PIXELS} at least, to tell the grey of lung",
            action="Leave this slice out.",
        )
    return AnnotatedSlice(image.stem, _near_hu(grey.astype(np.uint8), lung, lesion), lung, lesion)


def equalised_greys(grey: Grey, lung: Mask, lesion: Mask) -> tuple[float, float]:
    """Greys of aerated lung, by its darkest quarter, and of soft tissue.

    There may be no room air to go by.
    """
    aerated = grey[lung & ~lesion]
    enough = len(aerated) > _FEWEST_LUNG_PIXELS
    dark = float(np.percentile(aerated, 25)) if enough else _USUAL_LUNG_GREY
    around = cv2.dilate(lung.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    tissue = commonest_grey(grey[~around], _TISSUE_GREYS)
    return min(dark, tissue - _LEAST_CONTRAST), tissue


def _near_hu(grey: Grey, lung: Mask, lesion: Mask) -> NDArray[np.int16]:
    dark, tissue = equalised_greys(grey, lung, lesion)
    slope = (TISSUE_HU - LUNG_HU) / (tissue - dark)
    hu = LUNG_HU + (grey.astype(np.float32) - dark) * slope
    return np.asarray(np.clip(np.rint(hu), -1024, 1500), dtype=np.int16)
