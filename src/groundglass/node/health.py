"""Health, readiness and metrics over HTTP."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import inf
from typing import Annotated, Any

from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import Field

from groundglass.errors import GroundglassError, SettingsError
from groundglass.node.metrics import Metrics
from groundglass.settings.toml import settings

#: What is wrong with a part of the node; empty when nothing is.
Check = Callable[[], str]

#: What it says it is; by this `serve --check` knows a node that runs.
SERVER = "groundglass"
_TIMEOUT_S = 10.0
_POLL_S = 0.1


@settings
class HttpSettings:
    """Where metrics and health are served."""

    host: str = "127.0.0.1"
    """Address to listen at. 127.0.0.1: this machine only. There is no log-in and no encryption; for
    a Prometheus elsewhere put a proxy before it, or give an address of an inner network."""
    port: Annotated[int, Field(ge=0, lt=2**16)] = 9190
    """TCP port; 0 takes any free one. 9190: none that is in common use."""


@dataclass(frozen=True, slots=True)
class Checks:
    """What is asked, by name."""

    alive: Mapping[str, Check]
    """Whether the node should be restarted if this is wrong (`/healthz`)."""
    ready: Mapping[str, Check]
    """Whether it can take work in just now (`/readyz`), with all of the above."""


class Remembered:
    """A check whose answer counts for some seconds, however often it is asked for."""

    def __init__(
        self, check: Check, seconds: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._check = check
        self._seconds = seconds
        self._now = now
        self._lock = threading.Lock()
        self._until = -inf
        self._said = ""

    def __call__(self) -> str:
        """What is wrong; who asks while another is asking waits for the same answer."""
        with self._lock:
            if self._now() >= self._until:
                self._said = self._check()
                self._until = self._now() + self._seconds
            return self._said


class HealthServer:
    """Answers `/healthz`, `/readyz` and `/metrics`; nothing else, and nothing can be sent to it.

    Raises
    ------
    SettingsError
        The address or port cannot be listened at.
    """

    def __init__(self, settings: HttpSettings, checks: Checks, metrics: Metrics) -> None:
        handler = _handler(checks, metrics)
        try:
            kind = _V6Server if ":" in settings.host else ThreadingHTTPServer
            self._server = kind((settings.host, settings.port), handler)
        except (OSError, OverflowError) as error:
            raise SettingsError(
                f"{settings.host} port {settings.port} that cannot be listened at "
                f"({getattr(error, 'strerror', None) or error})",
                expected="an address of this machine and a free port",
                action="Correct [http] in the settings, or stop what uses the port.",
            ) from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_S,), name="http", daemon=True
        )

    @property
    def port(self) -> int:
        """TCP port listened at."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()


class _V6Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6


def _handler(checks: Checks, metrics: Metrics) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _TIMEOUT_S
        server_version = SERVER
        sys_version = ""

        def do_GET(self) -> None:
            """Answer."""
            if self.path == "/healthz":
                self._tell(checks.alive)
            elif self.path == "/readyz":
                self._tell({**checks.alive, **checks.ready})
            elif self.path == "/metrics":
                self._scrape()
            else:
                self._send(HTTPStatus.NOT_FOUND, "text/plain", b"/healthz, /readyz, /metrics\n")

        def log_message(self, *_: Any) -> None:
            """Nothing: requests are no events."""

        def _scrape(self) -> None:
            try:
                self._send(HTTPStatus.OK, CONTENT_TYPE_LATEST, metrics.text())
            except GroundglassError as error:
                self._send(HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", f"{error}\n".encode())

        def _tell(self, asked: Mapping[str, Check]) -> None:
            said = {name: check() or "ok" for name, check in asked.items()}
            fine = all(words == "ok" for words in said.values())
            status = HTTPStatus.OK if fine else HTTPStatus.SERVICE_UNAVAILABLE
            self._send(status, "application/json", json.dumps(said).encode() + b"\n")

        def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
