"""DICOMweb servers (PS3.18): results to them by STOW-RS, studies from them by QIDO-RS and WADO-RS.

Instances go as their files are, byte by byte; dicomweb-client would encode them again.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import requests
from dicomweb_client import DICOMwebClient

from groundglass.node.dimse.clients import PeerError
from groundglass.node.outbound.delivery import (
    CheckResult,
    Confirmation,
    DeliveryError,
    DeliveryReceipt,
    FileReceipt,
    FileStatus,
)
from groundglass.node.outbound.http import HttpAccess, open_session
from groundglass.node.outbound.identity import Identity, identify
from groundglass.settings.toml import settings

_STORED, _FAILED = "00081199", "00081198"
_SOP_CLASS, _SOP_INSTANCE, _STUDY = "00080016", "00080018", "0020000D"
_SERIES = "0020000E"
_FAILURE_REASON, _WARNING_REASON = "00081197", "00081196"
#: What a server that speaks something else makes of our reading.
_ANSWER_ERRORS = (requests.RequestException, ValueError, KeyError, TypeError, IndexError)


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


@dataclass(frozen=True, slots=True)
class RemoteInstance:
    """An instance that a server has.

    Parameters
    ----------
    study_instance_uid, series_instance_uid, sop_class_uid, sop_instance_uid : str
        Which one.
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str


class DicomwebServer:
    """One server.

    Parameters
    ----------
    url : str
        The service's root.
    access : HttpAccess
        How it is called.

    Raises
    ------
    SettingsError
        Its address or token cannot be used.
    """

    def __init__(self, url: str, access: HttpAccess) -> None:
        self._url = url.rstrip("/")
        self._timeouts = access.timeouts
        self._session = open_session(url, access)
        self._client = DICOMwebClient(self._url, session=self._session, timeout=self._timeouts)
        self._client.set_http_retry_params(retry=False)

    def __str__(self) -> str:
        return self._url

    def store(self, identity: Identity) -> tuple[FileStatus, str]:
        """Send one file (STOW-RS); what the server said of it.

        Raises
        ------
        PeerError
            It gives no answer.
        """
        boundary = secrets.token_hex(16)
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n"
        body = head.encode() + identity.path.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
        try:
            answer = self._session.post(
                f"{self._url}/studies",
                data=body,
                headers={"Content-Type": kind, "Accept": "application/dicom+json"},
                timeout=self._timeouts,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise self._silent(error) from error
        return _judge(answer, identity.sop_instance_uid)

    def studies(self, filters: Mapping[str, str]) -> list[dict[str, Any]]:
        """Studies that match (QIDO-RS), each as DICOM JSON (PS3.18 annex F).

        Raises
        ------
        PeerError
            It gives no answer that can be read.
        """
        try:
            found: list[dict[str, Any]] = self._client.search_for_studies(
                search_filters=dict(filters)
            )
        except _ANSWER_ERRORS as error:
            raise self._silent(error) from error
        return found

    def instances(
        self, study: str, series: str | None = None, filters: Mapping[str, str] | None = None
    ) -> list[RemoteInstance]:
        """Instances of a study or series (QIDO-RS).

        Raises
        ------
        PeerError
            It gives no answer that can be read.
        """
        try:
            found = self._client.search_for_instances(
                study, series, search_filters=dict(filters or {}), get_remaining=not filters
            )
            return [
                RemoteInstance(
                    study,
                    series or first_value(one, _SERIES),
                    first_value(one, _SOP_CLASS),
                    first_value(one, _SOP_INSTANCE),
                )
                for one in found
            ]
        except _ANSWER_ERRORS as error:
            raise self._silent(error) from error

    def retrieve(self, instance: RemoteInstance) -> bytes:
        """An instance's file (WADO-RS), in the transfer syntax it is kept in.

        Raises
        ------
        PeerError
            It does not give it.
        """
        url = (
            f"{self._url}/studies/{instance.study_instance_uid}"
            f"/series/{instance.series_instance_uid}/instances/{instance.sop_instance_uid}"
        )
        kind = 'multipart/related; type="application/dicom"; transfer-syntax=*'
        try:
            answer = self._session.get(url, headers={"Accept": kind}, timeout=self._timeouts)
            answer.raise_for_status()
            (part,) = split_multipart(answer.headers.get("Content-Type", ""), answer.content)
        except _ANSWER_ERRORS as error:
            raise self._silent(error) from error
        return part

    def _silent(self, error: Exception) -> PeerError:
        answer = getattr(error, "response", None)
        seen = f"HTTP {answer.status_code}" if answer is not None else type(error).__name__
        return PeerError(
            f"no usable answer from {self._url} ({seen})",
            expected="a DICOMweb server",
            action="Check its address, certificates and token; is it running?",
        )


class DicomwebDestination:
    """Sends to an archive by STOW-RS and asks by QIDO-RS whether it is there.

    Parameters
    ----------
    settings : DicomwebSettings
        Which archive.
    """

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
                status, detail = self._server.store(identity)
            except PeerError as error:
                if not receipts:
                    raise _not_reached(error) from error
                status, detail = FileStatus.REFUSED, "not sent: no answer"
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
            raise _not_reached(error) from error
        return Confirmation(frozenset(held), f"read back: {len(held)} of {len(receipt.files)}")

    def check(self) -> CheckResult:
        """A query that finds nothing; nothing is sent."""
        try:
            self._server.studies({"StudyInstanceUID": "2.25.0"})
        except PeerError as error:
            return CheckResult(works=False, detail=str(error))
        return CheckResult(works=True, detail=f"{self._server}: queries (QIDO-RS) answered")


def first_value(one: Mapping[str, Any], tag: str) -> str:
    """An attribute's first value in DICOM JSON; empty when it has none."""
    values = one.get(tag, {}).get("Value", [""])
    return str(values[0])


def split_multipart(content_type: str, body: bytes) -> list[bytes]:
    """The parts of a multipart message (RFC 2046 section 5.1), without their headers.

    Raises
    ------
    ValueError
        It is none.
    """
    parameters = dict(_parameters(content_type))
    boundary = parameters.get("boundary", "")
    if not content_type.lower().startswith("multipart/") or not boundary:
        raise ValueError("no multipart message")
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("latin-1"))
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):
        raise ValueError("a multipart message that is cut off")
    parts = []
    for piece in pieces[1:-1]:
        end_of_headers = piece.find(b"\r\n\r\n")
        if end_of_headers < 0:
            raise ValueError("a part without headers")
        parts.append(piece[end_of_headers + 4 :])
    return parts


def _parameters(content_type: str) -> Iterator[tuple[str, str]]:
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.strip().partition("=")
        yield name.lower(), value.strip('"')


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


def _not_reached(error: PeerError) -> DeliveryError:
    return DeliveryError(error.found, expected=error.expected, action=error.action)
