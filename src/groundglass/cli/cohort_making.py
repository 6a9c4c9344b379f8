"""The whole of `groundglass cohort split`, `import`, `join` and `phantom`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from groundglass.cli.cohort_tables import tell_counts
from groundglass.cli.console import Terminal, spinner
from groundglass.cohort import (
    Cohort,
    PhantomCohortSettings,
    SplitSettings,
    join_cohorts,
    read_cohort,
    slices_of,
    split_cohort,
    write_cohort,
    write_phantom_cohort,
)
from groundglass.cohort.importers import ImportSettings, import_dataset
from groundglass.errors import ReportError


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for beside the data set and its folder.

    Parameters
    ----------
    source : str
        Word for the source.
    stated : mapping of str to str
        Columns about images.
    slices : bool
        One row a picture.
    """

    source: str
    stated: Mapping[str, str]
    slices: bool


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


def split(table: Path, out: Path, settings: SplitSettings) -> None:
    """Split a cohort and say how it came out."""
    refuse_taken(out)
    _write(split_cohort(read_cohort(table), settings), out)


def import_folder(name: str, folder: Path, out: Path, wish: Wish) -> None:
    """Make a table of a data set; say whose it is and what was left out."""
    refuse_taken(out)
    with spinner("Listing studies"):
        settings = ImportSettings(wish.source, wish.stated)
        imported = import_dataset(name, folder, out, settings)
        cohort = slices_of(imported.cohort) if wish.slices else imported.cohort
    terminal = _write(cohort, out)
    for note in imported.notes:
        terminal.print(note)
    dataset = imported.dataset
    terminal.heading(dataset.title)
    terminal.print(f"  Licence: {dataset.licence}")
    if dataset.citation:
        terminal.print(f"  Cite: {dataset.citation}")


def join(tables: Sequence[Path], out: Path) -> None:
    """Put tables one after the other."""
    refuse_taken(out)
    _write(join_cohorts([read_cohort(table) for table in tables], out), out)


def phantom(settings: PhantomCohortSettings, folder: Path) -> None:
    """Make patients and their table."""
    with spinner("Drawing patients"):
        cohort = write_phantom_cohort(settings, folder)
    _tell(cohort, cohort.path)


def _write(cohort: Cohort, out: Path) -> Terminal:
    write_cohort(cohort, out)
    return _tell(cohort, out)


def _tell(cohort: Cohort, out: Path) -> Terminal:
    terminal = Terminal()
    terminal.print(f"{len(cohort.cases)} rows, {len(cohort.patients)} patients in {out}")
    tell_counts(cohort.counts(), "split", terminal)
    return terminal
