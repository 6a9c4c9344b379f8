"""Our DICOM results before other people's programs: valid, and read back as they were written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian

import groundglass as gg
from dicom_judges import dciodvfy, dsrdump, read_map, read_measurements, read_segment
from groundglass.core.result import RESULT_OUTCOMES, Outcome, TriageResult
from groundglass.core.volume import Volume
from groundglass.report.dicom.result_builder import DicomObject
from groundglass.report.dicom.results import dicom_results, refusal_results
from groundglass.report.dicom.settings import DicomSettings
from made_ct import as_bytes, ct_series, enhanced_ct, write
from made_result import ANALYSIS, ANSWER, made_result, without_verdict
from made_verdicts import by_share

ALL = DicomSettings(key_objects=True)
KINDS = ["capture", "capture", "capture", "structured-report", "segmentation", "saliency",
         "key-objects"]  # fmt: skip

#: Whole headers as hospitals write them: what the made CT has not, and names in other letters.
PATIENT = {
    "PatientID": "4711-A",
    "PatientBirthDate": "19570101",
    "PatientSex": "F",
    "StudyDate": "20210304",
    "StudyTime": "101530.25",
    "AcquisitionDate": "20210304",
    "AcquisitionTime": "101812",
    "StudyID": "17",
    "AccessionNumber": "A-2021-99",
    "ReferringPhysicianName": "Referrer^Rita",
    "Manufacturer": "Scanner maker",
    "ManufacturerModelName": "Scanner model",
    "BodyPartExamined": "CHEST",
}
NAMES = {
    "none": (None, "Made^Up"),
    "latin-1": ("ISO_IR 100", "Müller^Jürg"),
    "utf-8": ("ISO_IR 192", "Wang^XiaoDong=王^小东"),
    "japanese": (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    "korean": (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    "chinese": ("GB18030", "Wang^XiaoDong=王^小东"),
    "cyrillic": ("ISO_IR 144", "Люкceмбypг^Анна"),
}


@dataclass(frozen=True)
class Written:
    """A result and its objects as files."""

    result: TriageResult
    volume: Volume
    objects: tuple[DicomObject, ...]
    folder: Path

    def path(self, kind: str) -> Path:
        return self.folder / next(made.name for made in self.objects if made.kind == kind)

    def data(self, kind: str) -> Dataset:
        return pydicom.dcmread(self.path(kind))


def read(folder: Path) -> Volume:
    return gg.read_volume(gg.select_chest_ct(gg.read_study(folder)))


def write_objects(objects: tuple[DicomObject, ...], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for made in objects:
        (folder / made.name).write_bytes(made.content)


def written(volume: Volume, result: TriageResult, folder: Path) -> Written:
    objects = dicom_results(result, volume, ALL)
    write_objects(objects, folder)
    return Written(result, volume, objects, folder)


def named(name: str) -> list[Dataset]:
    letters, patient = NAMES[name]
    series = ct_series(**PATIENT)
    for data in series:
        if letters is not None:
            data.SpecificCharacterSet = letters
        data.PatientName = patient
    return series


@pytest.fixture(scope="module")
def classic(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A CT of one object per slice."""
    folder = tmp_path_factory.mktemp("classic")
    volume = read(write(named("utf-8"), folder / "ct"))
    return written(volume, made_result(volume), folder / "out")


