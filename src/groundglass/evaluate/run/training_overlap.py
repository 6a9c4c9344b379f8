"""No figures from patients the networks have seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from groundglass.cohort import Cohort, patient_hash, study_fingerprint
from groundglass.errors import InputError
from groundglass.infer import Bundle

#: Told how many studies were looked at, of how many.
Progress = Callable[[int, int], None]
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class LeakCheck:
    """Whether leaks could be looked for."""

    looked_for: bool
    """Whether the bundle keeps hashes of whom it learnt from."""
    words: str
    """For the reader."""


def refuse_leaks(cohort: Cohort, bundle: Bundle, progress: Progress) -> LeakCheck:
    """Refuse a cohort that shares a patient, or a study's pixels, with what the bundle has seen.

    What its thresholds were fitted on afterwards counts as well.

    Returns
    -------
    LeakCheck
        Nothing is shared, or it cannot be known.

    Raises
    ------
    InputError
        Something is shared; the rows are named.
    """
    _refuse_calibrated_on(cohort, bundle)
    seen = bundle.metadata.training_hashes
    if seen is None:
        return LeakCheck(
            looked_for=False,
            words=f"{bundle.name} keeps no hashes of whom it learnt from: whether patients of this "
            "cohort were among them cannot be known.",
        )
    patients = [
        case.row for case in cohort.cases if patient_hash(case.patient, seen.salt) in seen.patients
    ]
    studies = _known_studies(cohort, seen.studies, progress) if seen.studies else []
    if patients or studies:
        shared = [
            f"{what} in {rows_in_words(rows)}"
            for what, rows in (("a patient", patients), ("the same pixels", studies))
            if rows
        ]
        raise InputError(
            f"patients {bundle.name} was trained on: {'; '.join(shared)}",
            expected="patients and studies the networks have not seen",
            action="Leave these rows out, or evaluate another split. Figures on training data "
            "look better than they are.",
        )
    return LeakCheck(
        looked_for=True,
        words=f"None of the {len(cohort.patients)} patients, and no study by its pixels, is among "
        f"the {len(seen.patients)} patients {bundle.name} learnt from.",
    )


def _refuse_calibrated_on(cohort: Cohort, bundle: Bundle) -> None:
    seen = bundle.metadata.calibrated_on
    if seen is None:
        return
    rows = [
        case.row for case in cohort.cases if patient_hash(case.patient, seen.salt) in seen.patients
    ]
    if rows:
        raise InputError(
            f"patients {bundle.name} was calibrated on: in {rows_in_words(rows)}",
            expected="patients its thresholds were not fitted on",
            action="Leave these rows out, or evaluate another split: on the cases they were fitted "
            "on, thresholds look better than they are.",
        )


def _known_studies(cohort: Cohort, known: frozenset[str], progress: Progress) -> list[int]:
    """Rows whose study's pixels are known; one that cannot be read has none, and is told later."""
    rows = []
    for number, case in enumerate(cohort.cases):
        progress(number, len(cohort.cases))
        try:
            if study_fingerprint(case.study) in known:
                rows.append(case.row)
        except InputError:
            continue
    return rows


def rows_in_words(rows: Sequence[int]) -> str:
    """Rows of a table for a message: the first of many."""
    shown = ", ".join(map(str, rows[:_SHOWN]))
    more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
    return f"row{'s' if len(rows) > 1 else ''} {shown}{more}"
