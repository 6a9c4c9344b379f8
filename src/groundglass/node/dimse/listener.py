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
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Annotated, Protocol, Self

from pydantic import Field, PositiveInt

from groundglass.errors import SettingsError
from groundglass.node.dimse.associations import (
    TOO_MANY,
    UNKNOWN_CALLED,
    UNKNOWN_CALLER,
    WRONG_CERTIFICATE,
    Association,
    AssociationRequest,
    Message,
    Offer,
    Refusal,
)
from groundglass.node.dimse.commands import RESPONSE, CommandField, Status
from groundglass.node.dimse.own_calls import OwnCalls
from groundglass.node.dimse.pdus import (
    AbortReason,
    Connection,
    PeerGone,
    PeerLimits,
    ProtocolBroken,
    Stopping,
)
from groundglass.node.dimse.peers import KnownPeers, Peer, check_ae_title
from groundglass.node.dimse.places import Places
from groundglass.node.dimse.presentation_contexts import VERIFICATION
from groundglass.node.dimse.tls import PeerCertificate, TlsSettings
from groundglass.node.logs import SparingLog, node_log
from groundglass.settings.toml import Maybe, settings

_LOG = node_log("listener")
#: In s: of what a stranger can cause as often as it likes, one line a minute.
_SAID_EVERY_S = 60.0
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
    connections_per_address: PositiveInt = 32
    """At once from one address, those included that have not asked for an association yet. 32: no
    single machine takes all of them. Who calls from an address that no peer has, is hung up on
    before it counts."""
    tls: Maybe[TlsSettings] = None
    """Take TLS connections only."""
    limits: PeerLimits = PeerLimits()
    """What one peer may ask of us."""

    def __post_init__(self) -> None:
        check_ae_title(self.ae_title)
        twice = [
            title for title, times in Counter(p.ae_title for p in self.peers).items() if times > 1
        ]
        if twice:
            raise SettingsError(
                f"{len(self.peers)} listener.peers, two of them called {twice[0]!r}",
                expected="one for each AE title",
                action="Put the addresses of both into one table, or give one another AE title.",
            )
        bound = [peer.ae_title for peer in self.peers if peer.certificates]
        if bound and (self.tls is None or self.tls.authorities is None):
            raise SettingsError(
                f"certificates of {bound[0]!r} in listener.peers, but callers are asked for none",
                expected="[listener.tls] with authorities",
                action="Name there who signs the callers' certificates, or take certificates away.",
            )


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


@dataclass(frozen=True, slots=True)
class _Caller:
    """Who is at the other end of a connection."""

    address: str
    ours: bool
    """Whether it is the listener itself."""
    certificate: PeerCertificate | None = None
    """Under TLS with authorities, what it has shown."""


