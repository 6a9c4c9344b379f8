"""Whole volumes whose lungs are marked on every slice, as one npz each, in Hounsfield units.

An npz holds `lung`, perhaps `lesion`, and either `hu` or `image`: 8 bits of a lung window that
nobody states, and that differs from volume to volume. Room air and soft tissue give the scale back.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from groundglass.errors import ReadError

#: Greys among which room air and soft tissue of a lung window are looked for.
_AIR_GREYS, _TISSUE_GREYS = slice(15, 75), slice(190, 240)
_AIR_HU, _TISSUE_HU = -1000.0, 40.0
#: Greys up to this are fill around a round field of view.
_FILL_GREY = 2
_FILL_HU = -1024
#: Greys up to this, fill with what compression made of its edge, say nothing of room air.
_LEAST_AIR_GREY = 5


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedVolume:
    """A volume with its truth, the end at the apex first."""

    hu: NDArray[np.int16]
    """Shape (slices, rows, columns). Hounsfield units, estimated where the file has grey values."""
    lung: NDArray[np.bool_]
    """Same shape. Both lungs with all disease in them, without trachea."""
    lesion: NDArray[np.bool_]
    """Same shape. Disease; nothing where the file marks none."""
    spacing_mm: tuple[float, float, float]
    """Between slices, rows and columns."""
    trusted: NDArray[np.bool_]
    """Shape (slices,). Whose truth is right."""


def read_annotated_volume(path: Path, faulty: Collection[int] = ()) -> AnnotatedVolume:
    """Read a volume; `faulty` are the slices, from 0, whose truth is wrong.

    Raises
    ------
    ReadError
        It is no such file.
    """
    try:
        with np.load(path) as file:
            found = {name: file[name] for name in file.files}
        lung = found["lung"].astype(np.bool_)
        lesion = found["lesion"].astype(np.bool_) if "lesion" in found else np.zeros_like(lung)
        hu = found["hu"] if "hu" in found else calibrate_volume(found["image"], lung)
        between, rows, columns = (float(one) for one in found["spacing_mm"])
    except (OSError, ValueError, KeyError) as error:
        raise ReadError(
            f"{path.name}, which is no volume with its lungs ({type(error).__name__})",
            expected="an npz with `lung`, `spacing_mm`, and `hu` or `image`",
            action="Restore the file.",
        ) from error
    trusted = ~np.isin(np.arange(len(lung)), list(faulty))
    # Whoever marked the lungs may have left dense disease out of them.
    return AnnotatedVolume(
        hu.astype(np.int16), lung | lesion, lesion, (between, rows, columns), trusted
    )


def calibrate_volume(image: NDArray[np.uint8], lung: NDArray[np.bool_]) -> NDArray[np.int16]:
    """Greys of one lung window, whatever it was, as HU: room air to -1000, soft tissue to +40.

    Parameters
    ----------
    image : ndarray of uint8, shape (slices, rows, columns)
        As published.
    lung : ndarray of bool, same shape
        Both lungs.

    Returns
    -------
    ndarray of int16, same shape
    """
    air, tissue = volume_greys(image, lung)
    slope = (_TISSUE_HU - _AIR_HU) / (tissue - air)
    hu = _AIR_HU + (image.astype(np.float32) - air) * slope
    hu[image <= _FILL_GREY] = _FILL_HU
    return np.asarray(np.clip(np.rint(hu), -1024, 3071), dtype=np.int16)


def volume_greys(image: NDArray[np.uint8], lung: NDArray[np.bool_]) -> tuple[float, float]:
    """Greys of room air and of soft tissue in a volume of one lung window, with its lungs."""
    air = commonest_grey(image[image > _LEAST_AIR_GREY], _AIR_GREYS)
    return air, commonest_grey(image[~lung], _TISSUE_GREYS)


def commonest_grey(greys: NDArray[np.uint8], among: slice) -> float:
    """The commonest of some greys, counts smoothed over five."""
    counts = np.convolve(np.bincount(greys, minlength=256), np.ones(5), "same")
    return float(among.start + int(counts[among].argmax()))
