"""Columns that say what a stack of images does not say about itself."""

from __future__ import annotations

from typing import Any, cast

from groundglass.cohort.case import Case
from groundglass.errors import InputError, ReadError, SettingsError
from groundglass.read.image_stack.stack import DisplayWindow, HounsfieldScale, ImageStackSettings

#: 8-bit images: the window that made them.
WINDOW = ("window_center_hu", "window_width_hu")
#: Other images: HU = slope × value + intercept.
SCALE = ("rescale_slope", "rescale_intercept_hu")
SPACING = ("spacing_slices_mm", "spacing_rows_mm", "spacing_columns_mm")
SIDES = ("first_slice", "first_row", "first_column")
#: Every column that describes images.
STACK_COLUMNS = (*WINDOW, *SCALE, *SPACING, *SIDES)


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
