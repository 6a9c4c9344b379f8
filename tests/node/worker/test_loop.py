"""A worker: the whole way of a job, and every way it can go wrong."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from groundglass.core.result import Outcome
from groundglass.errors import SettingsError
from groundglass.node.inbound.spool import Spool
from groundglass.node.logs import JsonLines
from groundglass.node.metrics import Metrics
from groundglass.node.outbound.delivery import Courier, FileStatus
from groundglass.node.queue.jobs import JobStore
from groundglass.node.queue.states import DatabaseDown, Facts, Job, State
from groundglass.node.rules import Rule, Rules
from groundglass.node.worker.analyser import NoRoom
from groundglass.node.worker.loop import Worker, WorkerContext, WorkerSettings
from made_work import eventually
from node.job_twins import FROM_CT, MemoryPacs, SetClock, StubAnalyser


def send(context: WorkerContext, study: str = "1.2", instances: int = 3) -> None:
    for number in range(instances):
        stored = context.spool.store(study, f"{study}.{number}", f"{study} {number}".encode())
        context.jobs.arrivals.enter(stored, FROM_CT)
    context.jobs.arrivals.explicit_end(study)


def go(context: WorkerContext, seconds: float) -> None:
    assert isinstance(context.jobs.clock, SetClock)
    context.jobs.clock.go(seconds)


def only(context: WorkerContext) -> Job:
    (job,) = context.jobs.records.find()
    return job


def test_a_study_is_analysed_and_its_report_delivered(
    context: WorkerContext, worker: Worker, analyser: StubAnalyser, pacs: MemoryPacs
) -> None:
    send(context)
    assert worker.work_once()
    job = only(context)
    assert (job.state, job.outcome, job.reason) == (
        State.DELIVERED,
        "verdict",
        "because of verdict",
    )
    assert set(pacs.kept) == {"sr.dcm", "capture.dcm"}
    (work,) = analyser.seen
    assert work.analysis.revision == 1
    assert not work.study.exists()  # links to the spool are of no more use
    assert (context.spool.root / job.report / "result.json").is_file()
    assert not worker.work_once()


def test_a_study_without_a_verdict_is_delivered_too_and_refused_with_its_reason(
    context: WorkerContext, worker: Worker, analyser: StubAnalyser, pacs: MemoryPacs
) -> None:
    analyser.outcome = Outcome.NO_LUNG
    send(context)
    worker.work_once()
    job = only(context)
    assert (job.state, job.outcome) == (State.REFUSED, "no-lung")
    assert job.reason == "because of no-lung"
    assert set(pacs.kept) == {"sr.dcm", "capture.dcm"}


def test_a_late_instance_gives_a_second_report_of_all_of_them(
    context: WorkerContext, worker: Worker, analyser: StubAnalyser, pacs: MemoryPacs
) -> None:
    seen: list[int] = []
    analyser.while_analysing = lambda: seen.append(len(list(analyser.seen[-1].study.iterdir())))
    send(context)
    worker.work_once()
    first = pacs.kept["sr.dcm"]
    context.jobs.arrivals.enter(context.spool.store("1.2", "1.2.99", b"late"), FROM_CT)
    context.jobs.arrivals.explicit_end("1.2")
    worker.work_once()
    assert seen == [3, 4]
    assert analyser.seen[-1].analysis.revision == 2
    assert pacs.kept["sr.dcm"] != first
    assert {job.state for job in context.jobs.records.find()} == {State.DELIVERED}


def test_a_failed_analysis_is_tried_again_and_leaves_one_report(
    context: WorkerContext, worker: Worker, analyser: StubAnalyser, clock: SetClock
) -> None:
    analyser.failures = ["it broke"]
    send(context)
    worker.work_once()
    assert only(context).state is State.READY
    assert "it broke" in only(context).reason
    clock.go(1000)
    worker.work_once()
    job = only(context)
    assert job.state is State.DELIVERED
    whole = context.spool.job_folder("1.2", 1)
    assert [path.name for path in whole.iterdir()] == ["attempt-2"]


def test_a_study_that_always_fails_is_a_dead_letter_and_the_pacs_is_told(
    context: WorkerContext,
    worker: Worker,
    analyser: StubAnalyser,
    clock: SetClock,
    pacs: MemoryPacs,
) -> None:
    tries = context.jobs.settings.analysis_tries
    analyser.failures = ["it broke"] * tries
    send(context)
    while only(context).state is not State.FAILED:
        assert not pacs.kept
        assert worker.work_once()
        clock.go(1000)
    assert [work.given_up for work in analyser.seen] == [*[""] * tries, "it broke"]
    assert (only(context).outcome, only(context).reason) == ("given-up", "it broke")
    assert set(pacs.kept) == {"sr.dcm", "capture.dcm"}
    context.jobs.operator.retry(only(context).id, "user alice")
    worker.work_once()
    assert (only(context).state, only(context).outcome) == (State.DELIVERED, "verdict")


def test_a_study_of_which_nothing_can_be_told_is_a_dead_letter_too(
    context: WorkerContext,
    worker: Worker,
    analyser: StubAnalyser,
    clock: SetClock,
    pacs: MemoryPacs,
) -> None:
    analyser.failures = ["it broke"] * 9
    send(context)
    while only(context).state is not State.FAILED:
        assert worker.work_once()
        clock.go(1000)
    assert "it broke" in only(context).reason
    assert not pacs.kept


def test_a_pacs_that_is_down_refuses_or_warns(
    context: WorkerContext,
    worker: Worker,
    analyser: StubAnalyser,
    clock: SetClock,
    pacs: MemoryPacs,
) -> None:
    send(context)
    pacs.down = True
    worker.work_once()
    assert (only(context).state, only(context).reason) == (
        State.REPORTED,
        "pacs: a PACS that is down",
    )
    pacs.down = False
    pacs.statuses = {"sr.dcm": FileStatus.REFUSED, "capture.dcm": FileStatus.WARNING}
    clock.go(1000)
    worker.work_once()
    assert only(context).state is State.REPORTED
    pacs.statuses = {}
    clock.go(1000)
    worker.work_once()
    assert only(context).state is State.DELIVERED
    assert len(analyser.seen) == 1
    assert pacs.offered == ["capture.dcm", "sr.dcm", "sr.dcm"]


def test_what_failed_is_a_warning_with_destination_and_reason(
    context: WorkerContext,
    worker: Worker,
    analyser: StubAnalyser,
    pacs: MemoryPacs,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG", "groundglass.serve")
    analyser.failures = ["it broke"]
    pacs.down = True
    send(context)
    worker.work_once()
    go(context, 1000)
    worker.work_once()
    said = [r for r in caplog.records if r.getMessage() == "try failed"]
    assert {one.levelname for one in said} == {"WARNING"}
    first, second = (one.fields for one in said)  # type: ignore[attr-defined]
    assert (first["reason"], first["state"], first["failures"]) == ("it broke", "ready", 1)
    assert (second["destination"], second["reason"]) == ("pacs", "a PACS that is down")


def test_a_result_that_is_not_taken_has_an_age_since_it_was_first_reported(
    context: WorkerContext, worker: Worker, pacs: MemoryPacs, clock: SetClock
) -> None:
    """Each try changes the state, and used to begin the age anew: no alarm ever came."""
    pacs.down = True
    send(context)
    worker.work_once()
    reported = clock.now()
    for _ in range(5):
        clock.go(context.jobs.settings.longest_delay_s)
        assert worker.work_once()
    assert only(context).state is State.REPORTED
    assert context.jobs.records.oldest()[State.REPORTED] == clock.now() - reported > 4000


def no_room() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def no_room_for_a_report() -> None:
    raise NoRoom("a full disk", expected="room", action="Free some.")


@pytest.mark.parametrize("where", [no_room, no_room_for_a_report])
def test_a_full_disk_spends_no_try(
    context: WorkerContext,
    worker: Worker,
    analyser: StubAnalyser,
    where: Callable[[], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    analyser.while_analysing = where
    send(context)
    for _ in range(2 * context.jobs.settings.analysis_tries):
        assert worker.work_once()
        assert (only(context).state, only(context).failures) == (State.READY, 0)
        assert not worker.work_once(), "not at once again"
        go(context, 60)
    warned = {r.getMessage() for r in caplog.records if r.levelname == "WARNING"}
    assert warned == {"postponed"}
    analyser.while_analysing = lambda: None
    worker.work_once()
    assert only(context).state is State.DELIVERED


def test_a_database_on_a_full_disk_spends_no_try_either(
    context: WorkerContext,
    worker: Worker,
    analyser: StubAnalyser,
    clock: SetClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It cannot even be written then that the work is to be done again."""

    def down(*_: object, **__: object) -> None:
        raise DatabaseDown("a full disk", expected="room", action="Free some.")

    send(context)
    for _ in range(2 * context.jobs.settings.analysis_tries):
        with monkeypatch.context() as full:
            full.setattr(context.jobs.leases, "report", down)
            with pytest.raises(DatabaseDown):
                worker.work_once()
            full.setattr(context.jobs.leases, "postpone", down)
            with pytest.raises(DatabaseDown):
                worker.work_once()
        clock.go(3600)  # the lease has run out long since
        assert not worker.work_once(), "given back first, for a while"
        assert (only(context).state, only(context).failures) == (State.READY, 0)
        clock.go(60)
    worker.work_once()
    assert only(context).state is State.DELIVERED


