"""One analysis of a study: what tells its results from those of any other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from groundglass.core.notes import Note, NoteKind
from groundglass.errors import SettingsError


class Completeness(StrEnum):
    """Whether all images of the study were there, by the word of an archive that has it."""

    #: Files as they were given: nobody asked for more.
    NOT_ASKED = "not asked"
    #: An archive lists these images and no others of these series.
    VERIFIED = "verified"
    #: No archive could be asked.
    NOT_VERIFIED = "not verified"
    #: An archive lists more images of a series than came.
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True)
class EarlierResult:
    """The result that an analysis replaces."""

    revision: int
    """Revision of the study it was made of."""
    at: datetime
    """When it was made, with its time zone."""
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    """`study_instance_uid`, `series_instance_uid`, `sop_class_uid`, `sop_instance_uid`: of its
    structured report; empty where it had none."""

    @property
    def words(self) -> str:
        """Which one, for a reader."""
        return f"revision {self.revision}, analysed {clock_words(self.at)}"


@dataclass(frozen=True, slots=True)
class Analysis:
    """When a study was analysed, as which revision, and what was known of its completeness."""

    at: datetime
    """When, with its time zone; the results hold whole seconds."""
    revision: int = 1
    """Of the study, from 1: one that grew is analysed again under the next number."""
    completeness: Completeness = Completeness.NOT_ASKED
    """Whether all of its images were there."""
    missing: Mapping[str, int] = field(default_factory=dict)
    """How many images of a series an archive lists that did not come, by Series Instance UID."""
    replaced: EarlierResult | None = None
    """What this one's results replace; None for a study's first."""

    def __post_init__(self) -> None:
        if self.revision < 1:
            raise SettingsError(
                f"revision {self.revision}",
                expected="a whole number from 1",
                action="Count the analyses of a study from 1.",
            )
        if self.at.tzinfo is None:
            raise SettingsError(
                "a time of analysis without a time zone",
                expected="one that is the same moment everywhere",
                action="Give a datetime with a tzinfo.",
            )
        object.__setattr__(self, "at", self.at.replace(microsecond=0))

    @classmethod
    def now(cls) -> Analysis:
        """The first analysis of files as they are, at this moment by the machine's clock."""
        return cls(datetime.now(UTC).astimezone())

    @property
    def words(self) -> str:
        """Which one, for a reader."""
        return f"Revision {self.revision}, analysed {clock_words(self.at)}"

    @property
    def notes(self) -> tuple[Note, ...]:
        """What a reader must know of it beside that."""
        return tuple(self._notes())

    @property
    def facts(self) -> list[object]:
        """Everything of it that decides what the results hold."""
        moment = self.at.astimezone(UTC).isoformat()
        earlier = None
        if self.replaced is not None:
            replaced = self.replaced
            earlier = [replaced.revision, replaced.at.isoformat(), replaced.sop_instance_uid]
        return [moment, self.revision, self.completeness.value, dict(self.missing), earlier]

    def _notes(self) -> Iterator[Note]:
        if self.completeness is Completeness.NOT_VERIFIED:
            yield Note(
                NoteKind.NOT_VERIFIED,
                "Completeness not verified: no archive could be asked how many images this study "
                "has. If more of it exists, this result is of a part.",
            )
        if self.missing:
            count, series = sum(self.missing.values()), len(self.missing)
            yield Note(
                NoteKind.INCOMPLETE,
                f"The study is not whole: {count} image{'s' if count > 1 else ''} of {series} "
                f"series that the archive lists did not come.",
            )
        if self.replaced is not None:
            yield Note(NoteKind.REPLACES, f"Replaces the result of {self.replaced.words}.")


def clock_words(at: datetime) -> str:
    """A moment for a reader: day, hour, minute and offset from UTC."""
    return f"{at:%Y-%m-%d %H:%M %z}"
