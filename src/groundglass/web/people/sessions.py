"""Sessions of browsers and tokens of programs: what is handed out is random, and kept as a hash."""

from __future__ import annotations

import hashlib
import secrets

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from groundglass.node.queue.schema import api_tokens, users, web_sessions
from groundglass.node.queue.table import JobTable
from groundglass.node.web_settings import WebSettings
from groundglass.web.people.users import Role, User

#: 256 bits: nobody guesses one, so that a fast hash suffices.
_BYTES = 32
#: A session's last use is written down when it is older than this, in s.
_NOTED_EVERY_S = 60.0
_DAY_S = 86400.0


class Sessions:
    """Who is logged in with a browser."""

    def __init__(self, table: JobTable, settings: WebSettings) -> None:
        self._table = table
        self._longest_s = settings.session_hours * 3600
        self._idle_s = settings.idle_minutes * 60

    def begin(self, user: User, replaced: str = "") -> str:
        """Log somebody in; the token for their cookie, always a new one.

        Parameters
        ----------
        replaced : str
            The token that the browser had before; it ends.
        """
        token, now = secrets.token_urlsafe(_BYTES), self._table.clock.now()
        row = {"token": _hash(token), "user_id": user.id, "begun_at": now, "used_at": now}
        with self._table.writing() as connection:
            self._clear(connection, now)
            ended = web_sessions.c.token == _hash(replaced)
            connection.execute(sa.delete(web_sessions).where(ended))
            connection.execute(sa.insert(web_sessions).values(row))
        return token

    def find(self, token: str) -> User | None:
        """Whose session it is, if it has not ended."""
        now = self._table.clock.now()
        query = (
            sa.select(users, web_sessions.c.begun_at, web_sessions.c.used_at)
            .join(users, users.c.id == web_sessions.c.user_id)
            .where(web_sessions.c.token == _hash(token), users.c.removed_at.is_(None))
        )
        with self._table.reading() as connection:
            found = connection.execute(query).mappings().first()
        if found is None or now >= min(
            found["begun_at"] + self._longest_s, found["used_at"] + self._idle_s
        ):
            return None
        if now - found["used_at"] > _NOTED_EVERY_S:
            mine = web_sessions.c.token == _hash(token)
            with self._table.writing() as connection:
                connection.execute(sa.update(web_sessions).where(mine).values(used_at=now))
        return _user(found)

    def end(self, token: str) -> None:
        """Log out."""
        with self._table.writing() as connection:
            mine = web_sessions.c.token == _hash(token)
            connection.execute(sa.delete(web_sessions).where(mine))

    def _clear(self, connection: sa.Connection, now: float) -> None:
        old = sa.or_(
            web_sessions.c.begun_at < now - self._longest_s,
            web_sessions.c.used_at < now - self._idle_s,
        )
        connection.execute(sa.delete(web_sessions).where(old))


class Tokens:
    """Programs that call the API in somebody's name."""

    def __init__(self, table: JobTable) -> None:
        self._table = table

    def make(self, user: User, days: float) -> str:
        """A token that is good for so many days; it is shown this once."""
        token, now = f"gg_{secrets.token_urlsafe(_BYTES)}", self._table.clock.now()
        until = now + days * _DAY_S
        row = {"token": _hash(token), "user_id": user.id, "made_at": now, "until": until}
        with self._table.writing() as connection:
            connection.execute(sa.insert(api_tokens).values(row))
        return token

    def find(self, token: str) -> User | None:
        """Whose token it is, if it is good."""
        query = (
            sa.select(users)
            .join(api_tokens, users.c.id == api_tokens.c.user_id)
            .where(api_tokens.c.token == _hash(token), users.c.removed_at.is_(None))
            .where(api_tokens.c.until > self._table.clock.now())
        )
        with self._table.reading() as connection:
            found = connection.execute(query).mappings().first()
        return None if found is None else _user(found)


def _user(row: RowMapping) -> User:
    return User(row["id"], row["name"], Role(row["role"]))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
