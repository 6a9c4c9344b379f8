"""A report as an HL7 FHIR R4 DiagnosticReport, its Observations contained in it.

Contained, not resources of their own: none of the numbers can be shown without the report that says
what they are worth, and a server that takes one resource takes all or nothing, without transactions
(docs/decisions/0024).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydicom.sr.coding import Code

from groundglass.errors import SettingsError
from groundglass.node.outbound.delivery import DeliveryError
from groundglass.node.outbound.study_report import (
    REVISION,
    Finding,
    Quantity,
    StudyReport,
)
from groundglass.node.uids import IMPLEMENTATION_CLASS_UID
from groundglass.read.dicom.result_series_descriptions import MANUFACTURER, MODEL
from groundglass.report.dicom import codes

Resource = dict[str, Any]

#: R4 2.24.0.1, and HL7's registry of external code systems.
_SYSTEMS = {
    "SCT": "http://snomed.info/sct",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "LN": "http://loinc.org",
    "UCUM": "http://unitsofmeasure.org",
    codes.OWN: f"urn:oid:{IMPLEMENTATION_CLASS_UID}.1",
}
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
#: R4 ImagingStudy.identifier: the system of DICOM UIDs.
UID_SYSTEM = "urn:dicom:uid"
#: R4, extensions of DiagnosticReport.
_REPLACES = "http://hl7.org/fhir/StructureDefinition/diagnosticReport-replaces"
#: LOINC's for the procedure reported: CT of the chest, whatever its contrast.
CT_CHEST = Code("24627-2", "LN", "CT Chest")
_RADIOLOGY = Code("LP29684-5", "LN", "Radiology")
_DEVICE = "groundglass"
_IMAGES = "results"


def identifier_of(uid: str) -> str:
    """A DICOM UID as the value of an identifier (R4 ImagingStudy.identifier)."""
    return f"urn:oid:{uid}"


def fhir_report(report: StudyReport, patients: str, accessions: str) -> Resource:
    """The DiagnosticReport as JSON has it.

    Parameters
    ----------
    patients, accessions : str
        URIs of the systems that Patient IDs and Accession Numbers belong to; empty: not stated.
    """
    observations = [*_observations(report)]
    contained = [_device(report), _images(report), *observations]
    subject = _subject(report, patients)
    resource = {
        "resourceType": "DiagnosticReport",
        "identifier": [{"system": UID_SYSTEM, "value": identifier_of(report.uid)}],
        "contained": [_about(one, subject) for one in contained],
        "extension": [*_replaced(report)],
        "basedOn": [*_order(report, accessions)],
        "status": "preliminary",
        "category": [_category()],
        "code": _concept(CT_CHEST),
        "subject": subject,
        "effectiveDateTime": _date(report.header["StudyDate"]),
        "issued": report.at.isoformat(timespec="seconds") if report.at else None,
        "result": [{"reference": f"#{one['id']}"} for one in observations],
        "imagingStudy": [_study(report), {"reference": f"#{_IMAGES}"}],
        "conclusion": report.text,
        "conclusionCode": [_concept(one.answer) for one in report.findings if one.answer],
    }
    return _filled(resource)


def encode(resource: Resource) -> bytes:
    """A resource as UTF-8, once the library's model of R4 finds nothing wrong with it.

    Raises
    ------
    DeliveryError
        It does.
    SettingsError
        The library is not installed.
    """
    model = report_model()
    try:
        content = model.model_validate(resource).model_dump_json()
    except ValueError as error:
        raise DeliveryError(
            f"a report that is no FHIR R4 DiagnosticReport ({type(error).__name__})",
            expected="one that its model takes",
            action="Report it as a defect.",
        ) from None  # pydantic quotes what it was given: the patient
    return str(content).encode()


def report_model() -> Any:
    """The library's model: of R4B, in which DiagnosticReport and Observation are R4's.

    Raises
    ------
    SettingsError
        The library is not installed.
    """
    try:
        from fhir.resources.R4B.diagnosticreport import DiagnosticReport  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError(
            "a destination of kind fhir without the library it needs",
            expected="the extra fhir",
            action="`pip install '.[fhir]'` in a checkout.",
        ) from error
    return DiagnosticReport


def _observations(report: StudyReport) -> Iterator[Resource]:
    """One for each finding, without a verdict one that says so, and the revision, numbered."""
    made = [_observed(one) for one in report.findings] or [_absent(report)]
    if report.revision is not None:
        made.append({**_observation(REVISION), "valueInteger": report.revision})
    for number, one in enumerate(made, 1):
        yield {**one, "id": f"observation-{number}"}


def _absent(report: StudyReport) -> Resource:
    absent = {"system": f"{_TERMINOLOGY}/data-absent-reason", "code": "unknown"}
    return {
        **_observation(codes.VERDICT),
        "dataAbsentReason": {"coding": [absent], "text": report.headline},
    }


def _observed(finding: Finding) -> Resource:
    made = _observation(finding.concept)
    if finding.answer is not None:
        made["valueCodeableConcept"] = _concept(finding.answer)
    made["component"] = [
        {"code": _concept(one.concept), "valueQuantity": _quantity(one)}
        for one in finding.quantities
    ]
    return made


def _observation(code: Code) -> Resource:
    imaging = {"system": f"{_TERMINOLOGY}/observation-category", "code": "imaging"}
    return {
        "resourceType": "Observation",
        "status": "preliminary",
        "category": [{"coding": [imaging]}],
        "code": _concept(code),
        "bodySite": _concept(codes.LUNG),
        "device": {"reference": f"#{_DEVICE}"},
    }


def _device(report: StudyReport) -> Resource:
    """The program and its weights (R4 8.9)."""
    return {
        "resourceType": "Device",
        "id": _DEVICE,
        "manufacturer": MANUFACTURER,
        "deviceName": [{"name": MODEL, "type": "model-name"}],
        "type": _concept(codes.ARTIFICIAL_INTELLIGENCE),
        "version": [{"value": value} for value in report.software_versions],
    }


def _images(report: StudyReport) -> Resource:
    """Our series in the study, by their UIDs alone: where they are served, the PACS knows."""
    series: dict[str, Resource] = {}
    for one in report.objects:
        modality = {"system": _SYSTEMS["DCM"], "code": one.modality}
        made = series.setdefault(
            one.series_instance_uid,
            {"uid": one.series_instance_uid, "modality": modality, "instance": []},
        )
        kind = {"system": "urn:ietf:rfc:3986", "code": identifier_of(one.sop_class_uid)}
        made["instance"].append({"uid": one.sop_instance_uid, "sopClass": kind})
    return {
        "resourceType": "ImagingStudy",
        "id": _IMAGES,
        "identifier": [{"system": UID_SYSTEM, "value": identifier_of(report.study_instance_uid)}],
        "status": "available",
        "series": list(series.values()),
    }


def _about(resource: Resource, subject: Resource | None) -> Resource:
    """The same, of the patient; an ImagingStudy must say whose it is."""
    if resource["resourceType"] == "Device":
        return resource
    unknown = (
        {"display": "as the images say"} if resource["resourceType"] == "ImagingStudy" else None
    )
    return {**resource, "subject": subject or unknown}


def _subject(report: StudyReport, system: str) -> Resource | None:
    """The patient by identifier; the server knows which of its own that is."""
    number = report.header["PatientID"]
    if not number:
        return None
    record = {"system": f"{_TERMINOLOGY}/v2-0203", "code": "MR"}
    issuer = report.header["IssuerOfPatientID"]
    identifier = {
        "type": {"coding": [record]},
        "system": system,
        "value": number,
        "assigner": {"display": issuer} if issuer else None,
    }
    return {"type": "Patient", "identifier": _filled(identifier)}


def _order(report: StudyReport, system: str) -> Iterator[Resource]:
    """What was asked for, by Accession Number."""
    number = report.header["AccessionNumber"]
    if number:
        accession = {"system": f"{_TERMINOLOGY}/v2-0203", "code": "ACSN"}
        identifier = {"type": {"coding": [accession]}, "system": system, "value": number}
        yield {"type": "ServiceRequest", "identifier": _filled(identifier)}


def _study(report: StudyReport) -> Resource:
    identifier = {"system": UID_SYSTEM, "value": identifier_of(report.study_instance_uid)}
    return {"type": "ImagingStudy", "identifier": identifier}


def _replaced(report: StudyReport) -> Iterator[Resource]:
    if report.replaces:
        earlier = {"system": UID_SYSTEM, "value": identifier_of(report.replaces)}
        reference = {"type": "DiagnosticReport", "identifier": earlier}
        yield {"url": _REPLACES, "valueReference": reference}


def _category() -> Resource:
    radiology = {"system": f"{_TERMINOLOGY}/v2-0074", "code": "RAD", "display": "Radiology"}
    return {"coding": [radiology, *_concept(_RADIOLOGY)["coding"]]}


def _concept(code: Code) -> Resource:
    system = _SYSTEMS[code.scheme_designator]
    return {"coding": [{"system": system, "code": code.value, "display": code.meaning}]}


def _quantity(one: Quantity) -> Resource:
    return {
        "value": round(one.value, 4),
        "unit": one.unit.meaning,
        "system": _SYSTEMS["UCUM"],
        "code": one.unit.value,
    }


def _date(stated: str) -> str | None:
    """A date (VR DA); a time would need a time zone, which the header rarely has."""
    if len(stated) != 8 or not (stated.isascii() and stated.isdigit()):
        return None
    return f"{stated[:4]}-{stated[4:6]}-{stated[6:]}"


def _filled(resource: Resource) -> Resource:
    """Without what is empty: FHIR has no empty elements (R4 2.6.2)."""
    return {key: value for key, value in resource.items() if value not in (None, "", [], {})}
