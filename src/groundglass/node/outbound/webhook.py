"""A webhook as destination: a signed JSON message that a study has its result."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import requests

from groundglass.core.result import RESEARCH_USE_ONLY
from groundglass.node.http import TAKEN, HttpAccess, open_session
from groundglass.node.outbound.delivery import (
    CheckResult,
    Confirmation,
    DeliveryError,
    DeliveryReceipt,
    FileReceipt,
    FileStatus,
)
from groundglass.node.outbound.identity import identify
from groundglass.report import REFUSAL
from groundglass.report.writing import MANIFEST
from groundglass.settings.toml import FilePath, Maybe, settings

#: Of the report's document only these go out: what was found and what it is worth.
_TOLD = ("outcome", "analysis", "verdict", "notes", "labels", "statement", "research_use_only")
SIGNATURE, TIMESTAMP = "X-Groundglass-Signature", "X-Groundglass-Timestamp"
#: The same for the same message: a receiver that has seen it need do nothing.
IDEMPOTENCY = "Idempotency-Key"


@settings
class WebhookSettings:
    """A program that wants to hear of results by HTTP POST.

    The message holds UIDs, verdict and statement; no name, number or date of a patient. It comes
    again if we die before we have noted its answer: the header Idempotency-Key is then the same.
    """

    name: str
    """What rules and the log call it."""
    url: str
    """Where to; https, or http on this machine."""
    kind: Literal["webhook"] = "webhook"
    secret_file: Maybe[FilePath] = None
    """File with the key of the signature in the header X-Groundglass-Signature: HMAC-SHA-256 of the
    timestamp header, a dot and the body. Without, messages are not signed."""
    access: HttpAccess = HttpAccess()
    """Certificates and time limits."""


class WebhookDestination:
    """Tells one program of one result in one message."""

    dicom_only = False
    knows_what_it_has = False

    def __init__(self, settings: WebhookSettings) -> None:
        self.name = settings.name
        self._settings = settings
        self._session = open_session(settings.url, settings.access)

    def deliver(self, files: Sequence[Path]) -> DeliveryReceipt:
        """One message on the whole report; its answer holds for each file."""
        answer = self._post("result", _describe(files))
        taken = answer.status_code in TAKEN
        status = FileStatus.ACCEPTED if taken else FileStatus.REFUSED
        return DeliveryReceipt(
            self.name,
            tuple(FileReceipt.of(path, status, f"HTTP {answer.status_code}") for path in files),
        )

    def confirm(self, receipt: DeliveryReceipt) -> Confirmation:
        """Its answer is all there is to know."""
        return Confirmation(frozenset(file.path for file in receipt.files), "answered")

    def check(self) -> CheckResult:
        """Send a message that says it is none."""
        try:
            answer = self._post("check", {})
        except DeliveryError as error:
            return CheckResult(works=False, detail=str(error))
        return CheckResult(works=answer.status_code in TAKEN, detail=f"HTTP {answer.status_code}")

    def _post(self, event: str, content: dict[str, Any]) -> requests.Response:
        document = {"event": event, "research_use_only": RESEARCH_USE_ONLY, **content}
        body = json.dumps(document, sort_keys=True).encode()
        headers = {
            "Content-Type": "application/json",
            TIMESTAMP: str(int(time.time())),
            IDEMPOTENCY: hashlib.sha256(body).hexdigest(),
        }
        if self._settings.secret_file is not None:
            headers[SIGNATURE] = self._sign(headers[TIMESTAMP], body)
        try:
            return self._session.post(
                self._settings.url,
                data=body,
                headers=headers,
                timeout=self._settings.access.timeouts,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise DeliveryError(
                f"no answer from webhook {self.name} ({type(error).__name__})",
                expected="an HTTP server that answers",
                action="Check its address and certificates; is it running?",
            ) from error

    def _sign(self, timestamp: str, body: bytes) -> str:
        path = self._settings.secret_file
        try:
            key = path.read_bytes().strip() if path is not None else b""
        except OSError as error:
            raise DeliveryError(
                f"a secret for webhook {self.name} that cannot be read ({error.strerror})",
                expected="a file this user may read",
                action="Correct webhook.secret_file or its permissions.",
            ) from error
        return (
            "sha256=" + hmac.new(key, f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
        )


def _describe(files: Sequence[Path]) -> dict[str, Any]:
    """What the message says of a report."""
    objects = [identity for path in files if (identity := identify(path)) is not None]
    content: dict[str, Any] = {
        "study_instance_uid": objects[0].study_instance_uid if objects else None,
        "objects": [
            {"sop_class_uid": one.sop_class_uid, "sop_instance_uid": one.sop_instance_uid}
            for one in objects
        ],
    }
    for path in files:
        if path.name == MANIFEST:
            document = json.loads(path.read_text("utf-8"))
            content |= {key: document[key] for key in _TOLD if key in document}
        if path.name == REFUSAL:  # its reason stays in the report: it may quote a description
            content["outcome"] = "refused"
    return content
