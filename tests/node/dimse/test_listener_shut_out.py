"""The listener stays open to those it knows, whoever else is at the door, and says if it does not.

127.0.0.2 is another address than 127.0.0.1, and both are this machine.
"""

from __future__ import annotations

import logging
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from groundglass.node.dimse.commitment import CommitmentInbox
from groundglass.node.dimse.listener import Listener, ListenerSettings
from groundglass.node.dimse.peers import Peer
from groundglass.node.dimse.tls import TlsSettings
from groundglass.node.inbound.commitment import CommitmentService
from groundglass.node.inbound.services import InboundServices
from made_work import eventually
from node.in_memory import ANY_PORT, MemorySink, RawPeer, refusal

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")

KNOWN = Peer("CT1", ("127.0.0.1",))


@contextmanager
def listening(settings: ListenerSettings, folder: Path) -> Iterator[Listener]:
    sink = MemorySink()
    commitment = CommitmentService(sink, CommitmentInbox(folder / "inbox"))
    with Listener(settings, InboundServices(sink, commitment)) as listener:
        yield listener


@contextmanager
def crowd(listener: Listener, size: int, address: str) -> Iterator[list[RawPeer]]:
    """Connections that say nothing."""
    with ExitStack() as all_of_them:
        yield [all_of_them.enter_context(RawPeer(listener.port, address)) for _ in range(size)]


def admitted(listener: Listener) -> bool:
    """Whether the known peer, asking from 127.0.0.1, gets its association."""
    try:
        return refusal(listener.port, calling="CT1") is None
    except AssertionError:  # hung up on
        return False


def refused(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    """What the log warns of at the door."""
    said = [one for one in caplog.records if one.getMessage() == "connection refused"]
    assert {one.levelname for one in said} == {"WARNING"}
    return [one.fields for one in said]  # type: ignore[attr-defined]


def test_a_stranger_with_every_connection_there_is_shuts_nobody_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "groundglass.serve")
    with (
        listening(replace(ANY_PORT, peers=(KNOWN,)), tmp_path) as listener,
        crowd(listener, 128, "127.0.0.2") as strangers,
    ):
        assert admitted(listener)
        assert {peer.read() for peer in strangers} == {(0, b"")}, "hung up on, each of them"
        assert listener.counts()["connections_refused"] == 128
    assert refused(caplog) == [{"reason": "an address that no peer has", "address": "127.0.0.2"}], (
        "one line, not one each"
    )


def test_a_known_address_with_many_connections_leaves_room_for_the_others(tmp_path: Path) -> None:
    busy = Peer("CT2", ("127.0.0.2",))
    settings = replace(ANY_PORT, peers=(KNOWN, busy), connections=40, connections_per_address=30)
    with listening(settings, tmp_path) as listener, crowd(listener, 40, "127.0.0.2"):
        assert eventually(lambda: listener.counts().get("connections_refused") == 10)
        assert admitted(listener)


def test_a_place_at_the_door_comes_free_when_its_holder_leaves(tmp_path: Path) -> None:
    settings = replace(ANY_PORT, peers=(KNOWN,), connections_per_address=2)
    with listening(settings, tmp_path) as listener:
        with crowd(listener, 2, "127.0.0.1"):
            assert not admitted(listener)
        assert eventually(lambda: admitted(listener))


@contextmanager
def no_threads(times: int) -> Iterator[list[str]]:
    """Within, so many threads of the listener cannot be made; their names."""
    start, failed = threading.Thread.start, []

    def starting(thread: threading.Thread) -> None:
        if thread.name == "association" and len(failed) < times:
            failed.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    with mock.patch.object(threading.Thread, "start", starting):
        yield failed


def test_a_thread_that_cannot_be_made_costs_one_connection(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = replace(ANY_PORT, connections=1, connections_per_address=1)
    with listening(settings, tmp_path) as listener:
        with no_threads(1) as failed:
            assert not admitted(listener)
        assert failed
        assert admitted(listener), "its place is free again"
        (said,) = refused(caplog)
        assert said["reason"] == "it could not be served: RuntimeError"
        assert listener.check() == ""


def test_a_defect_met_at_the_door_costs_one_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening(ANY_PORT, tmp_path) as listener:
        with monkeypatch.context() as broken:
            broken.setattr(listener._peers, "admits_address", lambda _: {}["none"])
            assert not admitted(listener)
        assert admitted(listener)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "0.0.0.0", "::1"])  # noqa: S104
def test_it_asks_itself_by_an_echo_whoever_may_call(tmp_path: Path, host: str) -> None:
    settings = replace(ANY_PORT, host=host, peers=(Peer("CT9", ("10.9.9.9",)),))
    with listening(settings, tmp_path) as listener:
        assert listener.check() == ""
        assert listener.counts() == {}, "no peer's association, and nobody refused"


def test_it_answers_itself_when_all_places_are_taken(tmp_path: Path) -> None:
    settings = replace(ANY_PORT, connections=2)
    with listening(settings, tmp_path) as listener, crowd(listener, 2, "127.0.0.1"):
        assert not admitted(listener)
        assert listener.check() == ""


def test_a_listener_that_takes_nobody_in_any_more_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("groundglass.node.dimse.own_calls._PATIENCE_S", 0.5)
    monkeypatch.setattr(Listener, "_accept", lambda _: None)
    with listening(ANY_PORT, tmp_path) as listener:
        assert "does not answer C-ECHO" in listener.check()
    assert listener.check() == "not listening"


def test_another_program_in_its_place_is_found_out(tmp_path: Path) -> None:
    with listening(ANY_PORT, tmp_path) as listener, listening(ANY_PORT, tmp_path) as other:
        listener._port = other.port
        assert "another program answers" in listener.check()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    place = folder / "node.pem", folder / "node.key"
    subject = ["-subj", "/CN=node", "-addext", "subjectAltName=IP:127.0.0.1"]
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    made = [*make, "-nodes", "-days", "2", *subject, "-out", place[0], "-keyout", place[1]]
    try:
        subprocess.run(made, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl to make a certificate with")
    return place


@pytest.mark.parametrize("mutual", [False, True])
def test_under_tls_too_and_without_a_certificate_for_it(
    tmp_path: Path, certificate: tuple[Path, Path], mutual: bool
) -> None:
    tls = TlsSettings(*certificate, authorities=certificate[0] if mutual else None)
    with listening(replace(ANY_PORT, tls=tls), tmp_path) as listener:
        assert listener.check() == ""
        if mutual:  # for everybody else one is needed
            context = ssl.create_default_context(cafile=certificate[0])
            with (
                socket.create_connection(("127.0.0.1", listener.port), 10) as plain,
                context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
                pytest.raises(ssl.SSLError),
            ):
                assert secured.recv(1)
