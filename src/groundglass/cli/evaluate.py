"""`groundglass evaluate`: a bundle on a cohort, with figures, intervals and a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from groundglass.cli import options
from groundglass.core.choices import DEFAULT_BUNDLE, Precision

_EPILOG = """[bold]Examples[/bold]

  groundglass evaluate cohort.csv --out evaluation

  groundglass evaluate cohort.csv --out evaluation --bundle ./mine --compare demonstration

  groundglass evaluate cohort.csv --out evaluation --probe --workers 4

  groundglass evaluate cohort.csv --out evaluation --resume [dim]· goes on with a broken run[/dim]

[bold]Exit codes[/bold]  0 evaluated · 1 refused or no verdict at all, the reason is printed · \
2 wrong use

Research use only. Not a medical device; not for diagnosis."""


app = typer.Typer(add_completion=False)


@app.command(epilog=_EPILOG)
def evaluate(
    cohort: Annotated[
        Path,
        typer.Argument(
            metavar="COHORT",
            exists=True,
            dir_okay=False,
            show_default=False,
            help="The table of patients.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="DIR",
            file_okay=False,
            show_default=False,
            help="Where the report goes: empty, missing, or with an earlier evaluation, which is "
            "replaced. Answers are kept in DIR.partial until it is whole.",
        ),
    ],
    bundle: options.BundleName = DEFAULT_BUNDLE,
    split: Annotated[
        Literal["train", "validation", "test", "all"],
        typer.Option("--split", help="Which cases; all also takes those without a split."),
    ] = "test",
    compare: Annotated[
        str | None,
        typer.Option(
            "--compare",
            metavar="NAME|DIR",
            show_default=False,
            help="A second bundle on the same studies, with paired tests.",
        ),
    ] = None,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe",
            help="Judge each study again with the lungs removed, flipped, shifted and thickened: "
            "finds a model that has learnt the source. Takes several times as long.",
        ),
    ] = False,
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="Processes; each loads the networks.")
    ] = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a broken run of the same evaluation.")
    ] = False,
    precision: options.PrecisionOption = Precision.AUTO,
) -> None:
    """Judge every study of a cohort and measure how good the verdicts are.

    COHORT is a table of patients (CSV or Parquet: patient, study, label, split, source). Writes
    DIR/report.html for people, DIR/evaluation.json for machines, the figures as PNG and
    DIR/predictions.csv, which names rows and no patients. Refuses a cohort that shares a patient or
    a study with the bundle's training data.
    """
    from groundglass.cli.evaluating import Request, run

    request = Request(cohort, out, bundle, compare, split, probe, workers, resume, precision)
    raise typer.Exit(run(request))
