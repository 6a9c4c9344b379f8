"""A DICOM file's data set, found and ready to be parsed (PS3.10 section 7, PS3.5 annex A)."""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from pydicom.filereader import read_dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
)

from groundglass.errors import ReadError
from groundglass.read.dicom.headers.attributes import FILE_META_TAGS, convert
from groundglass.read.dicom.headers.damage import damaged
from groundglass.read.dicom.uids import as_uid
from groundglass.read.limits import LIMITS

_PREAMBLE = 128
#: Transfer syntaxes whose pixels need no decoding (PS3.5 annexes A.1 to A.3 and A.5).
NATIVE_SYNTAXES = frozenset((
    ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
))  # fmt: skip
PIXEL_TAGS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))


def looks_like_dicom(head: bytes) -> bool:
    """Whether a file's first bytes are those of DICOM, with or without preamble.

    Without preamble (older archives), the first element is of group 0002 or 0008.
    """
    if head[_PREAMBLE : _PREAMBLE + 4] == b"DICM":
        return True
    if len(head) < 8:
        return False
    return head[:2] in (b"\x02\x00", b"\x08\x00", b"\x00\x08") and head[3:4] in (b"\x00", b"\x01")


@dataclass(frozen=True, slots=True)
class OpenedDataset:
    """A file's data set, ready to be parsed.

    The stream stands at its first byte, which is byte `start` of the file; a deflated one is
    inflated. The transfer syntax is empty where the file does not say; `meta` is what the File Meta
    Information says, by keyword.
    """

    stream: io.BytesIO
    syntax: UID
    implicit: bool
    little: bool
    start: int
    meta: Mapping[str, str]

    @property
    def inflated(self) -> bool:
        """Whether the stream holds the inflated data set instead of the file."""
        return self.syntax == DeflatedExplicitVRLittleEndian


def open_dataset(stream: io.BytesIO) -> OpenedDataset:
    """Pass over a file's preamble and File Meta Information (PS3.10 section 7).

    Raises
    ------
    ReadError
        It is an index of other files, or its deflate stream is damaged.
    """
    meta = _read_file_meta(stream)
    if meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
        raise ReadError(
            "a DICOMDIR index",
            expected="an image",
            action="Nothing to do: the files it lists are read on their own.",
        )
    syntax = as_uid(meta.get("TransferSyntaxUID", ""))
    start = stream.tell()
    if syntax == DeflatedExplicitVRLittleEndian:
        stream = io.BytesIO(inflate(stream.read(LIMITS.header_bytes), LIMITS.header_bytes))
    implicit, little = _encoding(syntax, stream)
    return OpenedDataset(stream, syntax, implicit, little, start, meta)


def _read_file_meta(stream: io.BytesIO) -> dict[str, str]:
    """The File Meta Information (PS3.10 section 7.1), leaving the stream at the data set."""
    if stream.read(_PREAMBLE + 4)[_PREAMBLE:] != b"DICM":
        stream.seek(0)
    meta = read_dataset(
        stream,
        is_implicit_VR=False,
        is_little_endian=True,
        stop_when=lambda tag, _vr, _length: int(tag) >> 16 != 0x0002,
    )
    return convert(meta, FILE_META_TAGS)


def _encoding(syntax: UID, stream: io.BytesIO) -> tuple[bool, bool]:
    """(implicit VR, little endian) of a data set (PS3.5 section 10, annex A)."""
    if syntax == ImplicitVRLittleEndian:
        return True, True
    if syntax == ExplicitVRBigEndian:
        return False, False
    if syntax:
        return False, True
    head = stream.read(6)
    stream.seek(-len(head), io.SEEK_CUR)
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    return not explicit, not (explicit and head[:1] == b"\0")


def guessed_syntax(implicit: bool, little: bool) -> str:  # noqa: FBT001  (the encoding's own pair)
    """Transfer syntax of a file without File Meta: as its first element is written."""
    if implicit:
        return str(ImplicitVRLittleEndian)
    return str(ExplicitVRLittleEndian if little else ExplicitVRBigEndian)


def inflate(data: bytes, limit: int) -> bytes:
    """At most `limit` bytes of a raw deflate stream (PS3.5 annex A.5); the bomb is never unpacked.

    Raises
    ------
    ReadError
        The stream is damaged.
    """
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, limit)
    except zlib.error as error:
        raise damaged("a damaged deflate stream") from error
