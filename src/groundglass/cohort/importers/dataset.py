"""What an importer is: a public data set's layout, read into entries, with its licence."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from groundglass.core.choices import DatasetName
from groundglass.errors import ReadError


@dataclass(frozen=True, slots=True)
class Entry:
    """One study as a data set lists it."""

    patient: str
    """As the data set names the person; never a slice."""
    study: Path
    """Where it lies."""
    label: str
    """Our word for the class."""
    split: str = ""
    """The data set's own split, or ""."""
    origin: str = ""
    """Where the data set itself has it from, if it is a collection; "" if not."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """What else it says."""
    person: str = ""
    """The word of another data set's cohort for the same person (`lung-volumes/medseg-2`); "" where
    none has it."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What an importer found."""

    entries: Sequence[Entry]
    """In any order."""
    notes: tuple[str, ...] = ()
    """What was left out or cannot be known, for the reader."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A public data set and how it is read."""

    name: DatasetName
    """What the command line calls it; also the source and the patients' prefix."""
    title: str
    url: str
    licence: str
    citation: str
    """`title`, `url`, `licence`, `citation`: whose it is. The licence as its holders state it."""
    labels: Mapping[str, str]
    """Their classes and ours."""
    layout: str
    """The folder to give, as it lies after download."""
    read: Callable[[Path], Listing]
    """Folder → Listing; raises ReadError where the layout is another."""


def folders_in(folder: Path) -> list[Path]:
    """Its folders, sorted, hidden ones left out; none where it is missing."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def files_in(folder: Path, *suffixes: str) -> list[Path]:
    """Its files with one of these endings, sorted; none where it is missing."""
    if not folder.is_dir():
        return []
    return sorted(
        p
        for p in folder.iterdir()
        if p.is_file() and not p.name.startswith(".") and p.name.lower().endswith(suffixes)
    )


def read_rows(path: Path, *columns: str) -> list[dict[str, str]]:
    """The rows of a CSV file that has these columns; cells without blanks around them.

    Raises
    ------
    ReadError
        It cannot be read, or a column is missing.
    """
    try:
        reader = csv.DictReader(io.StringIO(path.read_text("utf-8-sig"), newline=""))
        rows = [
            {str(key).strip(): (cell or "").strip() for key, cell in row.items() if key}
            for row in reader
        ]
        header = [name.strip() for name in reader.fieldnames or ()]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise another_layout(f"{path.name}, which cannot be read", "a CSV file") from error
    missing = [name for name in columns if name not in header]
    if missing:
        raise another_layout(
            f"{path.name} without the columns {', '.join(missing)}", ", ".join(columns)
        )
    return rows


def another_layout(found: str, expected: str) -> ReadError:
    """The refusal of a folder that is not laid out as the data set is."""
    return ReadError(
        found,
        expected=expected,
        action="Give the data set's own folder, as unpacked; docs/reference/public-datasets.md "
        "shows its layout.",
    )


def left_out(count: int, what: str) -> tuple[str, ...]:
    """A note about what was left out, if anything was."""
    return (f"{count} {what}",) if count else ()
