"""Alveoli of a slice filled: what makes a laid-in lesion look as if it had been scanned there.

Air is replaced by tissue, so vessels and walls stay in sight. Noise is the scanner's and does not
shrink with the air: what replacing takes of a slice's grain is given back, as coarse as it is in
the slice's lungs, as far as its soft tissue shows that dense parts have it (pictures whose contrast
was equalised hardly have).
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.phantom.parenchyma import TISSUE_HU

Hu = NDArray[np.float32]
Mask = NDArray[np.bool_]

#: Coarseness of grain that is told apart: sigmas in pixels of a blur of white noise.
_COARSENESS = (0.0, 0.35, 0.5, 0.65, 0.8, 1.0, 1.3)
#: Grain is what a blur with this sigma, in pixels, takes away.
_FINE_PX = 1.0
#: Pixels of lung, free of what is denser than aerated lung, from which grain can be measured.
_FEWEST_PIXELS = 200
_AERATED_HU = -650.0
#: Grain (HU, coarseness) where too little lung is aerated to measure it.
_USUAL_GRAIN = (18.0, 0.5)


def fill_alveoli(hu: Hu, lung: Mask, filled: Hu, rng: np.random.Generator) -> Hu:
    """A slice whose alveoli are filled to the given share.

    Parameters
    ----------
    hu : ndarray of float32, shape (rows, columns)
        A slice in HU.
    lung : ndarray of bool, same shape
        Its lungs, from which its grain is measured.
    filled : ndarray of float32, same shape
        Share of the air replaced, 0 to 1; 0 outside the lungs.
    rng : Generator
        Of the grain.

    Returns
    -------
    ndarray of float32, same shape
    """
    replaced = np.where(hu < TISSUE_HU, filled, np.float32(0))
    lost = np.sqrt(1 - (1 - replaced) ** 2)
    grain = lost * _grain(hu, lung, rng) * np.float32(_kept_when_dense(hu, lung))
    return np.asarray(hu + (np.float32(TISSUE_HU) - hu) * replaced + grain, dtype=np.float32)


def _grain(hu: Hu, lung: Mask, rng: np.random.Generator) -> Hu:
    """Noise as it is in the slice's aerated lung."""
    spread, coarseness = _measured_grain(hu, lung)
    white = rng.standard_normal(hu.shape, dtype=np.float32)
    noise = _blurred(white, coarseness)
    return noise * np.float32(spread / _robust_spread(noise - _blurred(noise, _FINE_PX)))


def _measured_grain(hu: Hu, lung: Mask) -> tuple[float, float]:
    """Strength in HU and coarseness: that whose neighbours are as alike as the slice's."""
    inner = cv2.erode(lung.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    aerated = inner & (_blurred(hu, _FINE_PX) < _AERATED_HU)
    if aerated.sum() < _FEWEST_PIXELS:
        return _USUAL_GRAIN
    fine = hu - _blurred(hu, _FINE_PX)
    spread = _robust_spread(fine[aerated])
    # Vessels, far above the grain, say nothing of it.
    both = aerated[:, 1:] & aerated[:, :-1]
    fine = np.clip(fine, -2.5 * spread, 2.5 * spread)
    alike = _likeness(fine, both)
    return spread, min(_COARSENESS, key=lambda sigma: abs(_likeness_of(sigma) - alike))


def _kept_when_dense(hu: Hu, lung: Mask) -> float:
    """How much of the lung's grain a filled part keeps: 0 where soft tissue has half of it."""
    far = cv2.dilate(lung.astype(np.uint8), np.ones((9, 9), np.uint8)) == 0
    smooth = _blurred(hu, _FINE_PX)
    tissue = far & (smooth > -50) & (smooth < 130)
    if tissue.sum() < _FEWEST_PIXELS:
        return 0.5
    spread, _ = _measured_grain(hu, lung)
    return float(np.clip(2 * _robust_spread((hu - smooth)[tissue]) / spread - 1, 0, 1))


@cache
def _likeness_of(sigma: float) -> float:
    noise = _blurred(np.random.default_rng(0).standard_normal((256, 256), dtype=np.float32), sigma)
    fine = noise - _blurred(noise, _FINE_PX)
    return _likeness(fine, np.ones((256, 255), np.bool_))


def _likeness(fine: Hu, among: Mask) -> float:
    """Correlation of neighbours in a row."""
    one, other = fine[:, 1:][among], fine[:, :-1][among]
    return float((one * other).mean() / max(float((one**2).mean()), 1e-6))


def _robust_spread(values: Hu) -> float:
    """Standard deviation by the middle two thirds, at least 1 % of a HU."""
    low, high = np.percentile(values, [16, 84])
    return max(0.01, float(high - low) / 2)


def _blurred(image: Hu, sigma: float) -> Hu:
    if sigma == 0:
        return image
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), dtype=np.float32)
