"""Texts are told as pydicom reads them, whatever letters the file was written in."""

from __future__ import annotations

import struct
import warnings
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pydicom
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydicom.charset import encode_string, python_encoding
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from groundglass.core.study import Series
from groundglass.read import read_study
from groundglass.read.dicom.description_terms import Region, region_of
from groundglass.read.dicom.frames import frames_of
from made_ct import as_bytes, ct_series, enhanced_ct, thorax

_LETTERS = {
    "latin": "áéíóúñÄÖÜß",
    "cyrillic": "ГруднаяклеткаЛегкие",
    "chinese": "胸部平扫肺乗",
    "japanese": "胸部ヒラガナカタ表ソ能",  # 表, ソ, 能 hold a backslash in Shift-JIS
    "korean": "흉부폐야",
    "greek": "ΘΏΡΑΚΑΣ",
}
#: Written and read by one character set.
_SINGLE = ("ISO_IR 100", "ISO_IR 101", "ISO_IR 144", "ISO_IR 126", "ISO_IR 192", "GB18030", "GBK")
_EXTENDED = ("ISO 2022 IR 87", "ISO 2022 IR 149", "ISO 2022 IR 144", "ISO 2022 IR 126",
             "ISO 2022 IR 159")  # fmt: skip


def content(charset: str, value: bytes, keyword: str = "SeriesDescription") -> bytes:
    """A file with these very bytes, which pydicom would write in other letters."""
    (data,) = ct_series(thorax(1), SpecificCharacterSet="ISO_IR 100")
    setattr(data, keyword, "placeholder")
    file = put(as_bytes(data), "SpecificCharacterSet", charset.encode())
    return put(file, keyword, value)


def put(file: bytes, keyword: str, value: bytes) -> bytes:
    """An explicit little endian file with other bytes as a value (PS3.5 7.1.2)."""
    tag = Tag(keyword)
    value += b" " * (len(value) % 2)
    at = file.index(struct.pack("<HH", tag.group, tag.element) + dictionary_VR(tag).encode()) + 6
    (length,) = struct.unpack_from("<H", file, at)
    return file[:at] + struct.pack("<H", len(value)) + value + file[at + 2 + length :]


def read(file: bytes) -> Series:
    with TemporaryDirectory() as folder:
        (Path(folder) / "x").write_bytes(file)
        (series,) = read_study(folder).series
    return series


@settings(max_examples=150, deadline=None)
@given(
    charset=st.one_of(
        st.sampled_from(_SINGLE), st.sampled_from(_EXTENDED).map(lambda term: f"\\{term}")
    ),
    text=st.text(st.sampled_from(sorted({*"".join(_LETTERS.values()), *"CT 5.0 mm"})), min_size=1),
)
def test_any_letters_come_back_as_pydicom_reads_them(charset: str, text: str) -> None:
    encodings = [python_encoding[term] for term in charset.split("\\")]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            value = encode_string(text, encodings)
    except (UserWarning, UnicodeError):
        assume(False)
    file = content(charset, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = pydicom.dcmread(BytesIO(file)).SeriesDescription
    assert read(file).description == str(expected).strip()


@pytest.mark.parametrize("charset", ["GB18030", "GBK", "ISO_IR 13"])
def test_a_backslash_within_a_letter_does_not_split(charset: str) -> None:
    """乗 in GB18030 and 表 in Shift-JIS end with the byte of a backslash."""
    letter = "表" if charset == "ISO_IR 13" else "乗"
    value = f"{letter}A\\{letter}B".encode(python_encoding[charset])
    assert value.count(b"\\") == 3
    frame = frames_of(read(content(charset, value, "ConvolutionKernel")).instances[0])[0]
    assert frame.header.convolution_kernel == (f"{letter}A", f"{letter}B")


@pytest.mark.parametrize(
    ("charset", "value", "text"),
    [
        ("", "胸部平扫".encode(), "胸部平扫"),
        ("", "Thorax für".encode("latin-1"), "Thorax für"),
        ("ISO_IR 6", "胸部".encode(), "胸部"),
        ("NO SUCH SET", "胸部".encode(), "胸部"),
        ("NO SUCH SET", b"\xff\xfe", "ÿþ"),
        ("ISO_IR 192", "Brust für".encode("latin-1"), "Brust für"),
        ("ISO_IR_192", "胸部".encode(), "胸部"),
        ("ISO-IR 144", "Грудь".encode("iso8859_5"), "Грудь"),
        ("ISO 2022 IR 87", b"\x1b$B6;It\x1b(B CT", "胸部 CT"),
        ("ISO_IR 192\\ISO 2022 IR 87", "胸部".encode(), "胸部"),
        ("\\ISO_IR 192\\ISO 2022 IR 87", b"\x1b$B6;It\x1b(B", "胸部"),
        ("ISO_IR 192\\ISO 2022 IR 87", b"\x1b$B6;It\x1b(B", "胸部"),
        ("GB18030", b"\xd0\xd8\xff", "ÐØÿ"),
    ],
)
def test_wrong_and_missing_character_sets_cost_letters_not_the_file(
    charset: str, value: bytes, text: str, recwarn: pytest.WarningsRecorder
) -> None:
    assert read(content(charset, value)).description == text
    assert not recwarn


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian],
    ids=lambda uid: uid.name,
)
def test_items_have_the_character_set_of_what_holds_them_or_their_own(
    tmp_path: Path, syntax: pydicom.uid.UID
) -> None:
    """PS3.5 7.5.3."""
    data = enhanced_ct(thorax(4), SpecificCharacterSet="ISO_IR 144", SeriesDescription="Грудь")
    data.SharedFunctionalGroupsSequence[0].CTReconstructionSequence[0].ConvolutionKernel = "Резкий"
    own = Dataset()
    own.SpecificCharacterSet, own.ConvolutionKernel = "GB18030", "肺"
    data.PerFrameFunctionalGroupsSequence[1].CTReconstructionSequence = Sequence([own])
    (tmp_path / "x").write_bytes(as_bytes(data, syntax))
    (series,) = read_study(tmp_path).series
    frames = frames_of(series.instances[0])
    assert [frame.kernel for frame in frames] == [
        "Резкий", "肺", "Резкий", "Резкий",
    ]  # fmt: skip
    assert series.description == "Грудь"


@pytest.mark.parametrize(
    ("words", "region"),
    [
        ("胸部平扫", Region.CHEST),
        ("흉부 CT", Region.CHEST),
        ("Органы грудной клетки", Region.CHEST),
        ("акт лёгких", Region.CHEST),
        ("Akciğer BT", Region.CHEST),
        ("Mellkas CT", Region.CHEST),
        ("胸椎", Region.ELSEWHERE),
        ("грудной отдел позвоночника", Region.ELSEWHERE),
        ("흉추", Region.ELSEWHERE),
        ("头颅平扫", Region.ELSEWHERE),
        ("胸腹部", Region.CHEST),
        ("복부", Region.ELSEWHERE),
    ],
)
def test_parts_of_the_body_in_other_letters(words: str, region: Region) -> None:
    assert region_of(words) is region
