"""The audit trail as a chain: each row holds the hash of the one before it.

A row that is changed, removed from between others, put in or moved no longer fits. Who may write to
the database may also compute the whole chain anew, or cut off its end; against that, the last hash
is said by `verify` and in the log every day, so that it can be kept elsewhere, and asked for later.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from groundglass.node.queue.schema import audit, jobs

#: What is hashed of a row, beside the hash of the row before it.
_HASHED = (
    "job_id", "study_instance_uid", "revision", "at", "before", "after", "attempt", "worker",
    "actor", "reason",
)  # fmt: skip
#: The hash at the end of the chain.
LAST = sa.select(audit.c.digest).order_by(audit.c.id.desc()).limit(1)
_LOCK = 0x67676174
_PAGE = 2000


@dataclass(slots=True)
class Verification:
    """What is found when the trail is gone through."""

    chained: int = 0
    """Rows that are part of the chain."""
    unchained: int = 0
    """Rows from before there was a chain."""
    last: str = ""
    """The chain's last hash."""
    wrong: list[str] = field(default_factory=list)
    """What does not fit, row by row; empty when the trail is intact."""


def append(connection: Connection, rows: Iterable[Mapping[str, object]]) -> None:
    """Enter rows at the trail's end, as the transaction's last act.

    Whoever appends waits for who does until that transaction is over. Nobody who waits here holds
    up another: nothing else is locked after it.
    """
    if connection.dialect.name == "postgresql":  # SQLite has one writer anyway
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    previous = connection.execute(LAST).scalar_one_or_none() or ""
    chained = []
    for row in rows:
        digest = _digest(row, previous)
        chained.append({**row, "previous": previous, "digest": digest})
        previous = digest
    connection.execute(sa.insert(audit), chained)


def verify(
    reading: Callable[[], AbstractContextManager[Connection]], expected: str = ""
) -> Verification:
    """Go through the whole trail, while others may write.

    Parameters
    ----------
    reading : callable
        Gives a connection on which each statement is a transaction.
    expected : str
        A hash that was the last one once, and must still be there; empty for none.
    """
    found = Verification()
    seen = not expected
    before = 0
    for row in _rows(reading):
        if not row["digest"] and not found.chained:
            found.unchained += 1
        else:
            found.wrong += _misfits(row, before, found.last)
            found.chained += 1
            found.last = row["digest"]
            seen = seen or row["digest"] == expected
        before = row["id"]
    if not seen:
        found.wrong.append(f"no row has the hash {expected}: rows at the end were removed")
    with reading() as connection:
        found.wrong += map(_without_trail, connection.execute(_unlike_their_trail()).mappings())
    return found


def _digest(row: Mapping[str, Any], previous: str) -> str:
    """SHA-256 of a row and the hash before it: JSON with sorted keys, no spaces, in ASCII."""
    content = {**{name: row[name] for name in _HASHED}, "at": float(row["at"])}
    text = json.dumps({**content, "previous": previous}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _rows(reading: Callable[[], AbstractContextManager[Connection]]) -> Iterator[RowMapping]:
    """All rows in their order, some thousand at a time."""
    after = 0
    while True:
        query = sa.select(audit).where(audit.c.id > after).order_by(audit.c.id).limit(_PAGE)
        with reading() as connection:
            page = connection.execute(query).mappings().all()
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1]["id"]


def _misfits(row: RowMapping, before: int, previous: str) -> Iterator[str]:
    if row["previous"] != previous:
        place = f"follow row {before}" if before else "begin the trail"
        yield f"row {row['id']} does not {place}: rows were removed, put in or moved"
    if row["digest"] != _digest(dict(row), row["previous"]):
        yield f"row {row['id']} was changed"


def _unlike_their_trail() -> sa.Select[Any]:
    """Jobs whose state is not that of their last row."""
    last = sa.select(sa.func.max(audit.c.id).label("id")).group_by(audit.c.job_id).subquery()
    ends = sa.select(audit.c.job_id, audit.c.after).join(last, audit.c.id == last.c.id).subquery()
    return (
        sa.select(jobs.c.id, jobs.c.state, ends.c.after)
        .outerjoin(ends, ends.c.job_id == jobs.c.id)
        .where(sa.or_(ends.c.after.is_(None), ends.c.after != jobs.c.state))
        .order_by(jobs.c.id)
    )


def _without_trail(row: RowMapping) -> str:
    said = f"its last row says {row['after']}" if row["after"] else "no row says so"
    return f"job {row['id']} is {row['state']}, but {said}: rows were removed, or it was changed"
