"""The audit trail: who did what, and that a change of it shows."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from groundglass.node.inbound.spool import Spool
from groundglass.node.queue import actors
from groundglass.node.queue.actors import Act
from groundglass.node.queue.jobs import JobStore
from groundglass.node.queue.schema import audit
from groundglass.node.queue.schema import jobs as job_table
from groundglass.node.queue.states import JobSettings, Priority, State
from groundglass.node.retention import Retention, RetentionSettings
from node.job_twins import FROM_CT, SetClock, on_disk

ALICE = "user alice@node1"


def failed(jobs: JobStore, study: str = "1.2") -> int:
    """A study whose analysis failed for good, by worker w1; its job's number."""
    job_id = jobs.arrivals.enter(on_disk(study, f"{study}.1"), FROM_CT).job_id
    jobs.arrivals.explicit_end(study)
    job = jobs.leases.take("w1", 60)
    assert job is not None
    job = jobs.leases.report(job, "jobs/x", "refused", "too few slices")
    jobs.leases.finish(job, State.REFUSED, "too few slices")
    return job_id


def acts(jobs: JobStore, job_id: int) -> list[tuple[str, str]]:
    return [(e.actor, e.reason) for e in jobs.records.audit_of(jobs.records.get(job_id))]


# Who --------------------------------------------------------------------------------------------


def test_every_act_carries_who_did_it_and_not_the_last_worker(jobs: JobStore) -> None:
    job_id = failed(jobs)
    began = len(acts(jobs, job_id))
    assert acts(jobs, job_id)[0] == ("sender CT1", "first instance")
    assert acts(jobs, job_id)[1][0] == actors.NODE
    assert {actor for actor, _ in acts(jobs, job_id)[2:]} == {"worker w1"}
    jobs.operator.bump(job_id, Priority.URGENT, ALICE)
    jobs.operator.note("1.2", Act(ALICE, "1 instances fetched from pacs"))
    jobs.operator.purge("1.2", ALICE)
    assert acts(jobs, job_id)[began:] == [
        (ALICE, "priority 0 → 50 by hand"),
        (ALICE, "1 instances fetched from pacs"),
        (ALICE, "files purged"),
    ]
    other = failed(jobs, "1.3")
    jobs.operator.retry(other, ALICE)
    assert acts(jobs, other)[-1] == (ALICE, "by hand")
    assert jobs.records.verify().wrong == []


def test_a_worker_that_takes_over_is_who_did_it(jobs: JobStore, clock: SetClock) -> None:
    job_id = jobs.arrivals.enter(on_disk("1.2", "1.2.1"), FROM_CT).job_id
    jobs.arrivals.explicit_end("1.2")
    jobs.leases.take("w1", 60)
    clock.go(60)
    jobs.leases.take("w2", 60)
    assert acts(jobs, job_id)[-1] == ("worker w2", "the lease of w1 ran out")


def test_what_has_had_its_time_goes_by_the_retention(
    quick_jobs: JobStore, spool: Spool, clock: SetClock
) -> None:
    job_id = failed(quick_jobs)
    clock.go(1000 * 86400)
    assert Retention(spool, quick_jobs, RetentionSettings()).sweep() == 1
    assert acts(quick_jobs, job_id)[-1] == (actors.RETENTION, "files purged")


