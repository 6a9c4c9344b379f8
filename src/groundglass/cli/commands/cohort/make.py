"""`groundglass cohort split`, `import`, `join` and `phantom`: each makes a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from groundglass.cli import options
from groundglass.cli.commands.cohort.tables import Out, Table, refuse_taken, tell_cohort, write_new
from groundglass.cli.console import spinner
from groundglass.core.choices import DatasetName


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
    from groundglass.cohort import SplitSettings, read_cohort, split_cohort

    refuse_taken(out)
    settings = SplitSettings(validation, test, seed, folds, keep_test)
    write_new(split_cohort(read_cohort(table), settings), out)


def import_dataset(
    name: Annotated[
        DatasetName,
        typer.Argument(
            metavar="NAME",
            show_default=False,
            help="covid-ct-md, cc-ccii, covidx-ct, mosmed, stoic2021, cov19-ct-db, ucsd-covid-ct, "
            "finding-lungs, lung-volumes, lesion-slices, or folders for your own data.",
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
    from groundglass.cohort import importers, slices_of

    stated: dict[str, str] = {}
    for words in state or []:
        column, equals, value = words.partition("=")
        if not equals or not value:
            raise typer.BadParameter(f"--state {words}: expected COLUMN=VALUE.")
        stated[column.strip()] = value.strip()
    refuse_taken(out)
    with spinner("Listing studies"):
        settings = importers.ImportSettings(source, stated)
        imported = importers.import_dataset(name, folder, out, settings)
        cohort = slices_of(imported.cohort) if slices else imported.cohort
    terminal = write_new(cohort, out)
    for note in imported.notes:
        terminal.print(note)
    dataset = imported.dataset
    terminal.heading(dataset.title)
    terminal.print(f"  Licence: {dataset.licence}")
    if dataset.citation:
        terminal.print(f"  Cite: {dataset.citation}")


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
    from groundglass.cohort import join_cohorts, read_cohort

    refuse_taken(out)
    write_new(join_cohorts([read_cohort(table) for table in tables], out), out)


def phantom(
    out: Annotated[
        Path,
        options.out_folder(
            "Folder for the patients and cohort.csv. Made if missing; must be empty."
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
    from groundglass.cohort import PhantomCohortSettings, write_phantom_cohort
    from groundglass.phantom import LABELS

    counts = {
        split: dict(zip(LABELS, numbers, strict=True))
        for split, numbers in (("train", train), ("validation", validation), ("test", test))
    }
    with spinner("Drawing patients"):
        cohort = write_phantom_cohort(PhantomCohortSettings(counts, first_seed, matrix), out)
    tell_cohort(cohort, cohort.path)