@pytest.fixture(scope="module")
def enhanced(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A CT of one object, its frames stored from head to feet."""
    folder = tmp_path_factory.mktemp("enhanced")
    (folder / "ct").mkdir()
    (folder / "ct" / "all").write_bytes(as_bytes(enhanced_ct(**PATIENT)))
    volume = read(folder / "ct")
    return written(volume, made_result(volume), folder / "out")


@pytest.fixture(params=["classic", "enhanced"])
def made(request: pytest.FixtureRequest) -> Written:
    found: Written = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def triage(bundle: Path) -> Callable[[Volume], TriageResult]:
    return gg.Triage.load(bundle)


def test_every_kind_is_valid(made: Written) -> None:
    assert [str(m.kind) for m in made.objects] == KINDS
    for one in made.objects:
        assert dciodvfy(made.folder / one.name) == [], one.name


@pytest.mark.parametrize(
    ("ill", "cp"), [(12, 0.9), (12, 0.6), (1, 0.6)], ids=["kind", "kind not told", "none seen"]
)
def test_verdicts_by_share_are_valid_and_shown(tmp_path: Path, ill: int, cp: float) -> None:
    volume = read(write(named("utf-8"), tmp_path / "ct"))
    found = written(volume, by_share(made_result(volume), ill, cp), tmp_path / "out")
    assert [str(m.kind) for m in found.objects] == KINDS
    for one in found.objects:
        assert dciodvfy(found.folder / one.name) == [], one.name
    shown = dsrdump(found.path("structured-report"))
    assert ("No findings of pneumonia seen" in shown) == (ill == 1)
    assert ("Kind not told" in shown) == (ill > 1 and cp < 0.8)
    assert ("COVID-19 pneumonia" in shown.split("Imaging Measurements")[1]) == (cp == 0.9)


@pytest.mark.parametrize("name", NAMES)
def test_names_in_any_letters_are_valid_and_the_studys(tmp_path: Path, name: str) -> None:
    source = named(name)
    volume = read(write(source, tmp_path / "ct"))
    result = replace(made_result(volume, key_slices=(5,)), coarse_heat=None)
    found = written(volume, result, tmp_path / "out")
    for one in found.objects:
        path = found.folder / one.name
        assert dciodvfy(path) == [], one.name
        data = pydicom.dcmread(path)
        assert data.PatientName == source[0].PatientName
        assert data.get("SpecificCharacterSet") == source[0].get("SpecificCharacterSet")
        for keyword in ("PatientID", "PatientBirthDate", "StudyDate", "AccessionNumber"):
            assert data[keyword].value == PATIENT[keyword]


@pytest.mark.parametrize("syntax", [DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_source_in_any_encoding_gives_the_same_results(
    tmp_path: Path, classic: Written, syntax: pydicom.uid.UID
) -> None:
    volume = read(write(named("utf-8"), tmp_path / "ct", syntax))
    again = dicom_results(made_result(volume), volume, ALL)
    assert [one.content for one in again] == [one.content for one in classic.objects]


@pytest.mark.parametrize("outcome", [o for o in RESULT_OUTCOMES if o is not Outcome.VERDICT])
def test_without_a_verdict_a_valid_capture_is_all(
    tmp_path: Path, classic: Written, outcome: Outcome
) -> None:
    result = without_verdict(classic.result, outcome, "Made to end so.")
    objects = dicom_results(result, classic.volume)
    write_objects(objects, tmp_path)
    assert [one.name for one in objects] == ["capture-1.dcm"]
    assert dciodvfy(tmp_path / "capture-1.dcm") == []


def test_a_refusal_is_valid(tmp_path: Path, shared_data: Path) -> None:
    study = gg.read_study(shared_data / "odd-inputs")
    (brain,) = [series for series in study.series if series.modality == "MR"][:1]
    error = gg.NoChestCT("a brain", expected="a chest", action="Send it.", rejections=("MR: no",))
    (capture,) = refusal_results(brain.instances, error, ANALYSIS)
    write_objects((capture,), tmp_path)
    assert dciodvfy(tmp_path / capture.name) == []
    data = pydicom.dcmread(tmp_path / capture.name)
    assert data.StudyInstanceUID == brain.study_instance_uid
    assert data.SeriesInstanceUID != brain.series_instance_uid


def in_volume(
    volume: Volume, values: np.ndarray, origin: np.ndarray, like: np.ndarray
) -> np.ndarray:
    """What dcmqi read, put on the volume's grid by its position in the patient."""
    first = np.linalg.inv(volume.geometry.affine) @ np.array([*origin, 1.0])
    index = np.rint(first[:3]).astype(int)
    assert np.abs(first[:3] - index).max() < 1e-3
    placed = np.zeros_like(like)
    part = placed[tuple(slice(i, i + n) for i, n in zip(index, values.shape, strict=True))]
    assert part.shape == values.shape
    part[...] = values
    return placed


def test_the_mask_is_read_back_voxel_for_voxel(made: Written, tmp_path: Path) -> None:
    values, origin = read_segment(made.path("segmentation"), tmp_path)
    assert np.array_equal(
        in_volume(made.volume, values, origin, made.result.mask), made.result.mask
    )


def test_the_heat_is_read_back_to_a_thousandth(made: Written, tmp_path: Path) -> None:
    values, origin = read_map(made.path("saliency"), tmp_path)
    result = made.result
    heat = in_volume(made.volume, values, origin, np.zeros(result.mask.shape, np.float64))
    for heatmap in result.heatmaps:
        off = np.abs(heat[heatmap.slice_index] - heatmap.heat)
        assert off.max() <= 0.5e-3 + 1e-6
    coarse = result.coarse_heat
    assert coarse is not None
    keys = {heatmap.slice_index for heatmap in result.heatmaps}
    for index, cells in zip(coarse.slice_indices, coarse.heat, strict=True):
        if index not in keys:
            assert heat[index].mean() == pytest.approx(cells.mean(), abs=1e-3)
            assert heat[index].max() <= cells.max() + 0.5e-3
    assert not heat[:2].any()


def test_the_numbers_are_read_back(made: Written, tmp_path: Path) -> None:
    report = read_measurements(made.path("structured-report"), tmp_path)
    found = {group["TrackingIdentifier"]: group for group in report["Measurements"]}
    probability = {
        name: float(found[name]["measurementItems"][0]["value"])
        for name in ("COVID-19 pneumonia", "Other pneumonia", "Healthy")
    }
    assert list(probability.values()) == pytest.approx(list(ANSWER.values()), abs=1e-12)
    (volume,) = found["Lungs"]["measurementItems"]
    ml = made.result.mask.sum() * made.volume.geometry.voxel_ml
    assert float(volume["value"]) == pytest.approx(ml, rel=1e-9)
    assert volume["units"]["CodeValue"] == "ml"
    burden = made.result.opacity_burden
    assert burden is not None
    right = found["Ground glass opacity, right lung, -700 to -300 HU"]["measurementItems"]
    total = sum(r.ground_glass_ml for (side, _), r in burden.regions.items() if side == "right")
    assert float(right[0]["value"]) == pytest.approx(total)
    assert float(right[1]["value"]) == pytest.approx(100 * total / (ml / 2))


def test_a_reader_of_the_report_sees_its_limits_before_any_number(made: Written) -> None:
    text = dsrdump(made.path("structured-report"))
    assert text.index("Research use only. Not a medical device") < text.index("Probability")
    assert text.index("its verdict means nothing") < text.index("Probability")
    assert made.result.reason in text
    assert "COVID-19 pneumonia" in text


def test_key_slices_are_named_by_object_and_frame(made: Written) -> None:
    expected = []
    for heatmap in made.result.heatmaps:
        z = made.volume.geometry.position_mm((heatmap.slice_index, 0, 0))[2]
        expected.append(place(made, z))
    groups = made.data("structured-report").ContentSequence[-1].ContentSequence
    images = [item for item in groups[1].ContentSequence if item.ValueType == "IMAGE"]
    told = [item.ReferencedSOPSequence[0] for item in images]
    assert [
        (ref.ReferencedSOPInstanceUID, ref.get("ReferencedFrameNumber")) for ref in told
    ] == expected
    selected = [
        item.ReferencedSOPSequence[0]
        for item in made.data("key-objects").ContentSequence
        if item.ValueType == "IMAGE"
    ]
    frames = [
        (ref.ReferencedSOPInstanceUID, number)
        for ref in selected
        for number in np.atleast_1d(ref.get("ReferencedFrameNumber"))
    ]
    assert sorted(frames, key=str) == sorted(expected, key=str)


@pytest.mark.parametrize("kind", ["structured-report", "key-objects"])
def test_all_a_document_names_is_in_its_evidence(made: Written, kind: str) -> None:
    data = made.data(kind)
    (study,) = data.CurrentRequestedProcedureEvidenceSequence
    evidence = {
        reference.ReferencedSOPInstanceUID
        for series in study.ReferencedSeriesSequence
        for reference in series.ReferencedSOPSequence
    }
    named = {
        element.value
        for element in data["ContentSequence"].value[-1].iterall()
        if element.keyword == "ReferencedSOPInstanceUID"
    } | {
        reference.ReferencedSOPInstanceUID
        for item in data.ContentSequence
        for reference in item.get("ReferencedSOPSequence", ())
    }
    assert named
    assert named <= evidence


def place(made: Written, z: float) -> tuple[str, int | None]:
    """Object and frame at a height, from the files the study was made of."""
    if made.volume.series is None or len(made.volume.series.instances) == 1:
        data = enhanced_ct(**PATIENT)
        heights = [
            group.PlanePositionSequence[0].ImagePositionPatient[2]
            for group in data.PerFrameFunctionalGroupsSequence
        ]
        return data.SOPInstanceUID, heights.index(z) + 1
    by_height = {data.ImagePositionPatient[2]: data.SOPInstanceUID for data in ct_series()}
    return by_height[z], None


def test_frames_refer_to_the_images_they_lie_on(made: Written) -> None:
    for kind in ("segmentation", "saliency"):
        data = made.data(kind)
        for group in data.PerFrameFunctionalGroupsSequence:
            z = float(group.PlanePositionSequence[0].ImagePositionPatient[2])
            (ref,) = group.DerivationImageSequence[0].SourceImageSequence
            found = ref.ReferencedSOPInstanceUID, ref.get("ReferencedFrameNumber")
            assert found == place(made, z)
        whole = {ref.ReferencedSOPInstanceUID for ref in data.SourceImageSequence}
        uids = {instance.sop_instance_uid for instance in made.volume.series.instances}
        assert whole <= uids


def test_results_are_filed_in_the_study_and_beside_the_ct(made: Written) -> None:
    series = made.volume.series
    assert series is not None
    assert {one.study_instance_uid for one in made.objects} == {series.study_instance_uid}
    of_kind = {(one.kind, one.series_instance_uid) for one in made.objects}
    assert len({uid for _, uid in of_kind} | {series.series_instance_uid}) == len(of_kind) + 1
    assert len({one.sop_instance_uid for one in made.objects}) == len(made.objects)
    for one in made.objects:
        data = pydicom.dcmread(BytesIO(one.content))
        assert data.SeriesDescription.startswith("Research use only")
        assert data.Manufacturer == "groundglass developers"
        (scanner, *_) = data.ContributingEquipmentSequence
        assert scanner.Manufacturer == PATIENT["Manufacturer"]


@pytest.mark.parametrize("study", ["phantom", "lung-dx-A0001"])
def test_whole_analyses_are_valid_and_read_back(
    study: str,
    triage: Callable[[Volume], TriageResult],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    folder = (
        request.getfixturevalue("phantom_study")
        if study == "phantom"
        else request.getfixturevalue("shared_data") / "studies" / study
    )
    volume = read(folder)
    found = written(volume, triage(volume), tmp_path / "out")
    for one in found.objects:
        assert dciodvfy(found.folder / one.name) == [], one.name
    assert "Research use only" in dsrdump(found.path("structured-report"))
    values, origin = read_segment(found.path("segmentation"), tmp_path)
    mask = found.result.mask
    assert np.array_equal(in_volume(volume, values, origin, mask), mask)
    report = read_measurements(found.path("structured-report"), tmp_path)
    told = {group["TrackingIdentifier"]: group for group in report["Measurements"]}
    verdict = found.result.verdict
    assert verdict is not None
    assert verdict.by_share is not None
    percent = [float(item["value"]) for item in told["Verdict"]["measurementItems"]]
    assert any(one == pytest.approx(100 * verdict.by_share.share, abs=1e-9) for one in percent)
    # No class is called where the kind is not told.
    assert "COVID-19 pneumonia" not in told


def test_a_turned_volume_is_read_back_too(tmp_path: Path) -> None:
    """Rows from back to front and columns from left to right: the mask lies where it was found."""
    turned = ct_series(**PATIENT)
    for data in turned:
        data.ImageOrientationPatient = [-1, 0, 0, 0, -1, 0]
        data.ImagePositionPatient = [160.0, 150.0, data.ImagePositionPatient[2]]
    volume = read(write(turned, tmp_path / "ct", ExplicitVRLittleEndian))
    found = written(volume, made_result(volume), tmp_path / "out")
    values, origin = read_segment(found.path("segmentation"), tmp_path)
    mask = found.result.mask
    assert np.array_equal(in_volume(volume, values, origin, mask), mask)
