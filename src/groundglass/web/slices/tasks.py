"""What the page asks of the process that reads studies, and what it answers.

What came over the network is parsed there alone. Slices are numbered as the report numbers them,
from the head, the topmost is 1; images are axial, seen from the feet (`Volume.to_axial`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StudySource:
    """A study on disk, whose report is whole."""

    files: tuple[Path, ...]
    """The instances of the revision that was analysed."""
    report: Path
    """Folder of its report."""


@dataclass(frozen=True, slots=True)
class Identify:
    """Ask whose study a file is of; answered by `Identity`."""

    file: Path


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose study it is, as its header says; what is missing is empty."""

    patient_name: str = ""
    patient_id: str = ""
    birth_date: str = ""
    study_date: str = ""
    accession_number: str = ""
    study_description: str = ""


@dataclass(frozen=True, slots=True)
class Open:
    """Have a study ready before somebody asks for it, answered by no bytes."""

    source: StudySource


@dataclass(frozen=True, slots=True)
class Preview:
    """Ask for a slice through the lung window, answered by bytes of a JPEG."""

    source: StudySource
    number: int


@dataclass(frozen=True, slots=True)
class Pixels:
    """Ask for a slice's HU, answered by `SlicePixels`."""

    source: StudySource
    number: int


@dataclass(frozen=True, slots=True)
class SlicePixels:
    """One slice."""

    rows: int
    columns: int
    hu: bytes
    """HU as 16-bit little-endian whole numbers, row by row."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Ask for what the report holds of a slice, answered by `SliceEvidence`."""

    source: StudySource
    number: int


@dataclass(frozen=True, slots=True)
class SliceEvidence:
    """What lies over a slice."""

    outline: tuple[tuple[float, ...], ...]
    """Closed lines around the lungs: column, row, column, row, … in pixels, where the first pixel's
    corner is (0, 0)."""
    heat: bytes
    """A PNG of the slice's size; empty where no heat is drawn."""


@dataclass(frozen=True, slots=True)
class Unshown:
    """The answer where there is nothing to show."""

    reason: str
    """Why, in words that name nobody."""


Task = Identify | Open | Preview | Pixels | Evidence
