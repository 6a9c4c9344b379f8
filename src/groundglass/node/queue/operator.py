"""What people and the retention do to jobs: begin them again, hurry them, forget their files."""

from __future__ import annotations

import sqlalchemy as sa

from groundglass.core.result import Outcome
from groundglass.errors import SettingsError
from groundglass.node.queue.actors import Act
from groundglass.node.queue.schema import instances, jobs
from groundglass.node.queue.states import ENDED, Job, Purged, State
from groundglass.node.queue.table import LATEST_LOCKED, JobTable, as_job


class Operator:
    """Changes jobs by hand; `actor` is whose hand (`actors.person`, or `RETENTION`)."""

    def __init__(self, table: JobTable) -> None:
        self._table = table

    def retry(self, job_id: int, actor: str) -> Job:
        """Let an ended job begin again: with its delivery if that failed, else with its analysis.

        Raises
        ------
        SettingsError
            There is no such job, it has not ended, its files are purged, or a later revision of its
            study is there.
        """
        with self._table.writing() as connection:
            job = self._table.locked(connection, job_id)
            if job.state not in ENDED or job.files_purged:
                raise SettingsError(
                    f"job {job_id} {'without its files' if job.files_purged else job.state}",
                    expected="a job that has ended and whose files are still there",
                    action="`groundglass jobs list` shows where each job is.",
                )
            later = self._table.latest(connection, job.study_instance_uid)
            if later.revision > job.revision:
                raise SettingsError(
                    f"job {job_id}, of whose study revision {later.revision} is there",
                    expected="the last revision, which has all images",
                    action=f"`groundglass jobs retry {later.id}` is the one to use.",
                )
            undelivered = (
                job.state is State.FAILED and job.report and job.outcome != Outcome.GIVEN_UP
            )
            to = State.REPORTED if undelivered else State.READY
            anew: dict[str, float] = {"failures": 0, "not_before": 0}
            if undelivered:  # from now on somebody waits for it again
                anew["first_reported_at"] = self._table.clock.now()
            return self._table.move(connection, job, to, Act(actor, "by hand"), **anew)

    def bump(self, job_id: int, priority: int, actor: str) -> Job:
        """Give a job another priority, and let it wait no longer for a retry.

        Raises
        ------
        SettingsError
            There is no such job.
        """
        with self._table.writing() as connection:
            job = self._table.locked(connection, job_id)
            act = Act(actor, f"priority {job.priority} → {priority} by hand")
            return self._table.change(
                connection, job, job.state, act, {"priority": priority, "not_before": 0}
            )

    def note(self, study_instance_uid: str, act: Act) -> None:
        """Enter into the trail what was done to a study's last revision and changed nothing of it.

        Raises
        ------
        SettingsError
            There is no such study.
        """
        with self._table.writing() as connection:
            of_study = {"study_instance_uid": study_instance_uid}
            row = connection.execute(LATEST_LOCKED, of_study).mappings().first()
            if row is None:
                raise _no_such_study()
            job = as_job(row)
            self._table.enter(connection, job, job.state, job.state, act)

    def purge(self, study_instance_uid: str, actor: str) -> Purged:
        """Forget a study's files, all revisions'; the rows and their audit trail remain.

        Called with `Spool.clearing` held, so that no instance is between disk and table.

        Raises
        ------
        SettingsError
            There is no such study, or work on it has not ended.
        """
        of_study = jobs.c.study_instance_uid == study_instance_uid
        query = sa.select(jobs).where(of_study).order_by(jobs.c.revision).with_for_update()
        with self._table.writing() as connection:
            revisions = [as_job(row) for row in connection.execute(query).mappings()]
            unended = [job for job in revisions if job.state not in ENDED]
            if not revisions:
                raise _no_such_study()
            if unended:
                raise SettingsError(
                    f"job {unended[0].id} {unended[0].state}",
                    expected=f"a study whose jobs have ended ({', '.join(sorted(ENDED))})",
                    action="Wait for its end; `groundglass jobs list` shows where each job is.",
                )
            received = instances.c.study_instance_uid == study_instance_uid
            files = connection.execute(sa.select(instances.c.file).where(received)).scalars().all()
            connection.execute(sa.delete(instances).where(received))
            for job in revisions:
                gone = {"files_purged": True, "report": ""}
                if not job.files_purged:
                    self._table.change(connection, job, job.state, Act(actor, "files purged"), gone)
            return Purged(
                study_instance_uid, tuple(files), tuple(job.revision for job in revisions)
            )


def _no_such_study() -> SettingsError:
    return SettingsError(
        "no such study",
        expected="the Study Instance UID of one that came",
        action="`groundglass jobs list` shows them.",
    )
