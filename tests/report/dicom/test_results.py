"""What is in the DICOM results; other people's programs judge them in tests/conformance."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import Comprehensive3DSRStorage

import groundglass as gg
from groundglass.core.analysis import Analysis, Completeness, EarlierResult
from groundglass.core.notes import Note, NoteKind
from groundglass.core.result import (
    KIND_NOT_TOLD,
    RESEARCH_USE_ONLY,
    TriageResult,
)
from groundglass.core.verdict_words import NOT_EXCLUDED, not_judged_sentence
from groundglass.core.volume import Volume
from groundglass.errors import ReportError
from groundglass.report import write_refusal, write_report
from groundglass.report.dicom.result_builder import DicomObject
from groundglass.report.dicom.results import dicom_results
from groundglass.report.dicom.settings import DicomSettings
from groundglass.report.overlay import DRAWING
from made_ct import ct_series, thorax, write
from made_result import ANALYSIS, made_result, without_verdict
from made_verdicts import by_share

KEYS = (5,)


def read(folder: Path) -> Volume:
    return gg.read_volume(gg.select_chest_ct(gg.read_study(folder)))


def small(volume: Volume) -> TriageResult:
    return replace(made_result(volume, KEYS), coarse_heat=None)


def revised(volume: Volume) -> TriageResult:
    """The result of a second revision, of which nobody knows whether it is whole."""
    first = EarlierResult(
        1, ANALYSIS.at, "2.25.1", "2.25.2", str(Comprehensive3DSRStorage), "2.25.3"
    )
    analysis = Analysis(
        ANALYSIS.at + timedelta(minutes=1),
        revision=2,
        completeness=Completeness.NOT_VERIFIED,
        replaced=first,
    )
    return replace(small(volume), analysis=analysis)


@pytest.fixture(scope="module")
def ct(tmp_path_factory: pytest.TempPathFactory) -> Volume:
    return read(write(ct_series(StudyDate="20210304"), tmp_path_factory.mktemp("made") / "ct"))


@pytest.fixture(scope="module")
def found(ct: Volume) -> tuple[DicomObject, ...]:
    return dicom_results(small(ct), ct)


def data(made: DicomObject) -> Dataset:
    return pydicom.dcmread(BytesIO(made.content))


def uids(objects: tuple[DicomObject, ...]) -> list[str]:
    return [uid for made in objects for uid in (made.series_instance_uid, made.sop_instance_uid)]


@pytest.mark.filterwarnings("ignore:A value of type 'DT'")  # the other clock is not pydicom's
def test_the_same_study_gives_the_same_bytes_on_another_day(
    ct: Volume, found: tuple[DicomObject, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No clock is asked: libraries that do so are given another one."""
    import highdicom.sc.sop as sc  # noqa: PLC0415
    from highdicom import base  # noqa: PLC0415

    real = base.datetime.datetime

    class Later(real):  # type: ignore[misc, valid-type]
        @classmethod
        def now(cls, tz: object = None) -> Later:
            return cls(2099, 1, 2, 3, 4, 5)

    for module in (base, sc):
        monkeypatch.setattr(module.datetime, "datetime", Later)
    again = dicom_results(small(ct), ct)
    assert [made.content for made in again] == [made.content for made in found]
    assert time.strftime("%Y%m%d").encode() not in b"".join(made.content for made in again[:2])


def test_files_in_another_order_and_another_place_give_the_same_results(
    ct: Volume, found: tuple[DicomObject, ...], tmp_path: Path
) -> None:
    shuffled = ct_series(StudyDate="20210304")
    np.random.default_rng(1).shuffle(shuffled)  # type: ignore[arg-type]
    volume = read(write(shuffled, tmp_path / "elsewhere", stem="other"))
    again = dicom_results(small(volume), volume)
    assert [made.content for made in again] == [made.content for made in found]


def test_a_new_revision_has_uids_of_its_own(ct: Volume, found: tuple[DicomObject, ...]) -> None:
    second = dicom_results(revised(ct), ct)
    assert not set(uids(second)) & set(uids(found))


