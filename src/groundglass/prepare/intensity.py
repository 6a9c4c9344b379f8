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

    Of any shape. Linear between the edges ``center ± width/2`` (PS3.3 C.11.2.1.3.2, LINEAR_EXACT).
    """
    scale = 255.0 / width_hu
    shifted = hu.astype(np.float32)
    shifted -= np.float32(center_hu - width_hu / 2)
    shifted *= np.float32(scale)
    np.clip(shifted, 0.0, 255.0, out=shifted)
    shifted += np.float32(0.5)
    return shifted.astype(np.uint8)


def lung_window(hu: NDArray[np.int16] | NDArray[np.float32], recipe: Recipe) -> NDArray[np.uint8]:
    """HU, of any shape, through the recipe's lung window."""
    return window_to_uint8(hu, recipe.window_center_hu, recipe.window_width_hu)


def equalise(windowed: NDArray[np.uint8], recipe: Recipe) -> NDArray[np.uint8]:
    """One image with its contrast raised tile by tile: CLAHE (section 2.1)."""
    clahe = cv2.createCLAHE(recipe.clahe_clip_limit, (recipe.clahe_tiles, recipe.clahe_tiles))
    return np.asarray(clahe.apply(windowed), dtype=np.uint8)


def segmenter_window(
    hu: NDArray[np.int16] | NDArray[np.float32], recipe: Recipe
) -> NDArray[np.uint8]:
    """HU, of any shape, as the U-Net sees it: air dark, bone bright, no equalisation."""
    low, high = recipe.segmenter_low_hu, recipe.segmenter_high_hu
    return window_to_uint8(hu, (low + high) / 2, high - low)
