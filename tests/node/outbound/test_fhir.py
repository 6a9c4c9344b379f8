"""A DiagnosticReport is in a FHIR server once, says what the report says, and whose it is."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from pydicom import dcmread

from groundglass.core.result import RESEARCH_USE_ONLY
from groundglass.errors import SettingsError
from groundglass.node.outbound.delivery import DeliveryError, FileStatus
from groundglass.node.outbound.fhir import FhirDestination, FhirSettings
from groundglass.node.outbound.fhir_report import encode, fhir_report
from groundglass.node.outbound.study_report import study_reports
from node.outbound.conftest import ENDS, PATIENT, SECRETS, files_of
from node.outbound.fhir_servers import Told, medplum, telling

EVERY_END = [*ENDS, "refused"]
NOBODY = 9  # discard
CAPABLE = {
    "fhirVersion": "4.0.1",
    "rest": [
        {
            "resource": [
                {
                    "type": "DiagnosticReport",
                    "interaction": [{"code": "create"}, {"code": "search-type"}],
                }
            ]
        }
    ],
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with medplum() as url:
        yield url


def resource(folder: Path) -> dict[str, Any]:
    (report,) = study_reports(files_of(folder))
    found: dict[str, Any] = json.loads(encode(fhir_report(report, "urn:patients", "urn:orders")))
    return found


def observations(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By code, as the report's `result` names them."""
    by_id = {f"#{one['id']}": one for one in found["contained"]}
    named = [by_id[one["reference"]] for one in found["result"]]
    return {one["code"]["coding"][0]["code"]: one for one in named}


@pytest.mark.parametrize("end", EVERY_END)
def test_a_real_server_takes_it_once_and_finds_it(
    reports: dict[str, Path], server: str, end: str
) -> None:
    """Medplum's validator holds it against HL7's own definitions of R4."""
    destination = FhirDestination(FhirSettings("fhir", server))
    files = files_of(reports[end])
    assert destination.check().works, destination.check().detail
    receipt = destination.deliver(files)
    assert {one.detail for one in receipt.files} == {"HTTP 201"}
    again = destination.deliver(files)
    assert {one.detail for one in again.files} == {"HTTP 200"}
    assert {one.status for one in (*receipt.files, *again.files)} == {FileStatus.ACCEPTED}
    assert destination.confirm(receipt).confirmed == set(files)
    (uid,) = {report.uid for report in study_reports(files)}
    query = f"{server}/DiagnosticReport?identifier=urn:dicom:uid|urn:oid:{uid}"
    assert len(requests.get(query, timeout=30).json()["entry"]) == 1


def test_what_is_not_there_is_not_confirmed(
    reports: dict[str, Path], tmp_path: Path, server: str
) -> None:
    folder = Path(shutil.copytree(reports["kind told"], tmp_path / "report"))
    path = folder / "dicom" / "structured-report.dcm"
    written = dcmread(path)
    written.SOPInstanceUID = "1.2.3.4"
    written.save_as(path)
    destination = FhirDestination(FhirSettings("fhir", server))
    assert destination.knows_what_it_has
    with telling(Told()) as elsewhere:
        receipt = FhirDestination(FhirSettings("fhir", elsewhere)).deliver(files_of(folder))
    assert not destination.confirm(receipt).confirmed


