"""What workers do to the jobs: take one under a lease, renew it, and say how the work went.

Whoever works on a job holds a lease and an attempt number. A lease that is not renewed may be
taken over by any worker, which raises the number; what is written under an older number is refused
(fencing), so that a worker thought dead cannot disturb its successor.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from groundglass.node.queue import actors
from groundglass.node.queue.actors import Act
from groundglass.node.queue.schema import deliveries, jobs
from groundglass.node.queue.states import LEASED_INTO, ROLLBACK, FileRecord, Job, LeaseLost, State
from groundglass.node.queue.table import JobTable, as_job


class Leases:
    """Gives jobs out and takes back what became of them.

    What is asked of a leased job raises `LeaseLost` when another worker has it, or it has ended.
    """

    def __init__(self, table: JobTable) -> None:
        self._table = table

    def take(self, worker: str, seconds: float) -> Job | None:
        """Take the most urgent job that waits, or whose worker has stopped renewing its lease.

        In state analysing or delivering, under a new attempt; None when there is nothing to do.
        """
        now = self._table.clock.now()
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
            with self._table.writing() as connection:
                row = connection.execute(most_urgent).mappings().first()
                if row is None:
                    return None
                job = self._take(connection, as_job(row), worker, now + seconds)
            if job is not None:
                return job

    def renew(self, job: Job, seconds: float) -> None:
        """Renew the lease; the job may have gone on to another state under the same attempt."""
        mine = (
            (jobs.c.id == job.id)
            & (jobs.c.attempt == job.attempt)
            & jobs.c.state.in_([State.ANALYSING, State.DELIVERING])
        )
        until = {"lease_until": self._table.clock.now() + seconds}
        with self._table.writing() as connection:
            renewed = connection.execute(sa.update(jobs).where(mine).values(until))
            if renewed.rowcount == 0:
                raise _lost(job)

    def report(self, job: Job, folder: str, outcome: str, reason: str) -> Job:
        """Enter that the report is on disk and go on to deliver it under the same lease.

        If instances came meanwhile, the next revision's report is delivered instead of it.

        Returns
        -------
        Job
            In state delivering, or superseded.
        """
        with self._table.writing() as connection:
            held = self._held(connection, job)
            # What went out of an earlier report of this job says nothing of this one.
            connection.execute(sa.delete(deliveries).where(deliveries.c.job_id == job.id))
            change = {"report": folder, "outcome": outcome, "failures": 0}
            new = {**change, "first_reported_at": self._table.clock.now()}
            act = _by_holder(held, reason)
            held = self._table.move(connection, held, State.REPORTED, act, **new)
            superseded = self._superseded(connection, held, act.actor)
            return superseded or self._table.move(connection, held, State.DELIVERING, act)

    def finish(self, job: Job, state: State, reason: str) -> Job:
        """End the work on a job: delivered, refused, or failed with a capture that says so."""
        with self._table.writing() as connection:
            held = self._held(connection, job)
            return self._table.move(
                connection, held, state, _by_holder(held, reason), lease_until=0
            )

    def fail(self, job: Job, reason: str) -> Job:
        """Enter that work on a job failed: it waits for its next try, or becomes a dead letter."""
        with self._table.writing() as connection:
            held = self._held(connection, job)
            return self._fail(connection, held, _by_holder(held, reason))

    def postpone(self, job: Job, reason: str, seconds: float) -> Job:
        """Give a job back for some time without counting a failure: it is not its fault."""
        not_before = self._table.clock.now() + seconds
        with self._table.writing() as connection:
            held = self._held(connection, job)
            change = {"not_before": not_before, "lease_until": 0}
            act = _by_holder(held, reason)
            return self._table.move(connection, held, ROLLBACK[held.state], act, **change)

    def release(self, job: Job, reason: str) -> Job:
        """Give a job back untouched, so that another worker takes it at once."""
        with self._table.writing() as connection:
            held = self._held(connection, job)
            act = _by_holder(held, reason)
            return self._table.move(connection, held, ROLLBACK[held.state], act, lease_until=0)

    def record_delivery(self, job: Job, destination: str, files: Iterable[FileRecord]) -> None:
        """Enter what a destination said of each file."""
        with self._table.writing() as connection:
            self._held(connection, job)
            for record in files:
                key = {"job_id": job.id, "destination": destination, "file": record.file}
                row = {**asdict(record), "changed_at": self._table.clock.now()}
                del row["file"]
                connection.execute(
                    self._table.insert(deliveries)
                    .values({**key, **row})
                    .on_conflict_do_update(index_elements=list(key), set_=row)
                )

    def _take(self, connection: Connection, job: Job, worker: str, until: float) -> Job | None:
        """Lease a locked row; None when it is superseded, or failed too often to be tried again."""
        mine = {"worker": worker, "lease_until": until, "attempt": job.attempt + 1}
        by = actors.worker(worker)
        if job.state in LEASED_INTO:
            if self._superseded(connection, job, by):
                return None
            act = Act(by, "leased")
            return self._table.move(connection, job, LEASED_INTO[job.state], act, **mine)
        act = Act(by, f"the lease of {job.worker} ran out")
        if job.failures + 1 >= self._table.settings.tries(job.state):
            self._fail(connection, job, act)
            return None
        return self._table.move(connection, job, job.state, act, failures=job.failures + 1, **mine)

    def _superseded(self, connection: Connection, job: Job, actor: str) -> Job | None:
        """End a locked job of which nothing went out, if a later revision of its study is there."""
        later = self._table.latest(connection, job.study_instance_uid).revision
        offered = sa.select(deliveries.c.job_id).where(deliveries.c.job_id == job.id).limit(1)
        if later == job.revision or connection.execute(offered).first() is not None:
            return None
        act = Act(actor, f"revision {later} came before anything went out")
        return self._table.move(connection, job, State.SUPERSEDED, act, lease_until=0)

    def _fail(self, connection: Connection, job: Job, act: Act) -> Job:
        failures = job.failures + 1
        if failures >= self._table.settings.tries(job.state):
            last = Act(act.actor, f"{act.reason} (failure {failures}, the last)")
            change: dict[str, Any] = {"failures": failures, "lease_until": 0}
            return self._table.move(connection, job, State.FAILED, last, **change)
        not_before = self._table.clock.now() + self._table.settings.delay_s(failures)
        change = {"failures": failures, "not_before": not_before, "lease_until": 0}
        return self._table.move(connection, job, ROLLBACK[job.state], act, **change)

    def _held(self, connection: Connection, job: Job) -> Job:
        """The row as it is now, locked, if this attempt still holds it."""
        query = sa.select(jobs).where(jobs.c.id == job.id).with_for_update()
        row = connection.execute(query).mappings().first()
        now = None if row is None else as_job(row)
        if now is None or (now.attempt, now.state) != (job.attempt, job.state):
            raise _lost(job)
        return now


def _by_holder(held: Job, reason: str) -> Act:
    return Act(actors.worker(held.worker), reason)


def _lost(held: Job) -> LeaseLost:
    return LeaseLost(
        f"job {held.id} not {held.state} under attempt {held.attempt} any more",
        expected="one that this worker still holds",
        action="Nothing is to be done: whoever took it over finishes it.",
    )
