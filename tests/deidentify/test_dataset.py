"""De-identification: nothing planted is left, everything that belongs together still does."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EncapsulatedPDFStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
)

import groundglass as gg
from groundglass.core.result import RESEARCH_USE_ONLY
from groundglass.deidentify.confidentiality import basic_profile
from groundglass.deidentify.dataset import Identifying, deidentify
from groundglass.deidentify.export import Export, export_deidentified
from groundglass.deidentify.pseudonyms import SiteKey
from groundglass.errors import ReadError, SettingsError
from groundglass.report.dicom.results import dicom_results
from groundglass.report.dicom.settings import DicomSettings
from made_ct import as_bytes, ct_series, enhanced_ct, write
from made_result import made_result

pytest.importorskip("dicomanonymizer", reason="dicom-anonymizer is in the serve extra")

KEY = SiteKey(b"a secret of this test, no other")
OTHER = SiteKey(b"another secret, of another site")


def export(source: Path, out: Path, key: SiteKey = KEY) -> Export:
    out.mkdir()
    return export_deidentified(source, out, key)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def datasets(folder: Path) -> list[Dataset]:
    return [pydicom.dcmread(path) for path in files(folder)]


class Plant:
    """Makes values that are found nowhere else, and looks for them."""

    def __init__(self) -> None:
        self.values: list[object] = []

    def __call__(self, vr: str) -> object:
        number = len(self.values)
        word = f"Q{number:03d}ZX"
        made: dict[str, object] = {
            **dict.fromkeys(("LO", "SH", "LT", "ST", "UT", "UC", "PN", "AE"), word),
            "CS": word,
            "UR": f"http://{word}.example",
            "UI": f"1.3.999.{number + 1}.4711",
            "DA": f"{1900 + number % 60}{1 + number % 12:02d}{1 + number % 28:02d}",
            "DT": f"19{number % 60:02d}0203040506.{number:06d}",
            "TM": f"0405{number % 60:02d}.{100000 + number:06d}",
            "AS": f"{number % 90 + 10:03d}D",
            **dict.fromkeys(("DS", "IS"), str(1_987_000_000 + number)),
            **dict.fromkeys(("FD", "FL", "UL", "SL"), 70000 + number),
            **dict.fromkeys(("US", "SS"), 17000 + number),
            **dict.fromkeys(("OB", "OW", "UN"), word.encode()),
        }
        value = made[vr]
        self.values.append(value)
        return value


def planted_everywhere(plant: Plant) -> Dataset:
    """A CT that has every attribute the profile names, private ones, and all again in sequences."""
    (data,) = ct_series()[:1]
    _plant_profile(data, plant)
    data.SOPClassUID = CTImageStorage
    data.SamplesPerPixel = 1
    item = Dataset()
    _plant_profile(item, plant)
    # Kept: a sequence the profile does not name, one in it, and one of references.
    group = Dataset()
    group.DerivationImageSequence = Sequence([item])
    _plant_private(group, plant)
    data.SharedFunctionalGroupsSequence = Sequence([group])
    reference = Dataset()
    reference.ReferencedSOPInstanceUID = plant("UI")
    reference.PatientName = plant("PN")
    data.ReferencedImageSequence = Sequence([reference])
    _plant_private(data, plant)
    for tag, vr in ((0x60003000, "OW"), (0x60004000, "LT"), (0x50002500, "LO")):
        data.add_new(tag, vr, plant(vr))
    return data


def _plant_profile(data: Dataset, plant: Plant) -> None:
    for tag in basic_profile():
        keyword = keyword_for_tag(tag)
        if not keyword or keyword in {"SOPClassUID", "PixelData", "TransferSyntaxUID"}:
            continue
        if Tag(tag).group < 0x0008:
            continue
        vr = dictionary_VR(tag)
        if vr == "SQ":
            item = Dataset()
            item.PatientName, item.PatientComments = plant("PN"), plant("LT")
            item.CodeMeaning = plant("LO")
            if keyword not in {"ContentSequence", "ReferencedImageSequence", "SourceImageSequence"}:
                data.add_new(tag, "SQ", Sequence([item]))
        else:
            data.add(DataElement(tag, vr, plant(vr)))


def _plant_private(data: Dataset, plant: Plant) -> None:
    for group in (0x0009, 0x0029, 0x7FE1):
        block = data.private_block(group, str(plant("LO")), create=True)
        for offset, vr in enumerate(("LO", "UN", "DA", "FD", "PN"), 1):
            block.add_new(offset, vr, plant(vr))


def file_of(data: Dataset, plant: Plant) -> bytes:
    """With preamble and file meta information that tell, too."""
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.file_meta.SourceApplicationEntityTitle = plant("AE")
    data.file_meta.PrivateInformationCreatorUID = plant("UI")
    data.file_meta.PrivateInformation = plant("OB")
    buffer = BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    content = bytearray(buffer.getvalue())
    word = str(plant("LO")).encode()
    content[: len(word)] = word
    return bytes(content)


def elements(data: Dataset) -> Iterator[DataElement]:
    for element in data:
        yield element
        if element.VR == "SQ":
            for item in element.value:
                yield from elements(item)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_nothing_planted_is_left(tmp_path: Path) -> None:
    plant = Plant()
    with pydicom.config.disable_value_validation():
        data = planted_everywhere(plant)
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "Doe^Jane.dcm").write_bytes(file_of(data, plant))
    assert len(plant.values) > 1000
    done = export(tmp_path / "in", tmp_path / "out")
    assert done.written == 1
    (path,) = files(tmp_path / "out")
    content = path.read_bytes()
    left = [value for value in plant.values if isinstance(value, str) and value.encode() in content]
    left += [value for value in plant.values if isinstance(value, bytes) and value in content]
    assert left == []
    numbers = {value for value in plant.values if isinstance(value, int)}
    clean = pydicom.dcmread(path)
    told = {e.value for e in elements(clean) if isinstance(e.value, int | float)}
    assert not told & numbers
    assert not any(element.tag.is_private for element in elements(clean))
    assert "Doe" not in str(path.relative_to(tmp_path / "out"))


def test_a_name_in_a_text_that_stays_is_taken_out() -> None:
    (data,) = ct_series()[:1]
    data.PatientName = "Fictitious^Frieda"
    data.AccessionNumber = "ACC-998877"
    data.FilterType = "made for frieda"
    data.SoftwareVersions = ["v1", "ACC-998877"]
    data.ConvolutionKernel = "B40f"
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    clean = deidentify(data, KEY)
    assert clean.FilterType == "ANONYMIZED"
    assert "ACC-998877" not in str(clean.SoftwareVersions)
    assert clean.ConvolutionKernel == "B40f"
    assert data.PatientName == "Fictitious^Frieda"  # the source is left as it is


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[gg.Volume, Path, Path]:
    """A CT with its results, and the export of both."""
    folder = tmp_path_factory.mktemp("study")
    write(ct_series(StudyDate="20210304", AcquisitionDate="20210305"), folder / "in")
    volume = gg.read_volume(gg.select_chest_ct(gg.read_study(folder / "in")))
    results = dicom_results(made_result(volume, (5,)), volume, DicomSettings(key_objects=True))
    for made in results:
        (folder / "in" / made.name).write_bytes(made.content)
    export(folder / "in", folder / "out")
    return volume, folder / "in", folder / "out"


def test_a_study_stays_one_study_and_can_be_analysed(
    exported: tuple[gg.Volume, Path, Path],
) -> None:
    volume, source, out = exported
    assert len(files(out)) == len(files(source))
    assert len({data.StudyInstanceUID for data in datasets(out)}) == 1
    again = gg.read_volume(gg.select_chest_ct(gg.read_study(out)))
    assert np.array_equal(again.hu, volume.hu)
    assert again.geometry == volume.geometry


def test_references_lead_to_the_new_images(exported: tuple[gg.Volume, Path, Path]) -> None:
    """Segmentation, map, report and key objects name CT images and each other."""
    found = datasets(exported[2])
    uids = {data.SOPInstanceUID for data in found} | {data.SeriesInstanceUID for data in found}
    checked = 0
    for data in found:
        for element in elements(data):
            if element.keyword in {"ReferencedSOPInstanceUID"}:
                assert element.value in uids
                checked += 1
    assert checked > 60
    frames = {data.FrameOfReferenceUID for data in found if "FrameOfReferenceUID" in data}
    assert len(frames) == 1


def test_our_own_results_stay_what_they_are(exported: tuple[gg.Volume, Path, Path]) -> None:
    found = datasets(exported[2])
    results = [data for data in found if data.SOPClassUID != CTImageStorage]
    assert len(results) == 6
    for data in results:
        assert data.SeriesDescription.startswith("Research use only")
    (report,) = [data for data in results if data.Modality == "SR"]
    texts = [e.value for e in elements(report) if e.keyword == "TextValue"]
    assert RESEARCH_USE_ONLY in texts
    assert not any("Made up" in text for text in texts)  # free text, whoever wrote it
    numbers = [float(e.value) for e in elements(report) if e.keyword == "NumericValue"]
    assert 0.8125 in numbers


def test_the_same_key_gives_the_same_files_whatever_else_is_there(
    exported: tuple[gg.Volume, Path, Path], tmp_path: Path
) -> None:
    _, source, out = exported
    alone = tmp_path / "in"
    alone.mkdir()
    one = files(source)[3]
    (alone / "renamed").write_bytes(one.read_bytes())
    export(alone, tmp_path / "out")
    (again,) = files(tmp_path / "out")
    first = out / again.relative_to(tmp_path / "out")
    assert first.read_bytes() == again.read_bytes()


def test_another_key_gives_other_names(tmp_path: Path) -> None:
    write(ct_series()[:3], tmp_path / "in")
    for name, key in (("a", KEY), ("b", OTHER)):
        export(tmp_path / "in", tmp_path / name, key)
    first, second = (datasets(tmp_path / name) for name in "ab")
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PatientID"):
        old = {data[keyword].value for data in ct_series()[:3]}
        new = [{data[keyword].value for data in found} for found in (first, second)]
        assert not new[0] & new[1]
        assert not (new[0] | new[1]) & old
        assert len(new[0]) == len(old)


def test_no_name_can_be_guessed_without_the_key() -> None:
    """Plain hashes of a patient's number are reversed by trying all numbers."""
    plain = hashlib.sha256(b"4711").digest()
    assert KEY.patient("4711") != OTHER.patient("4711")
    assert KEY.uid("1.2.3") != OTHER.uid("1.2.3")
    assert plain.hex()[:8] not in KEY.patient("4711")
    assert UID(KEY.uid("1.2.3")).is_valid
    assert "secret" not in repr(KEY)


