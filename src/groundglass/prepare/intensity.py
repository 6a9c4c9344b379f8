"""From Hounsfield units to what the networks see: windows and adaptive histogram equalisation."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.prepare.recipe import Recipe


def window_to_uint8(
    hu: NDArray[np.int16] | NDArray[np.float32], center_hu: float, width_hu: float
) -> NDArray[np.uint8]:
    """HU shown through a window, 0 (at or below its lower edge) to 255 (at or above its upper).

    Linear between the edges ``center ± width/2`` (PS3.3 C.11.2.1.3.2, LINEAR_EXACT).

    Parameters
    ----------
    hu : ndarray of int16 or float32, any shape
        Hounsfield units.
    center_hu, width_hu : float
        The window in HU.

    Returns
    -------
    ndarray of uint8, same shape
    """
    scale = 255.0 / width_hu
    shifted = hu.astype(np.float32)
    shifted -= np.float32(center_hu - width_hu / 2)
    shifted *= np.float32(scale)
    np.clip(shifted, 0.0, 255.0, out=shifted)
    shifted += np.float32(0.5)
    return shifted.astype(np.uint8)


def lung_window(hu: NDArray[np.int16] | NDArray[np.float32], recipe: Recipe) -> NDArray[np.uint8]:
    """One slice through the recipe's lung window, then contrast-limited equalised.

    Parameters
    ----------
    hu : ndarray, shape (rows, columns)
        One slice in HU.
    recipe : Recipe
        Window and equalisation settings (paper section 2.1).

    Returns
    -------
    ndarray of uint8, shape (rows, columns)
    """
    windowed = window_to_uint8(hu, recipe.window_center_hu, recipe.window_width_hu)
    clahe = cv2.createCLAHE(recipe.clahe_clip_limit, (recipe.clahe_tiles, recipe.clahe_tiles))
    return np.asarray(clahe.apply(windowed), dtype=np.uint8)


def segmenter_window(
    hu: NDArray[np.int16] | NDArray[np.float32], recipe: Recipe
) -> NDArray[np.uint8]:
    """HU as the U-Net sees it: air dark, bone bright, no equalisation.

    Parameters
    ----------
    hu : ndarray, any shape
        Hounsfield units.
    recipe : Recipe
        The segmenter's window.

    Returns
    -------
    ndarray of uint8, same shape
    """
    low, high = recipe.segmenter_low_hu, recipe.segmenter_high_hu
    return window_to_uint8(hu, (low + high) / 2, high - low)
