"""Options that several commands share, and what they become."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

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
CohortTable = Annotated[
    Path,
    typer.Argument(
        metavar="COHORT",
        exists=True,
        dir_okay=False,
        show_default=False,
        help="The table of patients.",
    ),
]
CohortSplit = Annotated[
    Literal["train", "validation", "test", "all"],
    typer.Option("--split", help="Which cases; all also takes those without a split."),
]
JudgingWorkers = Annotated[
    int, typer.Option("--workers", min=1, help="Processes; each loads the networks.")
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


def out_folder(what: str) -> Any:
    """The option `--out` of a command that fills a folder; `what` says with what."""
    return typer.Option("--out", metavar="DIR", file_okay=False, show_default=False, help=what)


@dataclass(frozen=True, slots=True)
class StackOptions:
    """What the image options say, each None where it was not given."""

    hu_scale: tuple[float, float] | None
    window: tuple[float, float] | None
    spacing: tuple[float, float, float] | None
    first_slice: Literal["head", "feet"] | None
    first_row: Literal["front", "back"] | None
    first_column: Literal["right", "left"] | None

    def settings(self) -> ImageStackSettings | None:
        """What they mean together; None where none was given.

        Raises
        ------
        typer.BadParameter
            Some are given and others missing.
        """
        if self.hu_scale is not None and self.window is not None:
            raise typer.BadParameter(
                "--hu-scale and --window say the same thing; give one of them."
            )
        given = {
            "--hu-scale or --window": self.hu_scale or self.window,
            "--spacing": self.spacing,
            "--first-slice": self.first_slice,
            "--first-row": self.first_row,
            "--first-column": self.first_column,
        }
        missing = [name for name, value in given.items() if value is None]
        if len(missing) == len(given):
            return None
        if missing:
            raise typer.BadParameter(
                f"PNG, JPEG or TIFF images need {', '.join(missing)} too; nothing about them is "
                "guessed."
            )
        from groundglass.read.image_stack.settings import (
            DisplayWindow,
            HounsfieldScale,
            ImageStackSettings,
        )

        values = cast("Any", list(given.values()))  # none is None any more
        meaning = HounsfieldScale if self.hu_scale else DisplayWindow
        return ImageStackSettings(meaning(*values[0]), *values[1:])