@pytest.mark.parametrize("secret", [b"", b"fifteen bytes!!"])
def test_a_short_key_is_refused(secret: bytes) -> None:
    with pytest.raises(SettingsError, match=f"a key of {len(secret)} bytes"):
        SiteKey(secret)


def shifted(data: Dataset, key: SiteKey = KEY) -> Dataset:
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return deidentify(data, key)


def day(text: str) -> date:
    return date(int(text[:4]), int(text[4:6]), int(text[6:8]))


def test_dates_move_together_for_a_patient_and_into_the_past() -> None:
    first, second, other = (ct_series()[0] for _ in range(3))
    first.StudyDate, first.AcquisitionDate = "20210304", "20210302"
    first.AcquisitionDateTime = "20210302101112.5+0100"
    second.StudyDate, second.StudyInstanceUID = "20220304", "1.2.3.4"
    other.StudyDate, other.PatientID = "20210304", "SOMEBODY ELSE"
    a, b, c = shifted(first), shifted(second), shifted(other)
    assert (day(a.StudyDate) - day(a.AcquisitionDate)).days == 2
    assert (day(b.StudyDate) - day(a.StudyDate)).days == 365
    assert 30 <= (day("20210304") - day(a.StudyDate)).days <= 3650
    assert c.StudyDate != a.StudyDate
    assert a.PatientID == b.PatientID != c.PatientID
    assert a.AcquisitionDateTime == f"{a.AcquisitionDate}000000"
    assert a.PatientBirthDate in {"", None} if "PatientBirthDate" in a else True


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("stated", ["", "yesterday", "20211399", "0001"])
def test_dates_that_are_none_become_empty(stated: str) -> None:
    data = ct_series()[0]
    with pydicom.config.disable_value_validation():
        data.StudyDate = stated
        assert not shifted(data).StudyDate or stated == "0001"
        assert shifted(data).StudyDate != stated or not stated


