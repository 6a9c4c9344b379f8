"""Delivery: nothing called sent that was not taken, nothing taken sent again."""

from __future__ import annotations

from pathlib import Path

import pytest

from groundglass.node.inbound.spool import Spool
from groundglass.node.metrics import Metrics
from groundglass.node.outbound.delivery import Courier, DeliveryError, FileStatus
from groundglass.node.queue.jobs import JobStore
from groundglass.node.queue.states import Job, LeaseLost
from node.job_twins import FROM_CT, MemoryPacs, on_disk

DICOM = ["capture.dcm", "seg.dcm", "sr.dcm"]


@pytest.fixture
def report(tmp_path: Path) -> Path:
    folder = tmp_path / "report"
    folder.mkdir()
    for name in (*DICOM, "result.json", "report.html"):
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def job(quick_jobs: JobStore) -> Job:
    quick_jobs.arrivals.enter(on_disk("1.2", "1.2.1"), FROM_CT)
    quick_jobs.arrivals.explicit_end("1.2")
    leased = quick_jobs.leases.take("w1", 60)
    assert leased is not None
    return quick_jobs.leases.report(leased, "jobs/x", "verdict", "")


class Killed(BaseException):
    """What a courier does not live to see."""


def courier(jobs: JobStore, spool: Spool, *destinations: MemoryPacs) -> Courier:
    return Courier({d.name: d for d in destinations}, jobs, Metrics(jobs, spool.free))


def statuses(jobs: JobStore, job: Job, destination: str = "pacs") -> dict[str, str]:
    return {r.file: r.status for r in jobs.records.deliveries_of(job).get(destination, ())}


def test_every_file_is_sent_once_and_confirmed(
    quick_jobs: JobStore, spool: Spool, pacs: MemoryPacs, report: Path, job: Job
) -> None:
    courier(quick_jobs, spool, pacs).deliver(job, report, ["pacs"])
    assert pacs.offered == pacs.asked == DICOM
    assert statuses(quick_jobs, job) == dict.fromkeys(DICOM, "confirmed")
    courier(quick_jobs, spool, pacs).deliver(job, report, ["pacs"])
    assert pacs.offered == DICOM


def test_a_folder_gets_the_page_too(
    quick_jobs: JobStore, spool: Spool, report: Path, job: Job
) -> None:
    folder = MemoryPacs("folder", dicom_only=False)
    courier(quick_jobs, spool, folder).deliver(job, report, ["folder"])
    assert set(folder.kept) == {*DICOM, "result.json", "report.html"}


def test_only_the_destinations_named_get_anything(
    quick_jobs: JobStore, spool: Spool, pacs: MemoryPacs, report: Path, job: Job
) -> None:
    other = MemoryPacs("other")
    courier(quick_jobs, spool, pacs, other).deliver(job, report, ["pacs"])
    assert not other.offered


def test_what_is_refused_alone_is_sent_again(
    quick_jobs: JobStore, spool: Spool, pacs: MemoryPacs, report: Path, job: Job
) -> None:
    pacs.statuses["seg.dcm"] = FileStatus.REFUSED
    with pytest.raises(DeliveryError, match=r"1 of 3 files refused \(refused\)"):
        courier(quick_jobs, spool, pacs).deliver(job, report, ["pacs"])
    assert statuses(quick_jobs, job)["seg.dcm"] == "refused"
    pacs.statuses.clear()
    courier(quick_jobs, spool, pacs).deliver(job, report, ["pacs"])
    assert pacs.offered == [*DICOM, "seg.dcm"]
    assert statuses(quick_jobs, job) == dict.fromkeys(DICOM, "confirmed")


def test_a_warning_counts_as_taken_and_its_words_stay(
    quick_jobs: JobStore, spool: Spool, pacs: MemoryPacs, report: Path, job: Job
) -> None:
    pacs.statuses["sr.dcm"] = FileStatus.WARNING
    courier(quick_jobs, spool, pacs).deliver(job, report, ["pacs"])
    (warned,) = [r for r in quick_jobs.records.deliveries_of(job)["pacs"] if r.file == "sr.dcm"]
    assert (warned.status, warned.detail) == ("confirmed", "warning")


def test_what_was_taken_and_not_confirmed_is_asked_for_before_it_is_sent_again(
    quick_jobs: JobStore, spool: Spool, pacs: MemoryPacs, report: Path, job: Job
) -> None:
    pacs.confirms = False
    with pytest.raises(DeliveryError, match="3 of 3 files not confirmed"):
        courier(quick_jobs, spool, pacs).deliver(job, report, ["pacs"])
    assert statuses(quick_jobs, job) == dict.fromkeys(DICOM, "accepted")
    pacs.confirms = True
    del pacs.kept["sr.dcm"]  # lost behind its acknowledgement
    courier(quick_jobs, spool, pacs).deliver(job, report, ["pacs"])
    assert pacs.offered == [*DICOM, "sr.dcm"]
    assert statuses(quick_jobs, job) == dict.fromkeys(DICOM, "confirmed")


