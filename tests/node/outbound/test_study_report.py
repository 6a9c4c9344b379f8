"""A message says what the report says: words, codes and numbers, and whose study it is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from highdicom.sr import srread
from pydicom import dcmread

from groundglass.core.result import RESEARCH_USE_ONLY
from groundglass.node.outbound.delivery import DeliveryError
from groundglass.node.outbound.study_report import study_reports
from groundglass.report.dicom import codes
from groundglass.report.writing import MANIFEST
from node.outbound.conftest import ENDS, SECRETS, files_of

WITH_VERDICT = [end for end in ENDS if end != "for a reader"]


@pytest.mark.parametrize("end", WITH_VERDICT)
def test_the_words_are_those_of_the_structured_report(reports: dict[str, Path], end: str) -> None:
    (report,) = study_reports(files_of(reports[end]))
    document = srread(reports[end] / "dicom" / "structured-report.dcm")
    comments = [
        item.TextValue
        for item in document.ContentSequence
        if item.ValueType == "TEXT" and item.ConceptNameCodeSequence[0].CodeValue == "121106"
    ]
    assert [one.rstrip(".") for one in report.sentences] == [one.rstrip(".") for one in comments]
    assert report.text.count(RESEARCH_USE_ONLY) == 1
    assert report.text.startswith(RESEARCH_USE_ONLY)


@pytest.mark.parametrize("end", WITH_VERDICT)
def test_answers_and_numbers_are_those_of_the_structured_report(
    reports: dict[str, Path], end: str
) -> None:
    (report,) = study_reports(files_of(reports[end]))
    document = srread(reports[end] / "dicom" / "structured-report.dcm")
    verdict = document.content.get_image_measurement_groups()[0]
    answers = {
        one.name.value: one.value.value
        for one in verdict.get_qualitative_evaluations()
        if one.name.scheme_designator == "99GGLASS"
    }
    said = {one.concept.value: one.answer.value for one in report.findings if one.answer}
    assert said == answers
    stated = {
        (item.ConceptNameCodeSequence[0].CodeValue, float(number.NumericValue))
        for item in _numbers(document)
        for number in item.MeasuredValueSequence
    }
    told = {(one.concept.value, one.value) for f in report.findings for one in f.quantities}
    for code, value in told:
        assert any(code == name and value == pytest.approx(n) for name, n in stated), code


def _numbers(item: object) -> list[object]:
    below = [found for one in getattr(item, "ContentSequence", ()) for found in _numbers(one)]
    return [*([item] if getattr(item, "ValueType", "") == "NUM" else []), *below]


def test_without_a_verdict_nothing_is_found(reports: dict[str, Path]) -> None:
    (report,) = study_reports(files_of(reports["for a reader"]))
    assert not report.findings
    assert report.headline == "No verdict: for a reader"
    assert "Motion is out of range." in report.text


def test_a_refusal_says_no_more_than_that(reports: dict[str, Path]) -> None:
    """Its reason may quote a description, which may name another patient."""
    (report,) = study_reports(files_of(reports["refused"]))
    assert report.text.startswith(f"{RESEARCH_USE_ONLY} Not analysed. ")
    assert report.sentences[-1] == "The capture in the study says why."
    assert len(report.sentences) <= 3


def test_a_refusal_of_two_patients_is_a_report_for_each(
    reports: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(reports["refused"], tmp_path / "refused"))
    other = dcmread(folder / "dicom" / "capture-1.dcm")
    other.PatientID, other.SOPInstanceUID = "another", "1.2.3"
    other.save_as(folder / "dicom" / "capture-2.dcm")
    first, second = study_reports(files_of(folder))
    assert {first.header["PatientID"], second.header["PatientID"]} == {"4711|A^B", "another"}
    assert first.uid != second.uid


def test_the_structured_report_identifies_it(reports: dict[str, Path]) -> None:
    files = files_of(reports["kind told"])
    (report,) = study_reports(files)
    written = dcmread(reports["kind told"] / "dicom" / "structured-report.dcm")
    assert report.uid == written.SOPInstanceUID
    assert len(report.objects) == len([path for path in files if path.suffix == ".dcm"])
    assert study_reports(files[:1])[0].uid == report.uid, "any of its files will do"


def test_a_revision_is_told_with_what_it_replaces(reports: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(reports["kind told"], tmp_path / "report"))
    document = json.loads((folder / MANIFEST).read_text("utf-8"))
    document["analysis"] = {
        "at": "2026-11-30T12:00:01+01:00",
        "revision": 2,
        "replaces": {"revision": 1, "sop_instance_uid": "1.2.3"},
    }
    (folder / MANIFEST).write_text(json.dumps(document))
    (report,) = study_reports(files_of(folder))
    assert (report.revision, report.replaces) == (2, "1.2.3")
    assert "Revision 2, analysed 2026-11-30 12:00 +0100." in report.sentences
    assert report.at is not None
    assert report.at.isoformat() == "2026-11-30T12:00:01+01:00"


def test_a_patient_is_not_in_its_words_for_people_or_logs(reports: dict[str, Path]) -> None:
    for folder in reports.values():
        (report,) = study_reports(files_of(folder))
        for secret in SECRETS:
            assert secret not in repr(report)
            assert secret not in report.text


def test_no_warning_quotes_a_header_against_the_standard(
    reports: dict[str, Path], tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    folder = Path(shutil.copytree(reports["refused"], tmp_path / "refused"))
    path = folder / "dicom" / "capture-1.dcm"
    whole = path.read_bytes()
    for good, bad in ((b"19570101", b"Jane*Doe"), (b"20210304", b"Doe/1957")):
        assert good in whole
        whole = whole.replace(good, bad)
    path.write_bytes(whole)
    (report,) = study_reports(files_of(folder))
    assert report.header["PatientBirthDate"] == "Jane*Doe"
    assert not recwarn.list


@pytest.mark.parametrize("broken", ["{", "{}", '{"verdict": 7}', "[]"])
def test_a_report_that_is_none_is_said(
    reports: dict[str, Path], tmp_path: Path, broken: str
) -> None:
    folder = Path(shutil.copytree(reports["kind told"], tmp_path / "report"))
    (folder / MANIFEST).write_text(broken)
    with pytest.raises(DeliveryError, match="messages cannot be made"):
        study_reports(files_of(folder))
    (folder / MANIFEST).unlink()
    with pytest.raises(DeliveryError):
        study_reports(files_of(folder))
    for path in (folder / "dicom").iterdir():
        path.write_bytes(b"no DICOM")
    with pytest.raises(DeliveryError, match="no DICOM object"):
        study_reports(files_of(folder))


def test_what_another_version_adds_does_no_harm(reports: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(reports["kind told"], tmp_path / "report"))
    document = json.loads((folder / MANIFEST).read_text("utf-8"))
    document["new"] = {"of": "tomorrow"}
    (folder / MANIFEST).write_text(json.dumps(document))
    assert study_reports(files_of(folder))[0].findings[0].concept == codes.VERDICT
