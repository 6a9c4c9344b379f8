"""What a data set says of itself in its beginning, before its pixels have come."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian
from pydicom.valuerep import EXPLICIT_VR_LENGTH_16, EXPLICIT_VR_LENGTH_32

from groundglass.read.dicom.headers.damage import PARSE_ERRORS

#: Bytes of a data set within which the wanted attributes must have come. The first nearly always
#: do; the second leaves room for private groups and long reference lists.
_FIRST_LOOK, _LAST_LOOK = 16 * 2**10, 8 * 2**20
_SERIES_INSTANCE_UID = 0x0020000E
_WANTED = {
    0x00080016: "sop_class_uid",
    0x00080018: "sop_instance_uid",
    0x00081030: "study_description",
    0x0020000D: "study_instance_uid",
    _SERIES_INSTANCE_UID: "series_instance_uid",
}
_TAGS = [BaseTag(tag) for tag in _WANTED]
_UIDS = frozenset(tag for tag, name in _WANTED.items() if name.endswith("_uid"))
#: Value representations by the form of their length (PS3.5 section 7.1.2).
_WITH_LONG_LENGTH = frozenset(vr.encode() for vr in EXPLICIT_VR_LENGTH_32)
_WITH_SHORT_LENGTH = frozenset(vr.encode() for vr in EXPLICIT_VR_LENGTH_16)
_EXPLICIT = struct.Struct("<HH2sH")
_LENGTH = struct.Struct("<L")
_ELEMENT_HEADER = 12


class Unfit(ValueError):  # noqa: N818  (reads as what it says)
    """An instance that cannot be taken; says why, for the sender's log (at most 64 characters)."""


def look_ahead(pieces: Iterator[bytes], syntax: str) -> tuple[dict[str, str], bytes]:
    """What a data set says of itself, and what of it was read to know; missing values are empty."""
    taken = bytearray()
    next_look = _FIRST_LOOK
    for piece in pieces:
        taken += piece
        if len(taken) >= next_look:
            values = _parse(taken, syntax)
            if values is not None:
                return values, bytes(taken)
            if next_look == _LAST_LOOK:
                raise Unfit("no Series Instance UID in the first 8 MiB")
            next_look = _LAST_LOOK
    values = _parse(taken, syntax, whole=True)
    if values is None:
        raise Unfit("a data set that cannot be parsed")
    return values, bytes(taken)


def _parse(data: bytearray, syntax: str, *, whole: bool = False) -> dict[str, str] | None:
    """The wanted values, or None when the data cannot be parsed, or end before the last of them.

    Pixels and sequences after it are never looked at.
    """
    found = _walk(data, syntax)
    if found is None or not _UIDS.issubset(found):
        found = _read(data, syntax, whole=whole)
    if found is None:
        return None
    return {name: _text(found.get(tag, b"")) for tag, name in _WANTED.items()}


def _walk(data: bytearray, syntax: str) -> dict[int, bytes] | None:
    """Step from element to element (PS3.5 section 7.1), as far as all of them have a length.

    Several times as fast as reading each of them, and enough for what most senders send. None
    where it is not.
    """
    if syntax == ExplicitVRBigEndian:
        return None
    explicit = syntax != ImplicitVRLittleEndian
    found: dict[int, bytes] = {}
    at, last = 0, 0
    while at + _ELEMENT_HEADER <= len(data):
        group, element, vr, length = _EXPLICIT.unpack_from(data, at)
        tag = group << 16 | element
        if tag > _SERIES_INSTANCE_UID:
            return found
        if tag <= last:
            return None
        at += 8
        if explicit and vr in _WITH_LONG_LENGTH:
            (length,) = _LENGTH.unpack_from(data, at)
            at += 4
        elif explicit and vr not in _WITH_SHORT_LENGTH:
            return None
        elif not explicit:
            (length,) = _LENGTH.unpack_from(data, at - 4)
        if tag in _WANTED:
            found[tag] = bytes(data[at : at + length])
        at, last = at + length, tag  # what has no length (PS3.5 section 7.5) leads beyond the end
    return None


def _read(data: bytearray, syntax: str, *, whole: bool) -> dict[int, bytes] | None:
    """The raw wanted values as pydicom reads them, sequences of any form before them included."""
    passed = False

    def beyond(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        nonlocal passed
        passed = int(tag) > _SERIES_INSTANCE_UID
        return passed

    try:
        dataset = read_dataset(
            io.BytesIO(data),
            syntax == ImplicitVRLittleEndian,
            syntax != ExplicitVRBigEndian,
            stop_when=beyond,
            specific_tags=list(_TAGS),
        )
    except PARSE_ERRORS:
        return None
    if not (passed or whole):
        return None
    raw = {tag: dataset.get_item(tag).value for tag in _WANTED if tag in dataset}
    return {tag: value for tag, value in raw.items() if isinstance(value, bytes)}


def _text(raw: bytes) -> str:
    """A value as text; its raw bytes are read, so that a wrong character set costs accents only."""
    text = raw.decode("utf-8", "replace").strip(" \0")
    return text if text.isprintable() else "".join(c for c in text if c.isprintable())
