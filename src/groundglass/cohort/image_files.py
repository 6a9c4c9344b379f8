"""Pictures in files, alone or as a stack, and what the table must state about a stack."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from groundglass.cohort.case import Case
from groundglass.core.geometry import Geometry
from groundglass.core.volume import Volume
from groundglass.errors import InputError, ReadError, SettingsError
from groundglass.read.hounsfield import store_hu
from groundglass.read.image_stack.pictures import decode, is_picture, pictures_in
from groundglass.read.image_stack.settings import DisplayWindow, HounsfieldScale, ImageStackSettings
from groundglass.read.image_stack.stack import natural_order
from groundglass.read.limits import LIMITS

#: 8-bit images: the window that made them.
WINDOW = ("window_center_hu", "window_width_hu")
#: Other images: HU = slope × value + intercept.
SCALE = ("rescale_slope", "rescale_intercept_hu")
SPACING = ("spacing_slices_mm", "spacing_rows_mm", "spacing_columns_mm")
SIDES = ("first_slice", "first_row", "first_column")
#: Every column that describes images.
STACK_COLUMNS = (*WINDOW, *SCALE, *SPACING, *SIDES)
#: Shares of red, green and blue in brightness (ITU-R BT.601).
_LUMA = np.array([0.299, 0.587, 0.114])


def files_below(folder: Path) -> list[Path]:
    """The files in a folder and the folders in it, hidden ones left out, sorted."""
    return sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))


def read_image(path: Path, *, least_bits: int = 1) -> NDArray[Any]:
    """A picture as grey values; colours become their brightness, transparency is left out.

    Parameters
    ----------
    path : Path
        PNG, JPEG or TIFF of one page.
    least_bits : int
        Bits a pixel must have: 8 for what a CT shows, 1 for a mask.

    Returns
    -------
    ndarray of uint8, uint16 or int16, shape (rows, columns)

    Raises
    ------
    ReadError
        It cannot be read, is damaged, or is no single picture.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LIMITS.encoded_bytes)
    except OSError as error:
        raise _unfit_picture(f"an image that cannot be read ({error.strerror})") from error
    if not is_picture(data):
        raise _unfit_picture("a file that is no PNG, JPEG or TIFF image")
    picture, *more = pictures_in(data)
    if more:
        raise _unfit_picture(f"an image file of {1 + len(more)} pictures")
    if picture.bits < least_bits:
        raise _unfit_picture(f"an image of {picture.bits} bits a pixel")
    pixels = decode(data, picture)
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):  # the last channel is transparency
        pixels = pixels[..., :-1]
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim == 3 and pixels.shape[2] == 3:
        pixels = np.round(pixels @ _LUMA).astype(pixels.dtype)
    if pixels.ndim != 2 or pixels.dtype not in (np.uint8, np.uint16, np.int16):
        raise _unfit_picture(f"pixels of shape {pixels.shape} and type {pixels.dtype}")
    return pixels


def _unfit_picture(found: str) -> ReadError:
    return ReadError(
        found,
        expected="one complete PNG, JPEG or TIFF picture of 8 or 16 bits",
        action="Export it again, or leave the row out.",
    )


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
            raise _unfit_stack("pictures of different sizes")
        if window and pixels.dtype != np.uint8:
            raise _unfit_stack(f"{pixels.dtype} pictures with a display window")
        planes.append(np.empty(pixels.shape, np.float32))
        notes |= store_hu(pixels, slope, intercept, planes[-1])
    if window:
        notes.add(f"HU known only within the window ({intercept:g} to "
                  f"{intercept + 255 * slope:g} HU).")  # fmt: skip
    hu = np.stack(planes)
    shape = (hu.shape[0], hu.shape[1], hu.shape[2])
    geometry = Geometry(shape, settings.spacing_mm, (0.0, 0.0, 0.0), settings.directions)
    return Volume(hu, geometry, notes=tuple(sorted(notes)))


def _unfit_stack(found: str) -> ReadError:
    return ReadError(
        found,
        expected="pictures of one size, of 8 bits where a window is stated",
        action="Give the pictures of one scan alone, and state a rescale for 16 bits.",
    )


def stack_settings(case: Case) -> ImageStackSettings:
    """What a row says about its images: all that is needed, or a refusal.

    Parameters
    ----------
    case : Case
        With the columns `window_center_hu, window_width_hu` or `rescale_slope,
        rescale_intercept_hu`; `spacing_slices_mm, spacing_rows_mm, spacing_columns_mm`;
        `first_slice` (head, feet), `first_row` (front, back), `first_column` (right, left).

    Raises
    ------
    InputError
        Something is missing or makes no sense; nothing is guessed.
    """
    given = {name for name in STACK_COLUMNS if case.extra.get(name)}
    scale = SCALE if given & set(SCALE) else WINDOW
    missing = [name for name in (*scale, *SPACING, *SIDES) if name not in given]
    if missing or (given & set(SCALE) and given & set(WINDOW)):
        raise ReadError(
            f"an image stack whose row does not state {', '.join(missing)}"
            if missing
            else "an image stack with both a window and a rescale",
            expected=f"{' and '.join(WINDOW)} or {' and '.join(SCALE)}, the spacing and the sides",
            action="State them as columns if they are known for certain, or use the DICOM files; "
            "nothing about images is guessed.",
        )
    first, second = (_number(case, name) for name in scale)
    meaning = DisplayWindow if scale is WINDOW else HounsfieldScale
    slices, rows, columns = (_number(case, name) for name in SPACING)
    sides = cast("Any", [case.extra[name] for name in SIDES])
    try:
        return ImageStackSettings(meaning(first, second), (slices, rows, columns), *sides)
    except SettingsError as error:
        raise InputError(error.found, expected=error.expected, action=error.action) from error


def _number(case: Case, name: str) -> float:
    try:
        return float(case.extra[name])
    except ValueError as error:
        raise InputError(
            f"{case.extra[name]!r} as {name}", expected="a number", action="Correct the cell."
        ) from error
