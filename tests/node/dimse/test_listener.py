"""The listener takes in what it should, from friendly senders."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    MRImageStorage,
)
from pynetdicom.association import Association

from groundglass.node.dimse.commitment import CommitmentInbox
from groundglass.node.dimse.listener import Listener, ListenerSettings
from groundglass.node.dimse.peers import KnownPeers, Peer
from groundglass.node.inbound.accepted import IMAGE_SYNTAXES, TAKEN_CLASSES
from groundglass.node.inbound.commitment import CommitmentService
from groundglass.node.inbound.services import InboundServices
from groundglass.node.uids import is_uid
from groundglass.read import read_study
from groundglass.read.dicom.pixels.frame_reader import FrameReader
from made_ct import as_bytes, ct_series, encapsulated, encode, enhanced_ct, stored
from made_work import eventually
from node.in_memory import ANY_PORT, MemorySink, refusal, sender


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture
def listener(sink: MemorySink, tmp_path: Path) -> Iterator[Listener]:
    with listening(ANY_PORT, sink, tmp_path) as started:
        yield started


def listening(settings: ListenerSettings, sink: MemorySink, folder: Path) -> Listener:
    commitment = CommitmentService(sink, CommitmentInbox(folder / "inbox"))
    return Listener(settings, InboundServices(sink, commitment))


def as_sent(data: Dataset, syntax: UID) -> Dataset:
    """A data set as a sender has it: read from its file."""
    if syntax == HTJ2KLosslessRPCL:  # no encoder makes its order; to the network it is bytes
        syntax_bytes = encapsulated(data, [encode(data, IMAGE_SYNTAXES[7])], syntax)
    else:
        syntax_bytes = as_bytes(data, syntax)
    return pydicom.dcmread(io.BytesIO(syntax_bytes))


def connect(listener: Listener, *contexts: tuple[str, str], **how: str) -> Association:
    return sender(*contexts).associate("127.0.0.1", listener.port, ae_title="GROUNDGLASS", **how)


def send(association: Association, data: Dataset) -> int:
    return int(association.send_c_store(data).Status)


def test_answers_an_echo(listener: Listener) -> None:
    association = connect(listener, ("1.2.840.10008.1.1", ImplicitVRLittleEndian))
    assert association.send_c_echo().Status == 0x0000
    association.release()
    assert association.is_released


@pytest.mark.parametrize("syntax", IMAGE_SYNTAXES, ids=lambda uid: uid.name)
def test_every_offered_syntax_is_kept_as_sent_and_decoded_by_us(
    listener: Listener, sink: MemorySink, syntax: UID, tmp_path: Path
) -> None:
    data = as_sent(ct_series()[5], syntax)
    association = connect(listener, (CTImageStorage, syntax))
    assert send(association, data) == 0x0000
    association.release()
    kept = sink.files[data.SOPInstanceUID]
    again = pydicom.dcmread(io.BytesIO(kept))
    assert again.file_meta.TransferSyntaxUID == syntax
    assert again == data
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "kept.dcm").write_bytes(kept)
    study = read_study(tmp_path / "one")
    with FrameReader() as reader:
        pixels = reader.read(study.series[0].instances[0], 1)
    assert pixels.shape == stored(ct_series()[5]).shape


def test_deflated_data_sets_are_not_offered(listener: Listener) -> None:
    association = connect(listener, (CTImageStorage, DeflatedExplicitVRLittleEndian))
    assert not association.accepted_contexts


def test_what_is_no_ct_is_not_taken(listener: Listener) -> None:
    association = connect(listener, (MRImageStorage, ExplicitVRLittleEndian))
    assert not association.accepted_contexts


def test_an_enhanced_ct_is_taken(listener: Listener, sink: MemorySink) -> None:
    data = as_sent(enhanced_ct(), ExplicitVRLittleEndian)
    association = connect(listener, (EnhancedCTImageStorage, ExplicitVRLittleEndian))
    assert send(association, data) == 0x0000
    association.release()
    assert pydicom.dcmread(io.BytesIO(sink.files[data.SOPInstanceUID])) == data


def test_the_sink_is_told_what_comes_and_from_whom(listener: Listener, sink: MemorySink) -> None:
    data = as_sent(ct_series(StudyDescription="Thorax Übersicht")[0], ExplicitVRLittleEndian)
    association = connect(listener, (CTImageStorage, ExplicitVRLittleEndian))
    send(association, data)
    association.release()
    told = sink.seen[data.SOPInstanceUID]
    assert told.source_ae == "TEST"
    assert told.study_instance_uid == data.StudyInstanceUID
    assert told.series_instance_uid == data.SeriesInstanceUID
    assert told.sop_class_uid in TAKEN_CLASSES
    assert told.study_description.startswith("Thorax")


def test_the_same_instance_by_any_way_is_the_same_file(
    listener: Listener, sink: MemorySink
) -> None:
    data = as_sent(ct_series()[0], ExplicitVRLittleEndian)
    files = []
    for ae_title in ("ONE", "TWO"):
        entity = sender((CTImageStorage, ExplicitVRLittleEndian), ae_title=ae_title)
        association = entity.associate("127.0.0.1", listener.port, ae_title="GROUNDGLASS")
        send(association, data)
        association.release()
        files.append(sink.files[data.SOPInstanceUID])
    assert files[0] == files[1]


def test_a_full_sink_is_said_so_and_the_association_goes_on(
    listener: Listener, sink: MemorySink
) -> None:
    first, second = (as_sent(d, ExplicitVRLittleEndian) for d in ct_series()[:2])
    association = connect(listener, (CTImageStorage, ExplicitVRLittleEndian))
    sink.full = True
    assert send(association, first) == 0xA700
    sink.full = False
    assert send(association, second) == 0x0000
    assert send(association, first) == 0x0000
    association.release()
    assert set(sink.files) == {first.SOPInstanceUID, second.SOPInstanceUID}


def test_success_is_said_only_after_the_sink_has_it(listener: Listener, sink: MemorySink) -> None:
    data = as_sent(ct_series()[0], ExplicitVRLittleEndian)
    gate = threading.Event()
    sink.before_store = gate.wait
    association = connect(listener, (CTImageStorage, ExplicitVRLittleEndian))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(send, association, data)
        while not sink.attempts:
            gate.wait(0.01)
        assert not answer.done()
        gate.set()
        assert answer.result(10) == 0x0000
    association.release()


def test_ten_senders_at_once(listener: Listener, sink: MemorySink) -> None:
    studies = [
        [
            as_sent(data, ExplicitVRLittleEndian)
            for data in ct_series(number=k + 1, StudyInstanceUID=f"1.2.3.{k}")[:3]
        ]
        for k in range(10)
    ]

    def send_study(study: list[Dataset]) -> list[int]:
        association = connect(listener, (CTImageStorage, ExplicitVRLittleEndian))
        statuses = [send(association, data) for data in study]
        association.release()
        return statuses

    with ThreadPoolExecutor(10) as pool:
        statuses = list(pool.map(send_study, studies))
    assert statuses == [[0] * 3] * 10
    assert len(sink.files) == 30
    assert listener.counts()["instances"] == 30


def test_only_known_callers_are_taken(sink: MemorySink, tmp_path: Path) -> None:
    settings = replace(ANY_PORT, peers=(Peer("CT1", ("127.0.0.0/8",)), Peer("CT2", ("10.0.0.1",))))
    with listening(settings, sink, tmp_path) as listener:
        assert refusal(listener.port, calling="CT1") is None
        assert refusal(listener.port, calling="CT2") == (1, 1, 3), "known, from another address"
        assert refusal(listener.port, calling="CT3") == (1, 1, 3)


def test_another_called_ae_title_is_refused(listener: Listener) -> None:
    assert refusal(listener.port, called="SOMEBODY") == (1, 1, 7)


def test_without_known_peers_only_this_machine_may_call() -> None:
    nobody = KnownPeers(())
    assert nobody.admits("ANY", "127.0.0.1")
    assert nobody.admits("ANY", "::1")
    assert nobody.admits("ANY", "::ffff:127.0.0.1")
    assert not nobody.admits("ANY", "10.0.0.1")
    assert not nobody.admits("ANY", "::ffff:10.0.0.1")


def test_associations_are_capped_and_a_place_comes_free(sink: MemorySink, tmp_path: Path) -> None:
    settings = replace(ANY_PORT, associations_per_address=2)
    with listening(settings, sink, tmp_path) as listener:
        context = (CTImageStorage, ExplicitVRLittleEndian)
        first, second = connect(listener, context), connect(listener, context)
        assert refusal(listener.port) == (2, 3, 2), "transient: worth another try"
        first.release()
        assert eventually(lambda: refusal(listener.port) is None)
        second.release()


def test_stopping_lets_a_message_under_way_end(sink: MemorySink, tmp_path: Path) -> None:
    data = as_sent(ct_series()[0], ExplicitVRLittleEndian)
    gate = threading.Event()
    sink.before_store = gate.wait
    listener = listening(ANY_PORT, sink, tmp_path)
    listener.start()
    association = connect(listener, (CTImageStorage, ExplicitVRLittleEndian))
    with ThreadPoolExecutor(2) as pool:
        answer = pool.submit(send, association, data)
        while not sink.attempts:
            gate.wait(0.01)
        stopped = pool.submit(listener.stop)
        gate.set()
        assert answer.result(10) == 0x0000
        stopped.result(10)
    assert data.SOPInstanceUID in sink.files
    refused = sender((CTImageStorage, ExplicitVRLittleEndian)).associate(
        "127.0.0.1", listener.port, ae_title="GROUNDGLASS"
    )
    assert not refused.is_established


@pytest.mark.parametrize(
    ("text", "fit"),
    [
        ("1.2.3", True),
        ("1.2.003", True),
        ("1" * 64, True),
        ("1" * 65, False),
        ("../../../../x", False),
        ("1..2", False),
        (".1", False),
        ("1.2/3", False),
        ("1.２", False),
        ("", False),
        ("1.2\n", False),
    ],
)
def test_uids_are_digits_and_dots(text: str, fit: bool) -> None:
    assert is_uid(text) == fit
