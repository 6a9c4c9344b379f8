"""The record of who logged in, looked at what, and did what."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from groundglass.node.queue.schema import access
from groundglass.node.queue.table import JobTable

#: Characters of a name that somebody typed, who may be anybody.
_LONGEST_NAME = 64


class Deed(StrEnum):
    """What can be done."""

    LOGGED_IN = "logged in"
    REFUSED = "login refused"
    LOGGED_OUT = "logged out"
    VIEWED = "viewed"
    DOWNLOADED = "downloaded"
    READ = "read"
    RETRIED = "retried"
    BUMPED = "bumped"
    PURGED = "purged"
    USER_CHANGED = "user changed"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who does something, and from where."""

    name: str
    """A user's; what was typed, where a login was refused."""
    address: str
    """Network address; for the command line its name."""


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """One thing done."""

    at: float
    """Seconds since 1970-01-01 UTC."""
    who: str
    address: str
    """`who`, `address`: as in `Caller`."""
    what: str
    """A `Deed`."""
    job_id: int | None
    """The job it was done to, if to one."""
    detail: str
    """What more is to be said; nothing of a patient."""


class Access:
    """The record."""

    def __init__(self, table: JobTable) -> None:
        self._table = table

    def enter(
        self, caller: Caller, what: Deed, job_id: int | None = None, detail: str = ""
    ) -> None:
        """Write one thing down."""
        row = {
            "at": self._table.clock.now(),
            "who": caller.name[:_LONGEST_NAME],
            "address": caller.address[:_LONGEST_NAME],
            "what": what,
            "job_id": job_id,
            "detail": detail,
        }
        with self._table.writing() as connection:
            connection.execute(sa.insert(access).values(row))

    def last(self, limit: int = 200) -> tuple[AccessEntry, ...]:
        """What was done, the last first."""
        names = ("at", "who", "address", "what", "job_id", "detail")
        query = sa.select(*(access.c[name] for name in names))
        query = query.order_by(access.c.id.desc()).limit(limit)
        with self._table.reading() as connection:
            return tuple(AccessEntry(**row) for row in connection.execute(query).mappings())
