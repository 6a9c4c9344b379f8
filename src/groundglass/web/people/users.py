"""Users and their passwords, in the node's database."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY
from sqlalchemy.engine import Connection, RowMapping

from groundglass.errors import SettingsError
from groundglass.node.queue.schema import api_tokens, users, web_sessions
from groundglass.node.queue.table import JobTable

#: Fewest characters of a password (our choice; NIST SP 800-63B asks for 8 at least), and the most
#: that are hashed: a password of megabytes would be work for nothing.
SHORTEST, LONGEST = 12, 1024
_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
#: RFC 9106 section 4, second recommendation: 64 MiB, three passes.
_HASHER = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
#: So many passwords are hashed at once, each in 64 MiB; the others wait.
_HASHING = threading.BoundedSemaphore(2)


class Role(StrEnum):
    """What somebody may do; each may do what those before it may."""

    READER = "reader"
    """See studies, read them."""
    OPERATOR = "operator"
    """Begin studies again, hurry them, delete their files."""
    ADMIN = "admin"
    """See the record of who did what."""

    def may(self, needed: Role) -> bool:
        """Whether this role may do what another one may."""
        order = tuple(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in."""

    id: int
    """In the database."""
    name: str
    """What they type, in small letters."""
    role: Role
    """What they may do."""


class Users:
    """The users of a node."""

    def __init__(self, table: JobTable) -> None:
        self._table = table

    def add(self, name: str, role: Role, password: str) -> User:
        """Make a user, or let one who was removed come back.

        Raises
        ------
        SettingsError
            The name is taken or none, or the password too short.
        """
        if not _NAME.fullmatch(name):
            raise SettingsError(
                "a user name that is none",
                expected="1 to 64 of a-z, 0-9, '.', '_', '@', '-'",
                action="Choose another name.",
            )
        hashed = _hashed(password)
        row = {"role": role, "password": hashed, "removed_at": None}
        with self._table.writing() as connection:
            there = _row(connection, name)
            if there is not None and there["removed_at"] is None:
                raise SettingsError(
                    f"a user {name} who is there already",
                    expected="a name not yet taken",
                    action="Choose another name, or change this one's password or role.",
                )
            if there is None:
                made = {"name": name, "made_at": self._table.clock.now(), **row}
                connection.execute(sa.insert(users).values(made))
            else:
                connection.execute(sa.update(users).where(users.c.name == name).values(row))
            found = _row(connection, name)
        return _user(found) if found is not None else self.get(name)

    def get(self, name: str) -> User:
        """A user by name.

        Raises
        ------
        SettingsError
            There is none.
        """
        with self._table.reading() as connection:
            found = _row(connection, name)
        if found is None or found["removed_at"] is not None:
            raise SettingsError(
                f"no user {name}",
                expected="the name of one",
                action="`groundglass users list` shows them.",
            )
        return _user(found)

    def all(self) -> tuple[User, ...]:
        """Everybody who may log in, by name."""
        query = sa.select(users).where(users.c.removed_at.is_(None)).order_by(users.c.name)
        with self._table.reading() as connection:
            return tuple(map(_user, connection.execute(query).mappings()))

    def remove(self, name: str) -> None:
        """Let somebody in no more, from now on; what they did stays on record."""
        gone = {"removed_at": self._table.clock.now(), "password": ""}
        self._change(self.get(name), gone)

    def set_password(self, name: str, password: str) -> None:
        """Give a user another password, and end their sessions and tokens."""
        self._change(self.get(name), {"password": _hashed(password)})

    def set_role(self, name: str, role: Role) -> None:
        """Let a user do other things, once they log in again."""
        self._change(self.get(name), {"role": role})

    def authenticated(self, name: str, password: str) -> User | None:
        """The user, if this is their password; takes as long where there is no such user."""
        with self._table.reading() as connection:
            found = _row(connection, name)
        known = found is not None and found["removed_at"] is None
        hashed = str(found["password"]) if found is not None and known else _nobodys()
        if len(password) > LONGEST or not _matches(hashed, password) or found is None or not known:
            return None
        return _user(found)

    def _change(self, user: User, change: dict[str, object]) -> None:
        """Change a row, and have whoever holds a session or token of theirs log in again."""
        with self._table.writing() as connection:
            connection.execute(sa.update(users).where(users.c.id == user.id).values(change))
            for held in (web_sessions, api_tokens):
                connection.execute(sa.delete(held).where(held.c.user_id == user.id))


def _row(connection: Connection, name: str) -> RowMapping | None:
    query = sa.select(users).where(users.c.name == name)
    return connection.execute(query).mappings().first()


def _user(row: RowMapping) -> User:
    return User(row["id"], row["name"], Role(row["role"]))


def _hashed(password: str) -> str:
    if not SHORTEST <= len(password) <= LONGEST:
        raise SettingsError(
            f"a password of {len(password)} characters",
            expected=f"{SHORTEST} to {LONGEST}",
            action="Choose another one; several words make a good one.",
        )
    with _HASHING:
        return _HASHER.hash(password)


def _matches(hashed: str, password: str) -> bool:
    try:
        with _HASHING:
            return _HASHER.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobodys() -> str:
    """A hash to compare with where there is no user: the answer takes as long as for one."""
    return _HASHER.hash("a password that opens nothing")
