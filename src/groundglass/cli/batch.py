"""`groundglass batch`: many studies in, a report of each and a table out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from groundglass.cli import options
from groundglass.core.choices import DEFAULT_BUNDLE, Precision

_EPILOG = """[bold]Examples[/bold]

  groundglass batch archive/ --out reports

  groundglass batch cd1.zip cd2.zip scans/*.nii.gz --out reports --workers 4

  groundglass batch archive/ --out reports [dim]· again: only what is new or had no report[/dim]

[bold]Exit codes[/bold]  0 every study has a verdict · 1 some have none (the table says why), or \
nothing could be done, the reason is printed · 2 wrong use

Research use only. Not a medical device; not for diagnosis."""


app = typer.Typer(add_completion=False)


@app.command(epilog=_EPILOG)
def batch(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT...",
            exists=True,
            show_default=False,
            help="Folders (any nesting, any names), zip archives and files, of one or many "
            "studies each. DICOM, NIfTI or MetaImage.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="DIR",
            file_okay=False,
            show_default=False,
            help="Where reports and table go. Made if missing; must be empty or of an earlier "
            "batch.",
        ),
    ],
    bundle: options.BundleName = DEFAULT_BUNDLE,
    precision: options.PrecisionOption = Precision.AUTO,
    explain: options.Explain = None,
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            min=0,
            help="Processes, each with a study at a time, the networks and about 1 GB. 0: one per "
            "core, as far as memory goes.",
        ),
    ] = 0,
) -> None:
    """Analyse many studies and write the report of each.

    Looks through all INPUTs, tells studies apart by their Study Instance UID wherever their files
    lie (a NIfTI or MetaImage file is a study of its own), analyses several at once, and writes
    DIR/study-…/ as `run` does and DIR/outcomes.csv, a line a study. A study that cannot be analysed
    has its reason there; the others go on. Run again, it takes up where it stopped: studies whose
    reports are there are left alone.
    """
    from groundglass.cli.batching import Request, analyse

    raise typer.Exit(analyse(Request(tuple(inputs), out, bundle, precision, explain, workers)))