def test_dates_are_the_analysis(found: tuple[DicomObject, ...]) -> None:
    for made in found:
        told = data(made)
        for what in ("InstanceCreation", "Content", "Series"):
            assert (told[f"{what}Date"].value, told[f"{what}Time"].value) == ("20260301", "143005")
        assert (told.TimezoneOffsetFromUTC, told.StudyDate) == ("+0100", "20210304")
        assert told.SeriesDescription.endswith(" rev 1 2026-03-01 14:30")


@pytest.mark.parametrize(
    ("stated", "offset", "day", "time"),
    [
        ("-0330", "-0330", "20260301", "100005"),
        ("+1200", "+1200", "20260302", "013005"),
        ("noon", "+0100", "20260301", "143005"),
        ("+9900", "+0100", "20260301", "143005"),
    ],
)
def test_one_offset_holds_for_the_studys_times_and_ours(
    tmp_path: Path, stated: str, offset: str, day: str, time: str
) -> None:
    volume = read(write(ct_series(TimezoneOffsetFromUTC=stated), tmp_path / "ct"))
    for made in dicom_results(small(volume), volume):
        told = data(made)
        assert told.TimezoneOffsetFromUTC == offset
        assert (told.ContentDate, told.ContentTime) == (day, time)


def test_a_revision_says_which_it_is_and_what_it_replaces(ct: Volume) -> None:
    first, second = (
        {one.name: data(one) for one in dicom_results(result, ct)}
        for result in (small(ct), revised(ct))
    )
    for page in ("capture-1.dcm", "capture-2.dcm"):
        assert (first[page].pixel_array != second[page].pixel_array).any()
    report = second["structured-report.dcm"]
    texts = [item.TextValue for item in report.ContentSequence if item.ValueType == "TEXT"]
    assert "Revision 2, analysed 2026-03-01 14:31 +0100" in texts
    assert "Replaces the result of revision 1, analysed 2026-03-01 14:30 +0100." in texts
    assert any(text.startswith("Completeness not verified") for text in texts)
    (study,) = report.PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    (document,) = series.ReferencedSOPSequence
    assert (study.StudyInstanceUID, series.SeriesInstanceUID) == ("2.25.1", "2.25.2")
    assert document.ReferencedSOPInstanceUID == "2.25.3"
    assert document.ReferencedSOPClassUID == Comprehensive3DSRStorage


def test_the_first_report_has_no_predecessor(found: tuple[DicomObject, ...]) -> None:
    assert not any("PredecessorDocumentsSequence" in data(made) for made in found)


@pytest.mark.parametrize(
    "header",
    [
        {"PatientSex": "unknown", "PatientBirthDate": "1957"},
        {"PatientID": "x" * 200, "StudyDate": "yesterday", "StudyTime": "noon"},
        {"PatientName": "A" * 90, "AccessionNumber": "B" * 40},
        {"SpecificCharacterSet": "NO SUCH SET"},
        {"FrameOfReferenceUID": ""},
        {"PatientAge": "old", "PatientWeight": ""},
    ],
    ids=lambda header: next(iter(header)),
)
def test_headers_against_the_standard_are_repeated_not_judged(
    tmp_path: Path, header: dict[str, str], recwarn: pytest.WarningsRecorder
) -> None:
    series = ct_series()
    with pydicom.config.disable_value_validation():
        for part in series:
            for keyword, value in header.items():
                setattr(part, keyword, value)
        volume = read(write(series, tmp_path / "ct"))
    recwarn.clear()
    objects = dicom_results(small(volume), volume)
    assert not [w for w in recwarn if issubclass(w.category, UserWarning)]
    with pydicom.config.disable_value_validation():
        for made in objects:
            for keyword, value in header.items():
                if keyword.startswith("Patient") and value:
                    assert str(data(made)[keyword].value) == value