def test_a_file_taken_away_by_hand_is_a_reason_not_a_crash(
    context: WorkerContext, worker: Worker
) -> None:
    send(context)
    (context.spool.root / context.jobs.records.files_of(only(context))[0]).unlink()
    worker.work_once()
    assert (only(context).state, only(context).failures) == (State.READY, 1)
    assert os.strerror(errno.ENOENT) in only(context).reason


def test_a_defect_that_one_study_meets_does_not_stop_the_others(
    context: WorkerContext, worker: Worker, analyser: StubAnalyser, caplog: pytest.LogCaptureFixture
) -> None:
    def break_on_the_first() -> None:
        if len(analyser.seen) == 1:
            raise KeyError("Doe^John")

    analyser.while_analysing = break_on_the_first
    send(context, "1.2")
    send(context, "1.3")
    assert worker.work_once()
    assert worker.work_once()
    states = {job.study_instance_uid: job for job in context.jobs.records.find()}
    assert states["1.3"].state is State.DELIVERED
    assert (states["1.2"].state, states["1.2"].failures) == (State.READY, 1)
    assert states["1.2"].reason.startswith("KeyError, a defect")
    (said,) = [record for record in caplog.records if record.exc_info]
    assert "Doe" not in JsonLines().format(said)


def test_a_worker_whose_lease_was_taken_over_breaks_off_and_changes_nothing(
    context: WorkerContext,
    worker: Worker,
    analyser: StubAnalyser,
    clock: SetClock,
    pacs: MemoryPacs,
) -> None:
    """The heartbeat finds out while the analysis still runs."""
    quick = Worker("w1", context, analyser, WorkerSettings(lease_s=0.05))
    taken: list[Job | None] = []

    def overtake() -> None:
        clock.go(3600)
        taken.append(context.jobs.leases.take("w2", 1e9))
        analyser.wait_for_stop()

    analyser.while_analysing = overtake
    send(context)
    assert quick.work_once()
    assert taken == [only(context)]
    assert not pacs.offered


