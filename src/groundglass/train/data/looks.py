"""One slice as another scanner and another export would have shown it.

What is drawn: contrast medium, sharpness of the kernel, grain and strength of the noise, the
streaks of a low dose, an error of the scale, the haze of lying at the back, a lung mask a pixel too
wide or too narrow, and for some the window, the bent grey scale and the 8 bits of a picture.
Disease is told by none of these. A single slice has no neighbours to be made thicker with.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Hu = NDArray[np.float32]
Mask = NDArray[np.bool_]


def another_look(hu: Hu, lung: Mask, rng: np.random.Generator) -> tuple[Hu, Mask]:
    """A slice changed as scanners, doses and exports change it, and the mask a network may give.

    Parameters
    ----------
    hu : ndarray of float32, shape (size, size)
        An axial slice in HU on the networks' square, front of the body up.
    lung : ndarray of bool, same shape
        Its lungs.
    rng : Generator
        Decides everything.
    """
    if rng.random() < 0.25:
        hu = _dependent_haze(hu, lung, rng)
    if rng.random() < 0.3:
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
        move = cv2.dilate if rng.random() < 0.5 else cv2.erode
        lung = np.asarray(move(lung.astype(np.uint8), kernel), dtype=np.bool_)
    if rng.random() < 0.25:
        hu = _enhanced(hu, lung, rng)
    hu = _kernel(hu, rng)
    if rng.random() < 0.6:
        hu = hu + _noise(hu.shape, rng)
    if rng.random() < 0.1:
        hu = hu + _streaks(hu.shape, rng)
    hu = (hu + 1000) * np.float32(rng.uniform(0.93, 1.07)) - 1000
    hu = hu + np.float32(rng.uniform(-35, 35))
    if rng.random() < 0.3:
        hu = _as_picture(hu, rng)
    return np.asarray(hu, dtype=np.float32), lung


def _dependent_haze(hu: Hu, lung: Mask, rng: np.random.Generator) -> Hu:
    """What gravity does to anybody's lungs: a little less air at the back."""
    rows = np.flatnonzero(lung.any(axis=1))
    if not len(rows):
        return hu
    depth = rng.uniform(4, 14) / 256 * len(hu)
    above_back = np.maximum(0, rows[-1] - np.arange(len(hu)))[:, None]
    haze = np.exp(-above_back / depth) * rng.uniform(20, 160)
    return np.asarray(hu + haze * lung * (hu < -300), dtype=np.float32)


def _enhanced(hu: Hu, lung: Mask, rng: np.random.Generator) -> Hu:
    """Contrast medium: heart, vessels, what is consolidated; not fat, bone and the chest's wall."""
    blood = np.clip((hu + 150) / 150, 0, 1) * np.clip((300 - hu) / 100, 0, 1)
    within = np.zeros(hu.shape, dtype=np.uint8)
    if lung.any():
        hull = cv2.convexHull(np.argwhere(lung)[:, ::-1].astype(np.int32))
        cv2.fillConvexPoly(within, hull, 1)
    return np.asarray(hu + np.float32(rng.uniform(40, 200)) * blood * within, dtype=np.float32)


def _streaks(shape: tuple[int, ...], rng: np.random.Generator) -> Hu:
    """Where arms and shoulders leave too few photons: noise drawn out from side to side."""
    rows, columns = shape
    noise = rng.standard_normal(shape, dtype=np.float32)
    across = rng.uniform(6, 20) / 256 * columns
    noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), sigmaX=across, sigmaY=0.5))
    height = np.arange(rows, dtype=np.float32)[:, None]
    middle, reach = rng.uniform(0.35, 0.65) * rows, rng.uniform(0.08, 0.25) * rows
    noise *= np.exp(-(((height - middle) / reach) ** 2))
    return np.asarray(noise * np.float32(rng.uniform(10, 45) / noise.std()), dtype=np.float32)


def _kernel(hu: Hu, rng: np.random.Generator) -> Hu:
    """Softer, sharper or as it is."""
    kind = rng.random()
    if kind < 0.5:
        return np.asarray(cv2.GaussianBlur(hu, (0, 0), rng.uniform(0.3, 1.1)))
    if kind < 0.7:
        return np.asarray(hu + rng.uniform(0.2, 0.9) * (hu - cv2.GaussianBlur(hu, (0, 0), 1.0)))
    return hu


def _noise(shape: tuple[int, ...], rng: np.random.Generator) -> Hu:
    noise = rng.standard_normal(shape, dtype=np.float32)
    grain = rng.uniform(0, 1.2)
    if grain > 0.35:
        noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), grain))
    return np.asarray(noise * np.float32(rng.uniform(4, 55) / noise.std()), dtype=np.float32)


def _as_picture(hu: Hu, rng: np.random.Generator) -> Hu:
    """Through a window into 8 bits, its grey scale bent, and read as if it were straight."""
    low, high = rng.uniform(-1250, -1000), rng.uniform(50, 400)
    bend = np.exp(rng.uniform(-0.25, 0.25))
    grey = np.rint(255 * np.clip((hu - low) / (high - low), 0, 1) ** bend)
    return np.asarray(low + (high - low) / 255 * grey, dtype=np.float32)
