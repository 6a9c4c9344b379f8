"""DICOMweb servers (PS3.18), as clients of theirs: to ask, to fetch, to send."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import requests
from dicomweb_client.api import DICOMwebClient

from groundglass.node.dimse.clients import PeerError
from groundglass.node.http import HttpAccess, open_session

_SOP_CLASS, _SOP_INSTANCE, _SERIES = "00080016", "00080018", "0020000E"
#: What a server that speaks something else makes of our reading.
_ANSWER_ERRORS = (requests.RequestException, ValueError, KeyError, TypeError, IndexError)


@dataclass(frozen=True, slots=True)
class RemoteInstance:
    """An instance that a server has."""

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    """`study_instance_uid`, `series_instance_uid`, `sop_class_uid`, `sop_instance_uid`: which
    one."""


class DicomwebServer:
    """One server.

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

    def store(self, content: bytes) -> requests.Response:
        """Send one instance's file (STOW-RS); the answer.

        Raises
        ------
        PeerError
            It gives none.
        """
        boundary = secrets.token_hex(16)
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n"
        body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
        kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
        try:
            return self._session.post(
                f"{self._url}/studies",
                data=body,
                headers={"Content-Type": kind, "Accept": "application/dicom+json"},
                timeout=self._timeouts,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise self._silent(error) from error

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
