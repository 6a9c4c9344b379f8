"""How likely the HU at a pixel are those of an opacity and of no vessel.

Not a measurement as `explain.opacity` is: smooth, so that it can weigh a heat map.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]
Box = tuple[slice, slice]

#: What lies outside a lung mask counts as: darker than any lung, so that no vessel leans on it.
_OUTSIDE_HU = -1100.0
#: HU beyond which bone, metal and room air would outweigh their surroundings.
_LEAST_HU, _MOST_HU = -1000.0, 100.0
#: Deviations to which a Gaussian reaches.
_REACH = 4


@dataclass(frozen=True, slots=True)
class LikelihoodSettings:
    """What counts as likely. Chosen on six COVID-19 patients (decision 0021)."""

    middle_hu: float = -500.0
    """HU, smoothed, at which opacity is as likely as not: the middle of ground glass as it is
    measured (`OpacitySettings.ground_glass_hu`)."""
    step_hu: float = 75.0
    """So far above it opacity is e times as likely as not, so far below it 1/e."""
    vessel_mm: float = 7.0
    """What is thinner than this in the axial plane, rounded to an odd number of the square's pixels
    (5 of 1.4 mm), counts as what surrounds it: vessels, walls, fissures, the lung's blurred rim.
    As `OpacitySettings.vessel_mm`; wider vessels at the hilum are not set aside. 5 mm leaves
    vessels of 4 mm warm."""
    noise_mm: float = 1.0
    """Standard deviation of the Gaussian before vessels are set aside."""
    smoothing_mm: float = 3.0
    """Standard deviation of the Gaussian after it."""
    unargued: float = 0.15
    """What HU alone say counts so much of the slice's hottest pixel, so that where the network said
    nothing pixels still have an order. Below `HEAT_DRAWN_FROM`: it alone is never drawn."""


def opacity_likelihood(
    hu: NDArray[np.int16] | Float, lung: Mask, pixel_mm: float, settings: LikelihoodSettings
) -> Float:
    """How likely each pixel shows an opacity, 0 to 1; 0 outside the lungs.

    Parameters
    ----------
    hu : ndarray, shape (rows, columns)
        One axial slice in HU.
    lung : ndarray of bool, same shape
        Its lung mask; only what lies inside is looked at.
    pixel_mm : float
        Side of a pixel in mm.
    """
    likelihood = np.zeros(hu.shape, np.float32)
    if not lung.any():
        return likelihood
    box = _box(lung, int(_REACH * settings.smoothing_mm / pixel_mm) + 1)
    inside = lung[box]
    shown = np.clip(hu[box].astype(np.float32), _LEAST_HU, _MOST_HU)
    thick = _without_vessels(shown, inside, pixel_mm, settings)
    smooth = _smoothed(thick, inside, settings.smoothing_mm / pixel_mm)
    steps = (smooth - settings.middle_hu) / settings.step_hu
    likelihood[box] = inside / (1 + np.exp(-steps))
    return likelihood


def _without_vessels(hu: Float, lung: Mask, pixel_mm: float, settings: LikelihoodSettings) -> Float:
    """HU with what is thinner than a vessel made as what surrounds it: a grey opening."""
    calm = _smoothed(hu, lung, settings.noise_mm / pixel_mm)
    side = max(1, 2 * round((settings.vessel_mm / pixel_mm - 1) / 2) + 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    calm[~lung] = _OUTSIDE_HU
    return np.asarray(cv2.morphologyEx(calm, cv2.MORPH_OPEN, disc), np.float32)


def _smoothed(values: Float, where: Mask, pixels: float) -> Float:
    """Gaussian mean of the values inside a mask only."""
    weight = where.astype(np.float32)
    total = cv2.GaussianBlur(values * weight, (0, 0), pixels)
    counted = cv2.GaussianBlur(weight, (0, 0), pixels)
    return np.asarray(total / np.maximum(counted, np.float32(1e-3)), np.float32)


def _box(lung: Mask, margin: int) -> Box:
    """Rows and columns that hold the lung, and so many more as there are."""
    rows, columns = (np.flatnonzero(lung.any(axis=axis)) for axis in (1, 0))
    return tuple(slice(max(0, int(hit[0]) - margin), int(hit[-1]) + 1 + margin)
                 for hit in (rows, columns))  # type: ignore[return-value]  # fmt: skip
