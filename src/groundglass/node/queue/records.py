"""What the table says, for whoever asks: nothing here changes it, or waits for who does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import fields

import sqlalchemy as sa

from groundglass.node.queue import trail
from groundglass.node.queue.schema import audit, deliveries, instances, jobs
from groundglass.node.queue.states import ENDED, AuditEntry, FileRecord, Job, State
from groundglass.node.queue.table import JobTable, as_job, no_such_job


class Records:
    """Reads the table."""

    def __init__(self, table: JobTable) -> None:
        self._table = table

    def get(self, job_id: int) -> Job:
        """One job.

        Raises
        ------
        SettingsError
            There is no such job.
        """
        with self._table.reading() as connection:
            row = connection.execute(sa.select(jobs).where(jobs.c.id == job_id)).mappings().first()
        if row is None:
            raise no_such_job(job_id)
        return as_job(row)

    def find(
        self, states: Sequence[State] = tuple(State), limit: int | None = None
    ) -> tuple[Job, ...]:
        """Jobs in these states: first what is left to do, the most urgent first; then what ended.

        What ended comes in the order in which somebody looks for it, the last first.
        """
        over = jobs.c.state.in_(ENDED)
        query = (
            sa.select(jobs)
            .where(jobs.c.state.in_(states))
            .order_by(
                sa.case((over, 1), else_=0),
                sa.case((over, -jobs.c.changed_at), else_=-jobs.c.priority),
                jobs.c.arrived_at,
                jobs.c.id,
            )
            .limit(limit)
        )
        with self._table.reading() as connection:
            return tuple(map(as_job, connection.execute(query).mappings()))

    def files_of(self, job: Job) -> tuple[str, ...]:
        """The instances a revision is made of: the last that came under each SOP Instance UID.

        Relative to the spool's root, ordered by SOP Instance UID.
        """
        query = (
            sa.select(instances.c.sop_instance_uid, instances.c.file)
            .where(instances.c.study_instance_uid == job.study_instance_uid)
            .where(instances.c.revision <= job.revision)
            .order_by(instances.c.revision, instances.c.arrived_at, instances.c.sha256)
        )
        with self._table.reading() as connection:
            last = dict(connection.execute(query).all())
        return tuple(last[uid] for uid in sorted(last))

    def results_before(self, job: Job) -> tuple[Job, ...]:
        """Jobs whose results a job's own will replace, the last first.

        Earlier revisions of which something went out or may have, and the job itself where it was
        analysed before and ended: then `report` is the earlier analysis's.
        """
        query = (
            sa.select(jobs)
            .where(jobs.c.study_instance_uid == job.study_instance_uid)
            .where(jobs.c.revision <= job.revision, jobs.c.outcome != "")
            .where(jobs.c.state.not_in([State.SUPERSEDED, State.REPORTED]))
            .order_by(jobs.c.revision.desc())
        )
        with self._table.reading() as connection:
            return tuple(map(as_job, connection.execute(query).mappings()))

    def held(self, job: Job) -> frozenset[str]:
        """SOP Instance UIDs of all that a revision is made of."""
        query = (
            sa.select(instances.c.sop_instance_uid)
            .where(instances.c.study_instance_uid == job.study_instance_uid)
            .where(instances.c.revision <= job.revision)
        )
        with self._table.reading() as connection:
            return frozenset(connection.execute(query).scalars())

    def purgeable(self, before: float, states: Collection[State] = ENDED) -> tuple[str, ...]:
        """Studies that have files, whose jobs all ended before a time and in these states.

        Study Instance UIDs, the one that ended first first.
        """
        other = sa.case((jobs.c.state.in_(states), 0), else_=1)
        there = sa.case((jobs.c.files_purged, 0), else_=1)
        last = sa.func.max(jobs.c.changed_at)
        query = (
            sa.select(jobs.c.study_instance_uid)
            .group_by(jobs.c.study_instance_uid)
            .having(sa.func.sum(other) == 0, sa.func.sum(there) > 0, last <= before)
            .order_by(last)
        )
        with self._table.reading() as connection:
            return tuple(connection.execute(query).scalars())

    def known_files(self, study_folder: str) -> frozenset[str]:
        """The files entered for a study's folder, all relative to the spool's root."""
        query = sa.select(instances.c.file).where(
            instances.c.file.startswith(f"{study_folder}/", autoescape=True)
        )
        with self._table.reading() as connection:
            return frozenset(connection.execute(query).scalars())

    def deliveries_of(self, job: Job) -> dict[str, tuple[FileRecord, ...]]:
        """How far each file got, by destination."""
        names = [field.name for field in fields(FileRecord)]
        query = (
            sa.select(deliveries.c.destination, *(deliveries.c[name] for name in names))
            .where(deliveries.c.job_id == job.id)
            .order_by(deliveries.c.destination, deliveries.c.file)
        )
        found: defaultdict[str, list[FileRecord]] = defaultdict(list)
        with self._table.reading() as connection:
            for row in connection.execute(query).mappings():
                found[row["destination"]].append(FileRecord(**{n: row[n] for n in names}))
        return {destination: tuple(records) for destination, records in found.items()}

    def audit_of(self, job: Job) -> tuple[AuditEntry, ...]:
        """Every change of state, the first first."""
        names = ("at", "before", "after", "attempt", "worker", "reason", "actor")
        query = (
            sa.select(*(audit.c[name] for name in names))
            .where(audit.c.job_id == job.id)
            .order_by(audit.c.id)
        )
        with self._table.reading() as connection:
            return tuple(AuditEntry(**row) for row in connection.execute(query).mappings())

    def verify(self, expected: str = "") -> trail.Verification:
        """Go through the whole audit trail; see `trail.verify`."""
        return trail.verify(self._table.reading, expected)

    def last_hash(self) -> str:
        """The last hash of the audit trail's chain; empty before there is one."""
        with self._table.reading() as connection:
            return connection.execute(trail.LAST).scalar_one_or_none() or ""

    def counts(self) -> dict[State, int]:
        """Jobs per state; every state is there."""
        query = sa.select(jobs.c.state, sa.func.count()).group_by(jobs.c.state)
        with self._table.reading() as connection:
            found: dict[str, int] = dict(connection.execute(query).all())
        return {state: found.get(state.value, 0) for state in State}

    def oldest(self) -> dict[State, float]:
        """How long in s the longest-standing job of each state has been in it.

        A result that waits for a destination counts from when it was first reported: each try to
        deliver it changes its state.
        """
        waits = jobs.c.state.in_([State.REPORTED, State.DELIVERING]) & (
            jobs.c.first_reported_at > 0
        )
        since = sa.case((waits, jobs.c.first_reported_at), else_=jobs.c.changed_at)
        query = sa.select(jobs.c.state, sa.func.min(since)).group_by(jobs.c.state)
        now = self._table.clock.now()
        with self._table.reading() as connection:
            return {State(s): now - at for s, at in connection.execute(query)}
