"""`groundglass phantom`: a synthetic study as DICOM files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundglass.cli.console import Terminal, spinner
from groundglass.core.choices import PhantomLabel

if TYPE_CHECKING:
    from groundglass.phantom import Phantom

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
        PhantomLabel,
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
    from groundglass.cli.output_folder import filling
    from groundglass.phantom import PhantomSettings, make_phantom, write_dicom_series

    settings = PhantomSettings(
        label=label,
        severity=severity,
        seed=seed,
        matrix=matrix,
        slice_count=slices,
        slice_spacing_mm=spacing,
    )
    with filling(out):
        with spinner("Making a synthetic patient"):
            made = make_phantom(settings)
            files = write_dicom_series(made, out)
        if truth is not None:
            with filling(truth):
                _write_truth(made, truth)
    terminal = Terminal()
    what = label + ("" if label == "healthy" else f" of {severity:g}")
    terminal.print(f"{len(files)} DICOM files of a synthetic study in {out}")
    terminal.print(f"{made.volume!r}: {what}, seed {seed}")
    if truth is not None:
        terminal.print(f"True masks in {truth}")


def _write_truth(phantom: Phantom, directory: Path) -> None:
    """Lung and lesion masks as NIfTI, (column, row, slice) in RAS+, on the DICOM series' grid."""
    import nibabel
    import numpy as np

    lps_to_ras = np.diag([-1.0, -1.0, 1.0, 1.0])
    affine = lps_to_ras @ phantom.volume.geometry.affine[:, [2, 1, 0, 3]]
    for name, mask in (("lung", phantom.lung), ("lesion", phantom.lesion)):
        voxels = mask.transpose(2, 1, 0).astype(np.uint8)
        image = nibabel.Nifti1Image(voxels, affine)  # type: ignore[no-untyped-call]
        nibabel.save(image, directory / f"{name}.nii.gz")
