"""Options that several commands share, and what they become."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from groundglass.core.choices import Precision

if TYPE_CHECKING:
    from groundglass.read.image_stack.settings import ImageStackSettings

_STACK = "PNG, JPEG or TIFF images only (all are needed: nothing is guessed)"

Input = Annotated[
    Path,
    typer.Argument(
        metavar="INPUT",
        exists=True,
        show_default=False,
        help="The study: a folder (any nesting, any names), a zip archive or one file. "
        "DICOM, NIfTI, MetaImage, or PNG/JPEG/TIFF slices with the options below.",
    ),
]
BundleName = Annotated[
    str,
    typer.Option(
        "--bundle",
        metavar="NAME|DIR",
        help="Weights: a name that `groundglass models` lists, or a folder given with a slash "
        "(./my-bundle).",
    ),
]
PrecisionOption = Annotated[
    Precision,
    typer.Option(
        "--precision",
        help="Number format of the networks. auto is bf16 where the processor has it, else f32.",
    ),
]
Explain = Annotated[
    str | None,
    typer.Option(
        "--explain",
        metavar="LABEL",
        show_default=False,
        help="The class whose evidence is shown (heat, contributions), one of the bundle's. The "
        "verdict's unless given.",
    ),
]
HuScale = Annotated[
    tuple[float, float] | None,
    typer.Option(
        "--hu-scale",
        metavar="SLOPE INTERCEPT",
        show_default=False,
        rich_help_panel=_STACK,
        help="HU = SLOPE × value + INTERCEPT. `1 0` says that the values are HU.",
    ),
]
Window = Annotated[
    tuple[float, float] | None,
    typer.Option(
        "--window",
        metavar="CENTER WIDTH",
        show_default=False,
        rich_help_panel=_STACK,
        help="Instead of --hu-scale: the window, in HU, that made the 8-bit images.",
    ),
]
Spacing = Annotated[
    tuple[float, float, float] | None,
    typer.Option(
        "--spacing",
        metavar="SLICES ROWS COLUMNS",
        show_default=False,
        rich_help_panel=_STACK,
        help="Distance between slices, rows and columns in mm.",
    ),
]
FirstSlice = Annotated[
    Literal["head", "feet"] | None,
    typer.Option(
        "--first-slice",
        show_default=False,
        rich_help_panel=_STACK,
        help="The end at which the first image (by name) or page lies.",
    ),
]
FirstRow = Annotated[
    Literal["front", "back"] | None,
    typer.Option(
        "--first-row",
        show_default=False,
        rich_help_panel=_STACK,
        help="The side of the body at the upper edge; front in the usual view.",
    ),
]
FirstColumn = Annotated[
    Literal["right", "left"] | None,
    typer.Option(
        "--first-column",
        show_default=False,
        rich_help_panel=_STACK,
        help="The patient's side at the left edge; right in the usual view.",
    ),
]


def stack_settings(
    scale: tuple[tuple[float, float] | None, tuple[float, float] | None],
    spacing: tuple[float, float, float] | None,
    sides: tuple[
        Literal["head", "feet"] | None,
        Literal["front", "back"] | None,
        Literal["right", "left"] | None,
    ],
) -> ImageStackSettings | None:
    """What the image options say: all, or nothing.

    Parameters
    ----------
    scale : tuple
        `--hu-scale` and `--window`, of which one may be given.
    spacing : tuple of float or None
        `--spacing`, in mm.
    sides : tuple of str or None
        `--first-slice`, `--first-row`, `--first-column`.

    Raises
    ------
    typer.BadParameter
        Some are given and others missing.
    """
    hu_scale, window = scale
    if hu_scale is not None and window is not None:
        raise typer.BadParameter("--hu-scale and --window say the same thing; give one of them.")
    first_slice, first_row, first_column = sides
    given = {
        "--hu-scale or --window": hu_scale or window,
        "--spacing": spacing,
        "--first-slice": first_slice,
        "--first-row": first_row,
        "--first-column": first_column,
    }
    missing = [name for name, value in given.items() if value is None]
    if len(missing) == len(given):
        return None
    if spacing is None or first_slice is None or first_row is None or first_column is None:
        raise _incomplete(missing)
    from groundglass.read.image_stack.settings import (
        DisplayWindow,
        HounsfieldScale,
        ImageStackSettings,
    )

    if hu_scale is not None:
        meaning: HounsfieldScale | DisplayWindow = HounsfieldScale(*hu_scale)
    elif window is not None:
        meaning = DisplayWindow(*window)
    else:
        raise _incomplete(missing)
    return ImageStackSettings(meaning, spacing, first_slice, first_row, first_column)


def _incomplete(missing: list[str]) -> typer.BadParameter:
    return typer.BadParameter(
        f"PNG, JPEG or TIFF images need {', '.join(missing)} too; nothing about them is guessed."
    )
