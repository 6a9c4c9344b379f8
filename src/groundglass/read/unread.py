"""What a file is that is not read: told by its first bytes, so that the reason given is true."""

from __future__ import annotations

import re
import zipfile

from groundglass.errors import ReadError
from groundglass.read.dicom.headers.dataset import looks_like_dicom
from groundglass.read.image_stack.pictures import is_jpeg_ls
from groundglass.read.metaimage import MetaImageFormat
from groundglass.read.packed import GZIP, damaged_stream, drain, start_of_gzip, unpack_gzip
from groundglass.read.sources import STREAM_ERRORS, Entry, Sources

_ZIP = (b"PK\3\4", b"PK\5\6", b"PK\7\x08")
#: (where, bytes, what it is): archives and packed files, to be unpacked.
_PACKED = (
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"Rar!\x1a\x07", "a RAR archive"),
    (0, b"\xfd7zXZ\0", "an xz-compressed file"),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard-compressed file"),
    (0, b"\x04\x22\x4d\x18", "an LZ4-compressed file"),
    (0, b"BZh", "a bzip2-compressed file"),
    (0, b"LZIP", "an lzip-compressed file"),
    (0, b"\x1f\x9d", "a file compressed by compress (.Z)"),
    (0, b"MSCF", "a Windows cabinet"),
    (257, b"ustar", "a tar archive"),
    (0x8001, b"CD001", "an image of a CD or DVD (ISO 9660)"),
)
#: The same for what holds images or numbers in a form that is not read.
_OTHER = (
    (0, b"NRRD000", "an NRRD file"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 (or MINC 2) file"),
    (0, b"CDF\1", "a NetCDF (or MINC 1) file"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"GIF8", "a GIF image"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 image"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 codestream"),
    (0, b"\xff\x0a", "a JPEG XL image"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL image"),
    (8, b"WEBP", "a WebP image"),
    (4, b"ftypheic", "a HEIF image"),
    (4, b"ftypavif", "an AVIF image"),
    (0, b"%PDF-", "a PDF document"),
)
_WEB_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html)", re.IGNORECASE)
_ANALYZE = (b"\x5c\x01\0\0", b"\0\0\x01\x5c")  # sizeof_hdr 348, in either byte order
_READ = "DICOM, NIfTI, MetaImage, PNG, JPEG or TIFF"


def why_unread(entry: Entry, sources: Sources, head: bytes) -> ReadError:
    """The reason why a file is passed over that is none of what is read.

    By its first bytes (64 KiB tell all of these apart), and its end where only that tells.
    """
    if head.startswith(_ZIP):
        return _zip(entry)
    if head.startswith(GZIP):
        return _gzip(entry, sources, head)
    packed = _name(head, _PACKED)
    if packed is not None:
        return ReadError(packed, expected=_READ, action="Unpack it and give what it holds.")
    other = "a JPEG-LS image" if is_jpeg_ls(head) else _name(head, _OTHER)
    if other is not None:
        action = "Give the DICOM files it was made from, or convert it."
        return ReadError(other, expected=_READ, action=action)
    found, action = "no image format", "Nothing to do if it is no image of the study."
    if _WEB_PAGE.match(head):
        found, action = "a web page", "If it was to be a download, fetch it again."
    elif head[:4] in _ANALYZE and len(head) == 348:
        found = "an Analyze 7.5 header, which does not say which side is left"
        action = "Give the DICOM files, or convert them to NIfTI."
    return ReadError(found, expected=_READ, action=action)


def _name(head: bytes, table: tuple[tuple[int, bytes, str], ...]) -> str | None:
    return next((name for at, magic, name in table if head[at : at + len(magic)] == magic), None)


def _zip(entry: Entry) -> ReadError:
    if entry.member is not None:
        return ReadError(
            "a zip archive inside a zip archive",
            expected=_READ,
            action="Unpack the outer archive and give the inner one by itself.",
        )
    try:
        whole = zipfile.is_zipfile(entry.path)
    except OSError:
        whole = False
    if whole:
        return ReadError(
            "a zip archive among the files",
            expected=_READ,
            action="Give it by itself, or unpack it, if it holds images.",
        )
    return ReadError(
        "a zip archive that is cut off: the directory at its end is missing",
        expected="a whole archive",
        action="Fetch or copy it again.",
    )


def _gzip(entry: Entry, sources: Sources, head: bytes) -> ReadError:
    try:
        with sources.stream(entry) as stream:
            drain(unpack_gzip(stream))
    except ReadError as damage:
        return damage
    except STREAM_ERRORS as error:
        return damaged_stream(type(error).__name__)
    inside = start_of_gzip(head)
    if looks_like_dicom(inside):
        found = "a gzip-compressed DICOM file"
    else:
        name = _name(inside, _PACKED)
        found = f"a gzip-compressed file that holds {name or 'no NIfTI volume'}"
    if MetaImageFormat().recognises(inside):
        found = "a gzip-compressed MetaImage file"
    return ReadError(
        found, expected=_READ, action="Unpack it and give what it holds, if that is the study."
    )