def test_a_courier_killed_before_it_could_confirm_does_not_send_again(
    quick_jobs: JobStore, spool: Spool, pacs: MemoryPacs, report: Path, job: Job
) -> None:
    def kill(_: object) -> None:
        raise Killed

    pacs.confirm = kill  # type: ignore[assignment, method-assign]
    with pytest.raises(Killed):
        courier(quick_jobs, spool, pacs).deliver(job, report, ["pacs"])
    del pacs.confirm
    courier(quick_jobs, spool, pacs).deliver(job, report, ["pacs"])
    assert pacs.offered == DICOM


def kill() -> None:
    raise Killed


def taken_over(jobs: JobStore, job: Job) -> Job:
    """The job as its next worker has it."""
    jobs.leases.renew(job, -1)
    again = jobs.leases.take("w2", 60)
    assert again is not None
    assert again.attempt == job.attempt + 1
    return again


def test_a_courier_killed_between_answer_and_record_is_followed_by_one_who_asks_first(
    quick_jobs: JobStore, spool: Spool, pacs: MemoryPacs, report: Path, job: Job
) -> None:
    pacs.after_delivery = kill
    with pytest.raises(Killed):
        courier(quick_jobs, spool, pacs).deliver(job, report, ["pacs"])
    assert statuses(quick_jobs, job) == {}
    assert pacs.asked == [], "the first asked, though nobody had been there before it"
    del pacs.kept["seg.dcm"]  # had it been killed before this one went out
    pacs.after_delivery = lambda: None
    courier(quick_jobs, spool, pacs).deliver(taken_over(quick_jobs, job), report, ["pacs"])
    assert pacs.asked == [*DICOM, "seg.dcm"]
    assert pacs.offered == [*DICOM, "seg.dcm"]
    assert statuses(quick_jobs, job) == dict.fromkeys(DICOM, "confirmed")


def test_what_was_refused_before_the_kill_is_asked_for_too(
    quick_jobs: JobStore, spool: Spool, pacs: MemoryPacs, report: Path, job: Job
) -> None:
    pacs.statuses["seg.dcm"] = FileStatus.REFUSED
    with pytest.raises(DeliveryError):
        courier(quick_jobs, spool, pacs).deliver(job, report, ["pacs"])
    pacs.kept["seg.dcm"] = b"came by a courier who was killed"
    courier(quick_jobs, spool, pacs).deliver(taken_over(quick_jobs, job), report, ["pacs"])
    assert pacs.offered == DICOM


def test_one_that_does_not_know_what_it_has_is_told_again(
    quick_jobs: JobStore, spool: Spool, report: Path, job: Job
) -> None:
    hook = MemoryPacs("hook")
    hook.knows_what_it_has = False
    hook.after_delivery = kill
    with pytest.raises(Killed):
        courier(quick_jobs, spool, hook).deliver(job, report, ["hook"])
    hook.after_delivery = lambda: None
    courier(quick_jobs, spool, hook).deliver(taken_over(quick_jobs, job), report, ["hook"])
    assert hook.offered == [*DICOM, *DICOM]


def test_one_destination_down_does_not_keep_the_others_waiting(
    quick_jobs: JobStore, spool: Spool, pacs: MemoryPacs, report: Path, job: Job
) -> None:
    other = MemoryPacs("other")
    pacs.down = True
    with pytest.raises(DeliveryError, match=r"^Found pacs: a PACS that is down;"):
        courier(quick_jobs, spool, pacs, other).deliver(job, report, ["pacs", "other"])
    assert set(other.kept) == set(DICOM)
    pacs.down = False
    courier(quick_jobs, spool, pacs, other).deliver(job, report, ["pacs", "other"])
    assert pacs.offered == other.offered == DICOM


def test_a_courier_whose_job_was_taken_over_records_nothing(
    quick_jobs: JobStore, spool: Spool, pacs: MemoryPacs, report: Path, job: Job
) -> None:
    def take_over() -> None:
        quick_jobs.leases.renew(job, -1)
        assert quick_jobs.leases.take("w2", 60) is not None

    pacs.after_delivery = take_over
    with pytest.raises(LeaseLost):
        courier(quick_jobs, spool, pacs).deliver(job, report, ["pacs"])
    assert statuses(quick_jobs, job) == {}
