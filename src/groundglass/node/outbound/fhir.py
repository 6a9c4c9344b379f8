"""FHIR servers as destinations: a DiagnosticReport each report, created once (HL7 FHIR R4)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import requests

from groundglass.node.http import TAKEN, HttpAccess, open_session
from groundglass.node.outbound.delivery import (
    CheckResult,
    Confirmation,
    DeliveryError,
    DeliveryReceipt,
    FileReceipt,
    FileStatus,
)
from groundglass.node.outbound.fhir_report import (
    UID_SYSTEM,
    encode,
    fhir_report,
    identifier_of,
    report_model,
)
from groundglass.node.outbound.study_report import StudyReport, study_reports
from groundglass.settings.toml import settings

_JSON = "application/fhir+json"
_ANSWER_ERRORS = (requests.RequestException, ValueError, KeyError, TypeError, AttributeError)
#: The kinds of issue of an OperationOutcome (R4, value set issue-type).
_ISSUES = frozenset((
    "invalid", "structure", "required", "value", "invariant", "security", "login", "unknown",
    "expired", "forbidden", "suppressed", "processing", "not-supported", "duplicate",
    "multiple-matches", "not-found", "deleted", "too-long", "code-invalid", "extension",
    "too-costly", "business-rule", "conflict", "transient", "lock-error", "no-store", "exception",
    "timeout", "incomplete", "throttled", "informational",
))  # fmt: skip


@settings
class FhirSettings:
    """A FHIR R4 server, or a program that takes a DiagnosticReport by HTTP POST.

    The patient goes out as Patient ID and Accession Number, by which the server files the report;
    no name and no date of birth. Needs the extra `fhir`.
    """

    name: str
    """What rules and the log call it."""
    url: str
    """The server's base, as https://fhir.example/r4; we POST to `DiagnosticReport` below it. With
    `confirm = "answer"` the very address that is posted to."""
    kind: Literal["fhir"] = "fhir"
    patient_system: str = ""
    """URI of the system that the images' Patient IDs belong to, as the server has it
    (`Patient.identifier.system`). Empty: none is stated, and a server with several may not find
    whose the report is."""
    accession_system: str = ""
    """The same of Accession Numbers."""
    confirm: Literal["read back", "answer"] = "read back"
    """How it is made sure that it has the report. "read back" searches for it by its identifier.
    "answer" takes an answer of 2xx for it: for a program that is no FHIR server."""
    access: HttpAccess = HttpAccess()
    """Certificates, token and time limits."""


class FhirDestination:
    """Creates a DiagnosticReport, unless one of the same identifier is there (R4 3.1.0.8.1)."""

    dicom_only = False

    def __init__(self, settings: FhirSettings) -> None:
        report_model()
        self.name = settings.name
        self.knows_what_it_has = settings.confirm == "read back"
        self._settings = settings
        self._session = open_session(settings.url, settings.access)
        base = settings.url.rstrip("/")
        self._base = base
        self._reports = f"{base}/DiagnosticReport" if self.knows_what_it_has else settings.url

    def deliver(self, files: Sequence[Path]) -> DeliveryReceipt:
        """Post the report; the answer holds for each of its files."""
        answers = [self._create(report) for report in study_reports(files)]
        taken = all(answer.status_code in TAKEN for answer in answers)
        status = FileStatus.ACCEPTED if taken else FileStatus.REFUSED
        said = next((one for one in answers if one.status_code not in TAKEN), answers[0])
        return DeliveryReceipt(
            self.name, tuple(FileReceipt.of(path, status, _words(said)) for path in files)
        )

    def confirm(self, receipt: DeliveryReceipt) -> Confirmation:
        """Search for the report by its identifier."""
        files = [file.path for file in receipt.files]
        if not self.knows_what_it_has:
            return Confirmation(frozenset(files), "answered")
        there = all(self._holds(report) for report in study_reports(files))
        return Confirmation(frozenset(files if there else ()), "found" if there else "not found")

    def check(self) -> CheckResult:
        """Ask what the server can do; nothing is sent."""
        try:
            if self.knows_what_it_has:
                return self._can()
            answer = self._get(self._settings.url, {})
        except DeliveryError as error:
            return CheckResult(works=False, detail=str(error))
        return CheckResult(
            works=answer.status_code < 500, detail=f"answers: HTTP {answer.status_code}"
        )

    def _can(self) -> CheckResult:
        """Whether its CapabilityStatement is of R4 and has what is needed (R4 3.1.0.10)."""
        answer = self._get(f"{self._base}/metadata", {})
        try:
            answer.raise_for_status()
            stated = answer.json()
            version = str(stated["fhirVersion"])
            known = [one for part in stated["rest"] for one in part.get("resource", ())]
            does = {
                interaction["code"]
                for one in known
                if one["type"] == "DiagnosticReport"
                for interaction in one["interaction"]
            }
        except _ANSWER_ERRORS:
            return CheckResult(
                works=False, detail=f"no CapabilityStatement: HTTP {answer.status_code}"
            )
        lacks = sorted({"create", "search-type"} - does)
        works = version.startswith("4.") and not lacks
        without = f", without {' and '.join(lacks)} of DiagnosticReport" if lacks else ""
        return CheckResult(works=works, detail=f"FHIR {version}{without}")

    def _create(self, report: StudyReport) -> requests.Response:
        settings = self._settings
        body = encode(fhir_report(report, settings.patient_system, settings.accession_system))
        headers = {
            "Content-Type": _JSON,
            "Accept": _JSON,
            "If-None-Exist": f"identifier={UID_SYSTEM}|{identifier_of(report.uid)}",
        }
        try:
            return self._session.post(
                self._reports,
                data=body,
                headers=headers,
                timeout=settings.access.timeouts,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise self._silent(error) from error

    def _holds(self, report: StudyReport) -> bool:
        """Whether a search finds it (R4 3.1.1)."""
        wanted = {
            "identifier": f"{UID_SYSTEM}|{identifier_of(report.uid)}",
            "_elements": "identifier",
        }
        answer = self._get(self._reports, wanted)
        try:
            answer.raise_for_status()
            found = [one["resource"] for one in answer.json().get("entry", ())]
            named = {name["value"] for one in found for name in one.get("identifier", ())}
        except _ANSWER_ERRORS as error:
            raise self._silent(error) from None
        return identifier_of(report.uid) in named

    def _get(self, url: str, query: dict[str, str]) -> requests.Response:
        try:
            return self._session.get(
                url,
                params=query,
                headers={"Accept": _JSON},
                timeout=self._settings.access.timeouts,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise self._silent(error) from error

    def _silent(self, error: Exception) -> DeliveryError:
        answer = getattr(error, "response", None)
        seen = f"HTTP {answer.status_code}" if answer is not None else type(error).__name__
        return DeliveryError(
            f"no usable answer from {self.name} ({seen})",
            expected="a FHIR R4 server",
            action="Check its address, certificates and token; is it running?",
        )


def _words(answer: requests.Response) -> str:
    """The status, and the kinds of issue that are named: no text, which may quote the patient."""
    named: frozenset[str] = frozenset()
    with suppress(*_ANSWER_ERRORS):
        named = _ISSUES & {str(one["code"]) for one in answer.json()["issue"]}
    return " ".join([f"HTTP {answer.status_code}", *sorted(named)])
