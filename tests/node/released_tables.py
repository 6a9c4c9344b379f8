"""Files of SQLite as earlier releases made them, with rows in every table."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

RELEASED = Path(__file__).parent / "queue" / "released"


def make_as_released(file: Path, form: str) -> None:
    """Make the tables of a released form; the folder is made, too, for its owner only."""
    file.parent.mkdir(mode=0o700, exist_ok=True)
    with closing(sqlite3.connect(file)) as connection:
        for part in ("sqlite", "rows"):
            connection.executescript((RELEASED / f"form-{form}-{part}.sql").read_text("utf-8"))
