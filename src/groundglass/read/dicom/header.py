"""A DICOM file's header as plain values, without its pixels (PS3.10 section 7, PS3.5).

Only the attributes in the tables of `attributes` are kept: what choosing, assembling and reporting
ask for, and no patient's name, number or birth date, only whether they are another's
(`PatientTraits`).
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar, cast

from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import UID, CTImageStorage

from groundglass.core.study import Instance
from groundglass.errors import ReadError
from groundglass.read.dicom.attributes import (
    TOP_TAGS,
    UIDS,
    WANTED,
    convert,
    functional_groups,
    overlay_bits,
    raw_bytes,
)
from groundglass.read.dicom.damage import PARSE_ERRORS, DamagedFile, Uids, damaged
from groundglass.read.dicom.dataset import (
    NATIVE_SYNTAXES,
    PIXEL_TAGS,
    guessed_syntax,
    open_dataset,
)
from groundglass.read.dicom.patients import PATIENT_KEYWORDS, patient_traits
from groundglass.read.dicom.uids import as_uid, derived, is_valid, named
from groundglass.read.limits import LIMITS
from groundglass.read.sources import Entry, Sources

#: Bytes that hold nearly every header; more is read only where they do not.
FIRST_LOOK = 64 * 1024
_UNDEFINED = 0xFFFFFFFF

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class PixelLocation:
    """Where an instance's Pixel Data lies.

    Parameters
    ----------
    offset : int
        First byte of the value, in the file, or in the inflated data set when `inflated`.
    length : int or None
        Bytes; None when encapsulated (PS3.5 annex A.4).
    vr : str
        Value representation; OW where the file does not say (PS3.5 annex A.1).
    inflated : bool
        Whether the data set is deflated (PS3.5 annex A.5).
    deflated_start : int
        First byte of the deflated data set in the file.
    """

    offset: int
    length: int | None
    vr: str = "OW"
    inflated: bool = False
    deflated_start: int = 0


def read_header(entry: Entry, sources: Sources, first: bytes | None = None) -> Instance:
    """One DICOM file as an `Instance`, its pixels left where they are.

    Parameters
    ----------
    entry : Entry
        The file.
    sources : Sources
        Reads it.
    first : bytes, optional
        Its first `FIRST_LOOK` bytes, or all it has, where they have been read already.

    Raises
    ------
    ReadError
        It is no DICOM image, or its header is damaged; says in which way.
    """
    try:
        attributes = _parse(entry, sources, first)
        _refuse_non_image(attributes)
        _refuse_sizes(attributes, entry.size)
    except DamagedFile as error:
        with suppress(ReadError):  # damaged before them: then nobody can tell
            error.uids = read_uids(entry, sources, first)
        raise
    attributes |= _stand_in(attributes, entry, sources)
    return Instance(
        path=entry.path,
        member=entry.member,
        sop_class_uid=str(attributes["SOPClassUID"]),
        sop_instance_uid=str(attributes["SOPInstanceUID"]),
        attributes=attributes,
    )


def _stand_in(
    attributes: Mapping[str, object], entry: Entry, sources: Sources
) -> dict[str, object]:
    """UIDs in the place of a missing SOP Instance UID.

    That of the File Meta Information is the same by definition (PS3.10 table 7.1-1). The one made
    from the file's content is kept beside it: some tools write one File Meta for all files.
    """
    if attributes.get("SOPInstanceUID"):
        return {}
    content = sources.read(entry.path, entry.member, limit=LIMITS.encoded_bytes)
    made = derived("file", hashlib.sha256(content).digest())
    in_meta = str(attributes.get("MediaStorageSOPInstanceUID", ""))
    return {
        "SOPInstanceUID": in_meta if is_valid(in_meta) else made,
        "UIDFromContent": made,
    }


def _parse(entry: Entry, sources: Sources, first: bytes | None) -> dict[str, object]:
    """The wanted elements, from the file's beginning alone where that holds the header.

    The bytes are read first and parsed in memory, so that no length a header claims can ask for
    more memory than the file has bytes.
    """
    return _parsed(entry, sources, first, _parse_stream, lambda found: "PixelData" in found)


def read_uids(entry: Entry, sources: Sources, first: bytes | None = None) -> Uids:
    """UIDs of a DICOM file, whose header is read no further.

    Parameters
    ----------
    entry : Entry
        The file.
    sources : Sources
        Reads it.
    first : bytes, optional
        Its first `FIRST_LOOK` bytes, or all it has, where they have been read already.

    Raises
    ------
    ReadError
        It is a DICOMDIR, or damaged before the UIDs.
    """
    return _parsed(entry, sources, first, _uids_in, lambda found: bool(found.study))


def _parsed(
    entry: Entry,
    sources: Sources,
    first: bytes | None,
    parse: Callable[[io.BytesIO], _Found],
    enough: Callable[[_Found], bool],
) -> _Found:
    """What a file's beginning says; where that is not enough, what more of it says."""
    if entry.size > FIRST_LOOK:
        data = first or sources.read(entry.path, entry.member, limit=FIRST_LOOK)
        with suppress(ReadError, *PARSE_ERRORS):  # where it ends, a sound value may be cut in two
            found = parse(io.BytesIO(data))
            if enough(found):
                return found
        first = None
    data = first or sources.read(entry.path, entry.member, limit=LIMITS.header_bytes)
    try:
        return parse(io.BytesIO(data))
    except PARSE_ERRORS as error:
        kind = type(error).__name__
        raise damaged(f"a DICOM header that cannot be parsed ({kind})") from error


