"""Nothing is called sent that was not taken, and nothing confirmed that is not there."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import stat
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
)

from groundglass.errors import SettingsError
from groundglass.node.dicomweb import split_multipart
from groundglass.node.dimse.clients import PeerError
from groundglass.node.dimse.commitment import CommitmentInbox, CommitmentReport
from groundglass.node.dimse.listener import Listener
from groundglass.node.dimse.peers import Peer
from groundglass.node.http import HttpAccess, open_session
from groundglass.node.inbound.commitment import CommitmentService
from groundglass.node.inbound.services import InboundServices
from groundglass.node.outbound.delivery import DeliveryError, FileStatus
from groundglass.node.outbound.destinations import make_destination
from groundglass.node.outbound.dicomweb import DicomwebDestination, DicomwebSettings
from groundglass.node.outbound.fhir import FhirSettings
from groundglass.node.outbound.folder import FolderDestination, FolderSettings
from groundglass.node.outbound.hl7 import Hl7Settings
from groundglass.node.outbound.pacs import PacsDestination, PacsSettings
from groundglass.node.outbound.send import send
from groundglass.node.outbound.webhook import (
    IDEMPOTENCY,
    SIGNATURE,
    TIMESTAMP,
    WebhookDestination,
    WebhookSettings,
)
from groundglass.node.uids import ourselves
from made_ct import STUDY_UID, ct_series, write
from node.fake_archive import FakeArchive, web_archive
from node.in_memory import ANY_PORT, MemorySink

FREE_PORT_NOBODY_USES = 9  # discard


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return sorted(write(ct_series()[:3], tmp_path / "report").glob("*"))


@pytest.fixture
def report(tmp_path: Path) -> list[Path]:
    """A report's folder, as the worker hands it over."""
    folder = tmp_path / "report"
    for path in write(ct_series()[:2], folder / "dicom").iterdir():
        path.rename(path.with_suffix(".dcm"))
    document = {
        "outcome": "verdict",
        "verdict": {"label": "CP"},
        "notes": [{"kind": "one-lung", "text": "Hardly any lung on one side."}],
        "statement": "means nothing",
        "input": {"series_description": "DOE^JANE 1950"},
    }
    (folder / "result.json").write_text(json.dumps(document))
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def inbox(tmp_path: Path) -> CommitmentInbox:
    return CommitmentInbox(tmp_path / "inbox")


def pacs(port: int, inbox: CommitmentInbox, **how: object) -> PacsDestination:
    settings = PacsSettings("pacs", "ARCHIVE", "127.0.0.1", port, **how)  # type: ignore[arg-type]
    return PacsDestination(settings, inbox)


def uid_of(path: Path) -> str:
    return str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID)


# C-STORE ------------------------------------------------------------------------------------


def test_what_a_pacs_takes_is_accepted_and_read_back(
    files: list[Path], inbox: CommitmentInbox
) -> None:
    with FakeArchive().running() as archive:
        destination = pacs(archive.port, inbox)
        receipt = destination.deliver(files)
        assert [r.status for r in receipt.files] == [FileStatus.ACCEPTED] * 3
        assert [r.path for r in receipt.files] == files
        assert destination.confirm(receipt).confirmed == set(files)
        for path in files:
            assert archive.kept[uid_of(path)] == pydicom.dcmread(path)


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (0x0000, FileStatus.ACCEPTED),
        (0xB000, FileStatus.WARNING),
        (0xB007, FileStatus.WARNING),
        (0x0107, FileStatus.WARNING),
        (0xA700, FileStatus.REFUSED),
        (0xA900, FileStatus.REFUSED),
        (0xC000, FileStatus.REFUSED),
        (0x0110, FileStatus.REFUSED),
    ],
)
def test_every_file_has_the_answer_it_got(
    files: list[Path], inbox: CommitmentInbox, status: int, meaning: FileStatus
) -> None:
    second = uid_of(files[1])
    archive = FakeArchive()
    archive.answer = lambda data: status if data.SOPInstanceUID == second else 0x0000
    with archive.running():
        receipt = pacs(archive.port, inbox).deliver(files)
    assert [r.status for r in receipt.files] == [
        FileStatus.ACCEPTED,
        meaning,
        FileStatus.ACCEPTED,
    ]
    assert f"0x{status:04X}" in receipt.files[1].detail


