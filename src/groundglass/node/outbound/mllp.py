"""One HL7 v2 message to a peer and its answer back (MLLP release 1; HL7 v2.5.1 appendix C)."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_START, _END = b"\x0b", b"\x1c\r"
#: An acknowledgement has some hundred bytes; whoever sends more has something else in mind.
_MOST = 65536
_CHUNK = 4096


class MllpError(OSError):
    """The peer answered with something that is no message, or with too much of it."""


@dataclass(frozen=True, slots=True)
class MllpPeer:
    """Where a receiver listens and how it is called."""

    host: str
    port: int
    """`host`, `port`: TCP."""
    connect_s: float
    """For a connection, in s."""
    answer_s: float
    """For the whole answer, in s."""
    tls: ssl.SSLContext | None = None
    """None: in the clear."""

    @contextmanager
    def connected(self) -> Iterator[socket.socket]:
        """A connection, TLS already agreed on.

        Raises
        ------
        OSError
            There is none to be had.
        """
        with socket.create_connection((self.host, self.port), self.connect_s) as plain:
            if self.tls is None:
                yield plain
                return
            with self.tls.wrap_socket(plain, server_hostname=self.host) as secure:
                yield secure

    def ask(self, message: bytes) -> bytes:
        """Send a message in a block and wait for the block that answers it; its content.

        Raises
        ------
        OSError
            No answer, not in time, cut off, or one that is no block (`MllpError`).
        """
        with self.connected() as connection:
            deadline = time.monotonic() + self.answer_s
            connection.settimeout(self.answer_s)
            connection.sendall(_START + message + _END)
            return self._block(connection, deadline)

    def _block(self, connection: socket.socket, deadline: float) -> bytes:
        got = b""
        while not got.endswith(_END):
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("no whole answer in time")
            connection.settimeout(left)  # for each byte anew: one a second is no answer either
            more = connection.recv(_CHUNK)
            if not more:
                raise MllpError("cut off")
            got += more
            if not got.startswith(_START) or len(got) > _MOST:
                raise MllpError("no block")
        return got[len(_START) : -len(_END)]
