"""What reading asks of a format of files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from groundglass.core.study import Instance, Rejection, Series, SourceKind
from groundglass.core.volume import Volume
from groundglass.read.candidates import Candidate, SelectionSettings
from groundglass.read.dicom.stacks.grid import AssemblySettings
from groundglass.read.image_stack.settings import ImageStackSettings
from groundglass.read.sources import Entry, Sources

Progress = Callable[[int, int], None]
#: Where a file lies, and which member of an archive it is.
Place = tuple[Path, int | None]


@dataclass(frozen=True, slots=True)
class FoundFiles:
    """The files of one format in an input."""

    instances: Sequence[tuple[str, Instance]]
    """What each holds, with the name messages use; sorted by it."""
    unread: Sequence[str]
    """Names of files, of whatever format, that cannot be used."""
    stack: ImageStackSettings | None
    """What images do not say about themselves."""
    sources: Sources
    """Opens files."""


@dataclass(frozen=True, slots=True)
class SeriesFound:
    """What series the files of one format make, in any order.

    Beside them the files that are in none, and those of no format of their own that belong to one.
    """

    series: tuple[Series, ...] = ()
    rejected: tuple[Rejection, ...] = ()
    used: frozenset[Place] = frozenset()


@dataclass(frozen=True, slots=True)
class StudyIdentity:
    """Which study a file is of: equal keys are one study.

    The UID is empty where the file is a study of its own; `used` are files of no format of their
    own that belong to it.
    """

    key: str
    study_instance_uid: str = ""
    used: frozenset[Place] = frozenset()


class Format(Protocol):
    """One format: whose files it knows, what series they make, and how those become volumes."""

    @property
    def kinds(self) -> frozenset[SourceKind]:
        """What its series are."""

    def recognises(self, head: bytes, /) -> bool:
        """Whether a file is of this format, by its first bytes."""

    def read(self, entry: Entry, sources: Sources, head: bytes, /) -> Instance:
        """What a file holds, by its header; a ReadError says why it cannot be used."""

    def identify(self, entry: Entry, sources: Sources, head: bytes, /) -> StudyIdentity:
        """Which study a file is of; a ReadError where it does not say."""

    def sort(self, found: FoundFiles) -> SeriesFound:
        """The series that the files of an input make, and those that are in none."""

    def assess(self, series: Series, name: str, settings: SelectionSettings, /) -> Candidate | str:
        """One stack as a candidate for the chest CT, or why it is none."""

    def decode(
        self, series: Series, settings: AssemblySettings, progress: Progress | None, /
    ) -> Volume:
        """A series as a volume; an AssemblyError says why it is none."""
