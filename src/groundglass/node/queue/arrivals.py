"""What senders do to the jobs: instances arrive, and a study is complete."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from groundglass.core.analysis import Completeness
from groundglass.node.queue.actors import NODE, Act, sender
from groundglass.node.queue.facts import with_more
from groundglass.node.queue.schema import instances, jobs
from groundglass.node.queue.states import ArrivalReceipt, Awaited, Facts, Job, State, StoredInstance
from groundglass.node.queue.table import LATEST_LOCKED, JobTable, as_job

# Every instance that comes goes through these: to build a statement costs more than to run it.
_KNOWN_AS = sa.select(instances.c.revision).where(
    *(
        instances.c[name] == sa.bindparam(name)
        for name in ("study_instance_uid", "sop_instance_uid", "sha256")
    )
)
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
    # More than was whole is not known to be; what was not whole waits until it is asked about.
    completeness=sa.case(
        (jobs.c.completeness == Completeness.VERIFIED.value, ""), else_=jobs.c.completeness
    ),
)
_COUNT_FOR_JOB = _COUNT_INSTANCE.where(jobs.c.id == sa.bindparam("job_id"))
_COUNT_FOR_RECEIVED = _COUNT_INSTANCE.where(
    jobs.c.study_instance_uid == sa.bindparam("study"), jobs.c.state == State.RECEIVED
).returning(jobs.c.id, jobs.c.revision, jobs.c.facts)
_COUNT_BACK = (
    sa.update(jobs)
    .where(jobs.c.id == sa.bindparam("job_id"))
    .values(instances=jobs.c.instances - 1)
)


#: A study may pause so many times as long as it did before.
_PAUSES = 3


class Arrivals:
    """Enters what arrives."""

    def __init__(self, table: JobTable) -> None:
        self._table = table
        self._enter_instance = (
            table.insert(instances).on_conflict_do_nothing().returning(instances.c.revision)
        )

    def enter(self, stored: StoredInstance, facts: Facts) -> ArrivalReceipt:
        """Enter an instance that is on disk; afterwards it may be acknowledged.

        The same bytes again change nothing, but hold the quiet time off. An instance for a study
        whose analysis has begun opens the study's next revision.
        """
        return self.enter_all([(stored, facts)])[0]

    def enter_all(
        self, arrivals: Sequence[tuple[StoredInstance, Facts]]
    ) -> tuple[ArrivalReceipt, ...]:
        """Enter several instances, all or none, at the cost of one being made durable."""
        receipts: dict[int, ArrivalReceipt] = {}
        # In one order everywhere, so that two nodes on one database never wait for each other.
        order = sorted(
            range(len(arrivals)),
            key=lambda n: tuple(_key(arrivals[n][0]).values()),
        )
        with self._table.writing() as connection:
            for n in order:
                receipts[n] = self._arrive(connection, *arrivals[n])
        return tuple(receipts[n] for n in range(len(arrivals)))

    def complete_quiet(self, since: float = 0.0) -> int:
        """Make ready every study that has waited as long as it may; how many.

        That is the quiet time, longer where its images came with long pauses, and longest where an
        archive lists images that did not come. Before we began to listen nothing could come, and
        so nothing was quiet: `since`, in s since 1970-01-01 UTC.
        """
        now, wait = self._table.clock.now(), self._table.settings
        if since > now - wait.quiet_s:
            return 0
        quiet = (jobs.c.state == State.RECEIVED) & (jobs.c.arrived_at <= now - wait.quiet_s)
        query = sa.select(jobs).where(quiet).with_for_update(skip_locked=True)
        completed = 0
        with self._table.writing() as connection:
            for job in [as_job(row) for row in connection.execute(query).mappings()]:
                known = self._known(connection, job)
                patience_s = self._patience_s(connection, job, known)
                if max(since, job.arrived_at) <= now - patience_s:
                    self._table.move(
                        connection,
                        job,
                        State.READY,
                        Act(NODE, _why_ready(job, known, patience_s)),
                        completeness=known.value,
                        missing=job.missing if known is Completeness.INCOMPLETE else "",
                    )
                    completed += 1
        return completed

    def explicit_end(self, study_instance_uid: str) -> bool:
        """Make a study ready at its archive's word that it is whole; whether it was waiting."""
        named = (jobs.c.state == State.RECEIVED) & (jobs.c.study_instance_uid == study_instance_uid)
        query = sa.select(jobs).where(named).with_for_update(skip_locked=True)
        verified = {"completeness": Completeness.VERIFIED.value, "missing": ""}
        with self._table.writing() as connection:
            found = [as_job(row) for row in connection.execute(query).mappings()]
            for job in found:
                act = Act(NODE, "complete: the sender said so")
                self._table.move(connection, job, State.READY, act, **verified)
        return bool(found)

    def complete(self, job: Job, listed: Awaited, reason: str) -> bool:
        """Make a study ready of which an archive lists no more; False if more came meanwhile."""
        known = {
            "completeness": Completeness.VERIFIED.value,
            "expected_instances": listed.listed,
            "missing": "",
        }
        with self._table.writing() as connection:
            now = self._table.locked(connection, job.id)
            if (now.state, now.arrived_at) != (State.RECEIVED, job.arrived_at):
                return False
            self._table.move(connection, now, State.READY, Act(NODE, reason), **known)
        return True

    def await_listed(self, job: Job, awaited: Awaited) -> None:
        """Enter what an archive lists of a study that is coming in, unless more came meanwhile."""
        whole = Completeness.INCOMPLETE if awaited.missing else Completeness.VERIFIED
        known = {
            "completeness": whole.value,
            "expected_instances": awaited.listed,
            "missing": json.dumps(dict(awaited.missing)) if awaited.missing else "",
        }
        as_it_was = (
            (jobs.c.id == job.id)
            & (jobs.c.state == State.RECEIVED)
            & (jobs.c.arrived_at == job.arrived_at)
        )
        with self._table.writing() as connection:
            connection.execute(sa.update(jobs).where(as_it_was).values(known))

    def holds(self, sop_instance_uid: str) -> dict[str, str]:
        """Under which SOP classes an instance was received, each with the file it is in."""
        query = (
            sa.select(instances.c.sop_class_uid, instances.c.file)
            .where(instances.c.sop_instance_uid == sop_instance_uid)
            .order_by(instances.c.arrived_at)
        )
        with self._table.reading() as connection:
            return dict(connection.execute(query).all())

    def _arrive(
        self, connection: Connection, stored: StoredInstance, facts: Facts
    ) -> ArrivalReceipt:
        """Enter one instance: nearly always of a study that is still coming in."""
        now = self._table.clock.now()
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
            _learn(connection, taking.id, taking.facts, facts)
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
        job, opened = self._openas_job(connection, stored.study_instance_uid, facts)
        if not self._new(connection, {**row, "revision": job.revision}):
            return self._again(connection, stored)  # it came on another association, just now
        if job.state is State.READY:
            act = Act(sender(facts.source_ae), "another instance came")
            self._table.move(connection, job, State.RECEIVED, act)
        connection.execute(_COUNT_FOR_JOB, {**count, "job_id": job.id})
        _learn(connection, job.id, job.facts, facts)
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
            .values(arrived_at=self._table.clock.now())
        )
        same = sa.select(jobs.c.id).where(of_study, jobs.c.revision == revision)
        return ArrivalReceipt(
            connection.execute(same).scalar_one(), revision, new=False, opened=False
        )

    def _openas_job(
        self, connection: Connection, study_instance_uid: str, facts: Facts
    ) -> tuple[Job, bool]:
        """The study's job that still takes instances, locked; whether a revision was begun."""
        begun = False
        while True:
            of_study = {"study_instance_uid": study_instance_uid}
            row = connection.execute(LATEST_LOCKED, of_study).mappings().first()
            if row is not None and State(row["state"]) in (State.RECEIVED, State.READY):
                return as_job(row), begun
            revision = 1 if row is None else row["revision"] + 1
            begun = self._begin(connection, study_instance_uid, revision, facts)
            if begun and row is not None and not row["files_purged"]:
                # The earlier images are part of the later revision, and so is what they say.
                new = jobs.c.revision == revision
                of_it = (jobs.c.study_instance_uid == study_instance_uid) & new
                connection.execute(sa.update(jobs).where(of_it).values(facts=row["facts"]))

    def _begin(
        self, connection: Connection, study_instance_uid: str, revision: int, facts: Facts
    ) -> bool:
        """Make a row; False when another connection was faster."""
        now = self._table.clock.now()
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
        insert = self._table.insert(jobs).values(row).on_conflict_do_nothing().returning(jobs.c.id)
        if connection.execute(insert).scalar_one_or_none() is None:
            return False
        job = self._table.latest(connection, study_instance_uid)
        reason = "first instance" if revision == 1 else "instances came after the analysis began"
        self._table.enter(connection, job, "", State.RECEIVED, Act(sender(facts.source_ae), reason))
        return True

    def _known(self, connection: Connection, job: Job) -> Completeness:
        """What is known of a study that no archive has said to be whole."""
        if job.completeness == Completeness.INCOMPLETE:
            uid = instances.c.sop_instance_uid
            came = sa.select(sa.func.count(uid.distinct())).where(
                instances.c.study_instance_uid == job.study_instance_uid
            )
            # As many may have come since the archive was last heard.
            if connection.execute(came).scalar_one() < (job.expected_instances or 0):
                return Completeness.INCOMPLETE
        elif job.completeness == Completeness.VERIFIED:
            return Completeness.VERIFIED
        return Completeness.NOT_VERIFIED

    def _patience_s(self, connection: Connection, job: Job, known: Completeness) -> float:
        """How long a study waits after its last image, in s."""
        wait = self._table.settings
        if known is Completeness.INCOMPLETE:
            return max(wait.quiet_s, wait.longest_wait_s)
        of_revision = (
            sa.select(instances.c.arrived_at)
            .where(instances.c.study_instance_uid == job.study_instance_uid)
            .where(instances.c.revision == job.revision)
            .order_by(instances.c.arrived_at)
        )
        came = connection.execute(of_revision).scalars().all()
        longest = max((after - before for before, after in pairwise(came)), default=0.0)
        return max(wait.quiet_s, min(_PAUSES * longest, wait.longest_wait_s))


def _why_ready(job: Job, known: Completeness, patience_s: float) -> str:
    """Why a study waits no longer."""
    if known is Completeness.INCOMPLETE:
        missing = sum(json.loads(job.missing).values())
        return f"not complete: {missing} images that the archive lists not here {patience_s:g} s on"
    return f"complete: nothing more for {patience_s:g} s"


def _learn(connection: Connection, job_id: int, known: str, facts: Facts) -> None:
    """Enter what an instance says for the rules, if that is new."""
    more = with_more(known, facts.by_keyword)
    if more != known:
        connection.execute(sa.update(jobs).where(jobs.c.id == job_id).values(facts=more))


def _key(stored: StoredInstance) -> dict[str, str]:
    """What tells an instance from every other."""
    return {
        "study_instance_uid": stored.study_instance_uid,
        "sop_instance_uid": stored.sop_instance_uid,
        "sha256": stored.sha256,
    }
