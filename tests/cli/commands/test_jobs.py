"""`groundglass jobs`: what people see of a node's work, and what they may do about it."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import Result

from groundglass.cli.commands.jobs import StateName
from groundglass.core.choices import PriorityName
from groundglass.node.assembly import Stores
from groundglass.node.queue.actors import person
from groundglass.node.queue.jobs import JobStore
from groundglass.node.queue.states import Facts, FileRecord, Priority, State
from groundglass.node.settings import NodeSettings, load_settings
from made_ct import as_bytes, ct_series, thorax
from node.released_tables import make_as_released

Invoke = Callable[..., Result]

CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "groundglass.toml"
    path.write_text("data = 'data'\n[spool]\nfree_floor_mb = 0\n[jobs]\nanalysis_tries = 1\n")
    return path


@pytest.fixture
def settings(config: Path) -> NodeSettings:
    return load_settings(config)


@pytest.fixture
def stores(settings: NodeSettings) -> Stores:
    """A delivered study, a dead letter and one that waits: jobs 1, 2, 3."""
    stores = Stores.open(settings)
    for study in ("1.2.1", "1.2.2", "1.2.3"):
        stored = stores.spool.store(study, f"{study}.1", study.encode())
        stores.jobs.arrivals.enter(stored, Facts(CT, "CT1"))
        if study != "1.2.3":
            stores.jobs.arrivals.explicit_end(study)
    job = stores.jobs.leases.take("w1", 60)
    assert job is not None
    job = stores.jobs.leases.report(job, "jobs/x", "verdict", "2 of 2 groups voted CP.")
    stores.jobs.leases.record_delivery(
        job, "pacs", [FileRecord("dicom/sr.dcm", "confirmed", "0x0000")]
    )
    stores.jobs.leases.finish(job, State.DELIVERED, job.reason)
    job = stores.jobs.leases.take("w1", 60)
    assert job is not None
    stores.jobs.leases.fail(job, "it broke")
    return stores


@pytest.fixture
def jobs(invoke: Invoke, config: Path) -> Invoke:
    def run(*arguments: object) -> Result:
        return invoke("jobs", *arguments, "--config", config)

    return run


def test_list_shows_every_job_and_counts_them(jobs: Invoke, stores: Stores) -> None:
    done = jobs("list")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert lines[-1] == "3 of 3 jobs; all: 1 received, 1 delivered, 1 failed"
    (failed,) = [line for line in lines if " failed " in line and "it broke" in line]
    assert stores.spool.pseudonyms.of("1.2.2") in failed
    assert "1.2.2" not in done.stdout


def test_what_is_ahead_has_a_time_for_its_result(
    jobs: Invoke, stores: Stores, phantom_study: Path
) -> None:
    for number, path in enumerate(sorted(phantom_study.iterdir())):
        stored = stores.spool.store("1.2.4", f"1.2.4.{number}", path.read_bytes())
        stores.jobs.arrivals.enter(stored, Facts(CT, "CT1"))
    of_readable, of_unreadable = jobs("list").output.splitlines()[1::-1]
    assert "result expected" in of_readable
    assert "result expected" not in of_unreadable
    assert "result" in jobs("show", 4).output
    assert "expected" not in jobs("show", 1).output
    assert "result expected" not in jobs("list", "--state", "delivered").output


def test_list_may_be_narrowed(jobs: Invoke, stores: Stores) -> None:
    assert len(jobs("list", "--state", "failed").stdout.splitlines()) == 2
    assert len(jobs("list", "--limit", 1).stdout.splitlines()) == 2
    assert jobs("list", "--state", "nosuch").exit_code == 2


def test_show_tells_the_whole_way(jobs: Invoke, stores: Stores) -> None:
    done = jobs("show", 1)
    assert done.exit_code == 0
    for words in (
        "Job 1: delivered",
        "1.2.1",
        stores.spool.pseudonyms.of("1.2.1"),
        "2 of 2 groups voted CP.",
        "attempt 1, worker w1: leased",
        "Destination pacs",
        "confirmed  dicom/sr.dcm  0x0000",
    ):
        assert words in done.stdout


def test_upgrade_says_what_it_did(jobs: Invoke, settings: NodeSettings) -> None:
    make_as_released(settings.data / "jobs.sqlite", "0001")
    refused = jobs("list")
    assert refused.exit_code == 2
    assert "groundglass jobs upgrade" in refused.output
    done = jobs("upgrade")
    assert done.stdout.startswith("form 0001 → ")
    (copy,) = settings.data.glob("jobs-form-0001-*.sqlite")
    assert copy.name in done.stdout.replace("\n", "")
    assert "nothing is to be done" in jobs("upgrade").stdout
    assert jobs("list").exit_code == 0


def test_verify_says_whether_the_trail_is_intact(
    jobs: Invoke, stores: Stores, settings: NodeSettings
) -> None:
    done = jobs("verify")
    assert done.exit_code == 0
    said, last = done.stdout.splitlines()
    assert said.startswith("intact: ")
    kept = last.removeprefix("last hash ")
    assert kept == stores.jobs.records.last_hash()
    jobs("bump", 2)
    assert jobs("verify", "--expect", kept).exit_code == 0
    assert jobs("verify", "--expect", "0" * 64).exit_code == 1
    with closing(sqlite3.connect(settings.data / "jobs.sqlite")) as connection, connection:
        connection.execute("UPDATE audit SET actor = 'user mallory' WHERE id = 4")
    broken = jobs("verify")
    assert broken.exit_code == 1
    assert "row 4 was changed" in broken.output
    assert "NOT intact" in broken.output


def test_who_did_it_is_shown(jobs: Invoke, stores: Stores) -> None:
    jobs("retry", 2)
    line = next(one for one in jobs("show", 2).stdout.splitlines() if one.endswith(": by hand"))
    assert f"{person()}: by hand" in line
    assert "w1" not in line


def test_a_backup_is_of_now_and_for_its_owner_only(
    jobs: Invoke, stores: Stores, settings: NodeSettings, tmp_path: Path
) -> None:
    folder = tmp_path / "monday"
    assert jobs("backup", folder).exit_code == 0
    modes = {"monday": 0o700, "jobs.sqlite": 0o600, "site.key": 0o600}
    made = (folder, *folder.iterdir())
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in made} == modes
    assert (folder / "site.key").read_bytes() == (settings.data / "site.key").read_bytes()
    copy = JobStore(f"sqlite:///{folder / 'jobs.sqlite'}")
    assert copy.records.find() == stores.jobs.records.find()
    copy.close()
    again = jobs("backup", folder)
    assert again.exit_code == 2
    assert "nothing that is there is written over" in again.output.replace("\n", " ")


def test_a_database_that_is_no_file_is_left_to_its_own_tool(jobs: Invoke, config: Path) -> None:
    config.write_text("data = 'data'\ndatabase = 'postgresql://user@127.0.0.1:1/base'\n")
    done = jobs("backup", config.with_name("monday"))
    assert done.exit_code == 2
    assert "pg_dump" in done.output


def test_reindex_says_what_it_entered(jobs: Invoke, stores: Stores) -> None:
    (image,) = ct_series(thorax(1, 32), StudyInstanceUID="1.2.9")
    stores.spool.store("1.2.9", str(image.SOPInstanceUID), as_bytes(image))
    done = jobs("reindex")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == "1 images of 1 studies entered"
    (job,) = [one for one in stores.jobs.records.find() if one.study_instance_uid == "1.2.9"]
    assert stores.jobs.records.audit_of(job)[-1].actor == person()
    assert "0 images" in jobs("reindex").stdout


def test_retry_bump_and_purge(jobs: Invoke, stores: Stores, settings: NodeSettings) -> None:
    assert jobs("retry", 2).stdout == "job 2 ready\n"
    assert jobs("bump", 2, 3, "--priority", "urgent").exit_code == 0
    assert [stores.jobs.records.get(n).priority for n in (1, 2, 3)] == [0, 50, 50]
    assert jobs("purge", 1).exit_code == 0
    assert stores.jobs.records.get(1).files_purged
    assert not stores.spool.study_folder("1.2.1").exists()
    assert stores.spool.study_folder("1.2.2").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show", 9), "no job 9"),
        (("retry", 3), "job 3 received"),
        (("purge", 3), "job 3 received"),
        (("fetch", "1.2.3"), "none is defined"),
    ],
)
def test_what_cannot_be_done_has_a_reason(
    jobs: Invoke, stores: Stores, arguments: tuple[object, ...], words: str
) -> None:
    done = jobs(*arguments)
    assert done.exit_code == 2
    assert words in done.output


def test_a_purge_waits_for_instances_that_come_in(jobs: Invoke, stores: Stores) -> None:
    with stores.spool.holding("1.2.1"):
        done = jobs("purge", 1)
    assert done.exit_code == 1
    assert "coming in" in done.stdout
    assert not stores.jobs.records.get(1).files_purged


def test_the_names_help_repeats_are_the_programs() -> None:
    assert set(StateName.__args__) == set(State)
    assert set(PriorityName.__args__) == {priority.name.lower() for priority in Priority}
