"""Copies of the job table's database, made while it is in use."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from groundglass.core.atomic_files import replacing, sync_folder
from groundglass.errors import SettingsError


def sqlite_file(url: sa.URL) -> Path | None:
    """The file of a database of SQLite; None for one in memory, or of another kind."""
    in_file = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    return Path(str(url.database)) if in_file else None


def back_up(file: Path, to: Path) -> None:
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
                closing(
                    sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
                ) as original,
                closing(sqlite3.connect(unfinished)) as copy,
            ):
                original.backup(copy)
                copy.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
            with unfinished.open("rb") as written:
                os.fsync(written.fileno())
        sync_folder(to.parent)
    except (OSError, sqlite3.Error) as error:
        raise SettingsError(
            f"a backup {to} that cannot be made ({error})",
            expected="a database that can be read, and a folder to write to with room for it",
            action="Make room, or give another folder.",
        ) from error


def back_up_beside(file: Path, form: str) -> Path:
    """Copy a database into its own folder before its form is changed."""
    at = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    to = file.with_name(f"{file.stem}-form-{form}-{at}.sqlite")
    back_up(file, to)
    return to