def test_what_was_taken_and_lost_is_not_confirmed(
    files: list[Path], inbox: CommitmentInbox
) -> None:
    with FakeArchive().running() as archive:
        destination = pacs(archive.port, inbox)
        receipt = destination.deliver(files)
        del archive.kept[uid_of(files[0])]
        assert destination.confirm(receipt).confirmed == set(files[1:])


def test_an_association_cut_short_leaves_the_rest_unsent(
    files: list[Path], inbox: CommitmentInbox
) -> None:
    archive = FakeArchive()
    archive.abort_after = 1
    with archive.running():
        receipt = pacs(archive.port, inbox).deliver(files)
    assert [r.status for r in receipt.files] == [
        FileStatus.ACCEPTED,
        FileStatus.REFUSED,
        FileStatus.REFUSED,
    ]


def test_nobody_there_is_said(files: list[Path], inbox: CommitmentInbox) -> None:
    destination = pacs(FREE_PORT_NOBODY_USES, inbox)
    with pytest.raises(DeliveryError, match="no DICOM system at ARCHIVE"):
        destination.deliver(files)
    assert not destination.check().works


@pytest.mark.parametrize(
    "syntax", [JPEGLosslessSV1, ImplicitVRLittleEndian, ExplicitVRBigEndian], ids=lambda u: u.name
)
def test_compressed_files_go_as_they_are(tmp_path: Path, syntax: str) -> None:
    (path,) = write(ct_series()[:1], tmp_path / "one", pydicom.uid.UID(syntax)).iterdir()
    with FakeArchive().running() as archive:
        peer = Peer("ARCHIVE", host="127.0.0.1", port=archive.port)
        (receipt,) = send([path], peer, ourselves())
        assert receipt.status is FileStatus.ACCEPTED
        ((sent_as, _),) = archive.raw.values()
    if syntax == ImplicitVRLittleEndian:
        assert sent_as in (ImplicitVRLittleEndian, ExplicitVRLittleEndian)
    else:
        assert sent_as == syntax
    assert archive.kept[receipt.sop_instance_uid].PixelData == pydicom.dcmread(path).PixelData


def test_what_is_not_negotiated_is_refused_and_never_decoded(tmp_path: Path) -> None:
    """Our own listener takes no big-endian MR; a PACS that takes no JPEG is like it."""
    data = ct_series()[0]
    data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    files = [*write([data], tmp_path / "mr").iterdir()]
    files += [*write(ct_series()[1:2], tmp_path / "ct").iterdir()]
    sink = MemorySink()
    service = CommitmentService(sink, CommitmentInbox(tmp_path / "inbox"))
    with Listener(ANY_PORT, InboundServices(sink, service)) as listener:
        peer = Peer("GROUNDGLASS", host="127.0.0.1", port=listener.port)
        receipts = send(files, peer, ourselves())
    assert [r.status for r in receipts] == [FileStatus.REFUSED, FileStatus.ACCEPTED]
    assert "MR Image Storage" in receipts[0].detail


def test_files_that_are_no_dicom_are_refused_here(tmp_path: Path, files: list[Path]) -> None:
    text = tmp_path / "note.dcm"
    text.write_text("hello")
    told: list[tuple[int, int]] = []
    with FakeArchive().running() as archive:
        peer = Peer("ARCHIVE", host="127.0.0.1", port=archive.port)
        receipts = send([text, *files], peer, ourselves(), lambda *at: told.append(at))
    assert [r.status for r in receipts] == [FileStatus.REFUSED] + [FileStatus.ACCEPTED] * 3
    assert told[-1] == (4, 4)


def test_a_check_sends_nothing_and_tries_what_confirming_needs(inbox: CommitmentInbox) -> None:
    with FakeArchive().running() as archive:
        assert pacs(archive.port, inbox).check().works
        assert not pacs(archive.port, inbox, confirm="storage commitment").check().works
    with FakeArchive().running("1.2.840.10008.5.1.4.1.2.2.1") as archive:
        assert not pacs(archive.port, inbox).check().works
    assert not archive.kept


@pytest.mark.parametrize(
    "text", ["PACS", "PACS@host", "@host:104", "PACS@:104", "PACS@host:x", "PACS@host:99999"]
)
def test_addresses_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        Peer.parse(text)


def test_an_address_is_read() -> None:
    peer = Peer.parse("PACS@[::1]:104")
    assert (peer.ae_title, peer.host, peer.port) == ("PACS", "::1", 104)


