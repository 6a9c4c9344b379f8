"""`groundglass phantom`: a synthetic study as DICOM files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

#: The labels of `groundglass.phantom.LABELS`, whose import would slow `--help`.
Label = Literal["CP", "NCP", "healthy"]

_EPILOG = """[bold]Examples[/bold]

  groundglass phantom study --label CP --severity 0.8 --seed 7

  groundglass phantom thick --label NCP --slices 40 --spacing 8 --matrix 256

  groundglass phantom study --label CP --truth truth [dim]· lung and lesion masks as NIfTI[/dim]

[bold]Exit codes[/bold]  0 written · 1 could not be written · 2 wrong use"""


app = typer.Typer(add_completion=False)


@app.command(epilog=_EPILOG)
def phantom(
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            file_okay=False,
            show_default=False,
            help="Folder for the DICOM files, one a slice. Made if missing; must be empty.",
        ),
    ],
    label: Annotated[
        Label,
        typer.Option(
            help="COVID-19 pneumonia (CP), other pneumonia (NCP) or healthy.",
        ),
    ] = "CP",
    severity: Annotated[
        float,
        typer.Option(
            min=0.0, max=1.0, help="0 barely visible, 1 most of the lung. Not for healthy."
        ),
    ] = 0.5,
    seed: Annotated[int, typer.Option(min=0, help="Decides person, scanner and disease.")] = 0,
    slices: Annotated[
        int | None,
        typer.Option(min=1, max=2000, help="Number of slices. Without it the seed decides."),
    ] = None,
    spacing: Annotated[
        float | None,
        typer.Option(
            min=0.1, max=50.0, help="Distance of the slices in mm. Without it the seed decides."
        ),
    ] = None,
    matrix: Annotated[
        int, typer.Option(min=64, max=1024, help="Rows and columns of a slice.")
    ] = 512,
    truth: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            file_okay=False,
            help="Also write lung.nii.gz and lesion.nii.gz, the true masks, into this folder.",
        ),
    ] = None,
) -> None:
    """Write a synthetic chest CT as a DICOM series.

    Nobody's data: free to share, to send to a test PACS, to try the program on. The same options
    always give the same files. Person, scanner and disease come from the seed: two phantoms of one
    seed and different labels are the same person on the same scanner.
    """
    from groundglass.cli.making import make
    from groundglass.phantom import PhantomSettings

    settings = PhantomSettings(
        label=label,
        severity=severity,
        seed=seed,
        matrix=matrix,
        slice_count=slices,
        slice_spacing_mm=spacing,
    )
    make(settings, out, truth)
