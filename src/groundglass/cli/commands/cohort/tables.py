"""Tables of patients as options, as files and as counts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundglass.cli.console import Terminal
from groundglass.errors import ReportError

if TYPE_CHECKING:
    from groundglass.cohort import Cohort

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


def refuse_taken(table: Path) -> None:
    """Refuse to write over a file.

    Raises
    ------
    ReportError
        It is there.
    """
    if table.exists():
        raise ReportError(
            f"a file at {table}",
            expected="a name not yet taken",
            action="Give another name, or remove it; nothing of yours is ever overwritten.",
        )


def write_new(cohort: Cohort, out: Path) -> Terminal:
    """Write a cohort and say what is in it."""
    from groundglass.cohort import write_cohort

    write_cohort(cohort, out)
    return tell_cohort(cohort, out)


def tell_cohort(cohort: Cohort, path: Path) -> Terminal:
    """Say how many patients of which class a table has in which split."""
    terminal = Terminal()
    terminal.print(f"{len(cohort.cases)} rows, {len(cohort.patients)} patients in {path}")
    tell_counts(cohort.counts(), "split", terminal)
    return terminal


def tell_counts(counts: Mapping[str, Mapping[str, int]], corner: str, terminal: Terminal) -> None:
    """A table of patients: one line a split or source, one column a class, and their sums.

    Parameters
    ----------
    counts : mapping of str to mapping of str to int
        Patients per line and column.
    corner : str
        What the lines are.
    terminal : Terminal
        Who says it.
    """
    labels = list(next(iter(counts.values()), {}))
    lines = [[corner, *labels, "patients"]]
    for name, row in counts.items():
        numbers = [row[label] for label in labels]
        lines.append([name or "(none)", *map(str, numbers), str(sum(numbers))])
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    for line in lines:
        cells = [
            cell.ljust(width) if k == 0 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        terminal.print("  " + "  ".join(cells))