def test_what_a_real_server_refuses_is_not_called_sent(
    reports: dict[str, Path], server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def senseless(*_: object) -> bytes:
        return b'{"resourceType": "DiagnosticReport", "status": "preliminary"}'

    monkeypatch.setattr("groundglass.node.outbound.fhir.encode", senseless)
    (first, *_) = (
        FhirDestination(FhirSettings("fhir", server)).deliver(files_of(reports["kind told"])).files
    )
    assert first.status is FileStatus.REFUSED
    assert first.detail == "HTTP 400 structure"


def test_a_report_is_preliminary_and_says_once_what_it_is_worth(reports: dict[str, Path]) -> None:
    for end in EVERY_END:
        found = resource(reports[end])
        text = json.dumps(found, ensure_ascii=False)
        assert text.count(RESEARCH_USE_ONLY) == 1
        assert found["conclusion"].startswith(RESEARCH_USE_ONLY)
        statuses = [one["status"] for one in found["contained"] if one["id"] != "groundglass"]
        assert {found["status"], *statuses} == {"preliminary", "available"}
        assert found["code"]["coding"][0]["code"] == "24627-2"


def test_the_verdict_its_kind_and_its_numbers_are_observations(reports: dict[str, Path]) -> None:
    seen = observations(resource(reports["kind not told"]))
    assert seen["verdict"]["valueCodeableConcept"]["coding"][0]["code"] == "findings"
    assert seen["kind"]["valueCodeableConcept"]["coding"][0]["code"] == "kind-not-told"
    numbers = {
        one["code"]["coding"][0]["code"]: one["valueQuantity"]
        for one in seen["verdict"]["component"]
    }
    assert numbers["share-of-slices"]["value"] == pytest.approx(60)
    assert numbers["share-of-slices"]["code"] == "%"
    assert {"112120", "95436008", "not-judged"} <= set(seen)
    told = observations(resource(reports["kind told"]))["kind"]["valueCodeableConcept"]["coding"]
    assert told[0]["system"] == "http://snomed.info/sct"
    assert told[0]["code"] == "882784691000119100"
    assert "kind" not in observations(resource(reports["none seen"]))


@pytest.mark.parametrize("end", ["for a reader", "refused"])
def test_without_a_verdict_its_observation_says_that_it_is_absent(
    reports: dict[str, Path], end: str
) -> None:
    found = resource(reports[end])
    seen = observations(found)
    assert set(seen) == {"verdict", "revision"}
    assert seen["verdict"]["dataAbsentReason"]["coding"][0]["code"] == "unknown"
    assert "conclusionCode" not in found


def test_the_patient_the_order_and_the_study_are_identifiers(reports: dict[str, Path]) -> None:
    found = resource(reports["kind told"])
    patient = found["subject"]["identifier"]
    assert (patient["system"], patient["value"]) == ("urn:patients", PATIENT["PatientID"])
    assert patient["assigner"]["display"] == PATIENT["IssuerOfPatientID"]
    (order,) = found["basedOn"]
    assert order["identifier"]["value"] == PATIENT["AccessionNumber"]
    study = dcmread(reports["kind told"] / "dicom" / "capture-1.dcm").StudyInstanceUID
    assert found["imagingStudy"][0]["identifier"]["value"] == f"urn:oid:{study}"
    for secret in ("Müller", "Jürg", PATIENT["PatientBirthDate"]):
        assert secret not in json.dumps(found, ensure_ascii=False), "no name, no date of birth"


def test_a_revision_says_which_it_is_and_what_it_replaces(reports: dict[str, Path]) -> None:
    (first,) = study_reports(files_of(reports["kind told"]))
    at = datetime(2026, 11, 30, 12, 0, 1, tzinfo=UTC)
    second = replace(first, revision=2, replaces="1.2.3", at=at)
    found = json.loads(encode(fhir_report(second, "", "")))
    assert observations(found)["revision"]["valueInteger"] == 2
    (extension,) = found["extension"]
    assert extension["valueReference"]["identifier"]["value"] == "urn:oid:1.2.3"
    assert datetime.fromisoformat(found["issued"]) == at


def test_our_series_are_named_by_their_uids(reports: dict[str, Path]) -> None:
    found = resource(reports["kind told"])
    (images,) = [one for one in found["contained"] if one["resourceType"] == "ImagingStudy"]
    named = {one["uid"] for series in images["series"] for one in series["instance"]}
    written = {
        str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)
        for path in (reports["kind told"] / "dicom").iterdir()
    }
    assert named == written


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (201, FileStatus.ACCEPTED),
        (200, FileStatus.ACCEPTED),
        (301, FileStatus.REFUSED),
        (401, FileStatus.REFUSED),
        (412, FileStatus.REFUSED),
        (422, FileStatus.REFUSED),
        (503, FileStatus.REFUSED),
    ],
)
def test_an_answer_means_what_it_says(
    reports: dict[str, Path], status: int, meaning: FileStatus
) -> None:
    told = Told(status)
    with telling(told) as url:
        receipt = FhirDestination(FhirSettings("fhir", url)).deliver(files_of(reports["kind told"]))
    assert {one.status for one in receipt.files} == {meaning}
    ((path, headers, _),) = told.posted
    assert path == "/DiagnosticReport"
    (uid,) = {report.uid for report in study_reports([one.path for one in receipt.files])}
    assert headers["If-None-Exist"] == f"identifier=urn:dicom:uid|urn:oid:{uid}"


