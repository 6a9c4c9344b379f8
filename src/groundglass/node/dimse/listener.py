"""The listener: takes studies in by C-STORE, answers C-ECHO and storage commitment.

One thread a connection, each under the limits of `PeerLimits`; strangers are refused before they
can send anything.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Annotated, Protocol, Self

from pydantic import Field, PositiveInt

from groundglass.errors import SettingsError
from groundglass.node.dimse.associations import (
    TOO_MANY,
    UNKNOWN_CALLED,
    UNKNOWN_CALLER,
    Association,
    AssociationRequest,
    Message,
    Offer,
    Refusal,
)
from groundglass.node.dimse.commands import RESPONSE, CommandField, Status
from groundglass.node.dimse.pdus import (
    AbortReason,
    Connection,
    PeerGone,
    PeerLimits,
    ProtocolBroken,
    Stopping,
)
from groundglass.node.dimse.peers import KnownPeers, Peer, check_ae_title
from groundglass.node.dimse.tls import TlsSettings
from groundglass.node.logs import node_log
from groundglass.settings.toml import Maybe, settings

_LOG = node_log("listener")
_BACKLOG = 64
_LAST_WORDS_S = 2.0


@settings
class ListenerSettings:
    """Where we listen, and to whom."""

    ae_title: str = "GROUNDGLASS"
    """Ours; callers must use it."""
    host: str = "127.0.0.1"
    """Address to listen at. 127.0.0.1: nobody outside this machine until you say so."""
    port: Annotated[int, Field(ge=0, lt=2**16)] = 11112
    """TCP port; 0 takes any free one. 11112: DICOM's registered port that needs no privileges."""
    peers: tuple[Peer, ...] = ()
    """Who may call, by AE title and address. None: only this machine."""
    associations: PositiveInt = 32
    """At once. 32: scanners and routers use one to four each."""
    associations_per_address: PositiveInt = 16
    """At once from one address. 16: a router that sends for a whole department, and no single
    machine takes all of them."""
    connections: PositiveInt = 128
    """At once, those included that have not asked for an association yet. 128."""
    tls: Maybe[TlsSettings] = None
    """Take TLS connections only."""
    limits: PeerLimits = PeerLimits()
    """What one peer may ask of us."""

    def __post_init__(self) -> None:
        check_ae_title(self.ae_title)


class Services(Protocol):
    """What is offered to peers and done with their messages; safe to call from several threads.

    It decides what is taken, and why not: the listener only speaks DICOM.
    """

    @property
    def offer(self) -> Offer:
        """What is offered, and by whom."""

    def serve(self, association: Association, message: Message) -> tuple[Status, str] | None:
        """Do what a message asks for.

        Returns
        -------
        status : Status
            How it went.
        comment : str
            Why not, for the sender's log; without patient identifiers. None instead of both where
            the message is answered already.

        Raises
        ------
        ProtocolBroken
            It asks for what is not offered.
        """


