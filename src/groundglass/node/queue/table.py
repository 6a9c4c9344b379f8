"""The tables as everything here uses them: transactions, and changes of state with their audit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, RowMapping

from groundglass.errors import SettingsError
from groundglass.node.clock import Clock
from groundglass.node.queue import trail
from groundglass.node.queue.actors import Act
from groundglass.node.queue.database import open_engine
from groundglass.node.queue.form import demand_form
from groundglass.node.queue.schema import jobs
from groundglass.node.queue.states import TRANSITIONS, DatabaseDown, Job, JobSettings, State

_ENTRIES = "audit entries of this transaction"
#: The last revision of a study.
LATEST = (
    sa.select(jobs)
    .where(jobs.c.study_instance_uid == sa.bindparam("study_instance_uid"))
    .order_by(jobs.c.revision.desc())
    .limit(1)
)
#: The same, until the transaction ends nobody else's to change.
LATEST_LOCKED = LATEST.with_for_update()


class JobTable:
    """A database with the node's tables.

    Its URL is SQLAlchemy's: `sqlite:////var/lib/groundglass/jobs.sqlite`,
    `postgresql+psycopg://user@host/base`, or `sqlite://` for one in memory.

    Raises
    ------
    SettingsError
        The database cannot be reached, or has the tables of another version.
    """

    def __init__(self, url: str, settings: JobSettings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self._engine = open_engine(url)
        self.insert = (
            postgresql.insert if self._engine.dialect.name == "postgresql" else sqlite.insert
        )
        demand_form(self._engine)

    def close(self) -> None:
        """Give back the connections."""
        self._engine.dispose()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction: all of it is entered, or nothing.

        What it enters into the audit goes there at its end: a transaction that waits for the end of
        the chain asks for nothing more, so that no two of them wait for each other.
        """
        with _answering(), self._engine.begin() as connection:
            entries = connection.info[_ENTRIES] = []
            yield connection
            if entries:
                trail.append(connection, entries)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One statement, no transaction: reading never waits for a writer."""
        with _answering(), self._engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    def latest(self, connection: Connection, study_instance_uid: str) -> Job:
        """The last revision of a study that is there."""
        of_study = {"study_instance_uid": study_instance_uid}
        return as_job(connection.execute(LATEST, of_study).mappings().one())

    def locked(self, connection: Connection, job_id: int) -> Job:
        """A job as it is now, until the transaction ends nobody else's to change."""
        query = sa.select(jobs).where(jobs.c.id == job_id).with_for_update()
        row = connection.execute(query).mappings().first()
        if row is None:
            raise no_such_job(job_id)
        return as_job(row)

    def move(self, connection: Connection, job: Job, to: State, act: Act, **change: object) -> Job:
        """Change a locked row's state, if there is such a change, and enter it into the audit."""
        if to not in TRANSITIONS[job.state]:
            raise SettingsError(
                f"job {job.id} {job.state} to become {to}",
                expected=f"one of {', '.join(sorted(TRANSITIONS[job.state]))}",
                action="This is a defect in groundglass; please report it.",
            )
        return self.change(connection, job, to, act, change)

    def change(
        self,
        connection: Connection,
        job: Job,
        to: State,
        act: Act,
        change: Mapping[str, object],
    ) -> Job:
        """Change a locked row, whatever its state was, and enter it into the audit."""
        row = {"state": to, "reason": act.reason, "changed_at": self.clock.now(), **change}
        connection.execute(sa.update(jobs).where(jobs.c.id == job.id).values(row))
        query = sa.select(jobs).where(jobs.c.id == job.id)
        changed = as_job(connection.execute(query).mappings().one())
        self.enter(connection, changed, job.state, to, act)
        return changed

    def enter(self, connection: Connection, job: Job, before: str, after: State, act: Act) -> None:
        """One row of the audit, within `writing`."""
        row = {
            "job_id": job.id,
            "study_instance_uid": job.study_instance_uid,
            "revision": job.revision,
            "at": self.clock.now(),
            "before": before,
            "after": after,
            "attempt": job.attempt,
            "worker": job.worker,
            "actor": act.actor,
            "reason": act.reason,
        }
        connection.info[_ENTRIES].append(row)


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


def as_job(row: RowMapping) -> Job:
    """A row of the table."""
    return Job(**{**row, "state": State(row["state"])})


def no_such_job(job_id: int) -> SettingsError:
    """What is raised for a number that no job has."""
    return SettingsError(
        f"no job {job_id}",
        expected="the number of one",
        action="`groundglass jobs list` shows them.",
    )
