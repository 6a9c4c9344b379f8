"""Stored values → Hounsfield units, in place, one plane at a time (PS3.3 C.11.1)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundglass.errors import AssemblyError

#: The lowest CT number of the usual 12 bit scale, and the value given to what is outside the
#: field of view. Scanners fill there with -2000, -3024 and the like, which is no attenuation.
LOWEST_HU = -1024
_INT16 = np.iinfo(np.int16)
#: The highest HU that a volume holds. No scanner's CT numbers reach it.
HIGHEST_STORED_HU = int(_INT16.max)

FILLED = (
    f"Voxels outside the field of view (padding, or below {LOWEST_HU} HU) set to {LOWEST_HU} HU."
)
CLIPPED = f"Voxels above {HIGHEST_STORED_HU} HU set to {HIGHEST_STORED_HU} HU."

#: Part of the round field of view that may be no numbers. Our choice: interpolation leaves single
#: ones; a mask over the lungs takes a fifth.
_MOST_MISSING = 0.01

#: A CT has air around or in the patient near -1000 HU and tissue near 0 HU.
_AIR_HU = (-1100.0, -900.0)
_TISSUE_HU = (-200.0, 300.0)
#: Each must make up this part of the volume at least. A thorax is a third air and half tissue.
_LEAST_PART = 0.02


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
        Stored values. What is no number becomes the lowest HU; `MissingVoxels` tells.
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
    numbers = stored if stored.dtype.kind in "iu" else stored[np.isfinite(stored)]
    ends = [float(LOWEST_HU)] * 2
    if numbers.size:
        ends = sorted(slope * float(end) + intercept for end in (numbers.min(), numbers.max()))
    if (
        target.dtype == np.int16
        and slope == 1.0
        and _INT16.min <= ends[0]
        and ends[1] <= _INT16.max
    ):
        # Wrapping cannot happen, so no wider copy is needed: nearly every CT goes this way.
        offset = np.int64(intercept).astype(np.int16)
        np.add(stored, offset, out=target, dtype=np.int16, casting="unsafe")
        hu: NDArray[Any] = target
    else:
        hu = stored.astype(np.float64)
        hu *= slope
        hu += intercept
        hu[~np.isfinite(hu)] = LOWEST_HU
    notes: set[str] = set()
    if padding is not None and padding.any():
        hu[padding] = LOWEST_HU
        notes.add(FILLED)
        ends = [float(hu.min()), float(hu.max())]
    if not ends[0] >= LOWEST_HU:
        notes.add(FILLED)
        np.maximum(hu, LOWEST_HU, out=hu)
    if not ends[1] <= HIGHEST_STORED_HU:
        notes.add(CLIPPED)
        np.minimum(hu, HIGHEST_STORED_HU, out=hu)
    if hu is not target:
        target[...] = hu
    return notes


class MissingVoxels:
    """Counts voxels that are no numbers (NaN or infinite), which `store_hu` sets to the lowest HU.

    Outside the circle that touches the image's edges they mean that nothing was measured there.
    Within it they may stand where lung was.
    """

    def __init__(self) -> None:
        self._all = self._within = self._of = 0

    def look(self, plane: NDArray[Any]) -> None:
        """Count those of one plane of stored values, shape (rows, columns)."""
        if plane.dtype.kind in "iu":
            return
        missing = ~np.isfinite(plane)
        y, x = (np.linspace(-1, 1, side) for side in plane.shape)
        field = y[:, None] ** 2 + x[None, :] ** 2 <= 1
        self._all += int(missing.sum())
        self._within += int(missing[field].sum())
        self._of += int(field.sum())

    def notes(self) -> set[str]:
        """What to tell of them.

        Raises
        ------
        AssemblyError
            Too many where the patient is.
        """
        if self._within > _MOST_MISSING * self._of:
            raise AssemblyError(
                f"a volume of which {self._within / self._of:.0%} of the voxels within its round "
                "field of view are no numbers (NaN or infinite)",
                expected=f"at most {_MOST_MISSING:.0%}",
                action="Give the volume before it was masked or computed with.",
            )
        if self._all == 0:
            return set()
        return {f"{self._all} voxels that are no numbers (NaN or infinite) set to {LOWEST_HU} HU."}


def refuse_other_units(hu: NDArray[np.int16] | NDArray[np.float32]) -> None:
    """Check that values without a stated unit are where a CT has them; nothing is rescaled."""
    sample = hu[:: max(1, hu.shape[0] // 32), ::4, ::4]
    air = float(np.mean((sample >= _AIR_HU[0]) & (sample <= _AIR_HU[1])))
    tissue = float(np.mean((sample >= _TISSUE_HU[0]) & (sample <= _TISSUE_HU[1])))
    if air >= _LEAST_PART and tissue >= _LEAST_PART:
        return
    low, high = float(sample.min()), float(sample.max())
    raise AssemblyError(
        f"voxels from {low:g} to {high:g}, {air:.0%} of them near air's -1000 HU and "
        f"{tissue:.0%} near tissue's 0 HU; these are not Hounsfield units",
        expected=f"at least {_LEAST_PART:.0%} of air and of tissue",
        action="Give the volume in HU (before any windowing, normalising or masking).",
    )
