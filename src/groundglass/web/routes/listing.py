"""Which studies of the list are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from groundglass.web.worklist.board import StudyRow
from groundglass.web.worklist.order import Need


class Show(StrEnum):
    """A part of the list."""

    ALL = "all"
    UNREAD = "unread"
    FINDINGS = "findings"
    NO_ANSWER = "no-answer"
    COMING = "coming"
    READ = "read"


def wanted(rows: Sequence[StudyRow], show: Show, query: str) -> list[StudyRow]:
    """Those of a part of the list in which every word of a query is found."""
    words = query.lower().split()
    return [row for row in rows if _shown(row, show) and _found(row, words)]


def _shown(row: StudyRow, show: Show) -> bool:
    match show:
        case Show.UNREAD:
            return row.need is not Need.READ
        case Show.FINDINGS:
            return row.result is not None and row.result.findings
        case Show.NO_ANSWER:
            return row.need is Need.NO_ANSWER
        case Show.COMING:
            return row.need is Need.COMING
        case Show.READ:
            return row.need is Need.READ
        case _:
            return True


def _found(row: StudyRow, words: Sequence[str]) -> bool:
    who = row.identity
    text = " ".join(
        (
            who.patient_name,
            who.patient_id,
            who.accession_number,
            who.study_description or row.job.study_description,
            row.job.study_instance_uid,
            row.job.source_ae,
            str(row.result.words) if row.result else "",
        )
    ).lower()
    return all(word in text for word in words)
