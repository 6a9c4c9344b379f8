"""`groundglass demo`: a report on a made-up patient, in one command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from groundglass.cli import options

_EPILOG = """[bold]Examples[/bold]

  groundglass demo [dim]· then open demo/report/report.html[/dim]

  groundglass demo --out another --seed 8

[bold]Exit codes[/bold]  0 verdict · 1 could not analyse · 2 wrong use

Research use only. Not a medical device; not for diagnosis."""


app = typer.Typer(add_completion=False)


@app.command(epilog=_EPILOG)
def demo(
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            file_okay=False,
            help="Gets the DICOM files in DIR/study and the report in DIR/report. Must be empty, "
            "missing or of an earlier demo, which is replaced.",
        ),
    ] = Path("demo"),
    seed: Annotated[int, typer.Option(min=0, help="Another seed makes another patient.")] = 1,
    bundle: options.BundleName = options.SHIPPED,
) -> None:
    """Make a synthetic patient, analyse the study as you would yours, and write the report.

    Needs no data and no network. The patient has COVID-19 pneumonia because the program made it so;
    whether the verdict says so is for you to see.
    """
    from groundglass.cli.demonstrating import demonstrate

    raise typer.Exit(demonstrate(out, seed, bundle))