@pytest.mark.parametrize(
    ("kernel", "sudo", "expected"),
    [
        ("0", "mallory", "root"),  # the kernel knows who logged in, whatever a variable says
        (str(2**32 - 1), "alice", "alice as root"),
        (str(2**32 - 1), "", "root"),
        ("", "alice", "alice as root"),
    ],
)
def test_a_person_is_who_logged_in(
    kernel: str, sudo: str, expected: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    login = tmp_path / "loginuid"
    if kernel:
        login.write_text(kernel)
    monkeypatch.setattr(actors, "_LOGIN", login)
    monkeypatch.setattr(actors.os, "getuid", lambda: 0)
    monkeypatch.setattr(actors.socket, "gethostname", lambda: "node1")
    monkeypatch.setenv("SUDO_USER", sudo)
    assert actors.person() == f"user {expected}@node1"


# A change shows ---------------------------------------------------------------------------------


def _change(column: str, value: object) -> Callable[[Connection], object]:
    def change(connection: Connection) -> object:
        return connection.execute(sa.update(audit).where(audit.c.id == 3).values({column: value}))

    return change


def _remove(connection: Connection) -> object:
    return connection.execute(sa.delete(audit).where(audit.c.id == 3))


def _remove_first(connection: Connection) -> object:
    return connection.execute(sa.delete(audit).where(audit.c.id == 1))


def _swap(connection: Connection) -> None:
    for old, new in ((3, 999), (4, 3), (999, 4)):
        connection.execute(sa.update(audit).where(audit.c.id == old).values(id=new))


def _put_in(connection: Connection) -> None:
    row = connection.execute(sa.select(audit).where(audit.c.id == 4)).mappings().one()
    connection.execute(sa.insert(audit).values({**row, "id": 999}))


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        *(
            (_change(column, value), "row 3 was changed")
            for column, value in {
                "job_id": 2,
                "study_instance_uid": "1.2.3",
                "revision": 9,
                "at": 1.5,
                "before": "refused",
                "after": "failed",
                "attempt": 7,
                "worker": "w8",
                "actor": ALICE,
                "reason": "because",
                "digest": "0" * 64,
            }.items()
        ),
        (_change("digest", ""), "row 3 was changed"),
        (_change("previous", "0" * 64), "row 3 does not follow row 2"),
        (_remove, "row 4 does not follow row 2"),
        (_remove_first, "row 2 does not begin the trail"),
        (_swap, "row 3 does not follow row 2"),
        (_put_in, "row 999 does not follow row 12"),
    ],
)
def test_a_change_of_the_trail_shows(
    jobs: JobStore, database_url: str, tamper: Callable[[Connection], object], words: str
) -> None:
    failed(jobs)
    failed(jobs, "1.3")
    intact = jobs.records.verify()
    assert (intact.chained, intact.unchained, intact.wrong) == (12, 0, [])
    engine = sa.create_engine(database_url)
    with engine.begin() as connection:
        tamper(connection)
    engine.dispose()
    assert any(words in line for line in jobs.records.verify().wrong), jobs.records.verify().wrong


def test_an_end_that_was_cut_off_shows(jobs: JobStore, database_url: str) -> None:
    """By the job, which says otherwise; where that was changed, too, by the hash kept elsewhere."""
    job_id = failed(jobs)
    last = jobs.records.last_hash()
    assert jobs.records.verify(last).wrong == []
    engine = sa.create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(sa.delete(audit).where(audit.c.id == 6))
    (line,) = jobs.records.verify().wrong
    assert line.startswith(f"job {job_id} is refused, but its last row says delivering")
    with engine.begin() as connection:
        connection.execute(sa.update(job_table).values(state="delivering"))
    assert jobs.records.verify().wrong == []
    (line,) = jobs.records.verify(last).wrong
    assert last in line
    engine.dispose()


def test_a_long_trail_is_read_page_by_page(
    quick_jobs: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for study in range(4):
        failed(quick_jobs, f"1.{study}")
    for page in (1, 7, 8, 24, 25):
        monkeypatch.setattr("groundglass.node.queue.trail._PAGE", page)
        found = quick_jobs.records.verify()
        assert (found.chained, found.wrong) == (24, [])


# One chain a database ---------------------------------------------------------------------------


def test_many_writers_make_one_chain_and_never_wait_for_each_other(database_url: str) -> None:
    """Senders that open and continue the same studies in batches, beside people who hurry them."""
    writers, studies, rounds = 4, 6, 8
    together = threading.Barrier(writers)

    def write(number: int) -> None:
        store = JobStore(database_url, JobSettings())
        rng = random.Random(number)  # noqa: S311  (an order, not a secret)
        together.wait()
        for turn in range(rounds):
            batch = [
                (on_disk(f"1.{study}", f"1.{study}.{number}.{turn}"), FROM_CT)
                for study in rng.sample(range(turn, turn + studies), studies)
            ]
            receipts = list(store.arrivals.enter_all(batch))
            rng.shuffle(receipts)
            for receipt in receipts[:3]:
                store.operator.bump(receipt.job_id, rng.randrange(100), ALICE)
        store.close()

    JobStore(database_url).close()
    with ThreadPoolExecutor(writers) as pool:
        for done in [pool.submit(write, number) for number in range(writers)]:
            done.result(120)
    jobs = JobStore(database_url)
    found = jobs.records.verify()
    began = studies + rounds - 1
    assert (found.chained, found.wrong) == (began + writers * rounds * 3, [])
    assert sum(job.instances for job in jobs.records.find()) == writers * rounds * studies
    jobs.close()
