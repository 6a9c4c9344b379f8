"""What we write is what pydicom writes."""

from __future__ import annotations

from io import BytesIO

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from groundglass.report.dicom.encoding import element, element_bytes, file_bytes, sequence

words = st.text("abc XYZ09äöß山田-", max_size=12)


def made(**values: object) -> Dataset:
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = "2.25.7"
    for keyword, value in values.items():
        setattr(data, keyword, value)
    return data


def by_pydicom(data: Dataset) -> bytes:
    stream = BytesIO()
    data.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def nested(word: str) -> Dataset:
    inner, outer = Dataset(), Dataset()
    inner.CodeMeaning, inner.CodeValue = word, "1"
    inner.ReferencedFrameNumber = [1, 20, 300]
    inner.add_new("SmallestImagePixelValue", "US", 3)
    outer.ConceptNameCodeSequence = [inner, Dataset()]
    outer.TextValue = word
    outer.PersonName = "Yamada^Tarou=山田^太郎"
    outer.NumericValue = "1.50"
    outer.UID = "2.25.123"
    outer.ContentSequence = []
    return outer


@given(words, st.lists(words.map(lambda word: word.strip()), max_size=3))
def test_every_kind_of_value_is_written_as_pydicom_does(word: str, more: list[str]) -> None:
    data = made(
        SpecificCharacterSet="ISO_IR 192",
        PatientName="Müller^Jürg",
        StudyDescription=word,
        SoftwareVersions=more,
        ImageType=["DERIVED", "PRIMARY"],
        ImagePositionPatient=[1.5, -2.25, 1e-7],
        NumberOfFrames=3,
        Rows=5,
        StudyTime="",
        AccessionNumber=None,
        ContentSequence=[nested(word)],
        PixelData=b"\1\2\3\4",
    )
    data["PixelData"].VR = "OB"
    assert file_bytes(data, {}) == by_pydicom(data)


@pytest.mark.parametrize("charset", [None, "ISO_IR 144", ["", "ISO 2022 IR 87"], "GB18030"])
def test_letters_are_written_in_the_files_own_character_set(charset: object) -> None:
    data = made(StudyDescription="Thorax", ContentSequence=[Dataset()])
    if charset is not None:
        data.SpecificCharacterSet = charset
    if charset == "ISO_IR 144":
        data.ContentSequence[0].TextValue = "Люкcемbург"
    assert file_bytes(data, {}) == by_pydicom(data)


def test_an_ambiguous_value_is_written_by_the_pixels_sign() -> None:
    data = made(PixelRepresentation=1, SmallestImagePixelValue=-4, BitsAllocated=16)
    assert pydicom.dcmread(BytesIO(file_bytes(data, {}))).SmallestImagePixelValue == -4


def test_what_is_ready_takes_its_place_and_its_turn() -> None:
    data = made(SOPInstanceUID="2.25.7", StudyID="old", Rows=5)
    ready = {
        0x00200010: element(0x00200010, b"SH", b"new"),
        0x00081115: sequence(0x00081115, element(0x0020000E, b"UI", b"2.25.9")),
    }
    read = pydicom.dcmread(BytesIO(file_bytes(data, ready)))
    assert [int(one.tag) for one in read] == [0x00080018, 0x00081115, 0x00200010, 0x00280010]
    assert read.StudyID == "new"
    assert read.ReferencedSeriesSequence[0].SeriesInstanceUID == "2.25.9"
    assert element_bytes(data, "StudyID") == element(0x00200010, b"SH", b"old")
