"""A peer's bytes as protocol data units (PS3.8 section 9.3), every read with a deadline.

No length a peer claims is believed before it is compared with what was agreed, and no peer can
hold a thread by being slow: a unit that has begun must be complete in time.
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from enum import IntEnum

from pydantic import PositiveFloat, PositiveInt

from groundglass.settings.toml import settings

_HEADER = struct.Struct(">BxL")
#: How long a wait is cut into, so that a stop is noticed.
_SLICE_S = 0.5
_LAST_WORDS_S = 1.0
#: An A-ASSOCIATE-RQ with 128 contexts of 30 transfer syntaxes each has some 150 KiB.
_REQUEST_BYTES = 256 * 2**10


class PduType(IntEnum):
    """PS3.8 section 9.3.1."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    DATA = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


class AbortReason(IntEnum):
    """Why we, as service provider, abort (PS3.8 table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    INVALID_PARAMETER = 6


class PeerGone(ConnectionError):  # noqa: N818  (reads as what it says)
    """The peer aborted, hung up or fell silent; nothing can be said to it any more."""


class ProtocolBroken(ValueError):  # noqa: N818  (reads as what it says)
    """The peer sent what the protocol does not allow, or more than was agreed; it is aborted."""

    def __init__(self, found: str, reason: AbortReason) -> None:
        super().__init__(found)
        self.reason = reason


class Stopping(Exception):  # noqa: N818  (reads as what it says)
    """We are shutting down, and the peer is between two messages."""


@settings
class PeerLimits:
    """How much of a peer is believed, and for how long."""

    pdu_bytes: PositiveInt = 131_072
    """Longest P-DATA-TF taken, in bytes; announced as Maximum Length (PS3.8 D.1). 131072: longer
    ones were not faster."""
    request_s: PositiveFloat = 10.0
    """From the connection to its association request, TLS handshake included, in s (the ARTIM
    timer). 10: every real peer asks at once."""
    pdu_s: PositiveFloat = 30.0
    """From a PDU's first byte to its last, in s. 30: 128 KiB even over 40 kbit/s."""
    idle_s: PositiveFloat = 300.0
    """Silence between two PDUs, in s. 300: a scanner reconstructs between two slices."""
    association_s: PositiveFloat = 7200.0
    """One association in all, in s. 7200: the largest study over the slowest line."""
    instance_bytes: PositiveInt = 2 * 2**30
    """One instance. 2 GiB: an Enhanced CT of 4 000 frames of 512 × 512."""