# Storage commitment ---------------------------------------------------------------------------


@pytest.mark.parametrize("reachable", [True, False], ids=["own association", "same association"])
def test_a_commitment_confirms_exactly_what_is_held(
    files: list[Path], tmp_path: Path, reachable: bool
) -> None:
    """Our listener as the archive, and another listener of ours that hears its report."""
    ours, theirs = CommitmentInbox(tmp_path / "ours"), CommitmentInbox(tmp_path / "theirs")
    sink, nothing = MemorySink(), MemorySink()
    with Listener(ANY_PORT, InboundServices(nothing, CommitmentService(nothing, ours))) as hearing:
        asking = Peer(
            "GROUNDGLASS",
            host="127.0.0.1" if reachable else "",
            port=hearing.port,
            addresses=("127.0.0.1",),
        )
        service = CommitmentService(sink, theirs, [asking])
        with Listener(ANY_PORT, InboundServices(sink, service)) as archive:
            settings = PacsSettings(
                "pacs",
                "GROUNDGLASS",
                "127.0.0.1",
                archive.port,
                confirm="storage commitment",
                commitment_wait_s=30,
            )
            destination = PacsDestination(settings, ours)
            assert destination.check().works
            receipt = destination.deliver(files)
            del sink.files[uid_of(files[1])], sink.seen[uid_of(files[1])]
            confirmation = destination.confirm(receipt)
    assert confirmation.confirmed == {files[0], files[2]}
    assert "0x0112" in confirmation.detail


def test_no_commitment_in_time_confirms_nothing(files: list[Path], tmp_path: Path) -> None:
    sink = MemorySink()
    deaf = Peer("GROUNDGLASS", host="127.0.0.1", port=FREE_PORT_NOBODY_USES)
    service = CommitmentService(sink, CommitmentInbox(tmp_path / "theirs"), [deaf])
    with Listener(ANY_PORT, InboundServices(sink, service)) as archive:
        settings = PacsSettings(
            "pacs",
            "GROUNDGLASS",
            "127.0.0.1",
            archive.port,
            confirm="storage commitment",
            commitment_wait_s=0.2,
        )
        destination = PacsDestination(settings, CommitmentInbox(tmp_path / "ours"))
        assert not destination.confirm(destination.deliver(files)).confirmed


def test_an_archive_without_commitment_confirms_nothing(
    files: list[Path], inbox: CommitmentInbox
) -> None:
    with FakeArchive().running() as archive:
        destination = pacs(archive.port, inbox, confirm="storage commitment")
        receipt = destination.deliver(files)
        with pytest.raises(DeliveryError):
            destination.confirm(receipt)


def test_reports_nobody_expects_are_not_kept(inbox: CommitmentInbox, tmp_path: Path) -> None:
    assert not inbox.receive(CommitmentReport("1.2.3", ("1.2",)))
    inbox.expect("1.2.3")
    assert inbox.receive(CommitmentReport("1.2.3", ("1.2",), {"1.3": 0x0112}))
    assert inbox.collect("1.2.3") == CommitmentReport("1.2.3", ("1.2",), {"1.3": 0x0112})
    inbox.forget("1.2.3")
    assert inbox.collect("1.2.3") is None
    assert not list((tmp_path / "inbox").iterdir())


# DICOMweb ---------------------------------------------------------------------------------------


def stow_answer(tag: str, uid: str, reason: dict[str, int]) -> dict[str, object]:
    item = {"00081155": {"vr": "UI", "Value": [uid]}}
    item |= {key: {"vr": "US", "Value": [value]} for key, value in reason.items()}
    return {tag: {"vr": "SQ", "Value": [item]}}


