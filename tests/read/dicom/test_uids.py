"""Missing and invalid UIDs: the images are read, and no result carries an invalid one."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom import config
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pydicom.valuerep import validate_value

import groundglass as gg
from dicom_judges import dciodvfy
from groundglass.core.quiet import quietly
from groundglass.core.result import TriageResult
from groundglass.core.volume import Volume
from groundglass.read.dicom.uids import derived, is_valid, named
from groundglass.report import write_report
from groundglass.report.dicom.results import dicom_results, refusal_results
from made_ct import as_bytes, ct_series, thorax, write
from made_result import ANALYSIS, made_result

UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
INVALID = ("1.2.anonymous", "1.02.3", "1." * 40 + "1", "study-17", "1..2", "1.2.", ".1", "7")


def without_meta(data: Dataset) -> bytes:
    """A file whose File Meta names only its encoding, as some tools leave it."""
    file = pydicom.dcmread(BytesIO(as_bytes(data)))
    for keyword in ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID"):
        delattr(file.file_meta, keyword)
    content = BytesIO()
    with config.disable_value_validation():
        file.save_as(content, enforce_file_format=False)
    return content.getvalue()


def write_without_meta(datasets: list[Dataset], folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for index, data in enumerate(datasets):
        (folder / f"{index:03d}").write_bytes(without_meta(data))
    return folder


def read(folder: Path) -> Volume:
    return gg.read_volume(gg.select_chest_ct(gg.read_study(folder)))


def result_of(volume: Volume) -> TriageResult:
    return made_result(volume, (5,))


@given(st.text(st.sampled_from("0123456789.aZ -"), max_size=70))
@example(" 0.0")
def test_valid_is_what_pydicom_calls_valid(text: str) -> None:
    valid = pydicom.uid.UID(text, validation_mode=config.IGNORE).is_valid
    without_spaces = text == text.strip()  # pydicom takes them off before it looks
    assert is_valid(text) == (valid and "." in text and without_spaces)


def test_uids_we_make_are_valid_and_hang_on_the_content() -> None:
    made = derived("file", b"content")
    assert is_valid(made)
    assert made == derived("file", b"content")
    assert made not in {derived("file", b"Content"), derived("study", b"content")}
    validate_value("UI", made, config.RAISE)


def test_names_quote_nothing_invalid() -> None:
    assert named(CTImageStorage, "an object") == "CT Image Storage"
    assert named("Doe^John", "an object") == "an object without a valid UID"


@pytest.mark.parametrize("value", ["", None])
def test_images_without_sop_instance_uid_are_read(tmp_path: Path, value: str | None) -> None:
    datasets = ct_series()
    for data in datasets:
        if value is None:
            del data.SOPInstanceUID
        else:
            data.SOPInstanceUID = value
    volume = read(write_without_meta(datasets, tmp_path / "a"))
    np.testing.assert_array_equal(volume.hu, thorax())
    assert any("24 of 24 images have no SOP Instance UID" in note for note in volume.notes)
    again = read(write_without_meta(datasets[::-1], tmp_path / "b"))
    uids = [
        sorted(image.sop_instance_uid for image in one.series.instances) for one in (volume, again)
    ]
    assert uids[0] == uids[1]
    assert len(set(uids[0])) == len(datasets)
    assert all(map(is_valid, uids[0]))


def test_the_uid_in_the_file_meta_is_the_images(tmp_path: Path) -> None:
    datasets = ct_series()
    files = [pydicom.dcmread(BytesIO(as_bytes(data))) for data in datasets]
    for index, file in enumerate(files):
        del file.SOPInstanceUID, file.SOPClassUID
        file.save_as(tmp_path / str(index))
    volume = read(tmp_path)
    np.testing.assert_array_equal(volume.hu, thorax())
    assert {image.sop_instance_uid for image in volume.series.instances} == {
        data.SOPInstanceUID for data in datasets
    }
    assert volume.notes == ()


def test_one_file_meta_for_all_images_is_no_uid_of_theirs(tmp_path: Path) -> None:
    """And a copy of one of them is still known as one."""
    datasets = ct_series()
    for data in datasets:
        data.SOPInstanceUID = ""
    write(datasets, tmp_path)
    for file in tmp_path.iterdir():
        content = pydicom.dcmread(file)
        content.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
        content.save_as(file)
    volume = read(tmp_path)
    np.testing.assert_array_equal(volume.hu, thorax())
    assert any("24 of 24 images have no SOP Instance UID" in note for note in volume.notes)


def test_a_copy_without_uid_is_kept_once(tmp_path: Path) -> None:
    datasets = ct_series()
    for data in datasets:
        data.SOPInstanceUID = ""
    write_without_meta(datasets, tmp_path)
    (tmp_path / "copy").write_bytes((tmp_path / "003").read_bytes())
    study = gg.read_study(tmp_path)
    (rejection,) = study.rejected
    assert "the same image as" in rejection.reason
    np.testing.assert_array_equal(gg.read_volume(study.series[0]).hu, thorax())


def test_different_images_of_one_uid_are_still_refused(tmp_path: Path) -> None:
    datasets = ct_series()
    datasets[3].SOPInstanceUID = datasets[4].SOPInstanceUID
    study = gg.read_study(write(datasets, tmp_path))
    assert {rejection.reason[:18] for rejection in study.rejected} == {"copies that differ"}


def spoilt(keyword: str, value: str, folder: Path) -> Path:
    datasets = ct_series(StudyDate="20210304")
    with config.disable_value_validation(), quietly():
        for index, data in enumerate(datasets):
            own = f"{value}.0{index}" if keyword == "SOPInstanceUID" and value else value
            setattr(data, keyword, own)
        return write_without_meta(datasets, folder)


@pytest.mark.parametrize("value", ["", *INVALID])
@pytest.mark.parametrize("keyword", UIDS)
def test_no_result_carries_an_invalid_uid(
    tmp_path: Path, keyword: str, value: str, recwarn: pytest.WarningsRecorder
) -> None:
    folder = spoilt(keyword, value, tmp_path / "ct")
    recwarn.clear()
    volume = read(folder)
    assert (keyword == "FrameOfReferenceUID" and not value) or volume.notes
    assert not any(
        letter.isdigit()
        for note in volume.notes
        for letter in note.partition("UID")[2].replace("PS3.5 section 9", "")
    )
    objects = dicom_results(result_of(volume), volume)
    assert not recwarn
    kinds = {str(made.kind) for made in objects}
    referred = {"structured-report", "segmentation", "saliency"}
    assert kinds == ({"capture", *referred} if keyword == "FrameOfReferenceUID" else {"capture"})
    for made in objects:
        for element in pydicom.dcmread(BytesIO(made.content)).iterall():
            if element.VR == "UI" and element.value:
                assert is_valid(str(element.value)), element.keyword
    studies = {made.study_instance_uid for made in objects}
    assert len(studies) == 1
    if keyword != "StudyInstanceUID":
        assert studies == {ct_series()[0].StudyInstanceUID}


@pytest.mark.parametrize("keyword", UIDS)
def test_results_with_uids_of_our_own_are_valid_and_the_same_again(
    tmp_path: Path, keyword: str
) -> None:
    volume = read(spoilt(keyword, "1.2.anonymous", tmp_path / "ct"))
    objects = dicom_results(result_of(volume), volume)
    for made in objects:
        (tmp_path / made.name).write_bytes(made.content)
        assert dciodvfy(tmp_path / made.name) == [], made.name
    again = dicom_results(result_of(volume), volume)
    assert [made.content for made in again] == [made.content for made in objects]


def test_a_refusal_of_a_study_without_uid_has_one(tmp_path: Path) -> None:
    folder = spoilt("StudyInstanceUID", "", tmp_path / "ct")
    instances = gg.read_study(folder).series[0].instances
    error = gg.GroundglassError("a", expected="b", action="c")
    (capture,) = refusal_results(instances, error, ANALYSIS)
    assert is_valid(capture.study_instance_uid)
    volume = read(folder)
    assert dicom_results(result_of(volume), volume)[0].study_instance_uid == (
        capture.study_instance_uid
    )


def test_the_report_says_why_there_are_captures_only(tmp_path: Path) -> None:
    volume = read(spoilt("SOPInstanceUID", "", tmp_path / "ct"))
    out = write_report(result_of(volume), volume, tmp_path / "out")
    document = json.loads((out / "result.json").read_text("utf-8"))
    assert document["dicom"]["reason"].startswith("Only captures: the images have no valid")
    assert any("no SOP Instance UID" in note for note in document["input"]["notes"])
    assert {made["kind"] for made in document["dicom"]["objects"]} == {"capture"}
    assert ExplicitVRLittleEndian in {
        made["transfer_syntax_uid"] for made in document["dicom"]["objects"]
    }