def test_halting_gives_a_running_analysis_back(
    context: WorkerContext, worker: Worker, analyser: StubAnalyser
) -> None:
    analyser.while_analysing = lambda: (worker.halt(), None)[1]
    send(context)
    worker.work_once()
    job = only(context)
    assert (job.state, job.failures, job.reason) == (State.READY, 0, "the node stops")


def test_halting_gives_a_running_delivery_back(
    context: WorkerContext, worker: Worker, analyser: StubAnalyser, pacs: MemoryPacs
) -> None:
    pacs.after_delivery = worker.halt
    send(context)
    worker.work_once()
    assert (only(context).state, only(context).failures) == (State.REPORTED, 0)
    pacs.after_delivery = lambda: None
    Worker("w2", context, analyser, WorkerSettings()).work_once()
    assert only(context).state is State.DELIVERED
    assert len(analyser.seen) == 1


def test_running_ends_the_job_in_hand_and_closes_the_analyser(
    context: WorkerContext, analyser: StubAnalyser
) -> None:
    stop = threading.Event()
    analyser.while_analysing = stop.set
    worker = Worker("w1", context, analyser, WorkerSettings(poll_s=0.01))
    send(context, "1.2")
    send(context, "1.3")
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    assert analyser.closed
    assert sorted(job.state for job in context.jobs.records.find()) == ["delivered", "ready"]


