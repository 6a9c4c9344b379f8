"""Whether a cohort can be trusted: what is missing, what leaks, what gives the class away."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from groundglass.cohort.case import Case, Cohort
from groundglass.cohort.checks.cohort_report import CohortReport, Finding, FindingKind, Severity
from groundglass.cohort.checks.pixels import Examined, examine, pixel_findings
from groundglass.cohort.table import PATH_COLUMNS
from groundglass.core.cores import usable_cores
from groundglass.core.quiet import quietly
from groundglass.errors import SettingsError

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """What to check."""

    labels: tuple[str, ...] = ()
    """The classes there should be; with none given, those that the table has."""
    open_studies: bool = True
    """Open every study and compare pixels. Without it only the table is checked, and whether the
    studies are there."""
    workers: int = 0
    """Studies opened at once; 0 for one per processor. Each may hold a volume in memory."""

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise SettingsError(
                f"{self.workers} workers", expected="0 or more", action="Give 0 for the default."
            )


def check_cohort(
    cohort: Cohort, settings: CheckSettings, progress: Progress | None = None
) -> CohortReport:
    """Check a cohort; what is wrong with it is in the report, with the rows.

    Parameters
    ----------
    cohort : Cohort
        From `read_cohort`.
    settings : CheckSettings
        What to check.
    progress : callable, optional
        Called with (studies opened, studies in all).

    Returns
    -------
    CohortReport
    """
    findings = [
        *_missing(cohort),
        *_unknown_labels(cohort, settings.labels),
        *_empty_classes(cohort, settings.labels),
        *_torn_patients(cohort),
        *_source_shortcuts(cohort),
    ]
    if settings.open_studies:
        examined = _examine_all(cohort, settings, progress)
        findings += [
            Finding(FindingKind.UNREADABLE, Severity.ERROR, (one.case.row,), one.problem)
            for one in examined
            if one.problem
        ]
        findings += pixel_findings([one for one in examined if not one.problem])
    return CohortReport(
        cases=len(cohort.cases),
        patients=len(cohort.patients),
        counts=cohort.counts(),
        sources=_source_table(cohort.cases, cohort.labels),
        opened=settings.open_studies,
        findings=tuple(sorted(findings, key=lambda f: (f.severity, f.rows, f.kind, f.words))),
    )


def _examine_all(
    cohort: Cohort, settings: CheckSettings, progress: Progress | None
) -> list[Examined]:
    """Every study that is there, opened; decoding and hashing leave the interpreter free."""
    there = [case for case in cohort.cases if case.study.exists()]
    examined: list[Examined] = []
    workers = settings.workers or len(usable_cores())
    with quietly(), ThreadPoolExecutor(workers) as pool:
        for one in pool.map(examine, there):
            examined.append(one)
            if progress is not None:
                progress(len(examined), len(there))
    return examined


def _missing(cohort: Cohort) -> Iterator[Finding]:
    for case in cohort.cases:
        gone = [] if case.study.exists() else ["There is no file or folder of that name."]
        gone += [
            f"There is no file of the name under {column}."
            for column in PATH_COLUMNS
            if case.extra.get(column) and not Path(case.extra[column]).exists()
        ]
        for words in gone:
            yield Finding(FindingKind.MISSING, Severity.ERROR, (case.row,), words)


def _unknown_labels(cohort: Cohort, labels: Sequence[str]) -> Iterator[Finding]:
    if not labels:
        return
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for case in cohort.cases:
        if case.label not in labels:
            rows[case.label].append(case.row)
    for label, where in rows.items():
        words = f"The label {label!r} is none of {', '.join(labels)}."
        yield Finding(FindingKind.UNKNOWN_LABEL, Severity.ERROR, tuple(where), words)


def _empty_classes(cohort: Cohort, labels: Sequence[str]) -> Iterator[Finding]:
    for split in cohort.splits:
        present = {case.label for case in cohort.cases if case.split == split}
        for label in labels or cohort.labels:
            if split and label not in present:
                words = f"The split {split} has no patient of the class {label!r}."
                yield Finding(FindingKind.EMPTY_CLASS, Severity.ERROR, (), words)


def _torn_patients(cohort: Cohort) -> Iterator[Finding]:
    by_patient: defaultdict[str, list[Case]] = defaultdict(list)
    for case in cohort.cases:
        by_patient[case.patient].append(case)
    for cases in by_patient.values():
        rows = tuple(case.row for case in cases)
        splits = sorted({case.split for case in cases} - {""})  # cases of no split are not used
        labels = sorted({case.label for case in cases})
        if len(splits) > 1:
            words = f"One patient is in the splits {' and '.join(splits)}."
            yield Finding(FindingKind.PATIENT_IN_SPLITS, Severity.ERROR, rows, words)
        if len(labels) > 1:
            words = f"One patient has the labels {' and '.join(labels)}."
            yield Finding(FindingKind.PATIENT_WITH_LABELS, Severity.ERROR, rows, words)


def _source_shortcuts(cohort: Cohort) -> Iterator[Finding]:
    """Classes told by their source: in each split, since train is learnt and test is judged."""
    class_of: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    source_of: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for split in cohort.splits:
        table = _source_table([c for c in cohort.cases if c.split == split], cohort.labels)
        name = split or "(no split)"
        if len(table) < 2 or len(cohort.labels) < 2:
            continue  # nothing that a source could give away
        for label in cohort.labels:
            givers = [source for source, counts in table.items() if counts[label]]
            if len(givers) == 1:
                class_of[label, givers[0]].append(name)
        for source, counts in table.items():
            given = [label for label, count in counts.items() if count]
            if len(given) == 1:
                source_of[source, given[0]].append(name)
    for (label, source), splits in class_of.items():
        words = (
            f"In {', '.join(splits)} the class {label!r} comes from the source {source!r} alone: "
            "the model may learn the source."
        )
        yield Finding(FindingKind.CLASS_OF_ONE_SOURCE, Severity.WARNING, (), words)
    for (source, label), splits in source_of.items():
        words = (
            f"In {', '.join(splits)} the source {source!r} gives the class {label!r} alone: "
            "the model may learn the source."
        )
        yield Finding(FindingKind.SOURCE_OF_ONE_CLASS, Severity.WARNING, (), words)


def _source_table(cases: Sequence[Case], labels: Sequence[str]) -> Mapping[str, dict[str, int]]:
    """Patients per source and class."""
    patients: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for case in cases:
        patients[case.source, case.label].add(case.patient)
    return {
        source: {label: len(patients.get((source, label), ())) for label in labels}
        for source in sorted({case.source for case in cases})
    }
