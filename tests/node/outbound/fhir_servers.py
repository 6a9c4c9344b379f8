"""A FHIR server by others (Medplum's router), and one that answers as a test tells it."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

_HERE = Path(__file__).parents[2] / "fhir_server"
_INSTALL = "npm ci --ignore-scripts --prefix tests/fhir_server"


@contextmanager
def medplum() -> Iterator[str]:
    """Its base URL; the test is skipped where it is not installed."""
    node = shutil.which("node")
    if node is None or not (_HERE / "node_modules").is_dir():
        pytest.skip(f"no FHIR server; {_INSTALL}")
    server = subprocess.Popen([node, str(_HERE / "server.cjs")], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.terminate()
        server.wait()
        if server.stdout is not None:
            server.stdout.close()


@dataclass
class Told:
    """What a server answers, and what it was asked."""

    status: int = 201
    answer: object = None
    metadata: object = None
    posted: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@contextmanager
def telling(told: Told) -> Iterator[str]:
    """Such a server's base URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.posted.append((self.path, dict(self.headers), body))
            self._say(told.status, told.answer)

        def do_GET(self) -> None:
            told.asked.append(self.path)
            metadata = self.path.startswith("/metadata")
            self._say(200 if metadata else told.status, told.metadata if metadata else told.answer)

        def _say(self, status: int, content: object) -> None:
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
