"""What readers say of verdicts; a changed reading is another row, the last one counts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from groundglass.node.queue.schema import readings, users
from groundglass.node.queue.states import Job
from groundglass.node.queue.table import JobTable
from groundglass.web.people.users import User

#: Characters of a remark.
LONGEST_REMARK = 2000


class Answer(StrEnum):
    """What a reader says of a verdict."""

    AGREE = "agree"
    DISAGREE = "disagree"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Opinion:
    """What somebody says of a study."""

    answer: Answer
    label: str = ""
    """The reader's own class, if they name one."""
    remark: str = ""
    blind: bool = False
    """Whether it was given before the verdict was shown."""


@dataclass(frozen=True, slots=True)
class Reading:
    """An opinion on record."""

    job_id: int
    study_instance_uid: str
    revision: int
    report: str
    """`job_id`, `study_instance_uid`, `revision`, `report`: of which analysis."""
    who: str
    """The reader."""
    user_id: int
    at: float
    """Seconds since 1970-01-01 UTC."""
    bundle: str
    verdict: str
    """`bundle`, `verdict`: what was judged by; the verdict's label, empty without one."""
    opinion: Opinion


class Readings:
    """The readings of a node."""

    def __init__(self, table: JobTable) -> None:
        self._table = table

    def enter(self, job: Job, user: User, opinion: Opinion, judged: tuple[str, str]) -> None:
        """Write a reading down.

        Parameters
        ----------
        judged : tuple of str
            Bundle, and the verdict's label.
        """
        bundle, verdict = judged
        row = {
            "user_id": user.id,
            "job_id": job.id,
            "study_instance_uid": job.study_instance_uid,
            "revision": job.revision,
            "report": job.report,
            "bundle": bundle,
            "verdict": verdict,
            "answer": opinion.answer,
            "label": opinion.label,
            "remark": opinion.remark,
            "blind": opinion.blind,
            "at": self._table.clock.now(),
        }
        with self._table.writing() as connection:
            connection.execute(sa.insert(readings).values(row))

    def of_studies(self, study_instance_uids: Collection[str]) -> dict[str, list[Reading]]:
        """Every reading of some studies, the first first."""
        wanted = readings.c.study_instance_uid.in_(study_instance_uids)
        found: dict[str, list[Reading]] = {}
        for reading in self._find(_QUERY.where(wanted)):
            found.setdefault(reading.study_instance_uid, []).append(reading)
        return found

    def of_study(self, study_instance_uid: str) -> list[Reading]:
        """Every reading of a study, the first first."""
        return self.of_studies([study_instance_uid]).get(study_instance_uid, [])

    def counting(self) -> list[Reading]:
        """The last reading of each reader and analysis."""
        last = {(one.user_id, one.job_id, one.report): one for one in self._find(_QUERY)}
        return list(last.values())

    def _find(self, query: sa.Select[tuple[object, ...]]) -> list[Reading]:
        with self._table.reading() as connection:
            return [_reading(row) for row in connection.execute(query).mappings()]


_QUERY = (
    sa.select(readings, users.c.name)
    .join(users, users.c.id == readings.c.user_id)
    .order_by(readings.c.id)
)


def _reading(row: RowMapping) -> Reading:
    opinion = Opinion(Answer(row["answer"]), row["label"], row["remark"], row["blind"])
    names = ("job_id", "study_instance_uid", "revision", "report", "user_id", "at", "bundle")
    return Reading(
        who=row["name"], verdict=row["verdict"], opinion=opinion, **{n: row[n] for n in names}
    )
