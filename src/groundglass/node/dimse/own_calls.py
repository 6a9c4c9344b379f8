"""A listener that calls itself, to know whether it still answers.

A call of its own comes from a local address and port that were taken for it beforehand: it counts
against no peer's limits, and is served C-ECHO (PS3.4 annex A) and nothing else.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom.uid import UID
from pynetdicom import AE, evt

from groundglass.node.dimse.associations import Implementation
from groundglass.node.dimse.commands import Status
from groundglass.node.dimse.presentation_contexts import MESSAGE_SYNTAXES, VERIFICATION
from groundglass.node.dimse.reactor_pause import pause_surely

#: Address and port, as a socket names them.
Place = tuple[str, int]

#: For each step of a call in s: nothing but this process has to answer.
_PATIENCE_S = 5.0
#: A node is restarted for what this finds: one call that is lost must not be enough.
_CALLS = 2
#: What a listener at every address is called at.
_LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (not listened at)


def called_at(host: str) -> str:
    """Where this machine reaches what listens there: a listener at every address has no other."""
    return _LOOPBACK.get(host, host)


class OwnCalls:
    """Makes them, and knows them when they come in."""

    def __init__(self, ae_title: str, implementation: Implementation, *, tls: bool) -> None:
        self._ae_title = ae_title
        self._implementation = implementation
        self._tls = tls
        self._expected: set[Place] = set()
        self._lock = threading.Lock()

    def is_one(self, place: Place) -> bool:
        """Whether what comes from there is a call of our own; true once for each."""
        with self._lock:
            if place not in self._expected:
                return False
            self._expected.remove(place)
            return True

    def echo(self, host: str, port: int) -> str:
        """Call the listener that is at this place; what is wrong with it, or empty."""
        host = called_at(host)
        wrong = ""
        for _ in range(_CALLS):
            wrong = self._call(host, port)
            if not wrong:
                break
        return wrong

    def _call(self, host: str, port: int) -> str:
        """Call once; what is wrong, or empty."""
        try:
            with self._expecting(host) as ours:
                answered = self._answered(host, port, ours)
                with self._lock:
                    unseen = ours in self._expected
        except (OSError, RuntimeError) as error:  # no socket or no thread to be had
            return f"cannot be called ({type(error).__name__})"
        if not answered:
            return f"does not answer C-ECHO at {host} port {port}"
        return f"another program answers at {host} port {port}" if unseen else ""

    @contextmanager
    def _expecting(self, host: str) -> Iterator[Place]:
        """A place that is ours to call from, within: no other program is given its port."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as holder:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind((host, 0))
            name = holder.getsockname()
            ours = (name[0], name[1])
            with self._lock:
                self._expected.add(ours)
            try:
                yield ours
            finally:
                with self._lock:
                    self._expected.discard(ours)

    def _answered(self, host: str, port: int, ours: Place) -> bool:
        """Whether C-ECHO is answered with success."""
        entity = AE(self._ae_title)
        entity.implementation_class_uid = UID(self._implementation.class_uid)
        entity.implementation_version_name = self._implementation.version_name
        entity.connection_timeout = entity.acse_timeout = _PATIENCE_S
        entity.dimse_timeout = entity.network_timeout = _PATIENCE_S
        entity.add_requested_context(VERIFICATION, list(MESSAGE_SYNTAXES))
        association = entity.associate(
            host,
            port,
            ae_title=self._ae_title,
            bind_address=ours,
            tls_args=(_unasking(), host) if self._tls else None,
            evt_handlers=[(evt.EVT_CONN_OPEN, pause_surely)],
        )
        if not association.is_established:
            return False
        status = association.send_c_echo().get("Status")
        association.release()
        return bool(status == Status.SUCCESS)


def _unasking() -> ssl.SSLContext:
    """TLS that believes any certificate: that it is us who answer, the port we call from tells."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
