"""Studies fetched from archives and folders: whole, once, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import (
    ComprehensiveSRStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEGLosslessSV1,
)

from groundglass.errors import SettingsError
from groundglass.node.dimse.clients import PeerError
from groundglass.node.dimse.peers import Peer
from groundglass.node.inbound.importing import TransferResult
from groundglass.node.inbound.instances import InstanceSink
from groundglass.node.inbound.retrieve import Fetched, Retriever
from groundglass.node.inbound.sources import PacsSource, PacsSourceSettings, RemoteStudy, Schedule
from groundglass.node.inbound.spool import SpoolFull
from groundglass.node.inbound.watch import FolderWatch, WatchSettings
from groundglass.node.outbound.send import send
from groundglass.node.uids import ourselves
from made_ct import STUDY_UID, as_bytes, ct_series, write
from made_work import eventually
from node.fake_archive import FakeArchive
from node.in_memory import MemorySink

DAY = date(2026, 3, 1)


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


# A PACS -----------------------------------------------------------------------------------------


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[FakeArchive]:
    """Holds a study of three CT images, one of them compressed, and a report."""
    study = {"StudyDate": "20260301", "NumberOfStudyRelatedInstances": 4}
    slices = ct_series(**study)[:3]
    files = [*write(slices[:2], tmp_path / "plain").iterdir()]
    files += [*write(slices[2:], tmp_path / "packed", JPEGLosslessSV1).iterdir()]
    report = ct_series(number=7, Modality="SR", SOPClassUID=ComprehensiveSRStorage, **study)[0]
    files += [*write([report], tmp_path / "report").iterdir()]
    with FakeArchive().running() as running:
        peer = Peer("ARCHIVE", host="127.0.0.1", port=running.port)
        assert {r.status.value for r in send(files, peer, ourselves())} == {"accepted"}
        yield running


def source(archive: FakeArchive, **how: str) -> PacsSource:
    settings = PacsSourceSettings("pacs", "ARCHIVE", "127.0.0.1", archive.port, **how)  # type: ignore[arg-type]
    return PacsSource(settings)


def test_a_named_study_comes_whole_and_as_it_is_kept(
    archive: FakeArchive, sink: MemorySink
) -> None:
    result = source(archive).fetch(STUDY_UID, sink)
    assert result.taken == 3
    images = {uid: raw for uid, raw in archive.raw.items() if ".7." not in uid}
    assert set(sink.files) == set(images)
    for uid, (syntax, data) in images.items():
        assert sink.files[uid].endswith(data)
        assert sink.seen[uid].transfer_syntax_uid == syntax
        assert sink.seen[uid].source_ae == "pacs"


def test_an_image_that_does_not_come_is_noticed(archive: FakeArchive, sink: MemorySink) -> None:
    archive.left_out = next(uid for uid in archive.kept if ".7." not in uid)
    with pytest.raises(PeerError, match="1 images of a study missing"):
        source(archive).fetch(STUDY_UID, sink)


def test_a_full_disk_ends_the_fetching(archive: FakeArchive, sink: MemorySink) -> None:
    sink.full = True
    with pytest.raises(SpoolFull):
        source(archive).fetch(STUDY_UID, sink)


def test_what_is_no_uid_is_not_asked_for(archive: FakeArchive, sink: MemorySink) -> None:
    with pytest.raises(SettingsError):
        source(archive).fetch("*", sink)


def test_studies_are_found_by_day(archive: FakeArchive) -> None:
    (found,) = source(archive).studies(DAY, DAY)
    assert found == RemoteStudy(STUDY_UID, "CT CHEST", 4)


class TwinSource:
    """An archive in memory."""

    def __init__(self) -> None:
        self.held: list[RemoteStudy] = []
        self.asked: list[tuple[date, date]] = []
        self.fails = False

    def studies(self, first: date, last: date) -> list[RemoteStudy]:
        self.asked.append((first, last))
        return self.held

    def fetch(self, study_instance_uid: str, sink: InstanceSink) -> TransferResult:
        if self.fails:
            raise PeerError("a fault", expected="none", action="Wait.")
        return TransferResult(taken=1, studies={study_instance_uid})


@pytest.fixture
def twin() -> TwinSource:
    return TwinSource()


def retriever(twin: TwinSource, sink: MemorySink, folder: Path, **how: object) -> Retriever:
    schedule = Schedule(**how)  # type: ignore[arg-type]
    return Retriever(twin, schedule, sink, Fetched(folder / "fetched"), today=lambda: DAY)


def test_a_study_is_fetched_once_when_it_has_stopped_growing(
    twin: TwinSource, sink: MemorySink, tmp_path: Path
) -> None:
    looking = retriever(twin, sink, tmp_path)
    twin.held = [RemoteStudy("1.2", "CT CHEST", 10)]
    assert looking.look_once() == []
    twin.held = [RemoteStudy("1.2", "CT CHEST", 20)]
    assert looking.look_once() == []
    assert looking.look_once() == ["1.2"]
    assert sink.ended_studies == ["1.2"]
    assert looking.look_once() == []
    again = retriever(twin, sink, tmp_path)
    assert [again.look_once() for _ in range(3)] == [[], [], []], "nor after a restart"
    twin.held = [RemoteStudy("1.2", "CT CHEST", 30)]
    assert [again.look_once() for _ in range(3)] == [[], ["1.2"], []], "but when it grew"


def test_a_study_that_could_not_be_fetched_is_tried_again(
    twin: TwinSource, sink: MemorySink, tmp_path: Path
) -> None:
    looking = retriever(twin, sink, tmp_path)
    twin.held = [RemoteStudy("1.2", "CT CHEST", 10)]
    twin.fails = True
    for _ in range(3):
        looking.look_once()
    assert sink.ended_studies == []
    twin.fails = False
    looking.look_once()
    assert sink.ended_studies == ["1.2"]


def test_only_wanted_studies_of_wanted_days_are_fetched(
    twin: TwinSource, sink: MemorySink, tmp_path: Path
) -> None:
    looking = retriever(twin, sink, tmp_path, description="*chest*", days=2)
    twin.held = [
        RemoteStudy("1.2", "CT Chest native", 10),
        RemoteStudy("1.3", "CT Head", 10),
        RemoteStudy("../x", "CT Chest", 10),
    ]
    looking.look_once()
    assert looking.look_once() == ["1.2"]
    assert twin.asked[0] == (date(2026, 2, 27), date(2026, 3, 2))


# A folder ---------------------------------------------------------------------------------------


class Watched:
    """A watched folder whose clock a test turns."""

    def __init__(self, folder: Path, sink: MemorySink) -> None:
        self.folder = folder
        self.folder.mkdir(exist_ok=True)
        self.time = 0.0
        settings = WatchSettings(folder, quiet_s=10, poll_s=0.01)
        self.watch = FolderWatch(settings, sink, now=lambda: self.time)
        for name in ("taking", "refused"):
            (folder / ".groundglass" / name).mkdir(parents=True, exist_ok=True)

    def look_after(self, seconds: float) -> int:
        self.time += seconds
        return self.watch.look_once()

    def left(self) -> list[str]:
        return sorted(p.name for p in self.folder.rglob("*") if p.is_file())


@pytest.fixture
def watched(tmp_path: Path, sink: MemorySink) -> Watched:
    return Watched(tmp_path / "in", sink)


def test_a_file_is_taken_when_it_has_been_quiet(watched: Watched, sink: MemorySink) -> None:
    data = ct_series()[0]
    whole = as_bytes(data)
    path = watched.folder / "a" / "Doe, Jane.dcm"
    path.parent.mkdir()
    path.write_bytes(whole[:500])
    assert watched.look_after(0) == 0
    path.write_bytes(whole)
    assert watched.look_after(10) == 0, "it has just changed"
    assert watched.look_after(9) == 0
    assert watched.look_after(1) == 1
    assert watched.left() == []
    kept = pydicom.dcmread(BytesIO(sink.files[data.SOPInstanceUID]))
    assert kept == pydicom.dcmread(BytesIO(whole))
    assert sink.seen[data.SOPInstanceUID].source_ae == "FOLDER"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"hello", "no DICOM file"),
        (b"\0" * 128 + b"DICM", "without Transfer Syntax"),
        (as_bytes(ct_series()[0], DeflatedExplicitVRLittleEndian), "deflated"),
        (as_bytes(ct_series(SOPClassUID=ComprehensiveSRStorage)[0]), "no CT image"),
        (as_bytes(ct_series(StudyInstanceUID="")[0]), "no study instance uid"),
        (as_bytes(ct_series()[0])[:300], "no "),
    ],
    ids=["text", "empty", "deflated", "report", "no study", "cut"],
)
def test_what_is_unfit_is_put_aside_with_its_reason(
    watched: Watched, sink: MemorySink, content: bytes, reason: str
) -> None:
    (watched.folder / "x").write_bytes(content)
    watched.look_after(0)
    assert watched.look_after(10) == 0
    aside, note = sorted((watched.folder / ".groundglass" / "refused").iterdir())
    assert aside.read_bytes() == content
    assert reason in note.read_text()
    assert not sink.files
    assert watched.look_after(100) == 0


def test_a_full_disk_loses_nothing(watched: Watched, sink: MemorySink) -> None:
    write(ct_series()[:3], watched.folder)
    watched.look_after(0)
    sink.full = True
    with pytest.raises(SpoolFull):
        watched.look_after(10)
    assert len(watched.left()) == 3
    sink.full = False
    assert watched.look_after(1) == 3
    assert watched.left() == []


def test_what_a_killed_watch_had_in_hand_is_taken_up(
    watched: Watched, sink: MemorySink, tmp_path: Path
) -> None:
    data = ct_series()[0]
    (watched.folder / ".groundglass" / "taking" / "abc").write_bytes(as_bytes(data))
    assert watched.look_after(0) == 1
    assert set(sink.files) == {data.SOPInstanceUID}


def test_links_and_hidden_files_are_left_alone(watched: Watched, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(as_bytes(ct_series()[0]))
    (watched.folder / "link").symlink_to(tmp_path / "outside")
    (watched.folder / ".part").write_bytes(b"being written")
    watched.look_after(0)
    assert watched.look_after(100) == 0
    assert (tmp_path / "outside").exists()
    assert (watched.folder / ".part").exists()


def test_the_watch_works_in_its_thread_and_stops(tmp_path: Path, sink: MemorySink) -> None:
    write(ct_series()[:2], tmp_path / "in", ExplicitVRLittleEndian)
    watch = FolderWatch(WatchSettings(tmp_path / "in", quiet_s=0, poll_s=0.01), sink)
    watch.start()
    assert eventually(lambda: len(sink.files) == 2)
    watch.stop()


def test_a_folder_that_cannot_be_watched_is_said(tmp_path: Path, sink: MemorySink) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="cannot be watched"):
        FolderWatch(WatchSettings(tmp_path / "file"), sink).start()
