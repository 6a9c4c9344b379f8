"""`groundglass cohort`: tables of patients, checked, split, imported, joined, made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from groundglass.core.choices import DatasetName

_HELP = (
    "Tables of patients for training and evaluating: check, split, import, join and make them.\n\n"
    "A cohort is a CSV or Parquet table with the columns patient, study, label, split and source. "
    "Studies stay where they are."
)
_EPILOG = """[bold]Examples[/bold]

  groundglass cohort phantom --out made [dim]· patients to try everything on[/dim]

  groundglass cohort import covid-ct-md downloads/COVID-CT-MD --out md.csv

  groundglass cohort split md.csv --out split.csv --validation 0.1 --test 0.2 --seed 7

  groundglass cohort check split.csv --labels CP,NCP,healthy

[bold]Exit codes[/bold]  0 done, and `check` found no error · 1 errors found, or could not be \
done; the reason is printed · 2 wrong use"""

Table = Annotated[
    Path,
    typer.Argument(
        metavar="TABLE",
        exists=True,
        dir_okay=False,
        show_default=False,
        help="The cohort: .csv or .parquet.",
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        "--out",
        metavar="TABLE",
        dir_okay=False,
        show_default=False,
        help="Where the table goes: .csv or .parquet. Must not be there yet.",
    ),
]


app = typer.Typer(help=_HELP, epilog=_EPILOG, no_args_is_help=True, add_completion=False)


@app.command()
def check(
    table: Table,
    labels: Annotated[
        str,
        typer.Option(
            metavar="A,B,C",
            show_default="those of the table",
            help="The classes there should be, separated by commas.",
        ),
    ] = "",
    table_only: Annotated[
        bool,
        typer.Option("--table-only", help="Open no study: pixels are neither read nor compared."),
    ] = False,
    workers: Annotated[
        int,
        typer.Option(min=0, help="Studies opened at once; 0 for one per processor."),
    ] = 0,
    usable: Annotated[
        Path | None,
        typer.Option(
            "--usable",
            metavar="TABLE",
            dir_okay=False,
            help="Write the rows that can be used: without missing and unreadable studies and "
            "unknown labels.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON alone on standard output.")
    ] = False,
) -> None:
    """Find what is missing, damaged or leaking, and classes told by their source.

    Rows are named, patients never. A header is row 1, as in a spreadsheet.
    """
    from groundglass.cli.cohort_checking import Check, check

    wanted = tuple(label.strip() for label in labels.split(",") if label.strip())
    settings = Check(wanted, opened=not table_only, workers=workers, usable=usable, as_json=as_json)
    raise typer.Exit(check(table, settings))


@app.command()
def split(
    table: Table,
    out: Out,
    validation: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of each class's patients.")
    ] = 0.1,
    test: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of each class's patients.")
    ] = 0.2,
    seed: Annotated[int, typer.Option(help="Another seed gives another split.")] = 0,
    folds: Annotated[
        int,
        typer.Option(min=0, help="Also write a column `fold`, 1 to so many, for cross-validation."),
    ] = 0,
    keep_test: Annotated[
        bool,
        typer.Option("--keep-test", help="Keep the table's test split; give --test 0 with it."),
    ] = False,
) -> None:
    """Split by patient: stratified by class and source, the same for any order of rows."""
    from groundglass.cli import cohort_making
    from groundglass.cohort import SplitSettings

    cohort_making.split(table, out, SplitSettings(validation, test, seed, folds, keep_test))


@app.command("import")
def import_dataset(
    name: Annotated[
        DatasetName,
        typer.Argument(
            metavar="NAME",
            show_default=False,
            help="covid-ct-md, cc-ccii, covidx-ct, mosmed, stoic2021, cov19-ct-db, ucsd-covid-ct, "
            "finding-lungs, or folders for your own data.",
        ),
    ],
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            exists=True,
            file_okay=False,
            show_default=False,
            help="The data set, as unpacked.",
        ),
    ],
    out: Out,
    source: Annotated[
        str,
        typer.Option(show_default="NAME", help="The word for the column `source`: the hospital."),
    ] = "",
    state: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=VALUE",
            help="What you know for certain of images that do not say it, such as "
            "window_center_hu=-600. May be given several times.",
        ),
    ] = None,
    slices: Annotated[
        bool,
        typer.Option("--slices", help="One row for each picture of an image stack."),
    ] = False,
) -> None:
    """Make a cohort of a downloaded data set. Nothing is downloaded, no study is opened."""
    from groundglass.cli import cohort_making

    stated: dict[str, str] = {}
    for words in state or []:
        column, equals, value = words.partition("=")
        if not equals or not value:
            raise typer.BadParameter(f"--state {words}: expected COLUMN=VALUE.")
        stated[column.strip()] = value.strip()
    cohort_making.import_folder(name, folder, out, cohort_making.Wish(source, stated, slices))


@app.command()
def join(
    tables: Annotated[
        list[Path],
        typer.Argument(
            metavar="TABLE...",
            exists=True,
            dir_okay=False,
            show_default=False,
            help="The cohorts, in the order in which their rows shall come.",
        ),
    ],
    out: Out,
) -> None:
    """Put several tables into one; paths stay right."""
    from groundglass.cli import cohort_making

    cohort_making.join(tables, out)


@app.command()
def phantom(
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="DIR",
            file_okay=False,
            show_default=False,
            help="Folder for the patients and cohort.csv. Made if missing; must be empty.",
        ),
    ],
    train: Annotated[
        tuple[int, int, int],
        typer.Option(metavar="CP NCP HEALTHY", help="Patients to train on."),
    ] = (85, 86, 71),
    validation: Annotated[
        tuple[int, int, int],
        typer.Option(metavar="CP NCP HEALTHY", help="Patients to validate on."),
    ] = (10, 10, 8),
    test: Annotated[
        tuple[int, int, int],
        typer.Option(metavar="CP NCP HEALTHY", help="Patients to test on."),
    ] = (25, 33, 20),
    first_seed: Annotated[
        int, typer.Option(min=0, help="Seed of the first patient; each further has the next.")
    ] = 100_000,
    matrix: Annotated[
        int, typer.Option(min=64, max=1024, help="Rows and columns of a slice.")
    ] = 256,
) -> None:
    """Make a cohort of synthetic patients: the paper's size, unless told otherwise.

    Each is a small file that is rendered when it is read. Severity, slice spacing, body and scanner
    come from the seed alone, so nothing but the disease tells the class.
    """
    from groundglass.cli import cohort_making
    from groundglass.cohort import PhantomCohortSettings
    from groundglass.phantom import LABELS

    counts = {
        split: dict(zip(LABELS, numbers, strict=True))
        for split, numbers in (("train", train), ("validation", validation), ("test", test))
    }
    cohort_making.phantom(PhantomCohortSettings(counts, first_seed, matrix), out)
