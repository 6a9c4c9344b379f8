"""The job table: one row per study and revision, from its first instance to its delivery.

Whoever works on a job holds a lease and an attempt number. A lease that is not renewed may be
taken over by any worker, which raises the number; what is written under an older number is refused
(fencing), so that a worker thought dead cannot disturb its successor. Every change of state is
entered into the audit table in the same transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, RowMapping

from groundglass.core.result import Outcome
from groundglass.errors import SettingsError
from groundglass.node.clock import Clock, SystemClock
from groundglass.node.inbound.spool import StoredInstance
from groundglass.node.queue.database import make_tables, open_engine
from groundglass.node.queue.schema import audit, deliveries, instances, jobs
from groundglass.node.queue.states import (
    ENDED,
    LEASED_INTO,
    ROLLBACK,
    TRANSITIONS,
    ArrivalReceipt,
    AuditEntry,
    DatabaseDown,
    Facts,
    FileRecord,
    Job,
    JobSettings,
    LeaseLost,
    Priority,
    Purged,
    State,
)

# Every instance that comes goes through these: to build a statement costs more than to run it.
_KNOWN_AS = sa.select(instances.c.revision).where(
    *(
        instances.c[name] == sa.bindparam(name)
        for name in ("study_instance_uid", "sop_instance_uid", "sha256")
    )
)
_LATEST = (
    sa.select(jobs)
    .where(jobs.c.study_instance_uid == sa.bindparam("study_instance_uid"))
    .order_by(jobs.c.revision.desc())
    .limit(1)
)
_LATEST_LOCKED = _LATEST.with_for_update()
_COUNT_INSTANCE = sa.update(jobs).values(
    instances=jobs.c.instances + 1,
    arrived_at=sa.bindparam("now"),
    priority=sa.case(
        (jobs.c.priority < sa.bindparam("urgency"), sa.bindparam("urgency")),
        else_=jobs.c.priority,
    ),
    study_description=sa.case(
        (jobs.c.study_description == "", sa.bindparam("description")),
        else_=jobs.c.study_description,
    ),
)
_COUNT_FOR_JOB = _COUNT_INSTANCE.where(jobs.c.id == sa.bindparam("job_id"))
_COUNT_FOR_RECEIVED = _COUNT_INSTANCE.where(
    jobs.c.study_instance_uid == sa.bindparam("study"), jobs.c.state == State.RECEIVED
).returning(jobs.c.id, jobs.c.revision)
_COUNT_BACK = (
    sa.update(jobs)
    .where(jobs.c.id == sa.bindparam("job_id"))
    .values(instances=jobs.c.instances - 1)
)


class JobStore:
    """The job table.

    Parameters
    ----------
    url : str
        SQLAlchemy's form: `sqlite:////var/lib/groundglass/jobs.sqlite`,
        `postgresql+psycopg://user@host/base`, or `sqlite://` for one in memory.
    settings : JobSettings, optional
        Quiet time, retries.
    clock : Clock, optional
        A test gives its own.

    Raises
    ------
    SettingsError
        The database cannot be reached, or was made by another version.
    """

    def __init__(
        self, url: str, settings: JobSettings | None = None, clock: Clock | None = None
    ) -> None:
        self.settings = settings or JobSettings()
        self.clock = clock or SystemClock()
        self._engine = open_engine(url)
        self._insert = (
            postgresql.insert if self._engine.dialect.name == "postgresql" else sqlite.insert
        )
        self._enter_instance = (
            self._insert(instances).on_conflict_do_nothing().returning(instances.c.revision)
        )
        make_tables(self._engine)

    def close(self) -> None:
        """Give back the connections."""
        self._engine.dispose()

    # In -----------------------------------------------------------------------------------------

    def arrived(self, stored: StoredInstance, facts: Facts) -> ArrivalReceipt:
        """Enter an instance that is on disk; afterwards it may be acknowledged.

        The same bytes again change nothing, but hold the quiet time off. An instance for a study
        whose analysis has begun opens the study's next revision.
        """
        return self.arrived_together([(stored, facts)])[0]

    def arrived_together(
        self, arrivals: Sequence[tuple[StoredInstance, Facts]]
    ) -> tuple[ArrivalReceipt, ...]:
        """Enter several instances, all or none, at the cost of one being made durable.

        Returns
        -------
        tuple of ArrivalReceipt
            In the order of the arrivals.
        """
        receipts: dict[int, ArrivalReceipt] = {}
        # In one order everywhere, so that two nodes on one database never wait for each other.
        order = sorted(
            range(len(arrivals)),
            key=lambda n: tuple(_key(arrivals[n][0]).values()),
        )
        with self._writing() as connection:
            for n in order:
                receipts[n] = self._arrive(connection, *arrivals[n])
        return tuple(receipts[n] for n in range(len(arrivals)))

    def complete_quiet(self, since: float = 0.0) -> int:
        """Make ready every study for which nothing came for the quiet time; how many.

        Parameters
        ----------
        since : float
            When we began to listen, in s since 1970-01-01 UTC: before that nothing could come, and
            so nothing was quiet.
        """
        before = self.clock.now() - self.settings.quiet_s
        if since > before:
            return 0
        quiet = (jobs.c.state == State.RECEIVED) & (jobs.c.arrived_at <= before)
        reason = f"complete: nothing more for {self.settings.quiet_s:g} s"
        return self._make_ready(quiet, reason)

    def explicit_end(self, study_instance_uid: str) -> bool:
        """Make a study ready at its sender's word that it is whole; whether it was waiting."""
        named = (jobs.c.state == State.RECEIVED) & (jobs.c.study_instance_uid == study_instance_uid)
        return self._make_ready(named, "complete: the sender said so") > 0

    # Work ---------------------------------------------------------------------------------------

    def lease(self, worker: str, seconds: float) -> Job | None:
        """Take the most urgent job that waits, or whose worker has stopped renewing its lease.

        Parameters
        ----------
        worker : str
            Name of the worker, for the record.
        seconds : float
            The lease ends so much later in s unless renewed.

        Returns
        -------
        Job or None
            In state analysing or delivering, under a new attempt; None when there is nothing to do.
        """
        now = self.clock.now()
        waiting = jobs.c.state.in_([State.READY, State.REPORTED]) & (jobs.c.not_before <= now)
        left = jobs.c.state.in_([State.ANALYSING, State.DELIVERING]) & (jobs.c.lease_until <= now)
        most_urgent = (
            sa.select(jobs)
            .where(waiting | left)
            .order_by(jobs.c.priority.desc(), jobs.c.arrived_at, jobs.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        while True:
            with self._writing() as connection:
                row = connection.execute(most_urgent).mappings().first()
                if row is None:
                    return None
                job = self._take(connection, _job(row), worker, now + seconds)
            if job is not None:
                return job

    def heartbeat(self, job: Job, seconds: float) -> None:
        """Renew the lease; the job may have gone on to another state under the same attempt.

        Raises
        ------
        LeaseLost
            Another worker has the job, or this one has ended it.
        """
        mine = (
            (jobs.c.id == job.id)
            & (jobs.c.attempt == job.attempt)
            & jobs.c.state.in_([State.ANALYSING, State.DELIVERING])
        )
        until = {"lease_until": self.clock.now() + seconds}
        with self._writing() as connection:
            renewed = connection.execute(sa.update(jobs).where(mine).values(until))
            if renewed.rowcount == 0:
                raise _lost(job)

    def report(self, job: Job, folder: str, outcome: str, reason: str) -> Job:
        """Enter that the report is on disk and go on to deliver it under the same lease.

        If instances came meanwhile, the next revision's report is delivered instead of it.

        Parameters
        ----------
        job : Job
            As leased, analysing.
        folder : str
            The report's folder, relative to the spool's root.
        outcome : str
            How the analysis ended.
        reason : str
            In words.

        Returns
        -------
        Job
            In state delivering, or superseded.

        Raises
        ------
        LeaseLost
            Another worker has the job.
        """
        with self._writing() as connection:
            held = self._held(connection, job)
            # What went out of an earlier report of this job says nothing of this one.
            connection.execute(sa.delete(deliveries).where(deliveries.c.job_id == job.id))
            change = {"report": folder, "outcome": outcome, "failures": 0}
            held = self._move(connection, held, State.REPORTED, reason, **change)
            superseded = self._superseded(connection, held)
            return superseded or self._move(connection, held, State.DELIVERING, reason)

    def finish(self, job: Job, state: State, reason: str) -> Job:
        """End the work on a job: delivered, refused, or failed with a capture that says so.

        Raises
        ------
        LeaseLost
            Another worker has the job.
        """
        with self._writing() as connection:
            return self._move(connection, self._held(connection, job), state, reason, lease_until=0)

    def fail(self, job: Job, reason: str) -> Job:
        """Enter that work on a job failed: it waits for its next try, or becomes a dead letter.

        Raises
        ------
        LeaseLost
            Another worker has the job.
        """
        with self._writing() as connection:
            return self._fail(connection, self._held(connection, job), reason)

    def release(self, job: Job, reason: str) -> Job:
        """Give a job back untouched, so that another worker takes it at once.

        Raises
        ------
        LeaseLost
            Another worker has the job already.
        """
        with self._writing() as connection:
            held = self._held(connection, job)
            return self._move(connection, held, ROLLBACK[held.state], reason, lease_until=0)

    def record_delivery(self, job: Job, destination: str, files: Iterable[FileRecord]) -> None:
        """Enter what a destination said of each file.

        Raises
        ------
        LeaseLost
            Another worker has the job.
        """
        with self._writing() as connection:
            self._held(connection, job)
            for record in files:
                key = {"job_id": job.id, "destination": destination, "file": record.file}
                row = {**asdict(record), "changed_at": self.clock.now()}
                del row["file"]
                connection.execute(
                    self._insert(deliveries)
                    .values({**key, **row})
                    .on_conflict_do_update(index_elements=list(key), set_=row)
                )

    # By hand ------------------------------------------------------------------------------------

    def retry(self, job_id: int) -> Job:
        """Let an ended job begin again: with its delivery if that failed, else with its analysis.

        Raises
        ------
        SettingsError
            There is no such job, it has not ended, its files are purged, or a later revision of its
            study is there.
        """
        with self._writing() as connection:
            job = self._locked(connection, job_id)
            if job.state not in ENDED or job.files_purged:
                raise SettingsError(
                    f"job {job_id} {'without its files' if job.files_purged else job.state}",
                    expected="a job that has ended and whose files are still there",
                    action="`groundglass jobs list` shows where each job is.",
                )
            later = self._latest(connection, job.study_instance_uid)
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
            return self._move(connection, job, to, "by hand", failures=0, not_before=0)

    def bump(self, job_id: int, priority: int = Priority.EMERGENCY) -> Job:
        """Give a job another priority, and let it wait no longer for a retry.

        Raises
        ------
        SettingsError
            There is no such job.
        """
        with self._writing() as connection:
            job = self._locked(connection, job_id)
            reason = f"priority {job.priority} → {priority} by hand"
            return self._change(
                connection, job, job.state, reason, {"priority": priority, "not_before": 0}
            )

    def purge(self, study_instance_uid: str) -> Purged:
        """Forget a study's files, all revisions'; the rows and their audit trail remain.

        Called with `Spool.clearing` held, so that no instance is between disk and table.

        Raises
        ------
        SettingsError
            There is no such study, or work on it has not ended.
        """
        of_study = jobs.c.study_instance_uid == study_instance_uid
        query = sa.select(jobs).where(of_study).order_by(jobs.c.revision).with_for_update()
        with self._writing() as connection:
            revisions = [_job(row) for row in connection.execute(query).mappings()]
            unended = [job for job in revisions if job.state not in ENDED]
            if unended or not revisions:
                raise SettingsError(
                    f"job {unended[0].id} {unended[0].state}" if unended else "no such study",
                    expected=f"a study whose jobs have ended ({', '.join(sorted(ENDED))})",
                    action="Wait for its end; `groundglass jobs list` shows where each job is.",
                )
            received = instances.c.study_instance_uid == study_instance_uid
            files = connection.execute(sa.select(instances.c.file).where(received)).scalars().all()
            connection.execute(sa.delete(instances).where(received))
            for job in revisions:
                gone = {"files_purged": True, "report": ""}
                if not job.files_purged:
                    self._change(connection, job, job.state, "files purged", gone)
            return Purged(
                study_instance_uid, tuple(files), tuple(job.revision for job in revisions)
            )

    # Looking ------------------------------------------------------------------------------------

    def get(self, job_id: int) -> Job:
        """One job.

        Raises
        ------
        SettingsError
            There is no such job.
        """
        with self._reading() as connection:
            row = connection.execute(sa.select(jobs).where(jobs.c.id == job_id)).mappings().first()
        if row is None:
            raise _no_such_job(job_id)
        return _job(row)

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
        with self._reading() as connection:
            return tuple(map(_job, connection.execute(query).mappings()))

    def files_of(self, job: Job) -> tuple[str, ...]:
        """The instances a revision is made of: the last that came under each SOP Instance UID.

        Returns
        -------
        tuple of str
            Relative to the spool's root, ordered by SOP Instance UID.
        """
        query = (
            sa.select(instances.c.sop_instance_uid, instances.c.file)
            .where(instances.c.study_instance_uid == job.study_instance_uid)
            .where(instances.c.revision <= job.revision)
            .order_by(instances.c.revision, instances.c.arrived_at, instances.c.sha256)
        )
        with self._reading() as connection:
            last = dict(connection.execute(query).all())
        return tuple(last[uid] for uid in sorted(last))

    def purgeable(self, before: float, states: Collection[State] = ENDED) -> tuple[str, ...]:
        """Studies that have files, whose jobs all ended before a time and in these states.

        Returns
        -------
        tuple of str
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
        with self._reading() as connection:
            return tuple(connection.execute(query).scalars())

    def known_files(self, study_folder: str) -> frozenset[str]:
        """The files entered for a study's folder, all relative to the spool's root."""
        query = sa.select(instances.c.file).where(
            instances.c.file.startswith(f"{study_folder}/", autoescape=True)
        )
        with self._reading() as connection:
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
        with self._reading() as connection:
            for row in connection.execute(query).mappings():
                found[row["destination"]].append(FileRecord(**{n: row[n] for n in names}))
        return {destination: tuple(records) for destination, records in found.items()}

    def audit_of(self, job: Job) -> tuple[AuditEntry, ...]:
        """Every change of state, the first first."""
        names = ("at", "before", "after", "attempt", "worker", "reason")
        query = (
            sa.select(*(audit.c[name] for name in names))
            .where(audit.c.job_id == job.id)
            .order_by(audit.c.id)
        )
        with self._reading() as connection:
            return tuple(AuditEntry(**row) for row in connection.execute(query).mappings())

    def holds(self, sop_instance_uid: str) -> dict[str, str]:
        """Under which SOP classes an instance was received, each with the file it is in."""
        query = (
            sa.select(instances.c.sop_class_uid, instances.c.file)
            .where(instances.c.sop_instance_uid == sop_instance_uid)
            .order_by(instances.c.arrived_at)
        )
        with self._reading() as connection:
            return dict(connection.execute(query).all())

    def counts(self) -> dict[State, int]:
        """Jobs per state; every state is there."""
        query = sa.select(jobs.c.state, sa.func.count()).group_by(jobs.c.state)
        with self._reading() as connection:
            found: dict[str, int] = dict(connection.execute(query).all())
        return {state: found.get(state.value, 0) for state in State}

    def oldest(self) -> dict[State, float]:
        """How long in s the longest-standing job of each state has been in it."""
        query = sa.select(jobs.c.state, sa.func.min(jobs.c.changed_at)).group_by(jobs.c.state)
        now = self.clock.now()
        with self._reading() as connection:
            return {State(s): now - at for s, at in connection.execute(query)}

    # Within a transaction -----------------------------------------------------------------------

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with _answering(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """One statement, no transaction: reading never waits for a writer."""
        with _answering(), self._engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    def _arrive(
        self, connection: Connection, stored: StoredInstance, facts: Facts
    ) -> ArrivalReceipt:
        """Enter one instance: nearly always of a study that is still coming in."""
        now = self.clock.now()
        row = {
            **_key(stored),
            "sop_class_uid": facts.sop_class_uid,
            "file": stored.file,
            "bytes": stored.bytes,
            "source_ae": facts.source_ae[:16],
            "arrived_at": now,
        }
        count = {
            "now": now,
            "urgency": facts.priority,
            "description": facts.study_description[:64],
        }
        of_study = {**count, "study": stored.study_instance_uid}
        taking = connection.execute(_COUNT_FOR_RECEIVED, of_study).first()
        if taking is None:
            return self._arrive_late(connection, stored, facts, row, count)
        if self._new(connection, {**row, "revision": taking.revision}):
            return ArrivalReceipt(taking.id, taking.revision, new=True, opened=False)
        connection.execute(_COUNT_BACK, {"job_id": taking.id})
        return self._again(connection, stored)

    def _arrive_late(
        self,
        connection: Connection,
        stored: StoredInstance,
        facts: Facts,
        row: Mapping[str, object],
        count: Mapping[str, object],
    ) -> ArrivalReceipt:
        """Enter one instance of a study that is new, or thought complete."""
        if connection.execute(_KNOWN_AS, _key(stored)).scalar_one_or_none() is not None:
            return self._again(connection, stored)
        job, opened = self._open_job(connection, stored.study_instance_uid, facts)
        if not self._new(connection, {**row, "revision": job.revision}):
            return self._again(connection, stored)  # it came on another association, just now
        if job.state is State.READY:
            self._move(connection, job, State.RECEIVED, "another instance came")
        connection.execute(_COUNT_FOR_JOB, {**count, "job_id": job.id})
        return ArrivalReceipt(job.id, job.revision, new=True, opened=opened)

    def _new(self, connection: Connection, row: Mapping[str, object]) -> bool:
        """Enter an instance's row, unless it is there."""
        return connection.execute(self._enter_instance, row).scalar_one_or_none() is not None

    def _again(self, connection: Connection, stored: StoredInstance) -> ArrivalReceipt:
        """The same instance again: its sender is still at it."""
        revision = connection.execute(_KNOWN_AS, _key(stored)).scalar_one()
        of_study = jobs.c.study_instance_uid == stored.study_instance_uid
        connection.execute(
            sa.update(jobs)
            .where(of_study, jobs.c.state == State.RECEIVED)
            .values(arrived_at=self.clock.now())
        )
        same = sa.select(jobs.c.id).where(of_study, jobs.c.revision == revision)
        return ArrivalReceipt(
            connection.execute(same).scalar_one(), revision, new=False, opened=False
        )

    def _open_job(
        self, connection: Connection, study_instance_uid: str, facts: Facts
    ) -> tuple[Job, bool]:
        """The study's job that still takes instances, locked; whether a revision was begun."""
        begun = False
        while True:
            of_study = {"study_instance_uid": study_instance_uid}
            row = connection.execute(_LATEST_LOCKED, of_study).mappings().first()
            if row is not None and row["files_purged"]:
                # It comes again from the beginning. The same input is to give the same UIDs, so
                # it counts from revision 1 again; the audit trail keeps what was.
                all_of_it = jobs.c.study_instance_uid == study_instance_uid
                connection.execute(sa.delete(jobs).where(all_of_it))
                continue
            if row is not None and State(row["state"]) in (State.RECEIVED, State.READY):
                return _job(row), begun
            revision = 1 if row is None else row["revision"] + 1
            begun = self._begin(connection, study_instance_uid, revision, facts)

    def _begin(
        self, connection: Connection, study_instance_uid: str, revision: int, facts: Facts
    ) -> bool:
        """Make a row; False when another connection was faster."""
        now = self.clock.now()
        row = {
            "study_instance_uid": study_instance_uid,
            "revision": revision,
            "state": State.RECEIVED,
            "priority": facts.priority,
            "source_ae": facts.source_ae[:16],
            "study_description": facts.study_description[:64],
            "received_at": now,
            "arrived_at": now,
            "changed_at": now,
        }
        insert = self._insert(jobs).values(row).on_conflict_do_nothing().returning(jobs.c.id)
        if connection.execute(insert).scalar_one_or_none() is None:
            return False
        job = self._latest(connection, study_instance_uid)
        reason = "first instance" if revision == 1 else "instances came after the analysis began"
        self._enter(connection, job, "", State.RECEIVED, reason)
        return True

    def _latest(self, connection: Connection, study_instance_uid: str) -> Job:
        of_study = {"study_instance_uid": study_instance_uid}
        return _job(connection.execute(_LATEST, of_study).mappings().one())

    def _make_ready(self, which: sa.ColumnElement[bool], reason: str) -> int:
        query = sa.select(jobs).where(which).with_for_update(skip_locked=True)
        with self._writing() as connection:
            found = [_job(row) for row in connection.execute(query).mappings()]
            for job in found:
                self._move(connection, job, State.READY, reason)
        return len(found)

    def _take(self, connection: Connection, job: Job, worker: str, until: float) -> Job | None:
        """Lease a locked row; None when it is superseded, or failed too often to be tried again."""
        mine = {"worker": worker, "lease_until": until, "attempt": job.attempt + 1}
        if job.state in LEASED_INTO:
            if self._superseded(connection, job):
                return None
            return self._move(connection, job, LEASED_INTO[job.state], "leased", **mine)
        reason = f"the lease of {job.worker} ran out"
        if job.failures + 1 >= self.settings.tries(job.state):
            self._fail(connection, job, reason)
            return None
        return self._move(connection, job, job.state, reason, failures=job.failures + 1, **mine)

    def _superseded(self, connection: Connection, job: Job) -> Job | None:
        """End a locked job of which nothing went out, if a later revision of its study is there."""
        later = self._latest(connection, job.study_instance_uid).revision
        offered = sa.select(deliveries.c.job_id).where(deliveries.c.job_id == job.id).limit(1)
        if later == job.revision or connection.execute(offered).first() is not None:
            return None
        reason = f"revision {later} came before anything went out"
        return self._move(connection, job, State.SUPERSEDED, reason, lease_until=0)

    def _fail(self, connection: Connection, job: Job, reason: str) -> Job:
        failures = job.failures + 1
        if failures >= self.settings.tries(job.state):
            last = f"{reason} (failure {failures}, the last)"
            change: dict[str, Any] = {"failures": failures, "lease_until": 0}
            return self._move(connection, job, State.FAILED, last, **change)
        not_before = self.clock.now() + self.settings.delay_s(failures)
        change = {"failures": failures, "not_before": not_before, "lease_until": 0}
        return self._move(connection, job, ROLLBACK[job.state], reason, **change)

    def _held(self, connection: Connection, job: Job) -> Job:
        """The row as it is now, locked, if this attempt still holds it."""
        query = sa.select(jobs).where(jobs.c.id == job.id).with_for_update()
        row = connection.execute(query).mappings().first()
        now = None if row is None else _job(row)
        if now is None or (now.attempt, now.state) != (job.attempt, job.state):
            raise _lost(job)
        return now

    def _locked(self, connection: Connection, job_id: int) -> Job:
        query = sa.select(jobs).where(jobs.c.id == job_id).with_for_update()
        row = connection.execute(query).mappings().first()
        if row is None:
            raise _no_such_job(job_id)
        return _job(row)

    def _move(
        self, connection: Connection, job: Job, to: State, reason: str, **change: object
    ) -> Job:
        """Change a locked row's state, if there is such a change, and enter it into the audit."""
        if to not in TRANSITIONS[job.state]:
            raise SettingsError(
                f"job {job.id} {job.state} to become {to}",
                expected=f"one of {', '.join(sorted(TRANSITIONS[job.state]))}",
                action="This is a defect in groundglass; please report it.",
            )
        return self._change(connection, job, to, reason, change)

    def _change(
        self,
        connection: Connection,
        job: Job,
        to: State,
        reason: str,
        change: Mapping[str, object],
    ) -> Job:
        row = {"state": to, "reason": reason, "changed_at": self.clock.now(), **change}
        connection.execute(sa.update(jobs).where(jobs.c.id == job.id).values(row))
        query = sa.select(jobs).where(jobs.c.id == job.id)
        changed = _job(connection.execute(query).mappings().one())
        self._enter(connection, changed, job.state, to, reason)
        return changed

    def _enter(
        self, connection: Connection, job: Job, before: str, after: State, reason: str
    ) -> None:
        row = {
            "job_id": job.id,
            "study_instance_uid": job.study_instance_uid,
            "revision": job.revision,
            "at": self.clock.now(),
            "before": before,
            "after": after,
            "attempt": job.attempt,
            "worker": job.worker,
            "reason": reason,
        }
        connection.execute(sa.insert(audit).values(row))


@contextmanager
def _answering() -> Iterator[None]:
    """Within, a database that fails is a `DatabaseDown`."""
    try:
        yield
    except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
        raise DatabaseDown(
            f"a database that does not answer ({type(error).__name__})",
            expected="a transaction that goes through",
            action="Look at the database server, or at the room on the database's disk.",
        ) from error


def _key(stored: StoredInstance) -> dict[str, str]:
    """What tells an instance from every other."""
    return {
        "study_instance_uid": stored.study_instance_uid,
        "sop_instance_uid": stored.sop_instance_uid,
        "sha256": stored.sha256,
    }


def _job(row: RowMapping) -> Job:
    return Job(**{**row, "state": State(row["state"])})


def _lost(held: Job) -> LeaseLost:
    return LeaseLost(
        f"job {held.id} not {held.state} under attempt {held.attempt} any more",
        expected="one that this worker still holds",
        action="Nothing is to be done: whoever took it over finishes it.",
    )


def _no_such_job(job_id: int) -> SettingsError:
    return SettingsError(
        f"no job {job_id}",
        expected="the number of one",
        action="`groundglass jobs list` shows them.",
    )