def test_an_idle_worker_finds_work_that_comes_later(
    context: WorkerContext, analyser: StubAnalyser
) -> None:
    stop = threading.Event()
    worker = Worker("w1", context, analyser, WorkerSettings(poll_s=0.01))
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    send(context)
    assert eventually(lambda: only(context).state is State.DELIVERED)
    stop.set()
    thread.join(30)


def test_logs_and_metrics_say_what_happened_but_not_to_whom(
    context: WorkerContext,
    worker: Worker,
    analyser: StubAnalyser,
    caplog: pytest.LogCaptureFixture,
    clock: SetClock,
) -> None:
    caplog.set_level("DEBUG", "groundglass.serve")
    analyser.failures = ["it broke"]
    send(context, "1.2.840.99999")
    worker.work_once()
    clock.go(1000)
    worker.work_once()
    events = [record.getMessage() for record in caplog.records]
    assert events == ["analysing", "try failed", "analysing", "analysed", "delivered"]
    said = " ".join(str(record.__dict__) for record in caplog.records)
    assert "1.2.840.99999" not in said
    assert context.spool.pseudonyms.of("1.2.840.99999") in said
    figures = context.metrics.text().decode()
    for line in (
        'groundglass_outcomes_total{outcome="verdict"} 1.0',
        'groundglass_failures_total{state="analysing"} 1.0',
        'groundglass_stage_seconds_count{stage="read"} 1.0',
        'groundglass_delivered_files_total{destination="pacs",status="confirmed"} 2.0',
        'groundglass_jobs{state="delivered"} 1.0',
        "groundglass_study_seconds_count 1.0",
    ):
        assert line in figures
    assert "1.2.840.99999" not in figures


@pytest.mark.parametrize(
    "wrong",
    [{"count": -1}, {"lease_s": 0.0}, {"poll_s": 0.0}, {"stop_grace_s": -1.0}],
    ids=str,
)
def test_settings_without_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError):
        WorkerSettings(**wrong)  # type: ignore[arg-type]


def test_a_report_folder_of_a_dead_attempt_is_not_in_the_way(
    context: WorkerContext, worker: Worker, clock: SetClock
) -> None:
    send(context)
    dead = context.jobs.leases.take("dead", 1)
    assert dead is not None
    half: Path = context.spool.job_folder("1.2", 1) / "attempt-1" / "report"
    half.mkdir(parents=True)
    (half / "half.dcm").write_text("half")
    clock.go(2)
    worker.work_once()
    assert only(context).state is State.DELIVERED
    assert not half.exists()


def test_a_rule_on_tags_decides_where_a_result_goes(
    quick_jobs: JobStore, spool: Spool, analyser: StubAnalyser
) -> None:
    metrics = Metrics(quick_jobs, spool.free)
    there, elsewhere = MemoryPacs("children"), MemoryPacs("pacs")
    rules = Rules(
        (Rule("children", tags={"PatientAge": ("< 18",)}, destinations=("children",)),),
        ("children", "pacs"),
    )
    courier = Courier({one.name: one for one in (there, elsewhere)}, quick_jobs, metrics)
    context = WorkerContext(spool, quick_jobs, rules, courier, metrics)
    stored = spool.store("1.2", "1.2.1", b"x")
    quick_jobs.arrivals.enter(stored, Facts("1.2.3", "CT1", by_keyword={"PatientAge": ["012Y"]}))
    quick_jobs.arrivals.explicit_end("1.2")
    assert Worker("w1", context, analyser, WorkerSettings()).work_once()
    assert set(there.kept) == {"sr.dcm", "capture.dcm"}
    assert not elsewhere.kept
