"""Twins of what a listener talks to: a sink that keeps instances in memory, a peer of raw bytes."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterable

from pynetdicom import AE
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import build_context

from groundglass.node.dimse.listener import ListenerSettings
from groundglass.node.inbound.instances import IncomingInstance
from groundglass.node.inbound.spool import SpoolFull

ANY_PORT = ListenerSettings(port=0)


class MemorySink:
    """Keeps what comes; can be full."""

    keywords: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.seen: dict[str, IncomingInstance] = {}
        self.ended_studies: list[str] = []
        self.attempts = 0
        self.full = False
        self.before_store: Callable[[], None] = lambda: None
        self._lock = threading.Lock()

    def store(self, incoming: IncomingInstance, content: Iterable[bytes]) -> None:
        with self._lock:
            self.attempts += 1
        self.before_store()
        if self.full:
            raise SpoolFull("a full disk", expected="room", action="Free some.")
        data = b"".join(content)
        with self._lock:
            self.files[incoming.sop_instance_uid] = data
            self.seen[incoming.sop_instance_uid] = incoming

    def holds(self, sop_class_uid: str, sop_instance_uid: str) -> bool | None:
        found = self.seen.get(sop_instance_uid)
        if found is None:
            return False
        return True if found.sop_class_uid == sop_class_uid else None

    def ended(self, study_instance_uid: str) -> None:
        self.ended_studies.append(study_instance_uid)


class RawPeer:
    """A peer that says whatever bytes it is told to."""

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        """Connect to a port of 127.0.0.1, from an address of this machine."""
        self.sock = socket.create_connection(("127.0.0.1", port), 10, (address, 0))

    def __enter__(self) -> RawPeer:
        return self

    def __exit__(self, *error: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def associate(self, abstract: str, syntax: str, **titles: str) -> int:
        """Ask for one presentation context, number 1; the type of the answer."""
        self.send(associate_request(abstract, syntax, **titles))
        return self.read()[0]

    def read(self) -> tuple[int, bytes]:
        """One PDU; type 0 when the other side hung up."""
        try:
            header = self._exactly(6)
            if len(header) < 6:
                return 0, b""
            kind, length = struct.unpack(">BxL", header)
            return kind, self._exactly(length)
        except ConnectionError:
            return 0, b""

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count and (piece := self.sock.recv(count - len(data))):
            data += piece
        return data


def refusal(port: int, **titles: str) -> tuple[int, int, int] | None:
    """Result, source and diagnostic of a refused association; None when it is accepted."""
    with RawPeer(port) as peer:
        peer.send(associate_request("1.2.840.10008.1.1", "1.2.840.10008.1.2", **titles))
        kind, body = peer.read()
    assert kind in (2, 3)
    return (body[1], body[2], body[3]) if kind == 3 else None


def associate_request(
    abstract: str, syntax: str, calling: str = "RAW", called: str = "GROUNDGLASS"
) -> bytes:
    """An A-ASSOCIATE-RQ for one presentation context."""
    length = MaximumLengthNotification()
    length.maximum_length_received = 16384
    uid = ImplementationClassUIDNotification()
    uid.implementation_class_uid = "1.2.3.4"
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title, primitive.called_ae_title = calling, called
    context = build_context(abstract, syntax)
    context.context_id = 1
    primitive.presentation_context_definition_list = [context]
    primitive.user_information = [length, uid]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(primitive)
    return pdu.encode()


def data_pdu(content: bytes, control: int, context: int = 1) -> bytes:
    """A P-DATA-TF with one fragment; control 3 is a whole command, 2 a last piece of data."""
    pdv = struct.pack(">LBB", len(content) + 2, context, control) + content
    return struct.pack(">BxL", 4, len(pdv)) + pdv


def store_command(sop_class: str, sop_instance: str) -> bytes:
    """The command set of a C-STORE-RQ."""

    def element(number: int, value: bytes) -> bytes:
        value += b"\0" * (len(value) % 2)
        return struct.pack("<HHL", 0, number, len(value)) + value

    body = b"".join(
        element(number, value)
        for number, value in (
            (0x0002, sop_class.encode()),
            (0x0100, b"\x01\0"),
            (0x0110, b"\x07\0"),
            (0x0700, b"\0\0"),
            (0x0800, b"\x01\0"),
            (0x1000, sop_instance.encode()),
        )
    )
    return element(0, struct.pack("<L", len(body))) + body


def sender(*contexts: tuple[str, str], ae_title: str = "TEST") -> AE:
    """A pynetdicom sender."""
    entity = AE(ae_title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 60
    for abstract, syntax in contexts:
        entity.add_requested_context(abstract, syntax)
    return entity
