"""What a check of a cohort found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from groundglass.cohort.case import Cohort


class FindingKind(StrEnum):
    """What is wrong."""

    MISSING = "missing-study"
    UNREADABLE = "unreadable-study"
    UNKNOWN_LABEL = "unknown-label"
    EMPTY_CLASS = "empty-class"
    PATIENT_IN_SPLITS = "patient-in-two-splits"
    PATIENT_WITH_LABELS = "patient-with-two-labels"
    SAME_PIXELS = "same-pixels"
    SHARED_SLICES = "shared-slices"
    REPEATED = "repeated-study"
    CLASS_OF_ONE_SOURCE = "class-of-one-source"
    SOURCE_OF_ONE_CLASS = "source-of-one-class"


class Severity(StrEnum):
    """Whether training or evaluating would be wrong, or needs to be thought about."""

    ERROR = "error"
    WARNING = "warning"


#: Kinds that make their own rows useless, whatever the other rows are.
_ROW_UNUSABLE = frozenset((FindingKind.MISSING, FindingKind.UNREADABLE, FindingKind.UNKNOWN_LABEL))


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a check found."""

    kind: FindingKind
    """What."""
    severity: Severity
    """An error makes figures wrong; a warning is to be judged."""
    rows: tuple[int, ...]
    """Rows of the table, ascending; empty when it is about all of them."""
    words: str
    """For the reader, without names of patients or files."""


@dataclass(frozen=True, slots=True)
class CohortReport:
    """What a check of a cohort found."""

    cases: int
    patients: int
    """`cases`, `patients`: how many."""
    counts: Mapping[str, Mapping[str, int]]
    """Patients per split and class."""
    sources: Mapping[str, Mapping[str, int]]
    """Patients per source and class."""
    opened: bool
    """Whether the studies were opened; else nothing is known of their pixels."""
    findings: tuple[Finding, ...]
    """Errors first, then by row."""

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that are errors."""
        return tuple(f for f in self.findings if f.severity is Severity.ERROR)

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return not self.errors

    @property
    def unusable_rows(self) -> frozenset[int]:
        """Rows whose study is missing or cannot be opened, or whose label is unknown."""
        return frozenset(row for f in self.findings if f.kind in _ROW_UNUSABLE for row in f.rows)

    def usable(self, cohort: Cohort) -> Cohort:
        """The cohort without its unusable rows; leaks and empty classes stay as they are."""
        bad = self.unusable_rows
        return replace(cohort, cases=tuple(case for case in cohort.cases if case.row not in bad))

    def to_json(self) -> dict[str, object]:
        """The report as JSON's types."""
        return {
            "ok": self.ok,
            "cases": self.cases,
            "patients": self.patients,
            "studies_opened": self.opened,
            "patients_per_split_and_class": {k: dict(v) for k, v in self.counts.items()},
            "patients_per_source_and_class": {k: dict(v) for k, v in self.sources.items()},
            "findings": [
                {
                    "kind": f.kind.value,
                    "severity": f.severity.value,
                    "rows": list(f.rows),
                    "words": f.words,
                }
                for f in self.findings
            ],
        }