class Listener:
    """A Storage SCP; a context manager that listens inside."""

    def __init__(self, settings: ListenerSettings, services: Services) -> None:
        self._settings = settings
        self._services = services
        self._peers = KnownPeers(settings.peers)
        self._tls = settings.tls.server() if settings.tls else None
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._seats: Counter[str] = Counter()
        self._open: dict[threading.Thread, socket.socket] = {}
        self._socket: socket.socket | None = None
        self._port = settings.port

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """TCP port listened at; before `start`, the one that the settings ask for."""
        return self._port

    def counts(self) -> dict[str, int]:
        """What happened so far, by name: associations, instances, bytes, refusals; for metrics."""
        with self._lock:
            return dict(self._counts)

    def start(self) -> None:
        """Listen, in threads of its own.

        Raises
        ------
        SettingsError
            The address cannot be listened at.
        """
        place = (self._settings.host, self._settings.port)
        family = socket.AF_INET6 if ":" in self._settings.host else socket.AF_INET
        try:
            self._socket = socket.create_server(place, family=family, backlog=_BACKLOG)
        except OSError as error:
            raise SettingsError(
                f"no way to listen at {place[0]} port {place[1]} ({error.strerror})",
                expected="an address of this machine and a free port",
                action="Correct listener.host and listener.port, or stop what uses the port.",
            ) from error
        self._port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, name="listener", daemon=True).start()
        _LOG.info("listening", host=place[0], port=self._port, tls=self._tls is not None)

    def stop(self, grace_s: float = 30.0) -> None:
        """Take no more callers; let messages under way end, for `grace_s`; then hang up."""
        self._stopping.set()
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
        deadline = time.monotonic() + grace_s
        with self._lock:
            left = dict(self._open)
        for thread in left:
            thread.join(max(deadline - time.monotonic(), 0.0))
        for thread, sock in left.items():
            if thread.is_alive():
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
                thread.join(1.0)

    def _accept(self) -> None:
        listening = self._socket
        while listening is not None and not self._stopping.is_set():
            try:
                sock, address = listening.accept()
            except OSError:  # closed by stop, or out of file descriptors: then not in a tight loop
                self._stopping.wait(0.1)
                continue
            thread = threading.Thread(
                target=self._serve, args=(sock, address[0]), name="association", daemon=True
            )
            with self._lock:
                crowded = len(self._open) >= self._settings.connections
                if not crowded:
                    self._open[thread] = sock
            if crowded:
                self._count("connections_refused")
                sock.close()
            else:
                thread.start()

    def _serve(self, sock: socket.socket, address: str) -> None:
        """One connection, from its first byte to its last."""
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock = self._secured(sock)
            connection = Connection(sock, self._settings.limits, self._stopping)
            try:
                self._associate(connection, address)
            except ProtocolBroken as error:
                self._count("associations_aborted")
                _LOG.info("association aborted", address=address, reason=str(error))
                connection.abort(error.reason)
            except Stopping:
                connection.abort(AbortReason.NOT_SPECIFIED)
            _await_hang_up(sock)
        except PeerGone as error:
            self._count("associations_lost")
            _LOG.info("association lost", address=address, reason=str(error))
        except OSError as error:  # TLS that failed, or a peer gone before it began
            self._count("connections_failed")
            _LOG.info("connection failed", address=address, reason=type(error).__name__)
        finally:
            sock.close()
            with self._lock:
                self._open.pop(threading.current_thread(), None)

    def _secured(self, sock: socket.socket) -> socket.socket:
        """The socket under TLS, if that is asked for; the handshake has a deadline."""
        if self._tls is None:
            return sock
        sock.settimeout(self._settings.limits.request_s)
        secured: ssl.SSLSocket = self._tls.wrap_socket(sock, server_side=True)
        return secured

    def _associate(self, connection: Connection, address: str) -> None:
        """Accept or refuse the association, and serve it."""
        request = AssociationRequest.read(connection)
        with self._seat(address) as seated:
            refusal = self._refusal(request, address, seated=seated)
            if refusal is not None:
                self._count("associations_refused")
                _LOG.info(
                    "association refused",
                    reason=refusal.reason,
                    address=address,
                    calling_ae=_shown(request.calling_ae_title),
                )
                connection.write(refusal.encode())
                return
            offer, limits = self._services.offer, self._settings.limits
            association = Association(connection, request, offer, limits)
            self._count("associations")
            for message in association.messages():
                self._answer(association, message)

    def _refusal(
        self, request: AssociationRequest, address: str, *, seated: bool
    ) -> Refusal | None:
        if request.called_ae_title != self._settings.ae_title:
            return UNKNOWN_CALLED
        if not self._peers.admits(request.calling_ae_title, address):
            return UNKNOWN_CALLER
        if not seated:
            return TOO_MANY
        return request.unanswerable

    @contextmanager
    def _seat(self, address: str) -> Iterator[bool]:
        """A place among the associations, while inside; False when there is none left."""
        with self._lock:
            free = (
                self._seats.total() < self._settings.associations
                and self._seats[address] < self._settings.associations_per_address
            )
            self._seats[address] += free
        try:
            yield free
        finally:
            with self._lock:
                self._seats[address] -= free
                if not self._seats[address]:
                    del self._seats[address]

    def _answer(self, association: Association, message: Message) -> None:
        command = message.command
        if command.field & RESPONSE:  # to a report of ours
            _read_out(message)
            return
        answer = self._services.serve(association, message)
        if answer is None:
            return
        status, comment = answer
        if command.field == CommandField.C_STORE_RQ:
            self._count("instances" if status == Status.SUCCESS else "instances_refused")
        _read_out(message)
        if status != Status.SUCCESS:
            _LOG.info(
                "instance refused",
                reason=comment,
                status=f"{status:#06x}",
                calling_ae=association.calling_ae_title,
            )
        association.send(message.context, command.answer(status, comment))

    def _count(self, what: str) -> None:
        with self._lock:
            self._counts[what] += 1


def _read_out(message: Message) -> None:
    """Read what a service left of the data set, so that the next message can be read."""
    for _ in message.data:
        pass


def _await_hang_up(sock: socket.socket) -> None:
    """Let the peer read our last words and hang up first (PS3.8 state 13), but not for long."""
    deadline = time.monotonic() + _LAST_WORDS_S
    with suppress(OSError):
        while (left := deadline - time.monotonic()) > 0:
            sock.settimeout(left)
            if not sock.recv(2**16):
                return


def _shown(ae_title: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in ae_title)
