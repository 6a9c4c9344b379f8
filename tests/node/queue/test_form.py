"""Databases of every released form: upgraded with all that is in them, or refused untouched."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection, Engine

from groundglass.errors import SettingsError
from groundglass.node.queue import schema
from groundglass.node.queue.form import _config, form_of, outdated, upgrade
from groundglass.node.queue.jobs import JobStore
from groundglass.node.queue.states import State
from node.job_twins import FROM_CT, on_disk
from node.released_tables import RELEASED

FORMS = sorted({path.name[:9] for path in RELEASED.glob("form-*.sql")})
_SEQUENCES = "SELECT setval(pg_get_serial_sequence('{0}', 'id'), (SELECT max(id) FROM {0}))"


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = sa.create_engine(database_url)
    yield made
    made.dispose()


@pytest.fixture(params=FORMS)
def released(request: pytest.FixtureRequest, engine: Engine) -> str:
    """A database as a release made it, with rows in every table; its form."""
    make(engine, request.param)
    return str(request.param.removeprefix("form-"))


def make(engine: Engine, form: str) -> None:
    with engine.begin() as connection:
        for part in (engine.dialect.name, "rows"):
            for statement in (RELEASED / f"{form}-{part}.sql").read_text("utf-8").split(";\n"):
                if statement.strip():
                    connection.exec_driver_sql(statement)
        if engine.dialect.name == "postgresql":
            for table in ("jobs", "audit"):  # as inserts without numbers would have left them
                connection.exec_driver_sql(_SEQUENCES.format(table))


def content(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table."""
    with engine.connect() as connection:
        tables = sa.MetaData()
        tables.reflect(connection)
        return {
            name: [dict(row) for row in connection.execute(sa.select(table)).mappings()]
            for name, table in tables.tables.items()
            if name not in ("alembic_version", "groundglass_form")
        }


def differences(connection: Connection) -> list[Any]:
    options = {"compare_type": True, "compare_server_default": True}
    return list(
        compare_metadata(MigrationContext.configure(connection, opts=options), schema.metadata)
    )


def test_a_released_database_is_upgraded_with_all_its_rows(
    database_url: str, engine: Engine, released: str
) -> None:
    before = content(engine)
    assert all(before.values()), "a released form is tried with rows in every table"
    assert outdated(database_url)
    done = upgrade(database_url)
    assert (done.before, done.after) == (released, schema.HEAD)
    after = content(engine)
    for table, rows in before.items():
        kept = [{name: row[name] for name in rows[0]} for row in after[table]]
        assert kept == rows
    with engine.connect() as connection:
        assert differences(connection) == []
    assert not outdated(database_url)
    assert upgrade(database_url).backup is None


def test_work_goes_on_in_an_upgraded_database(database_url: str, released: str) -> None:
    upgrade(database_url)
    jobs = JobStore(database_url)
    receipt = jobs.arrivals.enter(on_disk("1.2", "1.2.4"), FROM_CT)
    assert (receipt.job_id, receipt.revision) == (5, 2)
    assert jobs.arrivals.enter(on_disk("1.9", "1.9.1"), FROM_CT).job_id == 6, "numbers go on"
    assert jobs.arrivals.explicit_end("1.2")
    leased = jobs.leases.take("w9", 60)
    assert leased is not None
    assert leased.state is State.ANALYSING
    assert (leased.expected_instances, leased.completeness, leased.facts) == (None, "verified", "")
    assert [e.reason for e in jobs.records.audit_of(jobs.records.get(1))] == [
        "first instance",
        "voted",
    ]
    trail = jobs.records.verify()
    assert (trail.unchained, trail.chained, trail.wrong) == (4, 3, [])
    jobs.close()


def test_a_new_database_has_the_tables_that_the_program_means(
    database_url: str, engine: Engine
) -> None:
    JobStore(database_url).close()
    with engine.connect() as connection:
        assert form_of(connection) == schema.HEAD
        assert differences(connection) == []
    assert ScriptDirectory.from_config(_config()).get_current_head() == schema.HEAD


def test_who_only_looks_changes_no_older_database(
    database_url: str, engine: Engine, released: str
) -> None:
    before = content(engine)
    with pytest.raises(SettingsError, match="groundglass jobs upgrade"):
        JobStore(database_url)
    assert content(engine) == before


def test_a_database_of_a_later_version_is_refused(database_url: str, engine: Engine) -> None:
    JobStore(database_url).close()
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9901'"))
    before = content(engine)
    for attempt in (JobStore, upgrade, outdated):
        with pytest.raises(SettingsError, match="form 9901, which this version"):
            attempt(database_url)
    assert content(engine) == before


def test_a_program_older_than_the_migrations_refuses_an_upgraded_database(
    database_url: str, engine: Engine, released: str
) -> None:
    """Release 0.1.0 compares this number with its own, 1."""
    upgrade(database_url)
    with engine.connect() as connection:
        assert connection.execute(
            sa.text("SELECT version FROM groundglass_form")
        ).scalars().all() == [2]


def test_a_file_is_copied_before_its_upgrade(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/jobs.sqlite")
    make(engine, FORMS[0])
    before = content(engine)
    copy = upgrade(f"sqlite:///{tmp_path}/jobs.sqlite").backup
    assert copy is not None
    assert (copy.parent, copy.suffix) == (tmp_path, ".sqlite")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    of_copy = sa.create_engine(f"sqlite:///{copy}")
    assert content(of_copy) == before
    assert outdated(f"sqlite:///{copy}")
    engine.dispose()
    of_copy.dispose()


def test_an_upgrade_that_breaks_leaves_the_database_as_it_was(
    database_url: str, engine: Engine, released: str
) -> None:
    with engine.begin() as connection:  # what the second migration would add is there already
        connection.execute(sa.text("ALTER TABLE audit ADD COLUMN digest VARCHAR(64)"))
    before = content(engine)
    with pytest.raises(SettingsError, match="could not be brought to form"):
        upgrade(database_url)
    assert content(engine) == before
    assert outdated(database_url)


def test_several_machines_that_start_at_once_upgrade_once(
    database_url: str, engine: Engine, released: str
) -> None:
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(upgrade, [database_url] * 4))
    assert sorted(one.before for one in done) == sorted([released, *[schema.HEAD] * 3])
    with engine.connect() as connection:
        assert differences(connection) == []
