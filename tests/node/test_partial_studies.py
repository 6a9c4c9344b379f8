"""What a whole node with its real networks says of studies that come in parts, or mixed.

Orthanc is the archive that is asked how many images a study has, and gets the results.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import Comprehensive3DSRStorage, CTImageStorage, SecondaryCaptureImageStorage

from dicom_judges import dciodvfy
from groundglass.node.assembly import open_destinations
from groundglass.node.dimse.listener import ListenerSettings
from groundglass.node.dimse.peers import Peer
from groundglass.node.health import HttpSettings
from groundglass.node.inbound.archives import CompletenessSettings
from groundglass.node.inbound.sources import DicomwebSourceSettings
from groundglass.node.inbound.spool import SpoolSettings
from groundglass.node.node import Node
from groundglass.node.outbound.delivery import FileStatus
from groundglass.node.outbound.pacs import PacsSettings
from groundglass.node.outbound.send import send
from groundglass.node.queue.states import Job, JobSettings, State
from groundglass.node.settings import NodeSettings
from groundglass.node.uids import ourselves
from groundglass.node.worker.analyser import AnalysisSettings
from groundglass.node.worker.loop import WorkerSettings
from groundglass.phantom import PhantomSettings, make_phantom, write_dicom_series
from made_work import eventually
from node.real_pacs import Orthanc, orthanc

_TIMEOUT_S = 300
_QUIET_S = 10.0
_ENDED = (State.DELIVERED, State.REFUSED, State.FAILED)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        yield running


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A chest CT of 90 images."""
    phantom = PhantomSettings(
        label="CP", severity=0.8, seed=4, matrix=160, slice_count=90, slice_spacing_mm=2.7
    )
    folder = tmp_path_factory.mktemp("phantom") / "study"
    write_dicom_series(make_phantom(phantom), folder)
    return sorted(path for path in folder.rglob("*") if path.is_file())


class Scene:
    """A node beside the archive."""

    def __init__(self, archive: Orthanc, running: Node) -> None:
        self.archive, self.node = archive, running

    def send(self, files: list[Path]) -> None:
        peer = Peer("GROUNDGLASS", host="127.0.0.1", port=self.node.listener.port)
        receipts = send(files, peer, ourselves("ORTHANC"))
        assert {receipt.status for receipt in receipts} == {FileStatus.ACCEPTED}

    @property
    def jobs(self) -> list[Job]:
        found = self.node.stores.jobs.records.find()
        return sorted(found, key=lambda job: job.revision)

    def await_end(self, revision: int = 1) -> Job:
        """The job of a revision, when it has ended."""
        assert eventually(
            lambda: any(job.revision == revision and job.state in _ENDED for job in self.jobs),
            _TIMEOUT_S,
        ), self.jobs
        return next(job for job in self.jobs if job.revision == revision)

    def results(self) -> list[Dataset]:
        """All that the archive holds beside CT images; each is valid."""
        files = (self.archive.file(name) for name in self.archive.instances().values())
        read = [pydicom.dcmread(io.BytesIO(data)) for data in files]
        return [one for one in read if one.SOPClassUID != CTImageStorage]

    def report_of(self, job: Job) -> Path:
        return self.node.stores.spool.root / job.report


@contextmanager
def node(archive: Orthanc, settings: NodeSettings) -> Iterator[Scene]:
    archive.clear()
    settings.data.mkdir(mode=0o700)
    running = Node(settings, open_destinations(settings))
    stop = threading.Event()
    thread = threading.Thread(target=running.run, args=(stop,))
    thread.start()
    try:
        assert eventually(lambda: running.listener.port != 0)
        yield Scene(archive, running)
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive()


@pytest.fixture
def settings(archive: Orthanc, bundle: Path, tmp_path: Path) -> NodeSettings:
    """Orthanc is asked as the sender that it is said to be."""
    sender = Peer("ORTHANC", ("127.0.0.1",), host="127.0.0.1", port=archive.port)
    return NodeSettings(
        data=tmp_path / "node",
        spool=SpoolSettings(free_floor_mb=0),
        jobs=JobSettings(quiet_s=_QUIET_S, longest_wait_s=_TIMEOUT_S),
        completeness=CompletenessSettings(settle_s=0.5, longest_pause_s=1.0),
        analysis=AnalysisSettings(bundle=f"{bundle}/"),
        worker=WorkerSettings(poll_s=0.1),
        http=HttpSettings(port=0),
        listener=ListenerSettings(port=0, peers=(sender,)),
        destinations=(PacsSettings("orthanc", "ORTHANC", "127.0.0.1", archive.port),),
    )


def valid(results: list[Dataset], folder: Path) -> list[Dataset]:
    for number, one in enumerate(results):
        path = folder / f"result-{number}.dcm"
        one.save_as(path)
        assert dciodvfy(path) == [], one.SOPClassUID
    return results


def reports(results: list[Dataset]) -> list[Dataset]:
    found = [one for one in results if one.SOPClassUID == Comprehensive3DSRStorage]
    return sorted(found, key=lambda one: one.SeriesDescription)


def texts(report: Dataset) -> list[str]:
    return [item.TextValue for item in report.ContentSequence if item.ValueType == "TEXT"]