class _Plain:
    """A plain socket: the kernel waits for all of a unit, and wakes us once."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(None)
        self._sock = sock
        self._patience = {socket.SO_RCVTIMEO: 0.0, socket.SO_SNDTIMEO: 0.0}

    def receive(self, view: memoryview, seconds: float) -> int:
        """Read until the view is full or the time is up."""
        self._wait_for(socket.SO_RCVTIMEO, seconds)
        return self._sock.recv_into(view, 0, socket.MSG_WAITALL)

    def send(self, data: bytes, seconds: float) -> None:
        """Send all of it."""
        self._wait_for(socket.SO_SNDTIMEO, seconds)
        self._sock.sendall(data)

    def _wait_for(self, option: int, seconds: float) -> None:
        if seconds != self._patience[option]:
            whole, part = divmod(max(int(seconds * 1e6), 1), 10**6)
            self._sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("@ll", whole, part))
            self._patience[option] = seconds


class _Secured:
    """A TLS socket, whose content comes record by record."""

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self._sock = sock

    def receive(self, view: memoryview, seconds: float) -> int:
        """Read what there is."""
        self._sock.settimeout(seconds)
        return self._sock.recv_into(view)

    def send(self, data: bytes, seconds: float) -> None:
        """Send all of it."""
        self._sock.settimeout(seconds)
        self._sock.sendall(data)


class Connection:
    """One connected peer.

    Parameters
    ----------
    sock : socket
        Connected; for TLS, after its handshake.
    limits : PeerLimits
        What is taken from it.
    stopping : threading.Event
        Set when the node shuts down.
    """

    def __init__(self, sock: socket.socket, limits: PeerLimits, stopping: threading.Event) -> None:
        self._limits = limits
        self._stopping = stopping
        self._ends = time.monotonic() + limits.association_s
        self._wire = _Secured(sock) if isinstance(sock, ssl.SSLSocket) else _Plain(sock)
        self._header = bytearray(_HEADER.size)
        self._body = bytearray(max(limits.pdu_bytes, _HEADER.size))

    def read_request(self) -> tuple[int, memoryview]:
        """The first unit of a connection, in `PeerLimits.request_s`; its type and its body."""
        deadline = time.monotonic() + self._limits.request_s
        self._fill(memoryview(self._header), deadline)
        kind, length = _HEADER.unpack(self._header)
        if kind != PduType.ASSOCIATE_RQ:
            raise ProtocolBroken(
                f"a PDU of type {kind} before the association", AbortReason.UNEXPECTED_PDU
            )
        if length > _REQUEST_BYTES:
            raise _too_long(length, _REQUEST_BYTES)
        body = bytearray(length)
        self._fill(memoryview(body), deadline)
        return kind, memoryview(body)

    def read(self, *, may_stop: bool) -> tuple[int, memoryview]:
        """The next unit: its type, and its body, which the next read overwrites.

        `may_stop`: a shutdown may come between, as the peer has no message half sent.

        Raises
        ------
        PeerGone, ProtocolBroken, Stopping
        """
        header = memoryview(self._header)
        begun = self._wait(header, may_stop=may_stop)
        deadline = time.monotonic() + self._limits.pdu_s
        self._fill(header[begun:], deadline)
        kind, length = _HEADER.unpack(header)
        if kind not in (*PduType,):
            raise ProtocolBroken(f"a PDU of type {kind}", AbortReason.UNRECOGNIZED_PDU)
        if length > self._limits.pdu_bytes:
            raise _too_long(length, self._limits.pdu_bytes)
        body = memoryview(self._body)[:length]
        self._fill(body, deadline)
        return kind, body

    def write(self, data: bytes) -> None:
        """Send, in `PeerLimits.pdu_s`.

        Raises
        ------
        PeerGone
            It does not take it.
        """
        try:
            self._wire.send(data, self._limits.pdu_s)
        except OSError as error:
            raise PeerGone(f"does not take our answer ({type(error).__name__})") from error

    def abort(self, reason: AbortReason) -> None:
        """Tell the peer, if it still listens, that we abort (PS3.8 section 9.3.8)."""
        try:
            abort = struct.pack(">BxLxxBB", PduType.ABORT, 4, 2, reason)
            self._wire.send(abort, _LAST_WORDS_S)
        except OSError:
            return

    def _wait(self, header: memoryview, *, may_stop: bool) -> int:
        """Wait for a unit to begin; how much of its header has come."""
        patience = time.monotonic() + self._limits.idle_s
        while True:
            if may_stop and self._stopping.is_set():
                raise Stopping
            now = time.monotonic()
            if now >= self._ends:
                raise ProtocolBroken(
                    f"an association older than {self._limits.association_s:g} s",
                    AbortReason.NOT_SPECIFIED,
                )
            if now >= patience:
                raise ProtocolBroken(
                    f"silence for {self._limits.idle_s:g} s", AbortReason.NOT_SPECIFIED
                )
            patient_s = min(_SLICE_S, patience - now, self._ends - now)
            if begun := self._receive(header, patient_s):
                return begun

    def _fill(self, view: memoryview, deadline: float) -> None:
        while view:
            left = deadline - time.monotonic()
            if left <= 0:
                raise ProtocolBroken("a PDU that does not come to its end", AbortReason(0))
            view = view[self._receive(view, min(_SLICE_S, left)) :]

    def _receive(self, view: memoryview, seconds: float) -> int:
        """Bytes received; 0 when the time is up."""
        try:
            count = self._wire.receive(view, seconds)
        except (TimeoutError, BlockingIOError):
            return 0
        except OSError as error:
            raise PeerGone(f"connection lost ({type(error).__name__})") from error
        if count == 0:
            raise PeerGone("the peer hung up")
        return count


def _too_long(length: int, most: int) -> ProtocolBroken:
    return ProtocolBroken(
        f"a PDU of {length} bytes, where {most} were agreed", AbortReason.INVALID_PARAMETER
    )
