"""Series → Volume."""

from __future__ import annotations

from groundglass.core.study import Series
from groundglass.core.volume import Volume
from groundglass.read.continuity import refuse_alternating
from groundglass.read.dicom.stacks.grid import AssemblySettings
from groundglass.read.format import Progress
from groundglass.read.formats import format_for


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
