"""Stored values → Hounsfield units, in place, one plane at a time (PS3.3 C.11.1)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: The lowest CT number of the usual 12 bit scale, and the value given to what is outside the
#: field of view. Scanners fill there with -2000, -3024 and the like, which is no attenuation.
LOWEST_HU = -1024
_HIGHEST_HU = int(np.iinfo(np.int16).max)

FILLED = (
    f"Voxels outside the field of view (padding, or below {LOWEST_HU} HU) set to {LOWEST_HU} HU."
)
CLIPPED = f"Voxels above {_HIGHEST_HU} HU set to {_HIGHEST_HU} HU."


def is_exact(slope: float, intercept: float) -> bool:
    """Whether whole stored values stay whole in HU."""
    return float(slope).is_integer() and float(intercept).is_integer()


def store_hu(
    stored: NDArray[Any],
    slope: float,
    intercept: float,
    target: NDArray[np.int16] | NDArray[np.float32],
    padding: NDArray[np.bool_] | None = None,
) -> set[str]:
    """Rescale one plane into its place in the volume.

    Parameters
    ----------
    stored : ndarray, shape (rows, columns)
        Stored values.
    slope, intercept : float
        HU = slope × stored + intercept.
    target : ndarray of int16 or float32, shape (rows, columns)
        Written to; int16 only where `is_exact`.
    padding : ndarray of bool, optional
        Pixels outside the field of view.

    Returns
    -------
    set of str
        What was done that a reader should know: `FILLED`, `CLIPPED`.
    """
    if target.dtype == np.int16:
        hu: NDArray[Any] = stored.astype(np.int64 if stored.dtype.itemsize > 2 else np.int32)
        if slope != 1.0:
            hu *= int(slope)
        if intercept:
            hu += int(intercept)
    else:
        hu = stored.astype(np.float64)
        hu *= slope
        hu += intercept
        hu[~np.isfinite(hu)] = LOWEST_HU
    notes: set[str] = set()
    if padding is not None and padding.any():
        hu[padding] = LOWEST_HU
        notes.add(FILLED)
    if hu.min() < LOWEST_HU:
        notes.add(FILLED)
        np.maximum(hu, LOWEST_HU, out=hu)
    if hu.max() > _HIGHEST_HU:
        notes.add(CLIPPED)
        np.minimum(hu, _HIGHEST_HU, out=hu)
    target[...] = hu
    return notes
