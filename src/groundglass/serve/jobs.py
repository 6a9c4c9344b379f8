"""Jobs: one row per study and revision, from its first instance to the confirmed delivery.

received → ready → analysing → reported → delivering → delivered
                                                     ↘ refused(reason)   no verdict, and why
Any of ready … delivering may end in failed(reason), the dead letters. Work that stops midway goes
back: analysing to ready, delivering to reported.

Whoever works on a job holds a lease and an attempt number. A lease that is not renewed may be
taken over by any worker, which raises the number; what is written under an older number is refused
(fencing), so that a worker thought dead cannot disturb its successor. Every change of state is
entered into the audit table in the same transaction.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine, RowMapping

from groundglass.errors import GroundglassError, SettingsError
from groundglass.serve import schema
from groundglass.serve.schema import audit, deliveries, instances, jobs
from groundglass.serve.spool import StoredInstance


class State(StrEnum):
    """Where a job is."""

    RECEIVED = "received"
    READY = "ready"
    ANALYSING = "analysing"
    REPORTED = "reported"
    DELIVERING = "delivering"
    DELIVERED = "delivered"
    REFUSED = "refused"
    FAILED = "failed"


#: The only changes of state there are. Work on a job stays in a state when it is taken over.
MOVES: Mapping[State, frozenset[State]] = {
    State.RECEIVED: frozenset({State.READY}),
    State.READY: frozenset({State.RECEIVED, State.ANALYSING}),
    State.ANALYSING: frozenset(
        {State.ANALYSING, State.READY, State.REPORTED, State.REFUSED, State.FAILED}
    ),
    State.REPORTED: frozenset({State.DELIVERING}),
    State.DELIVERING: frozenset(
        {State.DELIVERING, State.REPORTED, State.DELIVERED, State.REFUSED, State.FAILED}
    ),
    State.DELIVERED: frozenset({State.READY, State.REPORTED}),
    State.REFUSED: frozenset({State.READY, State.REPORTED}),
    State.FAILED: frozenset({State.READY, State.REPORTED}),
}
#: Nothing more happens by itself.
ENDED = frozenset({State.DELIVERED, State.REFUSED, State.FAILED})
#: A job waiting here is leased into the state after it.
_LEASED_INTO = {State.READY: State.ANALYSING, State.REPORTED: State.DELIVERING}
#: Where work that stops midway goes back to.
_BACK = {State.ANALYSING: State.READY, State.DELIVERING: State.REPORTED}


class Priority(IntEnum):
    """Which study goes first; within one priority, the one that came first."""

    ROUTINE = 0
    URGENT = 50
    EMERGENCY = 100


class LeaseLost(GroundglassError):  # noqa: N818  (reads as what it says)
    """Another worker has taken the job over; what this one did on it does not count."""


class Clock(Protocol):
    """What time it is."""

    def now(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        ...


class SystemClock:
    """The clock of the machine. Machines that share a database keep time by NTP."""

    def now(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        return time.time()


@dataclass(frozen=True, slots=True)
class JobSettings:
    """When a study is complete and how often work on it is tried.

    Parameters
    ----------
    quiet_s : float
        A study is complete when no instance of it came for this long, in s. 30: a scanner sends a
        series in one go, and reconstructions follow each other within seconds.
    max_failures : int
        Failures after which a job becomes a dead letter. 5: with the delays below, a PACS may be
        down for some minutes.
    first_delay_s : float
        Wait after the first failure in s; doubles with each. 15.
    longest_delay_s : float
        The wait stops growing here, in s. 900: a destination that is back is noticed within 15
        minutes.
    """

    quiet_s: float = 30.0
    max_failures: int = 5
    first_delay_s: float = 15.0
    longest_delay_s: float = 900.0

    def delay_s(self, failures: int) -> float:
        """Wait after so many failures in s."""
        return float(min(self.first_delay_s * 2.0 ** min(failures - 1, 30), self.longest_delay_s))


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent an instance and what is known of its urgency.

    Parameters
    ----------
    ae_title : str
        The calling AE title; for other ways in, a name of the way ("folder", "dicomweb").
    study_description : str
        `StudyDescription`; the rules look at it.
    priority : int
        As the rules gave it; a study has the highest of its instances.
    """

    ae_title: str
    study_description: str = ""
    priority: int = Priority.ROUTINE


