"""One table from several, and one row a slice from one row a scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from groundglass.cohort.case import Case, Cohort
from groundglass.cohort.image_files import files_below
from groundglass.cohort.opening import StudyKind, in_row, study_kind
from groundglass.errors import InputError


def join_cohorts(cohorts: Sequence[Cohort], path: Path) -> Cohort:
    """All cases of several tables, one table after the other.

    The same word in the column `patient` of two tables means the same person: importers put the
    source before the name, so that it does not happen by chance.

    Parameters
    ----------
    cohorts : sequence of Cohort
        One at least.
    path : Path
        Where the table will be written.
    """
    cases = [case for cohort in cohorts for case in cohort.cases]
    return Cohort(path.absolute(), _numbered(cases))


def slices_of(cohort: Cohort) -> Cohort:
    """The cohort with one row for each picture of an image stack; other rows stay.

    For training the slice encoder, which takes each slice with its patient's label.

    Raises
    ------
    InputError
        A study is missing; the row is named.
    """
    cases: list[Case] = []
    for case in cohort.cases:
        try:
            kind = study_kind(case.study)
        except InputError as error:
            raise in_row(case, error) from error
        if kind is StudyKind.IMAGE_STACK:
            cases += [replace(case, study=file) for file in files_below(case.study)]
        else:
            cases.append(case)
    return replace(cohort, cases=_numbered(cases))


def _numbered(cases: Sequence[Case]) -> tuple[Case, ...]:
    """With the row numbers they will have in the new table."""
    return tuple(replace(case, row=row) for row, case in enumerate(cases, 2))
