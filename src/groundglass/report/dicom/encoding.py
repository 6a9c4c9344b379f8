"""Data sets as bytes: explicit VR, little endian (PS3.5 section 7 and A.2).

pydicom writes any data set in any encoding; for the thousands of short texts that results are made
of, that takes ten times as long as writing them. What is not plain text is left to it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import correct_ambiguous_vr, write_data_element, write_file_meta_info

PIXEL_DATA = 0x7FE00010
_ITEM = 0xFFFEE000
#: Value representations whose length has four bytes (PS3.5 7.1.2), of those written here.
_LONG = frozenset((b"SQ", b"OB", b"OW", b"UT"))
#: Those whose value is a text that is written as it is.
_TEXTS = frozenset(
    ("AE", "AS", "CS", "DA", "DT", "LO", "LT", "SH", "ST", "TM", "UI", "UT")
)  # fmt: skip
#: Padded with a space to an even length; all others with a zero (PS3.5 6.2).
_SPACED = frozenset(
    (b"AE", b"AS", b"CS", b"DA", b"DS", b"DT", b"IS", b"LO", b"LT", b"SH", b"ST", b"TM", b"UT")
)
_Charset = str | list[str]


def file_bytes(dataset: Dataset, ready: Mapping[int, bytes]) -> bytes:
    """A data set as a file (PS3.10).

    Parameters
    ----------
    ready : mapping of int to bytes
        Whole elements by tag that are written as they are, in the place of its own if it has them.
    """
    head = DicomBytesIO()
    write_file_meta_info(head, dataset.file_meta, enforce_standard=True)
    correct_ambiguous_vr(dataset, is_little_endian=True)
    own = {int(element.tag): element for element in dataset if element.tag not in ready}
    charset = dataset.get("SpecificCharacterSet", "iso8859")
    parts = (
        ready[tag] if tag in ready else _written(own[tag], charset)
        for tag in sorted({*own, *ready})
    )
    return b"".join((bytes(128), b"DICM", head.getvalue(), *parts))


def sequence(tag: int, *items: bytes) -> bytes:
    """A sequence of items of these contents."""
    return element(tag, b"SQ", b"".join(map(item, items)))


def item(content: bytes) -> bytes:
    """An item of a sequence (PS3.5 7.5)."""
    return struct.pack("<HHI", *halves(_ITEM), len(content)) + content


def element(tag: int, form: bytes, value: bytes) -> bytes:
    """An element of even length (PS3.5 7.1)."""
    value = even(value, b" " if form in _SPACED else b"\0")
    if form in _LONG:
        return struct.pack("<HH2sHI", *halves(tag), form, 0, len(value)) + value
    return struct.pack("<HH2sH", *halves(tag), form, len(value)) + value


def even(value: bytes, padding: bytes) -> bytes:
    """A value, padded to an even length."""
    return value + padding if len(value) % 2 else value


def halves(tag: int) -> tuple[int, int]:
    """Group and element number."""
    return tag >> 16, tag & 0xFFFF


def element_bytes(dataset: Dataset, keyword: str) -> bytes:
    """One element of a data set whose texts are ASCII."""
    return _written(dataset[keyword], "iso8859")


def _written(source: DataElement, charset: _Charset) -> bytes:
    value = source.value
    if source.VR == "SQ":
        return sequence(int(source.tag), *(_contents(part, charset) for part in value))
    if source.VR in _TEXTS and isinstance(value, str) and value.isascii():
        return element(int(source.tag), source.VR.encode(), value.encode("ascii"))
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_data_element(stream, source, charset)
    return stream.getvalue()


def _contents(part: Dataset, charset: _Charset) -> bytes:
    """The elements of an item."""
    own = part.get("SpecificCharacterSet", charset)
    return b"".join(_written(one, own) for one in part)