@pytest.mark.parametrize(
    ("status", "tag", "reason", "meaning"),
    [
        (200, "00081199", {}, FileStatus.ACCEPTED),
        (202, "00081199", {"00081196": 0xB000}, FileStatus.WARNING),
        (200, "00081198", {"00081197": 0x0110}, FileStatus.REFUSED),
        (202, "00081198", {"00081197": 0xA700}, FileStatus.REFUSED),
        (202, "00081111", {}, FileStatus.REFUSED),
        (409, "00081198", {"00081197": 0x0122}, FileStatus.REFUSED),
        (401, "00081111", {}, FileStatus.REFUSED),
        (503, "00081111", {}, FileStatus.REFUSED),
        (301, "00081111", {}, FileStatus.REFUSED),
    ],
)
def test_a_stow_answer_means_what_it_says(
    files: list[Path], status: int, tag: str, reason: dict[str, int], meaning: FileStatus
) -> None:
    with web_archive() as (archive, url):
        archive.stow_status = status
        archive.stow_answer = stow_answer(tag, uid_of(files[0]), reason)
        receipt = DicomwebDestination(DicomwebSettings("web", url)).deliver(files[:1])
    assert receipt.files[0].status is meaning
    assert f"HTTP {status}" in receipt.files[0].detail


def test_stow_sends_the_file_as_it_is(files: list[Path]) -> None:
    with web_archive() as (archive, url):
        archive.stow_answer = stow_answer("00081199", uid_of(files[0]), {})
        DicomwebDestination(DicomwebSettings("web", f"{url}/dicom-web/")).deliver(files[:1])
        ((path, headers, body),) = archive.requests
    assert path == "/dicom-web/studies"
    assert split_multipart(headers["Content-Type"], body) == [files[0].read_bytes()]


def test_what_qido_does_not_find_is_not_confirmed(files: list[Path]) -> None:
    with web_archive() as (archive, url):
        destination = DicomwebDestination(DicomwebSettings("web", url))
        receipt = destination.deliver(files)
        archive.held.append(uid_of(files[2]))
        assert destination.confirm(receipt).confirmed == {files[2]}
        assert destination.check().works


def test_a_web_server_that_is_not_there_is_said(files: list[Path]) -> None:
    settings = DicomwebSettings("web", f"http://127.0.0.1:{FREE_PORT_NOBODY_USES}/")
    destination = DicomwebDestination(settings)
    with pytest.raises(DeliveryError, match="no usable answer"):
        destination.deliver(files)
    assert not destination.check().works


def test_a_multipart_message_cut_off_is_noticed() -> None:
    whole = b"--x\r\nContent-Type: a/b\r\n\r\nDATA\r\n--y\r\nMORE\r\n--x--\r\n"
    kind = 'multipart/related; type="a/b"; boundary="x"'
    assert split_multipart(kind, whole) == [b"DATA\r\n--y\r\nMORE"]
    for end in range(len(whole) - 4):
        with pytest.raises(ValueError, match=r"multipart|part"):
            split_multipart(kind, whole[:end])


def test_patient_data_does_not_go_over_the_network_in_the_clear(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="in the clear"):
        open_session("http://pacs.example/dicom-web", HttpAccess())
    open_session("http://pacs.example/dicom-web", HttpAccess(in_the_clear=True))
    (tmp_path / "token").write_text("abc\n")
    session = open_session("https://pacs.example", HttpAccess(token_file=tmp_path / "token"))
    assert session.headers["Authorization"] == "Bearer abc"
    assert session.verify is True
    for none in ("ftp://pacs.example", "https://pacs.example:99999/", "https://pacs.example:0/"):
        with pytest.raises(SettingsError, match="as a web address"):
            open_session(none, HttpAccess())


# Folder and webhook ----------------------------------------------------------------------------


def test_a_folder_gets_each_file_whole_and_is_read_back(report: list[Path], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    destination = FolderDestination(FolderSettings("out", tmp_path / "out"))
    for _ in range(2):  # twice is harmless
        receipt = destination.deliver(report)
        assert {r.status for r in receipt.files} == {FileStatus.ACCEPTED}
        assert destination.confirm(receipt).confirmed == set(report)
    (target,) = (tmp_path / "out" / STUDY_UID).iterdir()
    copies = sorted(path for path in target.rglob("*") if path.is_file())
    root = tmp_path / "report"
    assert [p.relative_to(target) for p in copies] == [p.relative_to(root) for p in report]
    assert destination.deliver(report[:1]).files[0].path == report[0], "a part goes to its place"
    assert sorted(path for path in target.rglob("*") if path.is_file()) == copies
    copies[0].write_bytes(b"other")
    assert destination.confirm(receipt).confirmed == set(report[1:])


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o775])
def test_who_may_read_a_folder_may_read_what_comes_into_it(
    report: list[Path], tmp_path: Path, mode: int
) -> None:
    """A node's own files are to nobody, whatever it makes."""
    root = tmp_path / "out"
    root.mkdir()
    root.chmod(mode)
    before = os.umask(0o077)
    try:
        FolderDestination(FolderSettings("out", root)).deliver(report)
    finally:
        os.umask(before)
    made = {path: stat.S_IMODE(path.stat().st_mode) for path in root.rglob("*")}
    assert {m for path, m in made.items() if path.is_dir()} == {mode}
    assert {m for path, m in made.items() if path.is_file()} == {mode & 0o666}


