"""Copies of the job table's database, made while it is in use."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.engine import Engine

from groundglass.core.atomic_files import replacing, sync_folder
from groundglass.errors import SettingsError


def back_up(engine: Engine, to: Path) -> None:
    """Copy a SQLite database as of now, by its online backup; readable by its owner only.

    A writer may be at work: the copy is of what was committed, whole and synced, or not there.

    Raises
    ------
    SettingsError
        The copy cannot be written.
    """
    try:
        with replacing(to) as unfinished:
            unfinished.touch(0o600)
            with (
                closing(engine.raw_connection()) as pooled,
                closing(sqlite3.connect(unfinished)) as copy,
            ):
                pooled.driver_connection.backup(copy)
                copy.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
            with unfinished.open("rb") as written:
                os.fsync(written.fileno())
        sync_folder(to.parent)
    except (OSError, sqlite3.Error) as error:
        raise SettingsError(
            f"a backup {to} that cannot be written ({error})",
            expected="a folder this user may write to, with room for the database",
            action="Make room, or give another folder.",
        ) from error


def back_up_beside(engine: Engine, form: str) -> Path | None:
    """Copy a file of SQLite into its own folder before its form is changed; None for others."""
    file = engine.url.database
    if engine.dialect.name != "sqlite" or not file or file == ":memory:":
        return None
    at = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    to = Path(file).with_name(f"{Path(file).stem}-form-{form}-{at}.sqlite")
    back_up(engine, to)
    return to