def _parse_stream(stream: io.BytesIO) -> dict[str, object]:
    opened = open_dataset(stream)
    stream = opened.stream
    found: list[tuple[int, str | None, int, int]] = []

    def at_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
        if int(tag) in PIXEL_TAGS:
            found.append((int(tag), vr, stream.tell(), length))
        return int(tag) in PIXEL_TAGS

    dataset = read_dataset(
        stream, opened.implicit, opened.little, stop_when=at_pixels, specific_tags=list(WANTED)
    )
    attributes = dict[str, object](opened.meta)
    if "MediaStorageSOPClassUID" in attributes:  # the same by definition (PS3.10 table 7.1-1)
        attributes["SOPClassUID"] = attributes["MediaStorageSOPClassUID"]
    attributes |= convert(dataset, TOP_TAGS) | functional_groups(dataset)
    if overlays := overlay_bits(dataset, attributes.get("BitsAllocated")):
        attributes["OverlayBits"] = overlays
    attributes["PatientTraits"] = patient_traits(
        {keyword: raw_bytes(dataset, keyword) for keyword in PATIENT_KEYWORDS}
    )
    if "ModalityLUTSequence" in dataset:
        attributes["ModalityLUTSequence"] = "present"
    if attributes.get("SOPClassUID") == CTImageStorage and not attributes.get("NumberOfFrames"):
        attributes.pop("NumberOfFrames", None)  # one image by definition (PS3.3 A.3); some write 0
    attributes["TransferSyntaxUID"] = str(opened.syntax) or guessed_syntax(
        opened.implicit, opened.little
    )
    if found and found[0][0] == 0x7FE00010:
        _, vr, offset, size = found[0]
        length = None if size == _UNDEFINED else size
        attributes["PixelData"] = PixelLocation(
            offset, length, vr or "OW", opened.inflated, opened.start
        )
    elif found:
        attributes["PixelData"] = "floating point"
    return attributes


def _uids_in(stream: io.BytesIO) -> Uids:
    opened = open_dataset(stream)
    dataset = read_dataset(
        opened.stream,
        opened.implicit,
        opened.little,
        stop_when=lambda tag, _vr, _length: int(tag) > UIDS[-1],
        specific_tags=list(UIDS),
    )
    found = convert(dataset, {tag: TOP_TAGS[tag] for tag in UIDS})
    return Uids(*(str(found.get(TOP_TAGS[tag][0], "")) for tag in UIDS))


def syntax_of(attributes: Mapping[str, object]) -> UID:
    """The transfer syntax of an instance; empty without one."""
    return as_uid(str(attributes.get("TransferSyntaxUID", "")))


def _refuse_non_image(attributes: Mapping[str, object]) -> None:
    """A reason for whatever holds no image."""
    uid = str(attributes.get("SOPClassUID", ""))
    if not uid:
        raise damaged("a data set without SOPClassUID")
    if "PixelData" not in attributes or "Rows" not in attributes or "Columns" not in attributes:
        kind = named(uid, "an object")
        if "Image Storage" in kind:
            raise damaged(f"an image that ends before its pixels ({kind})")
        raise ReadError(
            f"an object without an image ({kind})",
            expected="an object with Rows, Columns and Pixel Data",
            action="Nothing to do if it is a report or a list; else export it again.",
        )


def _refuse_sizes(attributes: Mapping[str, object], file_bytes: int) -> None:
    """Compare what the header asks for with the limits and with the bytes that are there."""
    rows, columns = cast(int, attributes["Rows"]), cast(int, attributes["Columns"])
    frames = cast(int, attributes.get("NumberOfFrames", 1))
    groups = cast("tuple[object, ...]", attributes.get("PerFrameFunctionalGroupsSequence", ()))
    side = LIMITS.side_pixels
    if frames < 1:
        raise damaged(f"a header that states {frames} as its Number of Frames")
    if not (0 < rows <= side and 0 < columns <= side and frames <= LIMITS.frames):
        raise damaged(
            f"a header asking for {frames} frames of {rows} × {columns} pixels "
            f"(at most {LIMITS.frames} of {side} × {side} are read)"
        )
    if groups and len(groups) != frames:
        raise damaged(f"{len(groups)} frame descriptions for {frames} frames")
    location = attributes["PixelData"]
    if not isinstance(location, PixelLocation):
        return
    if location.length is None:
        if syntax_of(attributes) in NATIVE_SYNTAXES:
            raise damaged(
                "pixel data in fragments, as compressed images have them, in a transfer syntax "
                "without compression"
            )
        return
    samples = cast(int, attributes.get("SamplesPerPixel", 1))
    bits = cast(int, attributes.get("BitsAllocated", 0))
    needed = rows * columns * frames * samples * bits // 8
    there = (
        location.length if location.inflated else min(location.length, file_bytes - location.offset)
    )
    if there < needed:
        raise damaged(f"pixel data of {max(there, 0)} bytes where the header needs {needed}")
    if 0 < 2 * needed <= there and syntax_of(attributes) in NATIVE_SYNTAXES:
        raise damaged(f"pixel data of {there} bytes where the header describes {needed}")
