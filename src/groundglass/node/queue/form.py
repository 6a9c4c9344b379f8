"""Of which form a database's tables are, and how an older form becomes today's.

The migrations themselves are Alembic's, in `migrations/versions`. Alembic is imported only where
there is something to do: it takes as long as everything else of a look at the job table.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from groundglass.errors import SettingsError
from groundglass.node.queue.backup import back_up_beside, sqlite_file
from groundglass.node.queue.database import open_engine
from groundglass.node.queue.schema import HEAD, form

if TYPE_CHECKING:
    from alembic.config import Config

#: The form of a database without tables.
EMPTY = ""
_VERSION = sa.table("alembic_version", sa.column("version_num", sa.String))
_AS_RELEASED = "0001"
_LOCK = 0x67676C73


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What an upgrade did."""

    before: str
    """The form it found; `EMPTY` where there were no tables."""
    after: str
    """The form now."""
    backup: Path | None
    """Where the database as it was lies; None where nothing was changed, or on PostgreSQL."""


def outdated(url: str) -> bool:
    """Whether a database has the tables of an earlier version, which `upgrade` changes.

    Raises
    ------
    SettingsError
        The database cannot be reached, or was made by a later version.
    """
    engine = open_engine(url)
    try:
        with _reachable(), engine.connect() as connection:
            found = form_of(connection)
    finally:
        engine.dispose()
    if found in (EMPTY, HEAD):
        return False
    _refuse_unknown(found)
    return True


def demand_form(engine: Engine) -> None:
    """Demand today's tables of a database; one without tables gets them.

    Raises
    ------
    SettingsError
        The database cannot be reached, or its tables are those of another version.
    """
    with _reachable(), engine.connect() as connection:
        found = form_of(connection)
    if found == EMPTY:
        with _alone(engine) as connection:
            if form_of(connection) == EMPTY:  # else another process was faster
                _migrate(connection, EMPTY)
    elif found != HEAD:
        _refuse_unknown(found)
        raise SettingsError(
            f"a database of form {found}, made by an earlier version of groundglass",
            expected=f"form {HEAD}",
            action="Run `groundglass jobs upgrade`, or start the node, which does it, too.",
        )


def upgrade(url: str) -> Upgraded:
    """Bring a database to today's form, in one transaction, by one process at a time.

    A file of SQLite is copied first. On PostgreSQL a transaction that fails leaves everything as it
    was; `pg_dump` is its way to a copy.

    Raises
    ------
    SettingsError
        The database cannot be reached or copied, or was made by a later version.
    """
    engine = open_engine(url)
    try:
        with _alone(engine) as connection:
            found = form_of(connection)
            if found == HEAD:
                return Upgraded(HEAD, HEAD, None)
            if found != EMPTY:
                _refuse_unknown(found)
            file = sqlite_file(engine.url)
            backup = None if found == EMPTY or file is None else back_up_beside(file, found)
            _migrate(connection, found)
            return Upgraded(found, HEAD, backup)
    finally:
        engine.dispose()


def form_of(connection: Connection) -> str:
    """The revision of a database's tables; before there were migrations, the release's."""
    tables = sa.inspect(connection)
    if tables.has_table(_VERSION.name):
        return str(connection.execute(sa.select(_VERSION.c.version_num)).scalar_one())
    if not tables.has_table(form.name):
        return EMPTY
    version = connection.execute(sa.select(form.c.version)).scalar_one_or_none()
    return _AS_RELEASED if version in (1, None) else f"{version} without migrations"


def _migrate(connection: Connection, found: str) -> None:
    """Go from a known form to today's, on this connection."""
    from alembic import command  # noqa: PLC0415  (see the module)

    config = _config()
    config.attributes["connection"] = connection
    try:
        if found != EMPTY:
            command.stamp(config, found)
        command.upgrade(config, HEAD)
    except sa.exc.DBAPIError as error:
        raise SettingsError(
            f"a database of form {found or 'none'} that could not be brought to form {HEAD} "
            f"({type(error).__name__})",
            expected="room on its disk, the right to change its tables, and tables of that form",
            action="It is as it was. Correct what the database's log says, and start again.",
        ) from error


def _refuse_unknown(found: str) -> None:
    from alembic.script import ScriptDirectory  # noqa: PLC0415  (see the module)

    known = {one.revision for one in ScriptDirectory.from_config(_config()).walk_revisions()}
    if found not in known:
        raise SettingsError(
            f"a database of form {found}, which this version of groundglass does not know",
            expected=f"form {HEAD} or earlier",
            action="Use the version that made it, or restore the backup made before its upgrade.",
        )


def _config() -> Config:
    from alembic.config import Config  # noqa: PLC0415  (see the module)

    config = Config()
    config.set_main_option("script_location", "groundglass.node.queue:migrations")
    return config


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A transaction that no other process has beside it."""
    with _reachable(), engine.begin() as connection:  # on SQLite, begun as the only writer
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        yield connection


@contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except sa.exc.DBAPIError as error:
        raise SettingsError(
            f"a database that does not answer ({type(error).__name__})",
            expected="one that this user may read and write",
            action="Check the URL, that the server runs, and the folder's permissions.",
        ) from error