def test_what_was_done_is_declared() -> None:
    clean = shifted(ct_series()[0])
    assert clean.PatientIdentityRemoved == "YES"
    assert clean.LongitudinalTemporalInformationModified == "MODIFIED"
    codes = [item.CodeValue for item in clean.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113107", "113104"]


def capture(**header: object) -> Dataset:
    data = ct_series(**header)[0]
    data.SOPClassUID = SecondaryCaptureImageStorage
    return data


@pytest.mark.parametrize(
    "data",
    [
        ct_series(BurnedInAnnotation="YES")[0],
        ct_series(SOPClassUID=UltrasoundImageStorage)[0],
        ct_series(SOPClassUID=EncapsulatedPDFStorage)[0],
        ct_series(ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"])[0],
        ct_series(ImageType=["DERIVED", "SECONDARY", "OTHER", "DOSE_INFO"])[0],
        ct_series(SamplesPerPixel=3)[0],
        capture(),
        capture(BurnedInAnnotation="NO"),
        capture(Manufacturer="groundglass developers", ManufacturerModelName="groundglass"),
    ],
    ids=["burned-in", "ultrasound", "pdf", "screen", "dose", "colour", "capture", "claims", "ours"],
)
def test_pixels_that_may_show_a_name_are_refused(data: Dataset) -> None:
    with pytest.raises(Identifying):
        shifted(data)


def test_drawings_in_the_pixels_unused_bits_are_refused() -> None:
    data = ct_series()[0]
    data.add_new(0x60000102, "US", 12)
    with pytest.raises(Identifying, match="unused bits"):
        shifted(data)


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, JPEGLosslessSV1]
)
def test_pixels_are_the_same_in_every_encoding(tmp_path: Path, syntax: UID) -> None:
    source = write(ct_series()[:4], tmp_path / "in", syntax)
    export(source, tmp_path / "out")
    before = {data.InstanceNumber: data.PixelData for data in datasets(source)}
    after = {data.InstanceNumber: data.PixelData for data in datasets(tmp_path / "out")}
    assert before == after


