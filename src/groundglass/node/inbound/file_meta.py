"""File Meta Information (PS3.10 section 7.1), read past and written."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

from groundglass.node.inbound.header_scan import Unfit
from groundglass.node.uids import IMPLEMENTATION_CLASS_UID

#: Value representations with a length of four bytes (PS3.5 table 7.1-1), of those in group 0002.
_LONG_FORM = (b"OB", b"OW", b"UN")
_META_VALUE = 2**16


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


def file_meta(sop_class_uid: str, sop_instance_uid: str, syntax: str) -> bytes:
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
