"""What a reader says, as an opinion on a verdict."""

from __future__ import annotations

from enum import StrEnum

from fastapi import HTTPException

from groundglass.web.readings.readings import Answer, Opinion
from groundglass.web.worklist.board import StudyRow
from groundglass.web.worklist.stored_result import StoredResult


class Said(StrEnum):
    """What can be said."""

    AGREE = "agree"
    DISAGREE = "disagree"
    UNSURE = "unsure"
    FINDINGS = "findings"
    NONE = "none"


def opinion_of(said: Said, label: str, remark: str, row: StudyRow, result: StoredResult) -> Opinion:
    """An opinion on the verdict; of a reader who has not seen it, by comparing.

    Raises
    ------
    HTTPException
        Agreeing with what is hidden, or the other way round.
    """
    blind_words = said in (Said.FINDINGS, Said.NONE)
    if said is not Said.UNSURE and blind_words != row.hidden:
        raise HTTPException(
            422,
            "The verdict is hidden: say findings, none or unsure."
            if row.hidden
            else "The verdict is shown: say agree, disagree or unsure.",
        )
    if not blind_words:
        return Opinion(Answer(said), label, remark, blind=row.hidden)
    same = (said is Said.FINDINGS) == result.findings
    answer = Answer.AGREE if same else Answer.DISAGREE
    return Opinion(answer, label or said, remark, blind=True)