def test_a_multi_frame_ct_is_exported_and_read(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "all").write_bytes(as_bytes(enhanced_ct()))
    export(tmp_path / "in", tmp_path / "out")
    volumes = [
        gg.read_volume(gg.select_chest_ct(gg.read_study(tmp_path / name))) for name in ("in", "out")
    ]
    assert np.array_equal(volumes[0].hu, volumes[1].hu)


def test_what_is_left_out_has_its_reason_and_the_rest_is_written(tmp_path: Path) -> None:
    source = write(ct_series()[:3], tmp_path / "in")
    content = (source / "im0000").read_bytes()
    (source / "copy").write_bytes(content)
    (source / "notes.txt").write_text("mine")
    (source / "cut").write_bytes(content[:300])
    (source / "big-endian").write_bytes(as_bytes(ct_series()[5], ExplicitVRBigEndian))
    (source / "screen").write_bytes(as_bytes(ct_series(BurnedInAnnotation="YES")[7]))
    nested = Dataset()
    for _ in range(40):
        outer = Dataset()
        outer.DerivationImageSequence = Sequence([nested])
        nested = outer
    deep = ct_series(DerivationImageSequence=Sequence([nested]))[9]
    (source / "deep").write_bytes(as_bytes(deep))
    done = export(source, tmp_path / "out")
    assert done.written == 3
    reasons = {rejection.what: rejection.reason for rejection in done.refused}
    assert set(reasons) == {"im0000", "notes.txt", "cut", "big-endian", "screen", "deep"}
    assert "already written" in reasons["im0000"]  # its copy came first
    assert "nested" in reasons["deep"]
    assert all("expected" in reason for reason in reasons.values())


def test_nothing_to_write_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("mine")
    with pytest.raises(ReadError, match="no file that can be de-identified"):
        export(tmp_path / "in", tmp_path / "out")


def test_without_the_library_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    basic_profile.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "dicomanonymizer.simpledicomanonymizer", None)
    with pytest.raises(SettingsError, match=r"pip install '\.\[deidentify\]'"):
        export(write(ct_series()[:1], tmp_path / "in"), tmp_path / "out")
    monkeypatch.undo()
    basic_profile.cache_clear()