def test_a_refusal_is_a_report_too(report: list[Path], tmp_path: Path) -> None:
    """A capture that says that there is no result has another manifest beside it."""
    manifest = tmp_path / "report" / "result.json"
    refusal = manifest.rename(manifest.with_name("refusal.json"))
    files = [*report[:-1], refusal]
    (tmp_path / "out").mkdir()
    destination = FolderDestination(FolderSettings("out", tmp_path / "out"))
    assert destination.confirm(destination.deliver(files)).confirmed == set(files)
    (target,) = (tmp_path / "out" / STUDY_UID).iterdir()
    assert (target / "refusal.json").is_file()
    with web_archive() as (archive, url):
        WebhookDestination(WebhookSettings("hook", url)).deliver(files)
        ((_, _, body),) = archive.requests
    assert json.loads(body)["outcome"] == "refused"
    assert b"DOE" not in body


def test_a_folder_that_is_missing_is_said(report: list[Path], tmp_path: Path) -> None:
    destination = FolderDestination(FolderSettings("out", tmp_path / "not mounted"))
    assert not destination.check().works
    with pytest.raises(DeliveryError, match="no folder"):
        destination.deliver(report)


def test_a_webhook_is_told_the_verdict_and_nothing_of_the_patient(
    report: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("key\n")
    with web_archive() as (archive, url):
        settings = WebhookSettings("hook", url, secret_file=tmp_path / "secret")
        destination = WebhookDestination(settings)
        receipt = destination.deliver(report)
        assert {r.status for r in receipt.files} == {FileStatus.ACCEPTED}
        assert destination.confirm(receipt).confirmed == set(report)
        ((_, headers, body),) = archive.requests
    told = json.loads(body)
    assert told["event"] == "result"
    assert told["verdict"] == {"label": "CP"}
    assert told["study_instance_uid"] == STUDY_UID
    assert {one["sop_class_uid"] for one in told["objects"]} == {CTImageStorage}
    assert b"DOE" not in body
    signed = headers[TIMESTAMP].encode() + b"." + body
    expected = hmac.new(b"key", signed, hashlib.sha256).hexdigest()
    assert headers[SIGNATURE] == f"sha256={expected}"


def test_a_webhook_can_tell_the_same_message_from_another(report: list[Path]) -> None:
    with web_archive() as (archive, url):
        destination = WebhookDestination(WebhookSettings("hook", url))
        for _ in range(2):
            destination.deliver(report)
        destination.check()
        keys = [headers[IDEMPOTENCY] for _, headers, _ in archive.requests]
    assert keys[0] == keys[1] != keys[2]
    assert not destination.knows_what_it_has


@pytest.mark.parametrize("status", [301, 401, 500])
def test_a_webhook_that_refuses_takes_nothing(report: list[Path], status: int) -> None:
    with web_archive() as (archive, url):
        archive.stow_status = status
        destination = WebhookDestination(WebhookSettings("hook", url))
        assert {r.status for r in destination.deliver(report).files} == {FileStatus.REFUSED}
        assert not destination.check().works


def test_each_kind_of_settings_has_its_destination(tmp_path: Path, inbox: CommitmentInbox) -> None:
    for settings in (
        PacsSettings("p", "PACS", "host", 104),
        DicomwebSettings("w", "https://host/dicom-web"),
        FolderSettings("f", tmp_path),
        WebhookSettings("h", "https://host/hook"),
        FhirSettings("r", "https://host/r4"),
        Hl7Settings("e", "127.0.0.1", 2575),
    ):
        assert make_destination(settings, inbox).name == settings.name


def test_a_peer_that_is_gone_is_an_error_in_three_parts(files: list[Path]) -> None:
    with pytest.raises(PeerError) as caught:
        send(files, Peer("X", host="127.0.0.1", port=FREE_PORT_NOBODY_USES), ourselves())
    assert caught.value.found
    assert caught.value.expected
    assert caught.value.action