class Listener:
    """A Storage SCP; a context manager that listens inside."""

    def __init__(self, settings: ListenerSettings, services: Services) -> None:
        self._settings = settings
        self._services = services
        self._peers = KnownPeers(settings.peers)
        self._tls = settings.tls.server() if settings.tls else None
        self._own_tls = settings.tls.server_unasking() if settings.tls else None
        self._connections = Places(settings.connections, settings.connections_per_address)
        self._associations = Places(settings.associations, settings.associations_per_address)
        ours = services.offer.implementation
        self._own_calls = OwnCalls(settings.ae_title, ours, tls=self._tls is not None)
        self._turned_away = SparingLog(_LOG, _SAID_EVERY_S)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
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

    def check(self) -> str:
        """What is wrong with it, asked by a C-ECHO of its own; empty when nothing is."""
        if self._socket is None or self._stopping.is_set():
            return "not listening"
        return self._own_calls.echo(self._settings.host, self._port)

    def _accept(self) -> None:
        """Take callers in until told to stop; nothing that goes wrong with one ends this."""
        listening = self._socket
        while listening is not None and not self._stopping.is_set():
            try:
                sock, place = listening.accept()
            except OSError:  # closed by stop, or out of file descriptors: then not in a tight loop
                self._stopping.wait(0.1)
                continue
            try:
                self._receive(sock, _Caller(place[0], self._own_calls.is_one(place[:2])))
            except Exception as error:  # noqa: BLE001  (no thread to be had, or a defect)
                self._turn_away(sock, place[0], f"it could not be served: {type(error).__name__}")

    def _receive(self, sock: socket.socket, caller: _Caller) -> None:
        """Serve a connection in a thread of its own, if it may come in at all."""
        if not caller.ours and not self._peers.admits_address(caller.address):
            self._turn_away(sock, caller.address, "an address that no peer has")
            return
        if not caller.ours and not self._connections.take(caller.address):
            self._turn_away(sock, caller.address, "too many connections at once")
            return
        thread = threading.Thread(
            target=self._serve, args=(sock, caller), name="association", daemon=True
        )
        with self._lock:
            self._open[thread] = sock
        try:
            thread.start()
        except BaseException:
            self._leave(thread, caller)
            raise

    def _turn_away(self, sock: socket.socket, address: str, reason: str) -> None:
        """Hang up on a connection, and say so from time to time."""
        self._count("connections_refused")
        self._turned_away.warning("connection refused", reason=reason, address=address)
        sock.close()

    def _leave(self, thread: threading.Thread, caller: _Caller) -> None:
        """A connection has ended."""
        with self._lock:
            self._open.pop(thread, None)
        if not caller.ours:
            self._connections.leave(caller.address)

    def _serve(self, sock: socket.socket, caller: _Caller) -> None:
        """One connection, from its first byte to its last."""
        address = caller.address
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock = self._secured(sock, caller)
            caller = replace(caller, certificate=PeerCertificate.of(sock))
            connection = Connection(sock, self._settings.limits, self._stopping)
            try:
                self._associate(connection, caller)
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
            self._leave(threading.current_thread(), caller)

    def _secured(self, sock: socket.socket, caller: _Caller) -> socket.socket:
        """The socket under TLS, if that is asked for; the handshake has a deadline."""
        context = self._own_tls if caller.ours else self._tls
        if context is None:
            return sock
        sock.settimeout(self._settings.limits.request_s)
        secured: ssl.SSLSocket = context.wrap_socket(sock, server_side=True)
        return secured

    def _associate(self, connection: Connection, caller: _Caller) -> None:
        """Accept or refuse the association, and serve it."""
        request = AssociationRequest.read(connection)
        if caller.ours:
            offer = self._services.offer
            echo = [one for one in offer.contexts if one.abstract_syntax == VERIFICATION]
            self._converse(connection, request, replace(offer, contexts=echo))
            return
        seated = self._associations.take(caller.address)
        try:
            refusal = self._refusal(request, caller, seated=seated)
            if refusal is None:
                self._count("associations")
                self._converse(connection, request, self._services.offer)
                return
            self._count("associations_refused")
            _LOG.info(
                "association refused",
                reason=refusal.reason,
                address=caller.address,
                calling_ae=_shown(request.calling_ae_title),
            )
            connection.write(refusal.encode())
        finally:
            if seated:
                self._associations.leave(caller.address)

    def _converse(self, connection: Connection, request: AssociationRequest, offer: Offer) -> None:
        """Accept the association, and answer each message until it is released."""
        association = Association(connection, request, offer, self._settings.limits)
        for message in association.messages():
            self._answer(association, message)

    def _refusal(
        self, request: AssociationRequest, caller: _Caller, *, seated: bool
    ) -> Refusal | None:
        if request.called_ae_title != self._settings.ae_title:
            return UNKNOWN_CALLED
        if not self._peers.admits(request.calling_ae_title, caller.address):
            return UNKNOWN_CALLER
        if not self._peers.owns(request.calling_ae_title, caller.certificate):
            return WRONG_CERTIFICATE
        if not seated:
            return TOO_MANY
        return request.unanswerable

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
