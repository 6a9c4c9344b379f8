"""The job table: what may happen to a job, and what may not."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from operator import attrgetter

import pytest

from groundglass.errors import SettingsError
from groundglass.node.queue.facts import as_values
from groundglass.node.queue.jobs import JobStore
from groundglass.node.queue.states import (
    ArrivalReceipt,
    DatabaseDown,
    Facts,
    FileRecord,
    Job,
    JobSettings,
    LeaseLost,
    Priority,
    State,
)
from node.job_twins import CT, FROM_CT, SetClock, on_disk

LEASE_S = 60.0
HAND = "user alice@node1"


def ready(jobs: JobStore, study: str, facts: Facts = FROM_CT) -> ArrivalReceipt:
    receipt = jobs.arrivals.enter(on_disk(study, f"{study}.1"), facts)
    assert jobs.arrivals.explicit_end(study)
    return receipt


def leased(jobs: JobStore, worker: str = "w1") -> Job:
    job = jobs.leases.take(worker, LEASE_S)
    assert job is not None
    return job


def delivered(jobs: JobStore) -> Job:
    job = jobs.leases.report(leased(jobs), "jobs/x", "verdict", "voted")
    return jobs.leases.finish(job, State.DELIVERED, "voted")


# In ---------------------------------------------------------------------------------------------


def test_a_study_is_ready_after_its_quiet_time_and_not_before(
    jobs: JobStore, clock: SetClock
) -> None:
    jobs.arrivals.enter(on_disk("1.2", "1.2.1"), FROM_CT)
    clock.go(jobs.settings.quiet_s / 3)  # no longer a pause than is given anyway
    jobs.arrivals.enter(on_disk("1.2", "1.2.2"), FROM_CT)
    clock.go(jobs.settings.quiet_s - 1)
    assert jobs.arrivals.complete_quiet() == 0
    assert jobs.leases.take("w1", LEASE_S) is None
    clock.go(1)
    assert jobs.arrivals.complete_quiet() == 1
    assert leased(jobs).instances == 2


def test_the_same_bytes_again_are_harmless_and_hold_the_quiet_time_off(
    jobs: JobStore, clock: SetClock
) -> None:
    first = jobs.arrivals.enter(on_disk("1.2", "1.2.1"), FROM_CT)
    clock.go(jobs.settings.quiet_s)
    again = jobs.arrivals.enter(on_disk("1.2", "1.2.1"), FROM_CT)
    assert (again.job_id, again.new, again.opened) == (first.job_id, False, False)
    assert jobs.arrivals.complete_quiet() == 0
    assert jobs.records.get(first.job_id).instances == 1


def test_the_same_bytes_after_the_end_change_nothing(jobs: JobStore) -> None:
    receipt = ready(jobs, "1.2")
    done = delivered(jobs)
    assert not jobs.arrivals.enter(on_disk("1.2", "1.2.1"), FROM_CT).new
    assert jobs.records.get(receipt.job_id) == done
    assert len(jobs.records.find()) == 1


def test_other_bytes_under_a_uid_already_known_count_as_new_and_the_last_ones_are_read(
    jobs: JobStore, clock: SetClock
) -> None:
    jobs.arrivals.enter(on_disk("1.2", "1.2.1", b"first"), FROM_CT)
    clock.go(1)
    receipt = jobs.arrivals.enter(on_disk("1.2", "1.2.1", b"second"), FROM_CT)
    assert receipt.new
    assert jobs.records.files_of(jobs.records.get(receipt.job_id)) == (
        on_disk("1.2", "1.2.1", b"second").file,
    )


def test_an_instance_for_a_ready_study_makes_it_wait_again(jobs: JobStore) -> None:
    first = ready(jobs, "1.2")
    second = jobs.arrivals.enter(on_disk("1.2", "1.2.2"), FROM_CT)
    assert (second.job_id, second.opened) == (first.job_id, False)
    assert jobs.records.get(first.job_id).state is State.RECEIVED


def test_a_late_instance_opens_a_revision_and_leaves_the_running_one_alone(jobs: JobStore) -> None:
    first = ready(jobs, "1.2")
    running = leased(jobs)
    late = jobs.arrivals.enter(on_disk("1.2", "1.2.2"), FROM_CT)
    assert (late.revision, late.opened) == (2, True)
    assert late.job_id != first.job_id
    assert len(jobs.records.files_of(running)) == 1
    jobs.arrivals.explicit_end("1.2")
    assert len(jobs.records.files_of(leased(jobs))) == 2
    jobs.leases.renew(running, LEASE_S)


def test_many_at_once_lose_and_double_nothing(jobs: JobStore) -> None:
    everything = [(f"1.{s}", f"1.{s}.{i}") for i in range(6) for s in range(4)] * 2
    with ThreadPoolExecutor(8) as pool:
        receipts = list(
            pool.map(lambda uids: jobs.arrivals.enter(on_disk(*uids), FROM_CT), everything)
        )
    assert sum(receipt.new for receipt in receipts) == 24
    assert sum(receipt.opened for receipt in receipts) == 4
    found = jobs.records.find()
    assert sorted(job.instances for job in found) == [6, 6, 6, 6]
    assert all(len(jobs.records.files_of(job)) == 6 for job in found)


def test_what_was_received_is_known_by_its_class(jobs: JobStore) -> None:
    jobs.arrivals.enter(on_disk("1.2", "1.2.1"), FROM_CT)
    assert jobs.arrivals.holds("1.2.1") == {CT: on_disk("1.2", "1.2.1").file}
    assert jobs.arrivals.holds("1.2.2") == {}


# Work -------------------------------------------------------------------------------------------


def test_the_way_of_a_job_is_its_audit_trail(jobs: JobStore, clock: SetClock) -> None:
    receipt = ready(jobs, "1.2")
    clock.go(5)
    done = delivered(jobs)
    assert done.state is State.DELIVERED
    trail = jobs.records.audit_of(done)
    assert [entry.after for entry in trail] == [
        "received", "ready", "analysing", "reported", "delivering", "delivered"
    ]  # fmt: skip
    assert [entry.before for entry in trail[1:]] == [entry.after for entry in trail[:-1]]
    assert {entry.worker for entry in trail[2:]} == {"w1"}
    assert trail[-1].at == clock.now() == trail[0].at + 5
    assert jobs.records.get(receipt.job_id) == done


def test_emergencies_go_first_then_who_came_first(jobs: JobStore, clock: SetClock) -> None:
    for study, priority in (
        ("1.1", Priority.ROUTINE),
        ("1.2", Priority.URGENT),
        ("1.3", Priority.EMERGENCY),
        ("1.4", Priority.ROUTINE),
        ("1.5", Priority.EMERGENCY),
    ):
        clock.go(1)
        ready(jobs, study, Facts(CT, "CT1", "", priority))
    order = [leased(jobs).study_instance_uid for _ in range(5)]
    assert order == ["1.3", "1.5", "1.2", "1.1", "1.4"]


def test_a_study_has_the_highest_priority_of_its_instances(jobs: JobStore) -> None:
    jobs.arrivals.enter(on_disk("1.2", "1.2.1"), Facts(CT, "CT1", "", Priority.EMERGENCY))
    receipt = jobs.arrivals.enter(on_disk("1.2", "1.2.2"), FROM_CT)
    assert jobs.records.get(receipt.job_id).priority == Priority.EMERGENCY


def test_a_bump_overtakes(jobs: JobStore, clock: SetClock) -> None:
    ready(jobs, "1.1")
    clock.go(1)
    second = ready(jobs, "1.2")
    jobs.operator.bump(second.job_id, Priority.EMERGENCY, HAND)
    assert leased(jobs).study_instance_uid == "1.2"


def test_a_lease_holds_while_renewed_and_is_taken_over_when_not(
    jobs: JobStore, clock: SetClock
) -> None:
    ready(jobs, "1.2")
    first = leased(jobs)
    clock.go(LEASE_S - 1)
    jobs.leases.renew(first, LEASE_S)
    clock.go(LEASE_S - 1)
    assert jobs.leases.take("w2", LEASE_S) is None
    clock.go(1)
    second = leased(jobs, "w2")
    assert (second.id, second.attempt, second.failures) == (first.id, first.attempt + 1, 1)
    assert "w1" in second.reason


def test_nothing_written_under_an_older_attempt_counts(jobs: JobStore, clock: SetClock) -> None:
    ready(jobs, "1.2")
    old = leased(jobs)
    clock.go(LEASE_S)
    new = leased(jobs, "w2")
    for write in (
        lambda: jobs.leases.renew(old, LEASE_S),
        lambda: jobs.leases.report(old, "jobs/old", "verdict", "old"),
        lambda: jobs.leases.fail(old, "old"),
        lambda: jobs.leases.release(old, "old"),
        lambda: jobs.leases.finish(old, State.DELIVERED, "old"),
        lambda: jobs.leases.record_delivery(old, "pacs", [FileRecord("sr.dcm", "accepted")]),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert jobs.records.get(new.id) == new
    assert jobs.leases.report(new, "jobs/new", "verdict", "new").report == "jobs/new"


def test_a_worker_that_comes_back_late_may_go_on_if_nobody_took_over(
    jobs: JobStore, clock: SetClock
) -> None:
    ready(jobs, "1.2")
    job = leased(jobs)
    clock.go(10 * LEASE_S)
    assert jobs.leases.report(job, "jobs/x", "verdict", "late").state is State.DELIVERING


def test_a_heartbeat_goes_on_from_analysing_to_delivering(jobs: JobStore, clock: SetClock) -> None:
    ready(jobs, "1.2")
    job = leased(jobs)
    jobs.leases.report(job, "jobs/x", "verdict", "")
    jobs.leases.renew(job, LEASE_S)
    assert jobs.records.get(job.id).lease_until == clock.now() + LEASE_S


def test_a_delivery_taken_over_is_not_analysed_again(jobs: JobStore, clock: SetClock) -> None:
    ready(jobs, "1.2")
    jobs.leases.report(leased(jobs), "jobs/x", "verdict", "")
    clock.go(LEASE_S)
    second = leased(jobs, "w2")
    assert (second.state, second.report) == (State.DELIVERING, "jobs/x")


def test_a_failure_waits_longer_each_time_and_ends_as_a_dead_letter(
    jobs: JobStore, clock: SetClock
) -> None:
    settings = jobs.settings
    ready(jobs, "1.2")
    waits = []
    for _ in range(settings.analysis_tries - 1):
        failed = jobs.leases.fail(leased(jobs), "it broke")
        assert failed.state is State.READY
        assert jobs.leases.take("w1", LEASE_S) is None
        waits.append(failed.not_before - clock.now())
        clock.go(waits[-1])
    assert waits == [settings.first_delay_s * 2**n for n in range(len(waits))]
    dead = jobs.leases.fail(leased(jobs), "it broke")
    assert dead.state is State.FAILED
    assert "it broke" in dead.reason
    clock.go(1e6)
    assert jobs.leases.take("w1", LEASE_S) is None


def test_a_study_that_kills_its_workers_ends_as_a_dead_letter(
    jobs: JobStore, clock: SetClock
) -> None:
    receipt = ready(jobs, "1.2")
    ready(jobs, "1.3")
    for _ in range(jobs.settings.analysis_tries):
        assert leased(jobs).id == receipt.job_id
        clock.go(LEASE_S)
    assert leased(jobs).study_instance_uid == "1.3"
    dead = jobs.records.get(receipt.job_id)
    assert dead.state is State.FAILED
    assert "ran out" in dead.reason


def test_a_delivery_that_fails_is_tried_for_a_day(quick_jobs: JobStore, clock: SetClock) -> None:
    jobs = quick_jobs
    ready(jobs, "1.2")
    begin = clock.now()
    job = jobs.leases.fail(jobs.leases.report(leased(jobs), "jobs/x", "verdict", ""), "no PACS")
    while job.state is State.REPORTED:
        clock.go(job.not_before - clock.now())
        job = jobs.leases.fail(leased(jobs), "no PACS")
    assert job.state is State.FAILED
    assert clock.now() - begin > 23 * 3600


def test_what_is_given_back_is_taken_at_once_and_is_no_failure(jobs: JobStore) -> None:
    ready(jobs, "1.2")
    jobs.leases.release(leased(jobs), "stopping")
    again = leased(jobs, "w2")
    assert again.failures == 0
    jobs.leases.release(jobs.leases.report(again, "jobs/x", "verdict", ""), "stopping")
    assert leased(jobs).state is State.DELIVERING


def test_only_one_of_many_workers_gets_a_job(jobs: JobStore) -> None:
    for study in range(12):
        ready(jobs, f"1.{study}")
    barrier = threading.Barrier(4)

    def work(name: str) -> list[int]:
        barrier.wait()
        taken = []
        while (job := jobs.leases.take(name, LEASE_S)) is not None:
            taken.append(job.id)
        return taken

    with ThreadPoolExecutor(4) as pool:
        taken = [job for part in pool.map(work, "abcd") for job in part]
    assert sorted(taken) == sorted(job.id for job in jobs.records.find())
    assert len(set(taken)) == 12


def test_delivery_records_are_kept_by_file_and_replaced(jobs: JobStore) -> None:
    ready(jobs, "1.2")
    job = jobs.leases.report(leased(jobs), "jobs/x", "verdict", "")
    jobs.leases.record_delivery(
        job, "pacs", [FileRecord("a", "accepted"), FileRecord("b", "refused")]
    )
    jobs.leases.record_delivery(job, "pacs", [FileRecord("b", "accepted", "0x0000", CT, "1.2.3")])
    jobs.leases.record_delivery(job, "cloud", [FileRecord("a", "confirmed")])
    assert jobs.records.deliveries_of(job) == {
        "pacs": (FileRecord("a", "accepted"), FileRecord("b", "accepted", "0x0000", CT, "1.2.3")),
        "cloud": (FileRecord("a", "confirmed"),),
    }


def test_a_new_report_is_delivered_anew(jobs: JobStore) -> None:
    receipt = ready(jobs, "1.2")
    job = jobs.leases.report(leased(jobs), "jobs/x", "verdict", "")
    jobs.leases.record_delivery(job, "pacs", [FileRecord("a", "confirmed")])
    jobs.leases.finish(job, State.DELIVERED, "")
    jobs.operator.retry(receipt.job_id, HAND)
    assert (
        jobs.records.deliveries_of(jobs.leases.report(leased(jobs), "jobs/y", "verdict", "")) == {}
    )


# By hand ----------------------------------------------------------------------------------------


def test_a_dead_delivery_is_retried_with_its_report_a_dead_analysis_from_its_beginning(
    database_url: str, clock: SetClock
) -> None:
    jobs = JobStore(database_url, JobSettings(delivery_tries=3), clock)
    analysis, delivery = ready(jobs, "1.2"), ready(jobs, "1.3")
    first = leased(jobs)
    jobs.leases.report(leased(jobs), "jobs/x", "verdict", "")
    while (job := jobs.records.get(first.id)).state is not State.FAILED:
        clock.go(max(job.not_before - clock.now(), 0) + LEASE_S)
        while (taken := jobs.leases.take("w1", LEASE_S)) is not None:
            jobs.leases.fail(taken, "broken")
    while (job := jobs.records.get(delivery.job_id)).state is not State.FAILED:
        clock.go(max(job.not_before - clock.now(), 0))
        jobs.leases.fail(leased(jobs), "no PACS")
    assert jobs.operator.retry(analysis.job_id, HAND).state is State.READY
    assert jobs.operator.retry(delivery.job_id, HAND).state is State.REPORTED
    assert {leased(jobs).state, leased(jobs).state} == {State.ANALYSING, State.DELIVERING}
    jobs.close()


def test_what_has_not_ended_cannot_be_retried_or_purged(jobs: JobStore) -> None:
    receipt = ready(jobs, "1.2")
    with pytest.raises(SettingsError, match="ready"):
        jobs.operator.retry(receipt.job_id, HAND)
    with pytest.raises(SettingsError, match="ready"):
        jobs.operator.purge("1.2", HAND)


@pytest.mark.parametrize(
    ("method", "more"),
    [("records.get", ()), ("operator.retry", (HAND,)), ("operator.bump", (50, HAND))],
)
def test_a_job_that_is_not_there(
    quick_jobs: JobStore, method: str, more: tuple[object, ...]
) -> None:
    with pytest.raises(SettingsError, match="no job 7"):
        attrgetter(method)(quick_jobs)(7, *more)
    with pytest.raises(SettingsError, match="no such study"):
        quick_jobs.operator.purge("1.2.3", HAND)


def test_a_revision_whose_successor_came_before_delivery_is_superseded(jobs: JobStore) -> None:
    """While it was analysed, while it waited for its next analysis, for its next delivery."""
    first = ready(jobs, "1.2")
    leased = jobs.leases.take("w1", 60)
    assert leased is not None
    second = jobs.arrivals.enter(on_disk("1.2", "1.2.2"), FROM_CT)
    assert second.opened
    ended = jobs.leases.report(leased, "jobs/x", "verdict", "")
    assert ended.state is State.SUPERSEDED
    assert ended.reason == "revision 2 came before anything went out"
    with pytest.raises(LeaseLost):
        jobs.leases.finish(leased, State.DELIVERED, "")
    jobs.arrivals.explicit_end("1.2")
    leased = jobs.leases.take("w1", 60)
    assert leased is not None
    assert leased.id == second.job_id
    jobs.leases.release(leased, "stopping")
    third = jobs.arrivals.enter(on_disk("1.2", "1.2.3"), FROM_CT)
    assert third.job_id == second.job_id, "one that waits takes instances itself"
    with pytest.raises(SettingsError, match=f"jobs retry {second.job_id}"):
        jobs.operator.retry(first.job_id, HAND)


def test_a_revision_that_waits_when_its_successor_is_there_is_not_begun(
    jobs: JobStore, clock: SetClock
) -> None:
    first = ready(jobs, "1.2")
    leased = jobs.leases.take("w1", 60)
    assert leased is not None
    second = jobs.arrivals.enter(on_disk("1.2", "1.2.2"), FROM_CT)
    jobs.leases.fail(leased, "it broke")
    clock.go(1000)
    assert jobs.leases.take("w1", 60) is None
    assert jobs.records.get(first.job_id).state is State.SUPERSEDED
    jobs.arrivals.complete_quiet()
    leased = jobs.leases.take("w1", 60)
    assert leased is not None
    assert leased.id == second.job_id


def test_a_revision_of_which_something_went_out_goes_on(jobs: JobStore, clock: SetClock) -> None:
    ready(jobs, "1.2")
    leased = jobs.leases.take("w1", 60)
    assert leased is not None
    delivering = jobs.leases.report(leased, "jobs/x", "verdict", "")
    jobs.leases.record_delivery(delivering, "pacs", [FileRecord("sr.dcm", "confirmed")])
    jobs.arrivals.enter(on_disk("1.2", "1.2.2"), FROM_CT)
    jobs.leases.fail(delivering, "1 of 2 files refused")
    clock.go(1000)
    again = jobs.leases.take("w1", 60)
    assert again is not None
    assert (again.id, again.state) == (delivering.id, State.DELIVERING)


def test_no_time_is_quiet_before_we_listened(jobs: JobStore, clock: SetClock) -> None:
    """A node that was down has not heard whether more came."""
    jobs.arrivals.enter(on_disk("1.2", "1.2.1"), FROM_CT)
    clock.go(1000)
    began = clock.now()
    assert jobs.arrivals.complete_quiet(began) == 0
    clock.go(jobs.settings.quiet_s - 1)
    assert jobs.arrivals.complete_quiet(began) == 0
    clock.go(1)
    assert jobs.arrivals.complete_quiet(began) == 1


def test_a_purge_forgets_the_files_and_keeps_the_record(jobs: JobStore) -> None:
    receipt = ready(jobs, "1.2")
    delivered(jobs)
    jobs.arrivals.enter(on_disk("1.2", "1.2.2"), FROM_CT)
    jobs.arrivals.explicit_end("1.2")
    delivered(jobs)
    purged = jobs.operator.purge("1.2", HAND)
    assert sorted(purged.files) == [on_disk("1.2", f"1.2.{n}").file for n in (1, 2)]
    assert purged.revisions == (1, 2)
    record = jobs.records.get(receipt.job_id)
    assert (record.state, record.files_purged) == (State.DELIVERED, True)
    assert jobs.records.audit_of(record)[-1].reason == "files purged"
    assert jobs.records.files_of(record) == ()
    assert jobs.arrivals.holds("1.2.1") == {}
    with pytest.raises(SettingsError, match="without its files"):
        jobs.operator.retry(receipt.job_id, HAND)


def test_a_purged_study_that_comes_again_goes_on_and_its_record_stays(jobs: JobStore) -> None:
    first = ready(jobs, "1.2")
    done = delivered(jobs)
    jobs.operator.purge("1.2", HAND)
    record, trail = jobs.records.get(first.job_id), jobs.records.audit_of(done)
    again = jobs.arrivals.enter(on_disk("1.2", "1.2.1"), FROM_CT)
    assert (again.revision, again.new, again.opened) == (2, True, True)
    assert again.job_id != first.job_id
    assert len(jobs.records.files_of(jobs.records.get(again.job_id))) == 1
    assert jobs.records.get(first.job_id) == record
    assert jobs.records.files_of(record) == ()
    assert jobs.records.audit_of(record) == trail
    jobs.arrivals.explicit_end("1.2")
    delivered(jobs)
    assert jobs.operator.purge("1.2", HAND).files == (on_disk("1.2", "1.2.1").file,)
    assert [job.files_purged for job in jobs.records.find()] == [True, True]


def test_studies_are_purgeable_once_all_of_them_has_ended(jobs: JobStore, clock: SetClock) -> None:
    for study in ("1.2", "1.3"):
        ready(jobs, study)
        delivered(jobs)
        clock.go(10)
    jobs.arrivals.enter(on_disk("1.3", "1.3.2"), FROM_CT)
    ready(jobs, "1.4")
    while jobs.records.get(3).state is not State.FAILED and (job := jobs.leases.take("w", 1)):
        jobs.leases.fail(job, "broken")
        clock.go(1000)
    assert jobs.records.purgeable(clock.now(), {State.DELIVERED}) == ("1.2",)
    assert jobs.records.purgeable(0) == ()
    jobs.operator.purge("1.2", HAND)
    assert jobs.records.purgeable(clock.now(), {State.DELIVERED}) == ()


def test_jobs_are_listed_as_somebody_looks_for_them(jobs: JobStore, clock: SetClock) -> None:
    """What is left to do by urgency, then what ended, the last first."""
    for study in ("1.1", "1.2"):
        ready(jobs, study)
        delivered(jobs)
        clock.go(10)
    ready(jobs, "1.3")
    ready(jobs, "1.4", Facts(CT, "CT1", "", Priority.URGENT))
    assert [job.study_instance_uid for job in jobs.records.find()] == ["1.4", "1.3", "1.2", "1.1"]
    assert [job.study_instance_uid for job in jobs.records.find((State.DELIVERED,), 1)] == ["1.2"]


# Around -----------------------------------------------------------------------------------------


def test_counts_and_ages(jobs: JobStore, clock: SetClock) -> None:
    ready(jobs, "1.2")
    clock.go(7)
    jobs.arrivals.enter(on_disk("1.3", "1.3.1"), FROM_CT)
    counts = jobs.records.counts()
    assert set(counts) == set(State)
    assert (counts[State.READY], counts[State.RECEIVED], counts[State.FAILED]) == (1, 1, 0)
    assert jobs.records.oldest() == {State.READY: 7, State.RECEIVED: 0}


def test_everything_is_there_after_a_restart(database_url: str, clock: SetClock) -> None:
    first = JobStore(database_url, JobSettings(), clock)
    receipt = ready(first, "1.2")
    first.close()
    second = JobStore(database_url, JobSettings(), clock)
    assert second.records.get(receipt.job_id).state is State.READY
    second.close()


@pytest.mark.parametrize(
    "url",
    [
        "mysql://user@host/base",
        "no url",
        "sqlite:////nonexistent/folder/jobs.sqlite",
        "postgresql://nobody@127.0.0.1:1/base",
    ],
)
def test_a_database_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="expected"):
        JobStore(url)


def test_a_database_that_goes_away_is_said_to_be_down(postgres_url: str) -> None:
    import sqlalchemy as sa  # noqa: PLC0415

    store = JobStore(postgres_url)
    engine = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text("DROP TABLE audit"))
    engine.dispose()
    with pytest.raises(DatabaseDown):
        store.arrivals.enter(on_disk("1.2", "1.2.1"), FROM_CT)
    assert store.records.find() == ()  # the transaction is whole or not there
    store.close()


def test_what_images_say_for_the_rules_is_kept_and_goes_on_to_the_next_revision(
    jobs: JobStore,
) -> None:
    def says(**values: str) -> Facts:
        return Facts(CT, "CT1", by_keyword={name: [value] for name, value in values.items()})

    jobs.arrivals.enter(on_disk("1.2", "1.2.1"), says(StationName="CT1"))
    jobs.arrivals.enter(on_disk("1.2", "1.2.1"), says(StationName="again"))
    jobs.arrivals.enter(on_disk("1.2", "1.2.2"), says(StationName="CT1", BodyPartExamined="CHEST"))
    jobs.arrivals.enter(on_disk("1.2", "1.2.3"), says(StationName="CT2"))
    (first,) = jobs.records.find()
    values = {"StationName": ["CT1", "CT2"], "BodyPartExamined": ["CHEST"]}
    assert as_values(first.facts) == values
    assert jobs.arrivals.explicit_end("1.2")
    assert jobs.leases.take("w1", 60)
    jobs.arrivals.enter(on_disk("1.2", "1.2.4"), says(PatientAge="045Y"))
    (second,) = jobs.records.find([State.RECEIVED])
    assert second.revision == 2
    assert as_values(second.facts) == {**values, "PatientAge": ["045Y"]}