@pytest.mark.parametrize(
    "answer",
    [
        {"issue": [{"code": "invalid", "diagnostics": "Müller Jürg 4711"}]},
        {"issue": [{"code": "Müller"}]},
        {"issue": "4711"},
        "4711 Jürg".encode(),
    ],
)
def test_what_a_server_quotes_of_the_patient_goes_no_further(
    reports: dict[str, Path], answer: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with telling(Told(422, answer)) as url:
        receipt = FhirDestination(FhirSettings("fhir", url)).deliver(files_of(reports["kind told"]))
    for secret in SECRETS:
        assert secret not in "".join(one.detail for one in receipt.files)
        assert secret not in caplog.text


@pytest.mark.parametrize("answer", [b"", b"no JSON", {}, {"entry": [{}]}, {"entry": 7}, []])
def test_a_search_that_says_nothing_confirms_nothing(
    reports: dict[str, Path], answer: object
) -> None:
    files = files_of(reports["kind told"])
    told = Told(200, answer)
    with telling(told) as url:
        destination = FhirDestination(FhirSettings("fhir", url))
        receipt = destination.deliver(files)
        try:
            confirmed = destination.confirm(receipt).confirmed
        except DeliveryError:
            confirmed = frozenset()
    assert not confirmed


def test_a_program_that_is_no_server_is_taken_at_its_word(reports: dict[str, Path]) -> None:
    files = files_of(reports["kind told"])
    told = Told(204, b"")
    with telling(told) as url:
        destination = FhirDestination(FhirSettings("hook", f"{url}/hook", confirm="answer"))
        assert destination.check().works
        assert not told.posted, "a check sends nothing"
        receipt = destination.deliver(files)
        assert destination.confirm(receipt).confirmed == set(files)
    assert told.posted[0][0] == "/hook"
    assert not destination.knows_what_it_has


@pytest.mark.parametrize(
    ("metadata", "works"),
    [
        (CAPABLE, True),
        ({**CAPABLE, "fhirVersion": "3.0.2"}, False),
        ({**CAPABLE, "rest": []}, False),
        (b"no JSON", False),
        ([], False),
    ],
)
def test_a_check_asks_what_the_server_can_do(metadata: object, works: bool) -> None:
    told = Told(metadata=metadata)
    with telling(told) as url:
        assert FhirDestination(FhirSettings("fhir", url)).check().works is works
    assert not told.posted


def test_nobody_there_is_said(reports: dict[str, Path]) -> None:
    destination = FhirDestination(FhirSettings("fhir", f"http://127.0.0.1:{NOBODY}"))
    assert not destination.check().works
    with pytest.raises(DeliveryError, match="no usable answer"):
        destination.deliver(files_of(reports["kind told"]))


def test_a_patient_does_not_go_over_the_network_in_the_clear() -> None:
    with pytest.raises(SettingsError, match="in the clear"):
        FhirDestination(FhirSettings("fhir", "http://fhir.example/r4"))


def test_what_the_model_refuses_is_not_quoted(reports: dict[str, Path]) -> None:
    (report,) = study_reports(files_of(reports["kind told"]))
    wrong = {**fhir_report(report, "", ""), "status": 7, "subject": {"4711": "Müller"}}
    with pytest.raises(DeliveryError) as caught:
        encode(wrong)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert "4711" not in str(caught.value)