def test_deidentified_studies_give_results_that_say_so(tmp_path: Path) -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "113100", "DCM", "Basic"
    header = {
        "PatientIdentityRemoved": "YES",
        "DeidentificationMethodCodeSequence": Sequence([code]),
    }
    volume = read(write(ct_series(**header), tmp_path / "ct"))
    for made in dicom_results(small(volume), volume):
        assert data(made).PatientIdentityRemoved == "YES"
        assert data(made).DeidentificationMethodCodeSequence[0].CodeValue == "113100"


def test_deep_nesting_in_a_header_is_left_behind(tmp_path: Path) -> None:
    inner = Dataset()
    for _ in range(60):
        outer = Dataset()
        outer.ProcedureCodeSequence = Sequence([inner])
        inner = outer
    volume = read(write(ct_series(ProcedureCodeSequence=Sequence([inner])), tmp_path / "ct"))
    for made in dicom_results(small(volume), volume):
        assert "ProcedureCodeSequence" not in data(made)


def test_every_object_says_research_where_a_reader_looks(
    ct: Volume, found: tuple[DicomObject, ...]
) -> None:
    for made in found:
        assert data(made).SeriesDescription.startswith("Research use only")
    report = data(next(made for made in found if made.kind == "structured-report"))
    texts = [item.TextValue for item in report.ContentSequence if item.ValueType == "TEXT"]
    assert RESEARCH_USE_ONLY in texts
    # The study has no character set but ASCII; the statement's dash is written plainly.
    assert "Made up for a test - its verdict means nothing." in texts
    assert report.VerificationFlag == "UNVERIFIED"
    assert report.PreliminaryFlag == "PRELIMINARY"


def test_the_structured_report_tells_each_note_once(ct: Volume) -> None:
    notes = tuple(Note(kind, f"Of the lungs {kind} was not seen.") for kind in NoteKind)
    objects = dicom_results(replace(small(ct), notes=notes), ct)
    report = data(next(made for made in objects if made.kind == "structured-report"))
    texts = [item.TextValue for item in report.ContentSequence if item.ValueType == "TEXT"]
    assert [texts.count(note.text) for note in notes] == [1] * len(notes)
    assert texts.index(RESEARCH_USE_ONLY) < texts.index(notes[0].text)


def test_nothing_of_the_patient_is_in_a_file_name(found: tuple[DicomObject, ...]) -> None:
    assert [made.name for made in found] == [
        "capture-1.dcm",
        "capture-2.dcm",
        "structured-report.dcm",
        "segmentation.dcm",
        "saliency.dcm",
    ]


def test_the_report_lists_the_dicom_results_with_their_hashes(ct: Volume, tmp_path: Path) -> None:
    write_report(small(ct), ct, tmp_path)
    document = json.loads((tmp_path / "result.json").read_text("utf-8"))
    listed = document["dicom"]["objects"]
    assert document["dicom"]["reason"] is None
    assert {entry["file"] for entry in listed} | {"report.html"} == set(document["files"])
    for entry in listed:
        there = pydicom.dcmread(tmp_path / entry["file"])
        for key, keyword in (
            ("sop_class_uid", "SOPClassUID"),
            ("sop_instance_uid", "SOPInstanceUID"),
            ("series_instance_uid", "SeriesInstanceUID"),
            ("study_instance_uid", "StudyInstanceUID"),
        ):
            assert entry[key] == there[keyword].value
        assert entry["transfer_syntax_uid"] == there.file_meta.TransferSyntaxUID


@pytest.mark.parametrize("series", [None, "nifti"])
def test_what_is_not_dicom_gets_none_and_the_result_says_so(
    ct: Volume, tmp_path: Path, series: str | None
) -> None:
    volume = replace(ct, series=None)
    if series == "nifti":
        assert ct.series is not None
        parts = tuple(replace(part, sop_class_uid="") for part in ct.series.instances)
        volume = replace(ct, series=replace(ct.series, instances=parts))
    write_report(small(volume), volume, tmp_path)
    document = json.loads((tmp_path / "result.json").read_text("utf-8"))
    assert document["dicom"]["objects"] == []
    assert "no study to write results into" in document["dicom"]["reason"]
    assert set(document["files"]) == {"report.html"}
    with pytest.raises(ReportError, match="no study to write results into"):
        dicom_results(small(volume), volume)


