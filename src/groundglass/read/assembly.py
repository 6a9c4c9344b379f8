"""Series → Volume, whose slices must follow one another, as their voxels tell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from groundglass.core.study import Series
from groundglass.core.volume import Volume
from groundglass.errors import AssemblyError
from groundglass.read.dicom.stacks.grid import AssemblySettings
from groundglass.read.format import Progress
from groundglass.read.formats import format_for

#: Every so many rows and columns are enough to compare slices.
_STRIDE = 8
#: Tissue and air; beyond are metal and fill, of which a little would outweigh all else (HU).
_RANGE_HU = (-1024, 400)
#: So many passes may lie between one another's slices.
_MOST_PASSES = 4
#: In a body, slices twice as far apart differ 1.3 to 1.7 times as much (14 real volumes of 0.8 to
#: 6 mm), in noise as much. Less means that slices further apart are of one pass.
_LEAST_RATIO = 0.9
_LEAST_SLICES = 8
_ORDINAL = {2: "second", 3: "third", 4: "fourth"}


def read_volume(
    series: Series,
    *,
    settings: AssemblySettings = AssemblySettings(),  # noqa: B008  (frozen)
    progress: Progress | None = None,
) -> Volume:
    """Decode a series into one volume of Hounsfield units.

    The result does not depend on the order of files or threads. int16 where rescaling keeps whole
    numbers whole, else float32.

    Parameters
    ----------
    series : Series
        From `select_chest_ct`, or any series that is one stack.
    settings : AssemblySettings
        How far from a regular grid the slices may be.
    progress : callable, optional
        Called with (slices done, slices in all).

    Returns
    -------
    Volume
        Slices along the slice normal, LPS mm; `notes` say what was filled or clipped.

    Raises
    ------
    AssemblyError
        The slices make no regular grid, are of several acquisitions, are not HU, or one cannot be
        decoded.
    InputError
        They are of more than one patient.
    """
    volume = format_for(series).decode(series, settings, progress)
    refuse_alternating(volume.hu)
    return volume


def refuse_alternating(hu: NDArray[np.int16] | NDArray[np.float32]) -> None:
    """Check that neighbouring slices of a volume in HU are the most alike.

    Two breaths, phases or persons put between one another make a volume as regular as any; headers
    need not tell. Refused where every second, third or fourth slice is more alike than neighbours.
    """
    if len(hu) < _LEAST_SLICES:
        return
    seen = np.clip(hu[:, ::_STRIDE, ::_STRIDE], *_RANGE_HU).astype(np.float32)
    nearest = _difference(seen, 1)
    for apart in range(2, _MOST_PASSES + 1):
        if _difference(seen, apart) < _LEAST_RATIO * nearest:
            raise AssemblyError(
                f"slices that take turns: each is more like the {_ORDINAL[apart]} next one than "
                f"like its neighbour, as where {apart} scans lie between one another",
                expected="slices of one acquisition",
                action="Give one acquisition: one breath or phase of one patient.",
            )


def _difference(slices: NDArray[np.float32], apart: int) -> float:
    """How much slices so many places apart differ, in HU: the usual one of all such pairs."""
    return float(np.median(np.abs(slices[apart:] - slices[:-apart]).mean(axis=(1, 2))))
