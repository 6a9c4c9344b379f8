"""The listener outlives peers that are slow, broken or hostile, and keeps nothing half."""

from __future__ import annotations

import io
import resource
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.association import Association
from pynetdicom.dsutils import encode

from groundglass.node.dimse.commitment import CommitmentInbox
from groundglass.node.dimse.listener import Listener, ListenerSettings
from groundglass.node.dimse.pdus import PduType, PeerLimits
from groundglass.node.inbound.commitment import CommitmentService
from groundglass.node.inbound.services import InboundServices
from groundglass.node.inbound.spool import Spool, SpoolSettings
from made_ct import as_bytes, ct_series, thorax
from made_work import eventually
from node.in_memory import (
    ANY_PORT,
    MemorySink,
    RawPeer,
    associate_request,
    data_pdu,
    sender,
    store_command,
)

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")

CT = (CTImageStorage, ExplicitVRLittleEndian)
HASTY = PeerLimits(pdu_bytes=4096, request_s=0.3, pdu_s=0.3, idle_s=5.0)


class SpoolSink(MemorySink):
    """Writes to a real spool."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.spool = Spool(folder, SpoolSettings(free_floor_mb=0))

    def store(self, incoming, content) -> None:  # type: ignore[no-untyped-def]
        self.attempts += 1
        self.spool.store(incoming.study_instance_uid, incoming.sop_instance_uid, content)

    def on_disk(self) -> list[Path]:
        folders = (self.spool.root / "incoming", self.spool.root / "studies")
        return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def sink(tmp_path: Path) -> SpoolSink:
    return SpoolSink(tmp_path / "spool")


@pytest.fixture
def listener(sink: SpoolSink, tmp_path: Path) -> Iterator[Listener]:
    with listening(replace(ANY_PORT, limits=HASTY), sink, tmp_path) as started:
        yield started


def listening(settings: ListenerSettings, sink: MemorySink, folder: Path) -> Listener:
    commitment = CommitmentService(sink, CommitmentInbox(folder / "inbox"))
    return Listener(settings, InboundServices(sink, commitment))


def a_slice(**header: object) -> Dataset:
    return ct_series(**header)[0]


def as_data_set(data: Dataset) -> bytes:
    encoded = encode(data, False, True)
    assert encoded
    return encoded


def still_serves(listener: Listener) -> bool:
    association = sender(("1.2.840.10008.1.1", ImplicitVRLittleEndian)).associate(
        "127.0.0.1", listener.port, ae_title="GROUNDGLASS"
    )
    served = association.is_established and association.send_c_echo().get("Status") == 0
    association.release()
    return bool(served)


def test_peers_that_send_half_a_request_and_wait_block_nobody(listener: Listener) -> None:
    half = associate_request(*CT)[:40]
    peers = [RawPeer(listener.port) for _ in range(30)]
    for peer in peers:
        peer.send(half)
    assert still_serves(listener)
    for peer in peers:
        assert peer.read()[0] in (PduType.ABORT, 0), "hung up on, in time"
        peer.sock.close()
    assert eventually(lambda: listener.counts()["associations_aborted"] == 30)


def test_a_peer_that_sends_half_a_message_loses_its_place(sink: SpoolSink, tmp_path: Path) -> None:
    settings = replace(ANY_PORT, associations=2, limits=HASTY)
    with listening(settings, sink, tmp_path) as listener:
        data = a_slice()
        command = data_pdu(store_command(CTImageStorage, data.SOPInstanceUID), 3)
        peers = [RawPeer(listener.port) for _ in range(2)]
        for peer in peers:
            assert peer.associate(*CT) == PduType.ASSOCIATE_AC
            peer.send(command + data_pdu(as_data_set(data)[:2000], 0) + b"\x04\0\0\0")
        for peer in peers:
            assert peer.read()[0] == PduType.ABORT
            peer.sock.close()
        assert eventually(lambda: still_serves(listener))
        assert not sink.on_disk()


def test_connections_that_say_nothing_are_capped(sink: SpoolSink, tmp_path: Path) -> None:
    with listening(replace(ANY_PORT, connections=3), sink, tmp_path) as listener:
        silent = [RawPeer(listener.port) for _ in range(3)]
        with RawPeer(listener.port) as fourth:
            assert fourth.read() == (0, b"")
        assert listener.counts()["connections_refused"] == 1
        for peer in silent:
            peer.sock.close()
        assert eventually(lambda: still_serves(listener))


@pytest.mark.parametrize("claimed", [4097, 0xFFFFFFFF])
def test_a_pdu_longer_than_agreed_is_refused_at_its_header(
    listener: Listener, claimed: int
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with RawPeer(listener.port) as peer:
        assert peer.associate(*CT) == PduType.ASSOCIATE_AC
        peer.send(struct.pack(">BxL", 4, claimed))
        kind, body = peer.read()
        assert (kind, body[2], body[3]) == (PduType.ABORT, 2, 6)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB
    assert still_serves(listener)


def test_a_request_longer_than_any_is_refused_at_its_header(listener: Listener) -> None:
    with RawPeer(listener.port) as peer:
        peer.send(struct.pack(">BxL", 1, 0xFFFFFFFF))
        assert peer.read()[0] == PduType.ABORT


def test_an_endless_instance_is_cut_off(sink: SpoolSink, tmp_path: Path) -> None:
    settings = replace(ANY_PORT, limits=replace(HASTY, instance_bytes=30_000))
    with listening(settings, sink, tmp_path) as listener, RawPeer(listener.port) as peer:
        data = a_slice()
        peer.associate(*CT)
        peer.send(data_pdu(store_command(CTImageStorage, data.SOPInstanceUID), 3))
        beginning = as_data_set(data)[:4000]
        peer.send(data_pdu(beginning, 0))
        for _ in range(8):
            peer.send(data_pdu(b"\0" * 4080, 0))
        assert peer.read()[0] == PduType.ABORT
        assert sink.attempts == 1
        assert eventually(lambda: not sink.on_disk())


@pytest.mark.parametrize(
    "header",
    [
        {"SOPInstanceUID": "../../../../x"},
        {"StudyInstanceUID": "../../../../x"},
        {"SeriesInstanceUID": "/etc/passwd"},
        {"StudyInstanceUID": ""},
        {"StudyInstanceUID": "1." * 40 + "1"},
        {"StudyInstanceUID": "1.2\n.3"},
        {"SeriesInstanceUID": "1.2.\x1b3"},
        {"SOPInstanceUID": "\x001.2.3"},
    ],
    ids=["instance", "study", "series", "none", "long", "line end", "escape", "null first"],
)
@pytest.mark.filterwarnings("ignore:.*(UI|UID|value length)")
def test_uids_that_are_none_are_refused_with_a_reason(
    listener: Listener, sink: SpoolSink, header: dict[str, object]
) -> None:
    data = a_slice(**header)
    with RawPeer(listener.port) as peer:
        peer.associate(*CT)
        peer.send(data_pdu(store_command(CTImageStorage, str(data.SOPInstanceUID)), 3))
        encoded = as_data_set(data)
        for at in range(0, len(encoded), 4000):
            piece = encoded[at : at + 4000]
            peer.send(data_pdu(piece, 2 if at + len(piece) == len(encoded) else 0))
        kind, body = peer.read()
    assert kind == PduType.DATA
    assert b"\x00\x00\x00\x09\x02\x00\x00\x00\x00\xc0" in body, "status 0xC000"
    assert b"instance uid" in body
    assert sink.attempts == 0
    assert not sink.on_disk()


def test_an_instance_other_than_announced_is_refused(listener: Listener, sink: SpoolSink) -> None:
    with RawPeer(listener.port) as peer:
        peer.associate(*CT)
        peer.send(data_pdu(store_command(CTImageStorage, "1.2.3.4.5"), 3))
        encoded = as_data_set(a_slice())
        for at in range(0, len(encoded), 4000):
            piece = encoded[at : at + 4000]
            peer.send(data_pdu(piece, 2 if at + len(piece) == len(encoded) else 0))
        assert b"another instance" in peer.read()[1]
    assert not sink.on_disk()


@pytest.mark.parametrize("ending", ["abort", "hang up", "reset"])
def test_a_study_cut_in_the_middle_leaves_whole_instances_only(
    listener: Listener, sink: SpoolSink, ending: str
) -> None:
    first, second = ct_series()[:2]
    with RawPeer(listener.port) as peer:
        peer.associate(*CT)
        for data, share in ((first, 1.0), (second, 0.5)):
            encoded = as_data_set(data)
            encoded = encoded[: int(len(encoded) * share)]
            peer.send(data_pdu(store_command(CTImageStorage, data.SOPInstanceUID), 3))
            for at in range(0, len(encoded), 4000):
                piece = encoded[at : at + 4000]
                last = share == 1.0 and at + len(piece) == len(encoded)
                peer.send(data_pdu(piece, 2 if last else 0))
            if share == 1.0:
                assert peer.read()[0] == PduType.DATA
        if ending == "abort":
            peer.send(struct.pack(">BxLxxxx", PduType.ABORT, 4))
        elif ending == "reset":
            peer.sock.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SOL_SOCKET, SO_LINGER
    assert eventually(lambda: listener.counts().get("associations_lost", 0) == 1)
    (kept,) = sink.on_disk()
    assert kept.read_bytes()[132:].endswith(as_data_set(first)[-100:])
    assert still_serves(listener)


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x01\x00\x00\x00\x00\x04abcd",
        b"\x04\x00\x00\x00\x00\x04abcd",
        b"\xff" * 64,
        struct.pack(">BxL", 1, 200) + b"\xff" * 200,
        associate_request(*CT)[:74] + b"\x10\xff\xff\xff" + associate_request(*CT)[78:],
    ],
    ids=["http", "short", "data first", "ones", "noise", "lying item"],
)
def test_what_is_no_dicom_is_hung_up_on(listener: Listener, garbage: bytes) -> None:
    with RawPeer(listener.port) as peer:
        peer.send(garbage)
        assert peer.read()[0] in (PduType.ABORT, PduType.ASSOCIATE_RJ, 0)
    assert still_serves(listener)


@pytest.mark.parametrize(
    "pdu",
    [
        data_pdu(b"\0" * 20, 3),
        data_pdu(store_command(CTImageStorage, "1.2"), 3, context=5),
        data_pdu(b"data first", 2),
        struct.pack(">BxLLBB", 4, 6, 1000, 1, 3),
        struct.pack(">BxLLBB", 4, 6, 0, 1, 3),
        struct.pack(">BxL", 4, 3) + b"abc",
        struct.pack(">BxLxxxx", 2, 4),
        data_pdu(store_command(CTImageStorage, "1.2"), 3) * 2,
        data_pdu(store_command(CTImageStorage, "1.2").replace(b"\1\0\0\0\0\1", b""), 1) * 200,
    ],
    ids=[
        *("no command", "unknown context", "no command set", "lying fragment", "empty fragment"),
        *("no fragment", "unexpected type", "command in data", "endless command"),
    ],
)
def test_broken_messages_are_aborted(listener: Listener, sink: SpoolSink, pdu: bytes) -> None:
    with RawPeer(listener.port) as peer:
        assert peer.associate(*CT) == PduType.ASSOCIATE_AC
        peer.send(pdu)
        assert peer.read()[0] == PduType.ABORT
    assert still_serves(listener)
    assert not sink.on_disk()


def test_nested_sequences_before_the_uids_hang_nothing(listener: Listener, sink: SpoolSink) -> None:
    nest = struct.pack("<HH2sxxL", 0x0008, 0x1140, b"SQ", 0xFFFFFFFF)
    item = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    bomb = (nest + item) * 4000
    with RawPeer(listener.port) as peer:
        peer.associate(*CT)
        peer.send(data_pdu(store_command(CTImageStorage, "1.2.3"), 3))
        for at in range(0, len(bomb), 4000):
            peer.send(data_pdu(bomb[at : at + 4000], 2 if at + 4000 >= len(bomb) else 0))
        kind, body = peer.read()
    assert kind == PduType.DATA
    assert b"cannot be parsed" in body
    assert not sink.on_disk()


def test_a_disk_that_fills_up_keeps_whole_instances_and_says_so(
    small_disk: Path, tmp_path: Path
) -> None:
    sink = SpoolSink(small_disk)
    slices = ct_series(thorax(24, 128))
    with listening(ANY_PORT, sink, tmp_path) as listener:
        association = sender(CT).associate("127.0.0.1", listener.port, ae_title="GROUNDGLASS")
        answers = {str(one.SOPInstanceUID): one_sent(association, one) for one in slices}
        said = [uid for uid, status in answers.items() if status == 0x0000]
        refused = [uid for uid, status in answers.items() if status == 0xA700]
        assert said
        assert refused
        assert len(said) + len(refused) == len(slices)
        kept = [pydicom.dcmread(path) for path in sink.on_disk()]
        assert sorted(str(one.SOPInstanceUID) for one in kept) == sorted(said)
        assert all(len(one.PixelData) == 128 * 128 * 2 for one in kept)
        for path in sink.on_disk():
            path.unlink()
        again = next(one for one in slices if str(one.SOPInstanceUID) == refused[0])
        assert one_sent(association, again) == 0x0000, "with room again, it is taken"
        association.release()


def one_sent(association: Association, data: Dataset) -> int:
    as_read = pydicom.dcmread(io.BytesIO(as_bytes(data)))
    return int(association.send_c_store(as_read).Status)
