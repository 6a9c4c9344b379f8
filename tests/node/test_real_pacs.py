"""With real systems: Orthanc as archive and sender, dcmtk as sender and as receiver."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from groundglass.node.dimse.clients import PeerError
from groundglass.node.dimse.commitment import CommitmentInbox
from groundglass.node.dimse.listener import Listener
from groundglass.node.dimse.peers import Peer
from groundglass.node.dimse.tls import TlsSettings
from groundglass.node.inbound.commitment import CommitmentService
from groundglass.node.inbound.services import InboundServices
from groundglass.node.inbound.sources import (
    DicomwebSource,
    DicomwebSourceSettings,
    PacsSource,
    PacsSourceSettings,
)
from groundglass.node.outbound.delivery import FileReceipt, FileStatus
from groundglass.node.outbound.dicomweb import DicomwebDestination, DicomwebSettings
from groundglass.node.outbound.pacs import PacsDestination, PacsSettings
from groundglass.node.outbound.send import send
from groundglass.node.uids import ourselves
from groundglass.phantom import PhantomSettings, make_phantom, write_dicom_series
from made_ct import STUDY_UID, ct_series, write
from made_work import eventually
from node.in_memory import ANY_PORT, MemorySink, RawPeer
from node.real_pacs import Orthanc, dcmtk, free_port, orthanc, run

DAY = date(2026, 3, 1)
WAYS = (
    (ImplicitVRLittleEndian, "-xi"),
    (ExplicitVRLittleEndian, "-xe"),
    (JPEGLosslessSV1, "-xs"),
    (JPEGLSLossless, "-xt"),
    (JPEG2000Lossless, "-xv"),
    (RLELossless, "-xr"),
)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        yield running


@pytest.fixture
def empty(archive: Orthanc) -> Orthanc:
    archive.clear()
    return archive


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


def listener(sink: MemorySink, folder: Path, port: int = 0, *peers: Peer) -> Listener:
    service = CommitmentService(sink, CommitmentInbox(folder / "inbox"), peers)
    return Listener(replace(ANY_PORT, port=port, peers=peers), InboundServices(sink, service))


def sent(path: Path) -> dict[str, pydicom.Dataset]:
    return {
        str((d := pydicom.dcmread(p)).SOPInstanceUID): d for p in path.rglob("*") if p.is_file()
    }


def kept(sink: MemorySink) -> dict[str, pydicom.Dataset]:
    return {uid: pydicom.dcmread(io.BytesIO(data)) for uid, data in sink.files.items()}


# dcmtk ------------------------------------------------------------------------------------------


def test_dcmtk_hears_an_echo(sink: MemorySink, tmp_path: Path) -> None:
    echoscu = dcmtk("echoscu")
    with listener(sink, tmp_path) as listening:
        done = run(echoscu, "-aec", "GROUNDGLASS", "127.0.0.1", listening.port)
        refused = run(echoscu, "-aec", "OTHER", "127.0.0.1", listening.port)
    assert done.returncode == 0, done.stderr
    assert "Called AE Title Not Recognized" in refused.stderr


@pytest.mark.parametrize(("syntax", "way"), WAYS, ids=lambda value: getattr(value, "name", value))
def test_dcmtk_sends_in_every_syntax(
    sink: MemorySink, tmp_path: Path, syntax: UID, way: str
) -> None:
    storescu = dcmtk("storescu")
    folder = write(ct_series()[:2], tmp_path / "study", syntax)
    with listener(sink, tmp_path) as listening:
        to = ("-aec", "GROUNDGLASS", "127.0.0.1", listening.port)
        done = run(storescu, way, *to, "+sd", "+r", folder)
    assert done.returncode == 0, done.stderr
    assert kept(sink) == sent(folder)
    assert {d.file_meta.TransferSyntaxUID for d in kept(sink).values()} == {syntax}


def test_ten_dcmtk_senders_at_once(sink: MemorySink, tmp_path: Path) -> None:
    storescu = dcmtk("storescu")
    folders = [
        write(ct_series(number=k + 1, StudyInstanceUID=f"1.2.3.{k}")[:4], tmp_path / f"study{k}")
        for k in range(10)
    ]
    with listener(sink, tmp_path) as listening, ThreadPoolExecutor(10) as pool:
        to = ("-aec", "GROUNDGLASS", "127.0.0.1", listening.port)
        done = list(pool.map(lambda folder: run(storescu, *to, "+sd", "+r", folder), folders))
    assert [one.returncode for one in done] == [0] * 10
    assert kept(sink) == {uid: data for folder in folders for uid, data in sent(folder).items()}


def test_dcmtk_is_told_of_a_full_disk(sink: MemorySink, tmp_path: Path) -> None:
    storescu = dcmtk("storescu")
    folder = write(ct_series()[:2], tmp_path / "study")
    sink.full = True
    with listener(sink, tmp_path) as listening:
        to = ("-aec", "GROUNDGLASS", "127.0.0.1", listening.port)
        done = run(storescu, "-v", *to, "+sd", folder)
    assert done.returncode != 0
    assert "OutOfResources" in done.stderr + done.stdout
    assert not sink.files


def test_mutual_tls_with_dcmtk_and_with_ourselves(
    sink: MemorySink, tmp_path: Path, certificates: dict[str, Path]
) -> None:
    storescu = dcmtk("storescu")
    folder = write(ct_series()[:2], tmp_path / "study")
    files = sorted(folder.iterdir())
    own = TlsSettings(certificates["cert"], certificates["key"], certificates["ca"])
    service = CommitmentService(sink, CommitmentInbox(tmp_path / "inbox"))
    with Listener(replace(ANY_PORT, tls=own), InboundServices(sink, service)) as listening:
        to = ("-aec", "GROUNDGLASS", "127.0.0.1", listening.port, *files)
        silent = RawPeer(listening.port)  # begins no handshake, and must hold up nobody
        ids = ("+tls", certificates["key"], certificates["cert"], "+cf", certificates["ca"])
        done = run(storescu, *ids, *to)
        assert done.returncode == 0, done.stderr
        assert kept(sink) == sent(folder)
        assert run(storescu, *to, timeout=30).returncode != 0, "in the clear"
        nameless = run(storescu, "+tla", "+cf", certificates["ca"], *to, timeout=30)
        assert nameless.returncode != 0, "without a certificate"
        sink.files.clear()
        peer = Peer("GROUNDGLASS", host="127.0.0.1", port=listening.port, tls=own)
        assert {r.status for r in send(files, peer, ourselves())} == {FileStatus.ACCEPTED}
        assert kept(sink) == sent(folder)
        silent.sock.close()


def test_dcmtk_receives_what_we_send(tmp_path: Path) -> None:
    storescp = dcmtk("storescp")
    files = sorted(write(ct_series()[:3], tmp_path / "study").iterdir())
    port, out = free_port(), tmp_path / "out"
    out.mkdir()
    process = subprocess.Popen(
        [storescp, "-aet", "DCMTK", "-od", str(out), str(port)],
        env={**os.environ, "TCP_NODELAY": "1"},
    )
    peer = Peer("DCMTK", host="127.0.0.1", port=port)
    receipts: list[FileReceipt] = []

    def delivered() -> bool:
        try:
            receipts.extend(send(files, peer, ourselves()))
        except PeerError:  # not listening yet
            return False
        return True

    try:
        assert eventually(delivered, 30)
    finally:
        process.terminate()
        process.wait()
    assert {r.status for r in receipts} == {FileStatus.ACCEPTED}
    assert sent(out) == sent(tmp_path / "study")


# Orthanc ----------------------------------------------------------------------------------------


def test_orthanc_sends_and_has_it_committed(
    empty: Orthanc, sink: MemorySink, tmp_path: Path
) -> None:
    folder = write(ct_series()[:4], tmp_path / "study")
    empty.put_files(sorted(folder.iterdir()))
    itself = Peer("ORTHANC", ("127.0.0.1",), "127.0.0.1", empty.port)
    with listener(sink, tmp_path, empty.ours, itself):
        (study,) = empty.get("/studies")
        empty.post("/modalities/groundglass/store", {"Resources": [study], "Synchronous": True})
        assert {uid: d.PixelData for uid, d in kept(sink).items()} == {
            uid: d.PixelData for uid, d in sent(folder).items()
        }
        lost = sorted(sink.files)[0]
        del sink.files[lost], sink.seen[lost]
        asked = empty.post(
            "/modalities/groundglass/storage-commitment",
            {"DicomInstances": [[str(d.SOPClassUID), u] for u, d in sent(folder).items()]},
        )
        path = f"/storage-commitment/{asked['ID']}"
        assert eventually(lambda: empty.get(path)["Status"] != "Pending", 30)
        report = empty.get(path)
    assert report["Status"] == "Failure"
    assert [one["SOPInstanceUID"] for one in report["Failures"]] == [lost]
    assert {one["SOPInstanceUID"] for one in report["Success"]} == set(sent(folder)) - {lost}


@pytest.mark.parametrize("confirm", ["read back", "storage commitment"])
def test_orthanc_takes_results_and_confirms_them(
    empty: Orthanc, sink: MemorySink, tmp_path: Path, confirm: str
) -> None:
    files = sorted(write(ct_series()[:3], tmp_path / "study").iterdir())
    settings = PacsSettings("orthanc", "ORTHANC", "127.0.0.1", empty.port, confirm=confirm)  # type: ignore[arg-type]
    itself = Peer("ORTHANC", ("127.0.0.1",))
    with listener(sink, tmp_path, empty.ours, itself):
        destination = PacsDestination(settings, CommitmentInbox(tmp_path / "inbox"))
        assert destination.check().works
        for _ in range(2):  # twice is harmless
            receipt = destination.deliver(files)
            assert {r.status for r in receipt.files} == {FileStatus.ACCEPTED}
        assert destination.confirm(receipt).confirmed == set(files)
        (first, *_) = files
        gone = empty.instances()[str(pydicom.dcmread(first).SOPInstanceUID)]
        empty.delete(f"/instances/{gone}")
        assert destination.confirm(receipt).confirmed == set(files[1:])


def test_orthanc_takes_results_over_the_web(empty: Orthanc, tmp_path: Path) -> None:
    files = sorted(write(ct_series()[:3], tmp_path / "study").iterdir())
    destination = DicomwebDestination(DicomwebSettings("web", f"{empty.http}/dicom-web/"))
    assert destination.check().works
    assert not destination.confirm(destination.deliver([])).confirmed
    receipt = destination.deliver(files)
    assert {r.status for r in receipt.files} == {FileStatus.ACCEPTED}
    assert destination.confirm(receipt).confirmed == set(files)
    assert set(empty.instances()) == set(sent(tmp_path / "study"))


@pytest.mark.parametrize("way", ["get", "move", "web"])
def test_a_study_is_fetched_from_orthanc(
    empty: Orthanc, sink: MemorySink, tmp_path: Path, way: str
) -> None:
    plain = write(ct_series(StudyDate=f"{DAY:%Y%m%d}")[:3], tmp_path / "study" / "plain")
    write(ct_series(StudyDate=f"{DAY:%Y%m%d}")[3:5], tmp_path / "study" / "packed", JPEGLosslessSV1)
    empty.put_files([p for p in plain.parent.rglob("*") if p.is_file()])
    if way == "web":
        settings = DicomwebSourceSettings("orthanc", f"{empty.http}/dicom-web/")
        source: PacsSource | DicomwebSource = DicomwebSource(settings)
    else:
        source = PacsSource(
            PacsSourceSettings("orthanc", "ORTHANC", "127.0.0.1", empty.port, method=way)  # type: ignore[arg-type]
        )
    itself = Peer("ORTHANC", ("127.0.0.1",))
    with listener(sink, tmp_path, empty.ours, itself):
        (found,) = source.studies(DAY, DAY)
        assert (found.study_instance_uid, found.instances) == (STUDY_UID, 5)
        assert source.fetch(STUDY_UID, sink).taken == 5
    assert {uid: d.PixelData for uid, d in kept(sink).items()} == {
        uid: d.PixelData for uid, d in sent(plain.parent).items()
    }


def test_a_phantom_goes_to_orthanc_and_comes_back(
    empty: Orthanc, sink: MemorySink, tmp_path: Path
) -> None:
    phantom = make_phantom(PhantomSettings(matrix=64, slice_count=6, slice_spacing_mm=40.0))
    files = write_dicom_series(phantom, tmp_path / "phantom")
    peer = Peer("ORTHANC", host="127.0.0.1", port=empty.port)
    assert {r.status for r in send(files, peer, ourselves())} == {FileStatus.ACCEPTED}
    study = str(pydicom.dcmread(files[0]).StudyInstanceUID)
    source = PacsSource(PacsSourceSettings("orthanc", "ORTHANC", "127.0.0.1", empty.port))
    assert source.fetch(study, sink).taken == 6
    assert kept(sink) == sent(tmp_path / "phantom")