@dataclass(frozen=True, slots=True)
class Arrival:
    """What an instance meant for its study.

    Parameters
    ----------
    job_id, revision : int
        The job it belongs to.
    new : bool
        False when the same bytes had come before.
    reopened : bool
        Whether it began a new revision of a study whose analysis had begun.
    """

    job_id: int
    revision: int
    new: bool
    reopened: bool


@dataclass(frozen=True, slots=True)
class Job:
    """A row of the table, as it was when read.

    Parameters
    ----------
    id, revision, priority, instances, attempt, failures : int
        `attempt` is the fencing number; `instances` counts those that came with this revision.
    study_instance_uid, source_ae, study_description : str
        What it is about.
    state : State
        Where it is.
    reason : str
        Why it is there, when that needs saying.
    received_at, arrived_at, changed_at, not_before, lease_until : float
        First instance, last instance, last change of state, earliest next try, end of the lease; s
        since 1970-01-01 UTC.
    worker : str
        Who holds it, or held it last.
    outcome : str
        How the analysis ended (`core.result.Outcome`); empty before.
    report : str
        Folder of the report, relative to the spool's root; empty before.
    files_purged : bool
        Retention has deleted its files; the row remains as the record.
    """

    id: int
    study_instance_uid: str
    revision: int
    state: State
    reason: str
    priority: int
    source_ae: str
    study_description: str
    instances: int
    received_at: float
    arrived_at: float
    changed_at: float
    not_before: float
    attempt: int
    failures: int
    worker: str
    lease_until: float
    outcome: str
    report: str
    files_purged: bool


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change of state.

    Parameters
    ----------
    at : float
        Seconds since 1970-01-01 UTC.
    before, after : str
        States; `before` is empty for a job's beginning.
    attempt : int
        The fencing number under which it was made.
    worker, reason : str
        Who and why.
    """

    at: float
    before: str
    after: str
    attempt: int
    worker: str
    reason: str


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """How far one file got at one destination.

    Parameters
    ----------
    destination, file : str
        Name of the destination, name of the file in the report's folder.
    status : str
        A `delivery.FileStatus`.
    detail : str
        What the destination said.
    changed_at : float
        Seconds since 1970-01-01 UTC.
    """

    destination: str
    file: str
    status: str
    detail: str
    changed_at: float


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
        self._engine = _engine(url)
        self._insert = (
            postgresql.insert if self._engine.dialect.name == "postgresql" else sqlite.insert
        )
        _make_tables(self._engine)

    def close(self) -> None:
        """Give back the connections."""
        self._engine.dispose()

    # In -----------------------------------------------------------------------------------------

    def arrived(self, stored: StoredInstance, sender: Sender) -> Arrival:
        """Enter an instance that is on disk; afterwards it may be acknowledged.

        The same bytes again change nothing, but hold the quiet time off. An instance for a study
        whose analysis has begun opens the study's next revision.
        """
        with self._writing() as connection:
            known = self._known_as(connection, stored)
            if known is not None:
                return self._again(connection, stored.study_instance_uid, known)
            job, reopened = self._open_job(connection, stored.study_instance_uid, sender)
            row = {
                "study_instance_uid": stored.study_instance_uid,
                "sop_instance_uid": stored.sop_instance_uid,
                "sha256": stored.sha256,
                "revision": job.revision,
                "file": stored.file,
                "bytes": stored.bytes,
                "source_ae": sender.ae_title[:16],
                "arrived_at": self.clock.now(),
            }
            added = connection.execute(self._insert(instances).values(row).on_conflict_do_nothing())
            if added.rowcount == 0:  # the same instance on another association, just now
                return Arrival(job.id, job.revision, new=False, reopened=False)
            if job.state is State.READY:
                job = self._move(connection, job, State.RECEIVED, "another instance came")
            change: dict[str, Any] = {
                "instances": jobs.c.instances + 1,
                "arrived_at": self.clock.now(),
                "priority": max(job.priority, sender.priority),
                "study_description": job.study_description or sender.study_description[:64],
            }
            connection.execute(sa.update(jobs).where(jobs.c.id == job.id).values(change))
            return Arrival(job.id, job.revision, new=True, reopened=reopened)

    def complete_quiet(self) -> int:
        """Make ready every study for which nothing came for the quiet time; how many."""
        before = self.clock.now() - self.settings.quiet_s
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
        """Renew the lease.

        Raises
        ------
        LeaseLost
            Another worker has the job.
        """
        with self._writing() as connection:
            self._held(connection, job)
            until = {"lease_until": self.clock.now() + seconds}
            connection.execute(sa.update(jobs).where(jobs.c.id == job.id).values(until))

    def report(self, job: Job, folder: str, outcome: str, reason: str) -> Job:
        """Enter that the report is on disk and go on to deliver it under the same lease.

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
            In state delivering.

        Raises
        ------
        LeaseLost
            Another worker has the job.
        """
        with self._writing() as connection:
            held = self._held(connection, job)
            change = {"report": folder, "outcome": outcome, "failures": 0}
            held = self._move(connection, held, State.REPORTED, reason, **change)
            return self._move(connection, held, State.DELIVERING, reason)

    def finish(self, job: Job, state: State, reason: str) -> Job:
        """End the work on a job: delivered or refused.

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
            return self._move(connection, held, _BACK[held.state], reason, lease_until=0)

    def record_delivery(
        self, job: Job, destination: str, files: Mapping[str, tuple[str, str]]
    ) -> None:
        """Enter what a destination said of each file.

        Parameters
        ----------
        job : Job
            As leased, delivering.
        destination : str
            Its name.
        files : mapping of str to (status, detail)
            By name of the file in the report's folder.

        Raises
        ------
        LeaseLost
            Another worker has the job.
        """
        with self._writing() as connection:
            self._held(connection, job)
            for file, (status, detail) in sorted(files.items()):
                row = {"status": status, "detail": detail, "changed_at": self.clock.now()}
                key = {"job_id": job.id, "destination": destination, "file": file}
                connection.execute(
                    self._insert(deliveries)
                    .values({**key, **row})
                    .on_conflict_do_update(index_elements=list(key), set_=row)
                )

    # By hand ------------------------------------------------------------------------------------

    def retry(self, job_id: int) -> Job:
        """Let an ended job begin again: with delivering when its report is there, else analysing.

        Raises
        ------
        SettingsError
            There is no such job, it has not ended, or its files are purged.
        """
        with self._writing() as connection:
            job = self._locked(connection, job_id)
            if job.state not in ENDED or job.files_purged:
                raise SettingsError(
                    f"job {job_id} {'without its files' if job.files_purged else job.state}",
                    expected="a job that has ended and whose files are still there",
                    action="`groundglass jobs list` shows where each job is.",
                )
            to = State.REPORTED if job.report and job.state is State.FAILED else State.READY
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

    def purge(self, job_id: int) -> tuple[str, ...]:
        """Forget the files of an ended job; the row and its audit trail remain.

        Returns
        -------
        tuple of str
            Files no later revision needs, relative to the spool's root, for the caller to delete.

        Raises
        ------
        SettingsError
            There is no such job, or it has not ended.
        """
        with self._writing() as connection:
            job = self._locked(connection, job_id)
            if job.state not in ENDED:
                raise SettingsError(
                    f"job {job_id} {job.state}",
                    expected=f"one that has ended ({', '.join(sorted(ENDED))})",
                    action="Let it end, or stop the node before purging.",
                )
            if self._latest(connection, job.study_instance_uid).id != job.id:
                return ()  # a later revision reads these instances too
            of_study = instances.c.study_instance_uid == job.study_instance_uid
            files = connection.execute(sa.select(instances.c.file).where(of_study)).scalars().all()
            connection.execute(sa.delete(instances).where(of_study))
            earlier = jobs.c.study_instance_uid == job.study_instance_uid
            connection.execute(sa.update(jobs).where(earlier).values(files_purged=True))
            self._change(connection, job, job.state, "files purged", {"files_purged": True})
            return tuple(files)

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
        """Jobs in these states, in the order in which they would be worked on."""
        query = (
            sa.select(jobs)
            .where(jobs.c.state.in_(states))
            .order_by(jobs.c.priority.desc(), jobs.c.arrived_at, jobs.c.id)
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
            last = dict(connection.execute(query).tuples().all())
        return tuple(last[uid] for uid in sorted(last))

    def deliveries_of(self, job: Job) -> tuple[DeliveryRecord, ...]:
        """How far each file got, by destination and file."""
        columns = [c for c in deliveries.c if c.name != "job_id"]
        query = (
            sa.select(*columns)
            .where(deliveries.c.job_id == job.id)
            .order_by(deliveries.c.destination, deliveries.c.file)
        )
        with self._reading() as connection:
            return tuple(DeliveryRecord(**r) for r in connection.execute(query).mappings())

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

    def counts(self) -> dict[State, int]:
        """Jobs per state; every state is there."""
        query = sa.select(jobs.c.state, sa.func.count()).group_by(jobs.c.state)
        with self._reading() as connection:
            found: dict[str, int] = dict(connection.execute(query).tuples().all())
        return {state: found.get(state.value, 0) for state in State}

    # Within a transaction -----------------------------------------------------------------------

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """One statement, no transaction: reading never waits for a writer."""
        with self._engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    def _known_as(self, connection: Connection, stored: StoredInstance) -> int | None:
        """The revision in which the same bytes came before."""
        query = sa.select(instances.c.revision).where(
            instances.c.study_instance_uid == stored.study_instance_uid,
            instances.c.sop_instance_uid == stored.sop_instance_uid,
            instances.c.sha256 == stored.sha256,
        )
        return connection.execute(query).scalar_one_or_none()

    def _again(self, connection: Connection, study_instance_uid: str, revision: int) -> Arrival:
        """The same instance again: its sender is still at it."""
        same = (jobs.c.study_instance_uid == study_instance_uid) & (jobs.c.revision == revision)
        connection.execute(
            sa.update(jobs)
            .where(same, jobs.c.state == State.RECEIVED)
            .values(arrived_at=self.clock.now())
        )
        job_id = connection.execute(sa.select(jobs.c.id).where(same)).scalar_one()
        return Arrival(job_id, revision, new=False, reopened=False)

    def _open_job(
        self, connection: Connection, study_instance_uid: str, sender: Sender
    ) -> tuple[Job, bool]:
        """The study's job that still takes instances, locked; whether a revision was begun."""
        begun = False
        while True:
            query = (
                sa.select(jobs)
                .where(jobs.c.study_instance_uid == study_instance_uid)
                .order_by(jobs.c.revision.desc())
                .limit(1)
                .with_for_update()
            )
            row = connection.execute(query).mappings().first()
            if row is not None and State(row["state"]) in (State.RECEIVED, State.READY):
                return _job(row), begun and row["revision"] > 1
            revision = 1 if row is None else row["revision"] + 1
            begun = self._begin(connection, study_instance_uid, revision, sender)

    def _begin(
        self, connection: Connection, study_instance_uid: str, revision: int, sender: Sender
    ) -> bool:
        """Make a row; False when another connection was faster."""
        now = self.clock.now()
        row = {
            "study_instance_uid": study_instance_uid,
            "revision": revision,
            "state": State.RECEIVED,
            "priority": sender.priority,
            "source_ae": sender.ae_title[:16],
            "study_description": sender.study_description[:64],
            "received_at": now,
            "arrived_at": now,
            "changed_at": now,
        }
        made = connection.execute(self._insert(jobs).values(row).on_conflict_do_nothing())
        if made.rowcount == 0:
            return False
        job = self._latest(connection, study_instance_uid)
        reason = "first instance" if revision == 1 else "instances came after the analysis began"
        self._enter(connection, job, "", State.RECEIVED, reason)
        return True

    def _latest(self, connection: Connection, study_instance_uid: str) -> Job:
        query = (
            sa.select(jobs)
            .where(jobs.c.study_instance_uid == study_instance_uid)
            .order_by(jobs.c.revision.desc())
            .limit(1)
        )
        return _job(connection.execute(query).mappings().one())

    def _make_ready(self, which: sa.ColumnElement[bool], reason: str) -> int:
        query = sa.select(jobs).where(which).with_for_update(skip_locked=True)
        with self._writing() as connection:
            found = [_job(row) for row in connection.execute(query).mappings()]
            for job in found:
                self._move(connection, job, State.READY, reason)
        return len(found)

    def _take(self, connection: Connection, job: Job, worker: str, until: float) -> Job | None:
        """Lease a locked row; None when it had failed too often to be tried again."""
        mine = {"worker": worker, "lease_until": until, "attempt": job.attempt + 1}
        if job.state in _LEASED_INTO:
            return self._move(connection, job, _LEASED_INTO[job.state], "leased", **mine)
        reason = f"the lease of {job.worker} ran out"
        if job.failures + 1 >= self.settings.max_failures:
            self._fail(connection, job, reason)
            return None
        return self._move(connection, job, job.state, reason, failures=job.failures + 1, **mine)

    def _fail(self, connection: Connection, job: Job, reason: str) -> Job:
        failures = job.failures + 1
        if failures >= self.settings.max_failures:
            last = f"{reason} (failure {failures}, the last)"
            change: dict[str, Any] = {"failures": failures, "lease_until": 0}
            return self._move(connection, job, State.FAILED, last, **change)
        not_before = self.clock.now() + self.settings.delay_s(failures)
        change = {"failures": failures, "not_before": not_before, "lease_until": 0}
        return self._move(connection, job, _BACK[job.state], reason, **change)

    def _held(self, connection: Connection, job: Job) -> Job:
        """The row as it is now, locked, if this attempt still holds it."""
        now = self._locked(connection, job.id)
        if (now.attempt, now.worker, now.state) != (job.attempt, job.worker, job.state):
            raise LeaseLost(
                f"job {job.id} {now.state} under attempt {now.attempt}",
                expected=f"{job.state} under attempt {job.attempt}",
                action="Nothing is to be done: the other worker finishes it.",
            )
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
        if to not in MOVES[job.state]:
            raise SettingsError(
                f"job {job.id} {job.state} to become {to}",
                expected=f"one of {', '.join(sorted(MOVES[job.state]))}",
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


def _job(row: RowMapping) -> Job:
    return Job(**{**row, "state": State(row["state"])})


def _no_such_job(job_id: int) -> SettingsError:
    return SettingsError(
        f"no job {job_id}",
        expected="the number of one",
        action="`groundglass jobs list` shows them.",
    )


def _engine(url: str) -> Engine:
    try:
        parsed = sa.make_url(url)
        if parsed.get_backend_name() == "postgresql":
            return sa.create_engine(parsed, pool_pre_ping=True)
        if parsed.get_backend_name() != "sqlite":
            raise SettingsError(
                f"a database of kind {parsed.get_backend_name()}",
                expected="sqlite or postgresql",
                action="Give a URL such as sqlite:////var/lib/groundglass/jobs.sqlite.",
            )
        return _sqlite(parsed)
    except (sa.exc.ArgumentError, ImportError) as error:
        raise SettingsError(
            f"a database URL that cannot be used ({type(error).__name__})",
            expected="sqlite:////path/jobs.sqlite or postgresql+psycopg://user@host/base",
            action="Check the URL; PostgreSQL needs `pip install 'groundglass[postgresql]'`.",
        ) from error


def _sqlite(url: sa.URL) -> Engine:
    """SQLite for many threads and processes: write-ahead log, synced, writers wait in line."""
    in_memory = url.database in (None, "", ":memory:")
    engine = sa.create_engine(
        url,
        poolclass=sa.QueuePool,
        pool_size=1 if in_memory else 8,
        max_overflow=0 if in_memory else 24,
        connect_args={"check_same_thread": False, "timeout": 60},
    )

    @sa.event.listens_for(engine, "connect")
    def _settle(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions begin where SQLAlchemy says so
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")  # an entry survives a power cut
        connection.execute("PRAGMA foreign_keys=ON")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that began by reading could not become a writing one beside another.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _make_tables(engine: Engine) -> None:
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":  # two machines may start at once
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(0x67676C73)))
            schema.metadata.create_all(connection)
            found = connection.execute(sa.select(schema.form.c.version)).scalar_one_or_none()
            if found is None:
                row = {"version": schema.SCHEMA_VERSION}
                connection.execute(sa.insert(schema.form).values(row))
    except (sa.exc.OperationalError, sa.exc.DatabaseError) as error:
        raise SettingsError(
            f"a database that does not answer ({type(error).__name__})",
            expected="one that this user may read and write",
            action="Check the URL, that the server runs, and the folder's permissions.",
        ) from error
    if found not in (None, schema.SCHEMA_VERSION):
        raise SettingsError(
            f"a database of form {found}",
            expected=f"form {schema.SCHEMA_VERSION}",
            action="Use the version of groundglass that made it, or an empty database.",
        )