@pytest.mark.parametrize("way", ["C-FIND", "QIDO-RS"])
def test_a_pause_after_55_of_90_images_gives_no_verdict_of_the_part(
    archive: Orthanc, settings: NodeSettings, images: list[Path], tmp_path: Path, way: str
) -> None:
    if way == "QIDO-RS":
        web = DicomwebSourceSettings("store", f"{archive.http}/dicom-web")
        caller = replace(settings.listener, peers=(Peer("ORTHANC", ("127.0.0.1",)),))
        settings = replace(settings, sources=(web,), listener=caller)
    with node(archive, settings) as scene:
        archive.put_files(images)
        scene.send(images[:55])
        # Well past the quiet time, after which the part was judged before.
        assert eventually(
            lambda: scene.node.stores.jobs.clock.now() > scene.jobs[0].arrived_at + 2 * _QUIET_S
        )
        (job,) = scene.jobs
        assert (job.state, job.completeness) == (State.RECEIVED, "incomplete")
        assert job.expected_instances == 90
        assert sum(json.loads(job.missing).values()) == 35
        assert not scene.results()
        scene.send(images[55:])
        job = scene.await_end()
        assert (job.outcome, job.completeness, job.missing) == ("verdict", "verified", "")
        assert len(scene.jobs) == 1, "no second revision"
        (report,) = reports(valid(scene.results(), tmp_path))
        assert not any("ompleteness" in text or "not whole" in text for text in texts(report))
        told = json.loads((scene.report_of(job) / "result.json").read_text("utf-8"))
        assert (told["analysis"]["completeness"], told["analysis"]["revision"]) == ("verified", 1)


def test_images_that_never_come_are_said_to_be_missing_and_late_ones_replace_that(
    archive: Orthanc, settings: NodeSettings, images: list[Path], tmp_path: Path
) -> None:
    short = replace(settings, jobs=replace(settings.jobs, longest_wait_s=2.0))
    with node(archive, short) as scene:
        archive.put_files(images)
        scene.send(images[:55])
        job = scene.await_end()
        assert (job.state, job.outcome) == (State.REFUSED, "incomplete")
        (capture,) = valid(scene.results(), tmp_path)
        assert capture.SOPClassUID == SecondaryCaptureImageStorage
        assert capture.SeriesDescription.startswith("Research use only")
        refusal = json.loads((scene.report_of(job) / "refusal.json").read_text("utf-8"))
        assert "35 of 90 images did not come" in refusal["reason"]
        assert refusal["analysis"]["completeness"] == "incomplete"
        scene.send(images[55:])
        assert scene.await_end(2).outcome == "verdict"
        (report,) = reports(scene.results())
        assert any(text.startswith("Replaces the result of revision 1") for text in texts(report))


def test_revisions_of_a_study_that_nobody_could_ask_about_are_told_apart(
    archive: Orthanc, settings: NodeSettings, images: list[Path], tmp_path: Path
) -> None:
    caller = replace(settings.listener, peers=(Peer("ORTHANC", ("127.0.0.1",)),))
    with node(archive, replace(settings, listener=caller)) as scene:
        scene.send(images[:55])
        first_job = scene.await_end()
        assert (first_job.outcome, first_job.completeness) == ("verdict", "not verified")
        page = (scene.report_of(first_job) / "report.html").read_text("utf-8")
        assert "Completeness not verified" in page
        scene.send(images[55:])
        second_job = scene.await_end(2)
        assert second_job.outcome == "verdict"
        results = valid(scene.results(), tmp_path)
    first, second = reports(results)
    assert " rev 1 " in first.SeriesDescription
    assert " rev 2 " in second.SeriesDescription
    assert "PredecessorDocumentsSequence" not in first
    (study,) = second.PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    assert (study.StudyInstanceUID, series.SeriesInstanceUID) == (
        first.StudyInstanceUID,
        first.SeriesInstanceUID,
    )
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID
    for report in (first, second):
        assert any(text.startswith("Completeness not verified") for text in texts(report))
    told = json.loads((scene.report_of(second_job) / "result.json").read_text("utf-8"))
    assert told["analysis"]["replaces"]["sop_instance_uid"] == first.SOPInstanceUID
    captures = {one.SeriesDescription for one in results if one.Modality == "OT"}
    assert len({name for name in captures if "triage" in name}) == 2


def test_two_patients_in_one_study_are_refused_with_a_capture_for_each(
    archive: Orthanc, settings: NodeSettings, images: list[Path], tmp_path: Path
) -> None:
    mixed = []
    for number, path in enumerate(images):
        data = pydicom.dcmread(path)
        data.PatientID = ("4711", "0815")[number % 2]
        mixed.append(tmp_path / f"{number}.dcm")
        data.save_as(mixed[-1])
    with node(archive, settings) as scene:
        archive.put_files(mixed)
        scene.send(mixed)
        job = scene.await_end()
        assert job.state is State.REFUSED
        captures = valid(scene.results(), tmp_path)
    assert {one.SOPClassUID for one in captures} == {SecondaryCaptureImageStorage}
    assert sorted(one.PatientID for one in captures) == ["0815", "4711"]
    refusal = json.loads((scene.report_of(job) / "refusal.json").read_text("utf-8"))
    assert "2 patients" in refusal["reason"]
