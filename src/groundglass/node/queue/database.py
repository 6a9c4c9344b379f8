"""The database behind the job table: SQLite for one machine, PostgreSQL for several."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from groundglass.errors import SettingsError, install_extra


def open_engine(url: str) -> Engine:
    """Connections to a database.

    Raises
    ------
    SettingsError
        The URL is none, or of another kind of database.
    """
    try:
        parsed = sa.make_url(url)
        if parsed.drivername == "postgresql":  # without a driver's name it would be another one
            parsed = parsed.set(drivername="postgresql+psycopg")
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
            expected="sqlite:////path/jobs.sqlite or postgresql://user@host/base",
            action=f"Check the URL. For PostgreSQL: {install_extra('postgresql')}",
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
        # A log that is written over is synced in a fraction of the time of one that grows, so it
        # is kept short: this many pages are some forty instances.
        connection.execute("PRAGMA wal_autocheckpoint=256")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that began by reading could not become a writing one beside another.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
