"""An instance on its way in: what is known of it before its pixels, and who takes it."""

from __future__ import annotations

import io
import itertools
import os
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import UID, ExplicitVRBigEndian, ImplicitVRLittleEndian

from groundglass import __version__

#: PS3.5 section 9.1 forbids leading zeros too; some scanners write them, and they harm nobody.
_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_UID_LENGTH = 64
#: Root of this program's own UIDs: derived from a UUID (PS3.5 annex B.2), registered with nobody.
IMPLEMENTATION_CLASS_UID = UID("2.25.337758995833039673905998093499085564576")
#: At most 16 characters (PS3.7 D.3.3.2.4).
IMPLEMENTATION_VERSION_NAME = f"GROUNDGLASS {__version__}"[:16]
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
#: Value representations with a length of four bytes (PS3.5 table 7.1-1), of those in group 0002.
_LONG_FORM = (b"OB", b"OW", b"UN")
_META_VALUE = 2**16
#: Those that may occur before the pixels, by the form of their length (PS3.5 section 7.1.2).
_WITH_LONG_LENGTH = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT", b"SV", b"UV")
)
_WITH_SHORT_LENGTH = frozenset(
    (
        b"AE",
        b"AS",
        b"AT",
        b"CS",
        b"DA",
        b"DS",
        b"DT",
        b"FL",
        b"FD",
        b"IS",
        b"LO",
        b"LT",
        b"PN",
        b"SH",
        b"SL",
        b"SS",
        b"ST",
        b"TM",
        b"UI",
        b"UL",
        b"US",
    )
)
_EXPLICIT = struct.Struct("<HH2sH")
_LENGTH = struct.Struct("<L")
_ELEMENT_HEADER = 12
#: What a damaged data set makes pydicom raise; RecursionError comes from endless nesting.
_PARSE_ERRORS = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, OSError, OverflowError,
    NotImplementedError, RecursionError, MemoryError, AssertionError, struct.error,
)  # fmt: skip


class Unfit(ValueError):  # noqa: N818  (reads as what it says)
    """An instance that cannot be taken; says why, for the sender's log (at most 64 characters)."""


@dataclass(frozen=True, slots=True)
class IncomingInstance:
    """One instance, and where it comes from.

    Parameters
    ----------
    sop_class_uid, sop_instance_uid, study_instance_uid, series_instance_uid : str
        What it is; each is a well-formed UID.
    transfer_syntax_uid : str
        How its data set is encoded.
    study_description : str
        For rules; empty when the data set has none.
    source_ae : str
        The sender: its AE title, or what else names the way in.
    """

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str
    study_description: str
    source_ae: str


class InstanceSink(Protocol):
    """Takes instances in. Safe to call from several threads."""

    def store(self, incoming: IncomingInstance, content: Iterable[bytes]) -> None:
        """Keep one instance; when this returns, it survives a power cut.

        Parameters
        ----------
        incoming : IncomingInstance
            What it is.
        content : iterable of bytes
            The file (PS3.10), in pieces. When it raises, nothing is kept.

        Raises
        ------
        SpoolFull
            There is no room.
        """

    def holds(self, sop_class_uid: str, sop_instance_uid: str) -> bool | None:
        """Whether an instance is on disk; None when it is there under another SOP class."""

    def ended(self, study_instance_uid: str) -> None:
        """No more instances of this study are on the way: it need not wait for its quiet time."""


def is_uid(text: str) -> bool:
    """Whether a text is a UID: digits and dots, nothing that could lead a file name elsewhere."""
    return len(text) <= _UID_LENGTH and _UID.fullmatch(text) is not None


def admit(
    pieces: Iterator[bytes], syntax: str, source_ae: str
) -> tuple[IncomingInstance, Iterable[bytes]]:
    """Look at the beginning of a data set to know which instance it is.

    Parameters
    ----------
    pieces : iterator of bytes
        The data set. Only its beginning is taken here.
    syntax : str
        Its transfer syntax, none that is deflated.
    source_ae : str
        Where it comes from.

    Returns
    -------
    incoming : IncomingInstance
        What it is.
    content : iterable of bytes
        The file (PS3.10) it is kept as: our File Meta Information, and the data set as it came.

    Raises
    ------
    Unfit
        It cannot be parsed, or a UID in it is missing or none.
    """
    values, beginning = _look_ahead(pieces, syntax)
    for name, value in values.items():
        if name.endswith("_uid") and not is_uid(value):
            words = name.replace("_", " ")
            raise Unfit(f"a {words} that is no UID" if value else f"no {words}")
    incoming = IncomingInstance(**values, transfer_syntax_uid=syntax, source_ae=source_ae)
    meta = _file_meta(incoming.sop_class_uid, incoming.sop_instance_uid, syntax)
    return incoming, itertools.chain((meta, beginning), pieces)


def read_file_meta(file: BinaryIO) -> str:
    """Read past a file's File Meta Information (PS3.10 section 7.1), to its data set.

    Returns
    -------
    str
        The transfer syntax of the data set.

    Raises
    ------
    Unfit
        It is no DICOM file.
    """
    if file.read(132)[128:] != b"DICM":
        raise Unfit("no DICOM file")
    syntax = ""
    while len(head := file.read(8)) == 8:
        group, element, vr, length = struct.unpack("<HH2sH", head)
        if group != 0x0002:
            file.seek(-8, os.SEEK_CUR)
            break
        if vr in _LONG_FORM:
            length = int.from_bytes(file.read(4), "little")
        value = file.read(min(length, _META_VALUE))
        if element == 0x0010:
            syntax = value.decode("ascii", "replace").strip(" \0")
    if not syntax:
        raise Unfit("a DICOM file without Transfer Syntax UID")
    return syntax


def _file_meta(sop_class_uid: str, sop_instance_uid: str, syntax: str) -> bytes:
    """Preamble, prefix and File Meta Information (PS3.10 section 7.1) of a file.

    Neither the sender nor our version is in it: an instance that comes again, by whatever way and
    after whatever upgrade, is the same file.
    """
    elements = b"".join(
        struct.pack("<HH2sH", 0x0002, element, b"UI", len(value)) + value
        for element, value in (
            (0x0002, _padded(sop_class_uid)),
            (0x0003, _padded(sop_instance_uid)),
            (0x0010, _padded(syntax)),
            (0x0012, _padded(IMPLEMENTATION_CLASS_UID)),
        )
    )
    version = struct.pack("<HH2sHL", 0x0002, 0x0001, b"OB", 0, 2) + b"\0\1"
    length = struct.pack("<HH2sHL", 0x0002, 0x0000, b"UL", 4, len(version) + len(elements))
    return b"\0" * 128 + b"DICM" + length + version + elements


def _padded(uid: str) -> bytes:
    """A UID's bytes, of even number (PS3.5 section 9.1)."""
    raw = uid.encode("ascii")
    return raw + b"\0" * (len(raw) % 2)


def _look_ahead(pieces: Iterator[bytes], syntax: str) -> tuple[dict[str, str], bytes]:
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
    except _PARSE_ERRORS:
        return None
    if not (passed or whole):
        return None
    raw = {tag: dataset.get_item(tag).value for tag in _WANTED if tag in dataset}
    return {tag: value for tag, value in raw.items() if isinstance(value, bytes)}


def _text(raw: bytes) -> str:
    """A value as text; its raw bytes are read, so that a wrong character set costs accents only."""
    text = raw.decode("utf-8", "replace").strip(" \0")
    return text if text.isprintable() else "".join(c for c in text if c.isprintable())
