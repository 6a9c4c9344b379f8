"""Retention: what has had its time goes, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from groundglass.errors import SettingsError
from groundglass.node import retention as module
from groundglass.node.inbound.spool import Spool
from groundglass.node.queue.actors import RETENTION
from groundglass.node.queue.jobs import JobStore
from groundglass.node.queue.states import State
from groundglass.node.retention import Retention, RetentionSettings
from node.job_twins import FROM_CT, SetClock

DAY_S = 86400.0


@pytest.fixture
def retention(spool: Spool, quick_jobs: JobStore) -> Retention:
    return Retention(spool, quick_jobs, RetentionSettings(days=14, failed_days=90, disk_share=1))


def finish(spool: Spool, jobs: JobStore, study: str, state: State = State.DELIVERED) -> None:
    """A study on its whole way, with files and report."""
    jobs.arrivals.enter(spool.store(study, f"{study}.1", study.encode()), FROM_CT)
    jobs.arrivals.explicit_end(study)
    folder = spool.job_folder(study, 1) / "attempt-1" / "report"
    folder.mkdir(parents=True)
    (folder / "sr.dcm").write_bytes(b"SR")
    job = jobs.leases.take("w1", 60)
    assert job is not None
    job = jobs.leases.report(job, folder.relative_to(spool.root).as_posix(), "verdict", "")
    jobs.leases.finish(job, state, "")


def on_disk(spool: Spool, study: str) -> bool:
    return spool.study_folder(study).exists() or spool.job_folder(study, 1).exists()


def test_each_kind_of_end_has_its_time(
    spool: Spool, quick_jobs: JobStore, clock: SetClock, retention: Retention
) -> None:
    ends = {"1.1": State.DELIVERED, "1.2": State.REFUSED, "1.3": State.FAILED}
    for study, state in ends.items():
        finish(spool, quick_jobs, study, state)
    quick_jobs.arrivals.enter(spool.store("1.4", "1.4.1", b"x"), FROM_CT)
    clock.go(14 * DAY_S - 1)
    assert retention.sweep() == 0
    clock.go(1)
    assert retention.sweep() == 2
    assert [on_disk(spool, study) for study in ends] == [False, False, True]
    clock.go(90 * DAY_S)
    assert retention.sweep() == 1
    assert not on_disk(spool, "1.3")
    assert on_disk(spool, "1.4")
    assert len(quick_jobs.records.find()) == 4
    assert retention.sweep() == 0


def test_a_full_disk_takes_the_oldest_first_and_never_what_is_needed(
    spool: Spool, quick_jobs: JobStore, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for study, state in (
        ("1.0", State.FAILED),
        ("1.1", State.DELIVERED),
        ("1.2", State.DELIVERED),
        ("1.3", State.DELIVERED),
    ):
        finish(spool, quick_jobs, study, state)
        clock.go(60)
    quick_jobs.arrivals.enter(spool.store("1.4", "1.4.1", b"x"), FROM_CT)
    kept = lambda: sum(on_disk(spool, f"1.{n}") for n in range(5))  # noqa: E731
    monkeypatch.setattr(module, "used_share", lambda _: kept() / 5)
    Retention(spool, quick_jobs, RetentionSettings(disk_share=0.6)).sweep()
    assert [on_disk(spool, f"1.{n}") for n in range(5)] == [True, False, False, True, True]
    monkeypatch.setattr(module, "used_share", lambda _: 1.0)
    Retention(spool, quick_jobs, RetentionSettings(disk_share=0.6)).sweep()
    assert [on_disk(spool, f"1.{n}") for n in range(5)] == [True, False, False, False, True]


def test_nothing_is_deleted_while_an_instance_comes_in(
    spool: Spool, quick_jobs: JobStore, retention: Retention
) -> None:
    finish(spool, quick_jobs, "1.1")
    with spool.holding("1.1"):
        assert not retention.purge("1.1", RETENTION)
        stored = spool.store("1.1", "1.1.1", b"1.1")  # the same again
        assert not quick_jobs.arrivals.enter(stored, FROM_CT).new
    assert (spool.root / stored.file).is_file()
    assert retention.purge("1.1", RETENTION)
    assert not on_disk(spool, "1.1")


def test_a_purged_study_that_comes_again_is_whole(
    spool: Spool, quick_jobs: JobStore, retention: Retention
) -> None:
    finish(spool, quick_jobs, "1.1")
    retention.purge("1.1", RETENTION)
    receipt = quick_jobs.arrivals.enter(spool.store("1.1", "1.1.1", b"1.1"), FROM_CT)
    assert (receipt.new, receipt.revision) == (True, 2)
    (file,) = quick_jobs.records.files_of(quick_jobs.records.get(receipt.job_id))
    assert (spool.root / file).read_bytes() == b"1.1"


def test_strays_are_set_aside_a_day_later_and_only_strays(
    spool: Spool, quick_jobs: JobStore, retention: Retention
) -> None:
    known = spool.store("1.1", "1.1.1", b"known")
    quick_jobs.arrivals.enter(known, FROM_CT)
    stray, fresh = spool.store("1.1", "1.1.2", b"stray"), spool.store("1.1", "1.1.3", b"fresh")
    half: Path = spool.root / "incoming" / "half.part"
    half.write_bytes(b"half")
    for path in (half, spool.root / known.file, spool.root / stray.file):
        os.utime(path, (0, 0))
    with spool.holding("1.1"):
        assert retention.set_strays_aside() == 0
    assert retention.set_strays_aside() == 1
    there = [(spool.root / one.file).exists() for one in (known, stray, fresh)]
    assert there == [True, False, True]
    assert (spool.root / "quarantine" / stray.file).read_bytes() == b"stray"
    assert not half.exists()


def test_a_database_of_an_older_backup_costs_no_image(
    spool: Spool, quick_jobs: JobStore, retention: Retention
) -> None:
    """The images of a study it does not know were acknowledged: none may be deleted."""
    stored = [spool.store("1.9", f"1.9.{n}", b"%d" % n).file for n in range(3)]
    for file in stored:
        os.utime(spool.root / file, (0, 0))
    assert retention.set_strays_aside() == 3
    assert retention.set_strays_aside() == 0
    kept = sorted((spool.root / "quarantine").rglob("*.dcm"))
    assert {path.read_bytes() for path in kept} == {b"0", b"1", b"2"}
    assert not spool.study_folder("1.9").exists()


@pytest.mark.parametrize("wrong", [{"days": -1.0}, {"disk_share": 0.0}, {"disk_share": 1.5}])
def test_settings_without_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError):
        RetentionSettings(**wrong)