def test_a_series_that_is_not_the_volumes_is_refused(ct: Volume) -> None:
    assert ct.series is not None
    fewer = replace(ct.series, instances=ct.series.instances[1:])
    with pytest.raises(ReportError, match="a series of 23 images"):
        dicom_results(small(ct), replace(ct, series=fewer))


def test_a_study_that_is_gone_leaves_no_report(tmp_path: Path) -> None:
    volume = read(write(ct_series(thorax(24)), tmp_path / "ct"))
    for path in (tmp_path / "ct").iterdir():
        path.unlink()
    with pytest.raises(gg.GroundglassError, match="cannot be read"):
        write_report(small(volume), volume, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_a_verdict_there_is_one_capture(ct: Volume) -> None:
    ended = without_verdict(small(ct), gg.Outcome.NO_LUNG, "No lung.")
    (capture,) = dicom_results(ended, ct)
    assert capture.kind == "capture"
    assert data(capture).BurnedInAnnotation == "NO"


def test_a_refusal_is_written_whole_and_again_the_same(ct: Volume, tmp_path: Path) -> None:
    assert ct.series is not None
    error = gg.NoChestCT("none", expected="one", action="Send it.", rejections=("series 1: no",))
    for name in ("a", "b"):
        write_refusal(ct.series.instances, error, tmp_path / name)
    files = {
        name: {p.name: p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file()}
        for name in "ab"
    }
    assert files["a"] == files["b"]
    assert set(files["a"]) == {"capture-1.dcm", "refusal.json"}
    document = json.loads(files["a"]["refusal.json"])
    assert document["reason"] == str(error)
    capture = pydicom.dcmread(tmp_path / "a" / "dicom" / "capture-1.dcm")
    assert capture.StudyInstanceUID == ct.series.study_instance_uid
    assert capture.BurnedInAnnotation == "YES"  # it quotes series descriptions
    write_refusal(ct.series.instances, error, tmp_path / "a")  # replaces its own


def test_a_refusal_needs_a_dicom_image(ct: Volume, tmp_path: Path) -> None:
    assert ct.series is not None
    error = gg.InputError("x", expected="y", action="z")
    nifti = [replace(part, sop_class_uid="") for part in ct.series.instances]
    with pytest.raises(ReportError, match="without DICOM images"):
        write_refusal(nifti, error, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def report_of(result: TriageResult, volume: Volume) -> Dataset:
    objects = dicom_results(result, volume)
    return data(next(made for made in objects if made.kind == "structured-report"))


def groups(report: Dataset) -> list[Dataset]:
    """The measurement groups, in the report's order."""
    measured = next(
        item
        for item in report.ContentSequence
        if item.ValueType == "CONTAINER"
        and item.ConceptNameCodeSequence[0].CodeMeaning == "Imaging Measurements"
    )
    return list(measured.ContentSequence)


def told(group: Dataset) -> dict[str, str | float]:
    """Codes and numbers of a group by the meaning of what they are about."""
    found: dict[str, str | float] = {}
    for item in group.ContentSequence:
        name = item.ConceptNameCodeSequence[0].CodeMeaning
        if item.ValueType == "CODE":
            found[name] = item.ConceptCodeSequence[0].CodeMeaning
        elif item.ValueType == "NUM":
            found[name] = float(item.MeasuredValueSequence[0].NumericValue)
    return found


def classes(report: Dataset) -> list[str | float]:
    """What the groups are about, but for what is measured by HU and the lungs."""
    kinds = (told(group).get("Finding", "") for group in groups(report)[1:])
    return [kind for kind in kinds if "pneumonia" in str(kind).lower()]


@pytest.mark.parametrize(
    ("study", "kind", "listed"),
    [
        ((12, 0.9), "COVID-19 pneumonia",
         ["Findings as in pneumonia", "COVID-19 pneumonia", "Pneumonia other than COVID-19"]),
        ((12, 0.6), "Kind not told", ["Findings as in pneumonia"]),
        ((1, 0.6), None, ["No findings of pneumonia seen"]),
    ],
)  # fmt: skip
def test_the_structured_report_codes_both_answers(
    ct: Volume, study: tuple[int, float], kind: str | None, listed: list[str]
) -> None:
    """A kind that is not told has no group that a reader could list as a finding."""
    found = by_share(small(ct), *study)
    assert found.verdict is not None
    assert found.verdict.by_share is not None
    report = report_of(found, ct)
    verdict = told(groups(report)[0])
    assert verdict["Patient-level verdict, research use only"] == listed[0]
    assert verdict.get("Kind of pneumonia, research use only") == kind
    share = pytest.approx(100 * found.verdict.by_share.share)
    assert verdict["Share of judged slices with findings"] == share
    assert verdict["Share of slices that calls findings"] == pytest.approx(20)
    assert verdict["Score that counts a slice as ill"] == pytest.approx(0.5)
    assert classes(report) == listed
    healthy = found.verdict.probabilities["healthy"]
    probability = told(groups(report)[1])["Probability"]
    assert probability == pytest.approx(1 - healthy if kind else healthy, abs=1e-6)
    texts = " ".join(i.TextValue for i in report.ContentSequence if i.ValueType == "TEXT")
    assert texts.count(NOT_EXCLUDED) == bool(kind)
    answered = groups(report)[: 1 + len(listed)]
    evidence = [any(i.ValueType == "IMAGE" for i in g.ContentSequence) for g in answered]
    assert sum(evidence) == 1  # in the group of the class that the heat explains


def test_a_class_asked_for_is_listed_with_its_slices(ct: Volume) -> None:
    found = by_share(small(ct), 12, 0.6)
    asked = replace(found, heatmaps=tuple(replace(one, label="NCP") for one in found.heatmaps))
    assert asked.explained_label == KIND_NOT_TOLD  # without coarse heat, of the verdict
    asked = replace(asked, coarse_heat=replace(made_result(ct).coarse_heat, label="NCP"))  # type: ignore[type-var]
    report = report_of(asked, ct)
    assert classes(report) == ["Findings as in pneumonia", "Pneumonia other than COVID-19"]
    assert [any(i.ValueType == "IMAGE" for i in g.ContentSequence) for g in groups(report)[:3]] == [
        False,
        False,
        True,
    ]


def test_slices_without_drawn_heat_are_no_evidence(ct: Volume) -> None:
    result = replace(made_result(ct, (5, 7)), coarse_heat=None)
    first, second = result.heatmaps
    faint = np.float32(0.9 * DRAWING.heat_threshold)
    second = replace(second, heat=second.heat / second.heat.max() * faint)
    objects = dicom_results(
        replace(result, heatmaps=(first, second)), ct, DicomSettings(key_objects=True)
    )
    assert ct.series is not None
    unseen = data(objects[-1])
    assert unseen.Modality == "KO"
    for made in objects:
        if made.kind in ("structured-report", "key-objects"):
            evidence = data(made).CurrentRequestedProcedureEvidenceSequence[0]
            images = [
                one.ReferencedSOPInstanceUID
                for series in evidence.ReferencedSeriesSequence
                if series.SeriesInstanceUID == ct.series.series_instance_uid
                for one in series.ReferencedSOPSequence
            ]
            assert len(images) == 1


def test_what_was_not_judged_is_measured_in_all_and_by_third(ct: Volume) -> None:
    found = small(ct).not_judged
    assert found is not None
    report = report_of(small(ct), ct)
    measured = [told(group) for group in groups(report)]
    shares = [
        (
            one["Share of the lung that was not judged"],
            one["Share of the opacity that was not judged"],
        )
        for one in measured
        if one.get("Finding") == "Lung in slices that were not judged"
    ]
    expected = [(100 * one.lung_share, 100 * one.opacity_share) for one in
                (found.total, *found.thirds.values())]  # fmt: skip
    assert np.allclose(np.array(shares, float), expected)
    texts = [i.TextValue for i in report.ContentSequence if i.ValueType == "TEXT"]
    assert texts.count(not_judged_sentence(found)) == 1
