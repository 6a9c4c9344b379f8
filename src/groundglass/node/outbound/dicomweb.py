"""DICOMweb archives as destinations: STOW-RS, confirmed by QIDO-RS (PS3.18).

Instances go as their files are, byte by byte; dicomweb-client would encode them again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import requests

from groundglass.node.dicomweb import DicomwebServer, first_value
from groundglass.node.dimse.clients import PeerError
from groundglass.node.http import HttpAccess
from groundglass.node.outbound.delivery import (
    CheckResult,
    Confirmation,
    DeliveryReceipt,
    FileReceipt,
    FileStatus,
    not_reached,
)
from groundglass.node.outbound.identity import identify
from groundglass.settings.toml import settings

_STORED, _FAILED = "00081199", "00081198"
_FAILURE_REASON, _WARNING_REASON = "00081197", "00081196"


@settings
class DicomwebSettings:
    """An archive with DICOMweb."""

    name: str
    """What rules and the log call it."""
    url: str
    """The service's root, as https://pacs.example/dicom-web."""
    kind: Literal["dicomweb"] = "dicomweb"
    access: HttpAccess = HttpAccess()
    """Certificates, token and time limits."""


class DicomwebDestination:
    """Sends to an archive by STOW-RS and asks by QIDO-RS whether it is there."""

    dicom_only = True
    knows_what_it_has = True

    def __init__(self, settings: DicomwebSettings) -> None:
        self.name = settings.name
        self._server = DicomwebServer(settings.url, settings.access)

    def deliver(self, files: Sequence[Path]) -> DeliveryReceipt:
        """Send each file in a request of its own, so that each has its own answer."""
        receipts: list[FileReceipt] = []
        for path in files:
            identity = identify(path)
            if identity is None:
                receipts.append(FileReceipt(path, FileStatus.REFUSED, "no DICOM file"))
                continue
            try:
                answer = self._server.store(path.read_bytes())
            except PeerError as error:
                if not receipts:
                    raise not_reached(error) from error
                status, detail = FileStatus.REFUSED, "not sent: no answer"
            else:
                status, detail = _judge(answer, identity.sop_instance_uid)
            uids = (identity.sop_class_uid, identity.sop_instance_uid)
            receipts.append(FileReceipt(path, status, detail, *uids))
        return DeliveryReceipt(self.name, tuple(receipts))

    def confirm(self, receipt: DeliveryReceipt) -> Confirmation:
        """Ask for each instance."""
        held = set()
        try:
            for file in receipt.files:
                identity = identify(file.path)
                if identity is None:
                    continue
                wanted = {"SOPInstanceUID": identity.sop_instance_uid}
                found = self._server.instances(
                    identity.study_instance_uid, identity.series_instance_uid, wanted
                )
                if any(one.sop_instance_uid == identity.sop_instance_uid for one in found):
                    held.add(file.path)
        except PeerError as error:
            raise not_reached(error) from error
        return Confirmation(frozenset(held), f"read back: {len(held)} of {len(receipt.files)}")

    def check(self) -> CheckResult:
        """A query that finds nothing; nothing is sent."""
        try:
            self._server.studies({"StudyInstanceUID": "2.25.0"})
        except PeerError as error:
            return CheckResult(works=False, detail=str(error))
        return CheckResult(works=True, detail=f"{self._server}: queries (QIDO-RS) answered")


def _judge(answer: requests.Response, sop_instance_uid: str) -> tuple[FileStatus, str]:
    """What a STOW response says of one instance (PS3.18 section 10.5.3).

    Success is believed only where the response does not list the instance as failed.
    """
    detail = f"HTTP {answer.status_code}"
    try:
        document = answer.json()
        document = document[0] if isinstance(document, list) else document
        failed = _listed(document, _FAILED, sop_instance_uid)
        stored = _listed(document, _STORED, sop_instance_uid)
    except (ValueError, TypeError, AttributeError, IndexError, KeyError):
        failed = stored = None
    if failed is not None:
        reason = int(first_value(failed, _FAILURE_REASON) or 0)
        return FileStatus.REFUSED, f"{detail}, 0x{reason:04X}"
    if answer.status_code not in (200, 202):
        return FileStatus.REFUSED, detail
    warning = first_value(stored, _WARNING_REASON) if stored is not None else ""
    if warning:
        return FileStatus.WARNING, f"{detail}, 0x{int(warning):04X}"
    if answer.status_code == 202 and stored is None:
        return FileStatus.REFUSED, f"{detail}, not among those stored"
    return FileStatus.ACCEPTED, detail


def _listed(document: Mapping[str, Any], tag: str, uid: str) -> Mapping[str, Any] | None:
    """The item on one instance in a sequence of references."""
    for item in document.get(tag, {}).get("Value", []):
        if first_value(item, "00081155") == uid:
            found: Mapping[str, Any] = item
            return found
    return None
