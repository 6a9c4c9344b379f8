"""A folder of pictures as a volume, where the table states what pictures do not say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from groundglass.cohort.files import files_below
from groundglass.cohort.images import read_image
from groundglass.core.geometry import Geometry
from groundglass.core.volume import Volume
from groundglass.errors import ReadError
from groundglass.read.hounsfield import store_hu
from groundglass.read.image_stack.stack import DisplayWindow, ImageStackSettings, natural_order


def read_stack(folder: Path, settings: ImageStackSettings) -> Volume:
    """PNG, JPEG or TIFF pictures of one size, ordered by name, as a `Volume`.

    Unlike `read_study`, which serves the clinic, this takes colours for their brightness and leaves
    transparency out: public sets come so. What they have lost stays lost.

    Parameters
    ----------
    folder : Path
        One picture a slice; numbers in names count as numbers.
    settings : ImageStackSettings
        Scale, spacing and sides.

    Raises
    ------
    ReadError
        A picture is damaged, of another size, or does not fit the stated window.
    """
    files = sorted(files_below(folder), key=lambda file: natural_order(file.as_posix()))
    slope, intercept = settings.rescale
    window = isinstance(settings.scale, DisplayWindow)
    planes: list[NDArray[np.float32]] = []
    notes: set[str] = set()
    for file in files:
        pixels = read_image(file, least_bits=8)
        if pixels.shape != (planes[0] if planes else pixels).shape:
            raise _unfit("pictures of different sizes")
        if window and pixels.dtype != np.uint8:
            raise _unfit(f"{pixels.dtype} pictures with a display window")
        planes.append(np.empty(pixels.shape, np.float32))
        notes |= store_hu(pixels, slope, intercept, planes[-1])
    if window:
        notes.add(f"HU known only within the window ({intercept:g} to "
                  f"{intercept + 255 * slope:g} HU).")  # fmt: skip
    hu = np.stack(planes)
    shape = (hu.shape[0], hu.shape[1], hu.shape[2])
    geometry = Geometry(shape, settings.spacing_mm, (0.0, 0.0, 0.0), settings.directions)
    return Volume(hu, geometry, notes=tuple(sorted(notes)))


def _unfit(found: str) -> ReadError:
    return ReadError(
        found,
        expected="pictures of one size, of 8 bits where a window is stated",
        action="Give the pictures of one scan alone, and state a rescale for 16 bits.",
    )
