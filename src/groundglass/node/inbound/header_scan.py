"""What a data set says of itself in its beginning, before its pixels have come."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian
from pydicom.valuerep import EXPLICIT_VR_LENGTH_16, EXPLICIT_VR_LENGTH_32

from groundglass.node.rule_tags import TagValues
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
_UIDS = frozenset(tag for tag, name in _WANTED.items() if name.endswith("_uid"))
#: Value representations by the form of their length (PS3.5 section 7.1.2).
_WITH_LONG_LENGTH = frozenset(vr.encode() for vr in EXPLICIT_VR_LENGTH_32)
_WITH_SHORT_LENGTH = frozenset(vr.encode() for vr in EXPLICIT_VR_LENGTH_16)
#: How numbers are laid out that are not written as text (PS3.5 section 6.2).
_BINARY = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d", "UV": "Q", "SV": "q"}
_EXPLICIT = struct.Struct("<HH2sH")
_LENGTH = struct.Struct("<L")
_ELEMENT_HEADER = 12


class Unfit(ValueError):  # noqa: N818  (reads as what it says)
    """An instance that cannot be taken; says why, for the sender's log (at most 64 characters)."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a data set says of itself."""

    values: Mapping[str, str]
    """The UIDs and the Study Description, by the names of `IncomingInstance`; empty if missing."""
    by_keyword: TagValues
    """The values that rules ask for; without those that are not there."""


def look_ahead(
    pieces: Iterator[bytes], syntax: str, keywords: Sequence[str] = ()
) -> tuple[Header, bytes]:
    """What a data set says of itself, and what of it was read to know.

    `keywords`: of what rules ask for. Of one that comes later than 8 MiB nothing is known.
    """
    asked = {int(tag_for_keyword(keyword) or 0): keyword for keyword in keywords}
    tags = frozenset(_WANTED) | asked.keys()
    taken = bytearray()
    next_look = _FIRST_LOOK
    for piece in pieces:
        taken += piece
        if len(taken) >= next_look:
            found = _parse(taken, syntax, tags)
            if found is None and next_look == _LAST_LOOK:
                near = frozenset(tag for tag in tags if tag <= _SERIES_INSTANCE_UID)
                found = _parse(taken, syntax, near)
                if found is None:
                    raise Unfit("no Series Instance UID in the first 8 MiB")
            if found is not None:
                return _header(found, syntax, asked), bytes(taken)
            next_look = _LAST_LOOK
    found = _parse(taken, syntax, tags, whole=True)
    if found is None:
        raise Unfit("a data set that cannot be parsed")
    return _header(found, syntax, asked), bytes(taken)


def _header(found: Mapping[int, bytes], syntax: str, asked: Mapping[int, str]) -> Header:
    big_endian = syntax == ExplicitVRBigEndian
    values = {
        name: (_uid if tag in _UIDS else _text)(found.get(tag, b""))
        for tag, name in _WANTED.items()
    }
    by_keyword = {
        keyword: several
        for tag, keyword in asked.items()
        if (several := _values(found.get(tag, b""), dictionary_VR(tag), big_endian=big_endian))
    }
    return Header(values, by_keyword)


def _parse(
    data: bytearray, syntax: str, tags: frozenset[int], *, whole: bool = False
) -> dict[int, bytes] | None:
    """The raw wanted values, or None when the data cannot be parsed, or end before the last.

    Pixels and sequences after it are never looked at.
    """
    found = _walk(data, syntax, tags)
    if found is None or not _UIDS.issubset(found):
        found = _read(data, syntax, tags, whole=whole)
    return found


def _walk(data: bytearray, syntax: str, tags: frozenset[int]) -> dict[int, bytes] | None:
    """Step from element to element (PS3.5 section 7.1), as far as all of them have a length.

    Several times as fast as reading each of them, and enough for what most senders send. None
    where it is not.
    """
    if syntax == ExplicitVRBigEndian:
        return None
    explicit = syntax != ImplicitVRLittleEndian
    found: dict[int, bytes] = {}
    at, last, furthest = 0, 0, max(tags)
    while at + _ELEMENT_HEADER <= len(data):
        group, element, vr, length = _EXPLICIT.unpack_from(data, at)
        tag = group << 16 | element
        if tag > furthest:
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
        if tag in tags:
            found[tag] = bytes(data[at : at + length])
        at, last = at + length, tag  # what has no length (PS3.5 section 7.5) leads beyond the end
    return None


def _read(
    data: bytearray, syntax: str, tags: frozenset[int], *, whole: bool
) -> dict[int, bytes] | None:
    """The raw wanted values as pydicom reads them, sequences of any form before them included."""
    passed, furthest = False, max(tags)

    def beyond(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        nonlocal passed
        passed = int(tag) > furthest
        return passed

    try:
        dataset = read_dataset(
            io.BytesIO(data),
            syntax == ImplicitVRLittleEndian,
            syntax != ExplicitVRBigEndian,
            stop_when=beyond,
            specific_tags=[BaseTag(tag) for tag in tags],
        )
    except PARSE_ERRORS:
        return None
    if not (passed or whole):
        return None
    raw = {tag: dataset.get_item(BaseTag(tag)).value for tag in tags if tag in dataset}
    return {tag: value for tag, value in raw.items() if isinstance(value, bytes)}


def _values(raw: bytes, vr: str, *, big_endian: bool) -> tuple[str, ...]:
    """Each of an element's values as text."""
    form = _BINARY.get(vr)
    if form is None:
        return tuple(one for part in _text(raw).split("\\") if (one := part.strip()))
    size = struct.calcsize(form)
    order = ">" if big_endian else "<"
    numbers = struct.iter_unpack(order + form, raw[: len(raw) // size * size])
    return tuple(f"{number:.15g}" for (number,) in numbers)


def _uid(raw: bytes) -> str:
    """A UID without its padding (PS3.5 section 9.1); what else is wrong with it, it keeps.

    To take a control character away would be to take one instance for another.
    """
    return raw.decode("ascii", "replace").rstrip(" \0")


def _text(raw: bytes) -> str:
    """A value as text; its raw bytes are read, so that a wrong character set costs accents only."""
    text = raw.decode("utf-8", "replace").strip(" \0")
    return text if text.isprintable() else "".join(c for c in text if c.isprintable())
