"""What tells classes apart without looking at a lung: the floor a bundle has to be above.

Where the number of slices or the noise tells the ill of a source from the others, so may a network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from typing import Self

import numpy as np

from groundglass.core.volume import Volume

#: Slices looked at: grey and noise of more are no other.
_SLICES = 16
#: HU beyond are padding or metal.
_RANGE_HU = (-1024, 1024)


@dataclass(frozen=True, slots=True)
class TrivialStatistics:
    """Five numbers of a study that are about the scanner and the export."""

    slices: int
    """How many."""
    spacing_mm: float
    """Distance between slices."""
    pixel_mm: float
    """Distance between columns."""
    mean_hu: float
    """Mean over whole slices, between -1024 and 1024 HU."""
    noise_hu: float
    """Median of the difference, without its sign, of neighbouring columns."""

    @classmethod
    def of(cls, volume: Volume) -> Self:
        """Of a volume, its axes running either way."""
        axial = volume.to_axial()[0]
        count = len(axial.hu)
        at = np.unique(np.linspace(0, count - 1, min(count, _SLICES)).astype(int))
        seen = np.clip(axial.hu[at].astype(np.float32), *_RANGE_HU)
        spacing = axial.geometry.spacing_mm
        return cls(
            count,
            float(spacing[0]),
            float(spacing[2]),
            float(seen.mean(dtype=np.float64)),
            float(np.median(np.abs(np.diff(seen, axis=2)))),
        )


#: Names of the numbers, as columns of a table.
NAMES = tuple(field.name for field in fields(TrivialStatistics))


def as_numbers(
    found: Sequence[TrivialStatistics],
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """One row a study, in the order of `NAMES`."""
    return np.array([astuple(one) for one in found], dtype=np.float64).reshape(-1, len(NAMES))
