"""Archives that do as a test tells them: one that speaks DIMSE, one that speaks DICOMweb."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage, CTImageStorage, SecondaryCaptureImageStorage
from pynetdicom import AE, evt

from groundglass.node.dimse.presentation_contexts import (
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
)
from groundglass.node.inbound.accepted import IMAGE_SYNTAXES


class FakeArchive:
    """Keeps what is stored, answers as told."""

    def __init__(self) -> None:
        self.kept: dict[str, Dataset] = {}
        self.raw: dict[str, tuple[str, bytes]] = {}
        self.answer: Callable[[Dataset], int] = lambda _: 0x0000
        self.abort_after: int | None = None
        self.left_out = ""
        self.port = 0

    @contextmanager
    def running(self, *without: str, **server: Any) -> Iterator[FakeArchive]:
        entity = AE("ARCHIVE")
        entity.maximum_pdu_size = 131072
        for uid in (CTImageStorage, ComprehensiveSRStorage, SecondaryCaptureImageStorage):
            entity.add_supported_context(uid, [*IMAGE_SYNTAXES], scu_role=True, scp_role=True)
        for uid in (VERIFICATION, STUDY_ROOT_FIND, STUDY_ROOT_GET, STUDY_ROOT_MOVE):
            if uid not in without:
                entity.add_supported_context(uid)
        handlers = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_C_GET, self._get),
        ]
        running = entity.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=handlers, **server
        )
        self.port = running.socket.getsockname()[1]
        try:
            yield self
        finally:
            running.shutdown()

    def _store(self, event: evt.Event) -> int:
        if self.abort_after is not None and len(self.kept) >= self.abort_after:
            event.assoc.abort()
            return 0xC000
        data = event.dataset
        status = self.answer(data)
        if status < 0xA000 or 0xB000 <= status < 0xC000:
            data.file_meta = event.file_meta
            self.kept[data.SOPInstanceUID] = data
            syntax = str(event.context.transfer_syntax)
            self.raw[data.SOPInstanceUID] = (syntax, event.encoded_dataset(include_meta=False))
        return status

    def _matching(self, question: Dataset) -> list[Dataset]:
        def fits(data: Dataset) -> bool:
            for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "StudyDate"):
                wanted = str(question.get(keyword, ""))
                if wanted and "-" not in wanted and str(data.get(keyword, "")) != wanted:
                    return False
            return True

        return [data for data in self.kept.values() if fits(data)]

    def _find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        question = event.identifier
        seen = set()
        for data in self._matching(question):
            answer = Dataset()
            answer.QueryRetrieveLevel = question.QueryRetrieveLevel
            for keyword in question.dir():
                if keyword != "QueryRetrieveLevel":
                    setattr(answer, keyword, data.get(keyword, ""))
            key = str(answer)
            if key not in seen:
                seen.add(key)
                yield 0xFF00, answer
        yield 0x0000, None

    def _get(self, event: evt.Event) -> Iterator[Any]:
        found = self._matching(event.identifier)
        found = [data for data in found if data.SOPInstanceUID != self.left_out]
        yield len(found)
        for data in found:
            yield 0xFF00, data


class FakeWebArchive(BaseHTTPRequestHandler):
    """STOW and QIDO, as far as a test needs them; class attributes are its state."""

    requests: ClassVar[list[tuple[str, dict[str, str], bytes]]]
    stow_status: ClassVar[int] = 200
    stow_answer: ClassVar[dict[str, Any]]
    held: ClassVar[list[str]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.requests.append((self.path, dict(self.headers), body))
        self._say(self.stow_status, self.stow_answer)

    def do_GET(self) -> None:
        self.requests.append((self.path, dict(self.headers), b""))
        wanted = self.path.rpartition("SOPInstanceUID=")[2]
        found = [
            {"00080018": {"vr": "UI", "Value": [uid]}, "00080016": {"vr": "UI", "Value": ["1.2"]}}
            for uid in self.held
            if uid == wanted
        ]
        self._say(200, found)

    def _say(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/dicom+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def web_archive() -> Iterator[tuple[type[FakeWebArchive], str]]:
    """A running one, and its address."""
    state = {"requests": [], "stow_answer": {}, "held": []}
    Handler = type("Handler", (FakeWebArchive,), state)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield Handler, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
