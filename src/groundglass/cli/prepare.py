"""`groundglass prepare`: what the networks see, as PNG."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from groundglass.cli import options
from groundglass.core.choices import DEFAULT_BUNDLE, Precision

_EPILOG = """[bold]Example[/bold]

  groundglass prepare incoming/ --out seen

[bold]Exit codes[/bold]  0 written · 1 could not be prepared, the reason is printed · 2 wrong use

The PNGs show the patient's images: treat them as patient data."""


app = typer.Typer(add_completion=False)


@app.command(epilog=_EPILOG)
def prepare(
    source: options.Input,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="DIR",
            file_okay=False,
            show_default=False,
            help="Where the images go. Made if missing; must be empty.",
        ),
    ],
    bundle: options.BundleName = DEFAULT_BUNDLE,
    precision: options.PrecisionOption = Precision.AUTO,
    hu_scale: options.HuScale = None,
    window: options.Window = None,
    spacing: options.Spacing = None,
    first_slice: options.FirstSlice = None,
    first_row: options.FirstRow = None,
    first_column: options.FirstColumn = None,
) -> None:
    """Write what the networks see of a study as PNG, with the lung masks beside it.

    DIR/segmenter has every slice as the lung segmenter sees it, DIR/lungs the mask of every slice,
    DIR/classifier the slices that stayed, and DIR/slices.csv says what became of each slice and
    why. Files are named by the slice's index in the volume, as in result.json.
    """
    stack = options.stack_settings(
        (hu_scale, window), spacing, (first_slice, first_row, first_column)
    )
    from groundglass.cli.analysing import Request
    from groundglass.cli.preparing import write_prepared

    write_prepared(Request(source, out, bundle, precision, stack=stack))
