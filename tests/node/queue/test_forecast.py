"""What is said about when results will be there, from the table and the files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import JPEGLosslessSV1

from groundglass.node.queue.estimate import TWO_CORES, StudySize
from groundglass.node.queue.forecast import (
    PendingJob,
    analysis_seconds,
    learnt,
    results_expected,
    simulate_queue,
    size_of,
)
from groundglass.node.queue.jobs import JobStore
from groundglass.node.queue.states import AuditEntry, JobSettings, State
from groundglass.phantom import PhantomSettings, make_phantom, write_dicom_series
from node.job_twins import FROM_CT, SetClock, on_disk

SIZE = StudySize(3, 64, 64, compressed=False)


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    settings = PhantomSettings(matrix=64, slice_count=3, slice_spacing_mm=50.0)
    return list(write_dicom_series(make_phantom(settings), tmp_path_factory.mktemp("series")))


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def store(clock: SetClock) -> Iterator[JobStore]:
    made = JobStore("sqlite://", JobSettings(quiet_s=30.0), clock)
    yield made
    made.close()


def arrive(store: JobStore, root: Path, study: str, series: list[Path]) -> None:
    for number, path in enumerate(series):
        stored = on_disk(study, f"{study}.{number}", path.read_bytes())
        (root / stored.file).parent.mkdir(parents=True, exist_ok=True)
        (root / stored.file).write_bytes(path.read_bytes())
        store.arrivals.enter(stored, FROM_CT)


def test_one_worker_takes_one_after_the_other() -> None:
    pending = [PendingJob(1, 10, 0, begun=False), PendingJob(2, 5, 0, begun=False)]
    assert simulate_queue(pending, 100, 1) == {1: 110, 2: 115}


def test_two_workers_take_two_at_once() -> None:
    pending = [PendingJob(k, 10, 0, begun=False) for k in (1, 2, 3)]
    assert simulate_queue(pending, 100, 2) == {1: 110, 2: 110, 3: 120}


def test_what_has_begun_ends_when_its_time_is_over_and_holds_its_worker() -> None:
    pending = [PendingJob(1, 30, 90, begun=True), PendingJob(2, 5, 0, begun=False)]
    assert simulate_queue(pending, 100, 1) == {1: 120, 2: 125}


def test_what_takes_longer_than_expected_is_expected_now() -> None:
    assert simulate_queue([PendingJob(1, 30, 0, begun=True)], 100, 1) == {1: 100}


def test_what_is_not_complete_lets_others_go_first() -> None:
    pending = [PendingJob(1, 10, 130, begun=False), PendingJob(2, 10, 0, begun=False)]
    assert simulate_queue(pending, 100, 1) == {2: 110, 1: 140}


def test_nothing_ahead_gives_nothing() -> None:
    assert simulate_queue([], 100, 2) == {}


def entry(at: float, before: str, after: State) -> AuditEntry:
    return AuditEntry(at, before, after, 1, "worker", "", "worker")


def test_the_last_analysis_that_came_to_its_end_counts() -> None:
    way = [
        entry(0, "", State.RECEIVED),
        entry(1, State.RECEIVED, State.READY),
        entry(2, State.READY, State.ANALYSING),
        entry(50, State.ANALYSING, State.ANALYSING),  # taken over
        entry(58, State.ANALYSING, State.REPORTED),
    ]
    assert analysis_seconds(way) == 8
    assert analysis_seconds(way[:4]) is None


def test_the_size_is_read_off_a_header(series: list[Path], tmp_path: Path) -> None:
    assert size_of(series) == SIZE
    data = dcmread(series[0])
    data.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    data.PixelData = b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\2\0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    data["PixelData"].is_undefined_length = True
    data.save_as(tmp_path / "one.dcm")
    assert size_of([tmp_path / "one.dcm"]) == StudySize(1, 64, 64, compressed=True)


def test_files_that_are_gone_or_no_images_are_passed_over(
    series: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "text").write_text("no image")
    found = size_of([tmp_path / "gone", tmp_path / "text", series[0]])
    assert found == SIZE
    assert size_of([tmp_path / "gone"]) is None


def test_results_are_expected_in_the_order_of_the_queue(
    store: JobStore, clock: SetClock, series: list[Path], tmp_path: Path
) -> None:
    each = TWO_CORES.predict(SIZE)
    for study in ("1.1", "1.2"):
        arrive(store, tmp_path, study, series)
    clock.go(31)
    store.arrivals.complete_quiet()
    arrive(store, tmp_path, "1.3", series)
    store.leases.take("worker", 60)
    clock.go(each / 4)
    first, second, third = (job.id for job in sorted(store.records.find(), key=lambda j: j.id))
    found = results_expected(store, tmp_path, 1)
    assert found[first] == pytest.approx(clock.now() + 0.75 * each)
    assert found[second] == pytest.approx(found[first] + each)
    assert found[third] == pytest.approx(clock.now() - each / 4 + 30 + each)


def test_a_node_learns_from_its_own_analyses(
    store: JobStore, clock: SetClock, series: list[Path], tmp_path: Path
) -> None:
    took = 3.5 * TWO_CORES.predict(SIZE)
    arrive(store, tmp_path, "1.1", series)
    clock.go(31)
    store.arrivals.complete_quiet()
    job = store.leases.take("worker", 600)
    assert job is not None
    clock.go(took)
    job = store.leases.report(job, "report", "verdict", "because")
    store.leases.finish(job, State.DELIVERED, "delivered")
    assert learnt(store, tmp_path).predict(SIZE) == pytest.approx(took)
    assert learnt(store, tmp_path / "elsewhere") == TWO_CORES  # the files are gone


def test_a_job_without_readable_files_has_no_forecast_and_holds_no_other_up(
    store: JobStore, clock: SetClock, series: list[Path], tmp_path: Path
) -> None:
    store.arrivals.enter(on_disk("1.9", "1.9.1"), FROM_CT)
    arrive(store, tmp_path, "1.1", series)
    expected = results_expected(store, tmp_path, 1)
    assert list(expected.values()) == [pytest.approx(clock.now() + 30 + TWO_CORES.predict(SIZE))]


def test_an_empty_table_expects_nothing(store: JobStore, tmp_path: Path) -> None:
    assert results_expected(store, tmp_path, 1) == {}
