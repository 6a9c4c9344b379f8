"""The whole way with a real archive: Orthanc sends a study on, the results come back into it."""

from __future__ import annotations

import io
import runpy
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import Comprehensive3DSRStorage, CTImageStorage

from dicom_judges import dciodvfy, dsrdump
from groundglass.node.assembly import open_destinations
from groundglass.node.dimse.listener import ListenerSettings
from groundglass.node.dimse.peers import Peer
from groundglass.node.health import HttpSettings
from groundglass.node.inbound.spool import SpoolSettings
from groundglass.node.node import Node
from groundglass.node.outbound.delivery import FileStatus
from groundglass.node.outbound.pacs import PacsSettings
from groundglass.node.outbound.send import send
from groundglass.node.queue.states import JobSettings, State
from groundglass.node.settings import NodeSettings
from groundglass.node.uids import ourselves
from groundglass.node.worker.analyser import AnalysisSettings
from groundglass.node.worker.loop import WorkerSettings
from made_work import eventually
from node.real_pacs import Orthanc, documented_orthanc

_TIMEOUT_S = 300
AS_SCANNER = ourselves("SCANNER")
_STATEMENT = Path(__file__).parents[2] / "docs" / "reference" / "make_conformance.py"
RESULT_CLASSES = runpy.run_path(str(_STATEMENT))["RESULT_CLASSES"]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with documented_orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        yield running


@contextmanager
def node(archive: Orthanc, bundle: Path, data: Path) -> Iterator[Node]:
    """A node beside the archive, with its real networks."""
    settings = NodeSettings(
        data=data,
        spool=SpoolSettings(free_floor_mb=0),
        jobs=JobSettings(quiet_s=10.0),  # a study of two series is sent on as each is stable
        analysis=AnalysisSettings(bundle=f"{bundle}/"),
        worker=WorkerSettings(poll_s=0.1),
        http=HttpSettings(port=0),
        listener=ListenerSettings(port=archive.ours, peers=(Peer("ORTHANC", ("127.0.0.1",)),)),
        destinations=(PacsSettings("orthanc", "ORTHANC", "127.0.0.1", archive.port),),
    )
    data.mkdir(mode=0o700)
    running = Node(settings, open_destinations(settings))
    stop = threading.Event()
    thread = threading.Thread(target=running.run, args=(stop,))
    thread.start()
    try:
        yield running
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive()


@pytest.fixture(params=["phantom", "lung-dx-A0001"])
def study(request: pytest.FixtureRequest) -> list[Path]:
    """The files of a study."""
    if request.param == "phantom":
        folder: Path = request.getfixturevalue("phantom_study")
    else:
        folder = request.getfixturevalue("shared_data") / "studies" / request.param
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_results_come_back_into_the_study(
    archive: Orthanc, bundle: Path, study: list[Path], tmp_path: Path
) -> None:
    archive.clear()
    with node(archive, bundle, tmp_path / "node") as running:
        jobs = running.stores.jobs
        peer = Peer("ORTHANC", host="127.0.0.1", port=archive.port)
        receipts = send(study, peer, AS_SCANNER)
        assert {receipt.status for receipt in receipts} == {FileStatus.ACCEPTED}
        begin = time.monotonic()
        assert eventually(lambda: jobs.records.counts()[State.DELIVERED], _TIMEOUT_S), (
            jobs.records.counts()
        )
        print(f"{len(study)} images, results back after {time.monotonic() - begin:.1f} s")  # noqa: T201
        (job,) = jobs.records.find()
        report = running.stores.spool.root / job.report
        written = [path.read_bytes() for path in report.rglob("*.dcm")]
    back = _results_in(archive)
    ours = {name: _read(data) for name, data in back.items()}
    assert len(archive.get("/studies")) == 1, "in the same study"
    kinds = {one.SOPClassUID for one in ours.values()}
    assert set(RESULT_CLASSES[:4]) <= kinds <= set(RESULT_CLASSES)
    assert ours == {str(one.SOPInstanceUID): one for one in map(_read, written)}, "as written"
    scanned = {pydicom.dcmread(path, stop_before_pixels=True).SeriesInstanceUID for path in study}
    assert scanned.isdisjoint(one.SeriesInstanceUID for one in ours.values())
    for name, data in back.items():
        path = tmp_path / f"{name}.dcm"
        path.write_bytes(data)
        assert dciodvfy(path) == []
        if ours[name].SOPClassUID == Comprehensive3DSRStorage:
            assert "Research use only" in dsrdump(path)


def _results_in(archive: Orthanc) -> dict[str, bytes]:
    """SOP Instance UID → file, of all the archive holds beside CT images."""
    files = {uid: archive.file(name) for uid, name in archive.instances().items()}
    return {uid: data for uid, data in files.items() if _read(data).SOPClassUID != CTImageStorage}


def _read(data: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(data))
