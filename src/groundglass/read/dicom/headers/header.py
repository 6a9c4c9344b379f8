"""A DICOM file by its header, its pixels left where they are (PS3.10 section 7, PS3.5)."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import CTImageStorage

from groundglass.core.study import ANY_SERIES
from groundglass.errors import ReadError
from groundglass.read.dicom.headers.attributes import (
    TOP_TAGS,
    WANTED,
    convert,
    frame_values,
    overlay_bits,
    raw_bytes,
)
from groundglass.read.dicom.headers.ct_header import CtHeader, DicomInstance, PixelLocation
from groundglass.read.dicom.headers.damage import PARSE_ERRORS, damaged
from groundglass.read.dicom.headers.dataset import (
    NATIVE_SYNTAXES,
    PIXEL_TAGS,
    guessed_syntax,
    open_dataset,
)
from groundglass.read.dicom.headers.patient_traits import PATIENT_KEYWORDS, patient_traits
from groundglass.read.dicom.reconstructions import is_ct_class
from groundglass.read.dicom.uids import as_uid, derived, is_valid, named
from groundglass.read.limits import LIMITS
from groundglass.read.sources import FIRST_LOOK, DamagedFile, Entry, Sources

_UNDEFINED = 0xFFFFFFFF
_PIXEL_DATA = 0x7FE00010
_UID_TAGS = {
    tag: attribute
    for tag, attribute in TOP_TAGS.items()
    if attribute.name
    in ("sop_class_uid", "sop_instance_uid", "study_instance_uid", "series_instance_uid")
}


def read_header(entry: Entry, sources: Sources, first: bytes | None = None) -> DicomInstance:
    """One DICOM file as an instance.

    `first` are its first `FIRST_LOOK` bytes, or all it has, where they have been read already. A
    ReadError says that it is no DICOM image, or in which way its header is damaged.
    """
    try:
        said = _parsed(entry, sources, first, _values_in, lambda found: "pixels" in found)
        _refuse_non_image(said)
        header = CtHeader(**said)
        _refuse_sizes(header, entry.size)
    except DamagedFile as error:
        with suppress(ReadError):  # damaged before them: then nobody can tell
            _say_what_is_missing(error, read_uids(entry, sources, first))
        raise
    header = _identified(header, entry, sources)
    return DicomInstance(
        entry.path, entry.member, header.sop_class_uid, header.sop_instance_uid, header
    )


def _say_what_is_missing(error: DamagedFile, uids: CtHeader) -> None:
    error.sop_instance_uid = uids.sop_instance_uid
    error.missing_from = uids.series_instance_uid or ANY_SERIES
    if uids.sop_class_uid and not is_ct_class(uids.sop_class_uid):
        error.missing_from = ""


def _identified(header: CtHeader, entry: Entry, sources: Sources) -> CtHeader:
    """With a UID in the place of a missing SOP Instance UID.

    That of the File Meta Information is the same by definition (PS3.10 table 7.1-1). The one made
    from the file's content is kept beside it: some tools write one File Meta for all files.
    """
    if header.sop_instance_uid:
        return header
    content = sources.read(entry, limit=LIMITS.encoded_bytes)
    made = derived("file", hashlib.sha256(content).digest())
    in_meta = header.media_storage_sop_instance_uid
    uid = in_meta if is_valid(in_meta) else made
    return replace(header, sop_instance_uid=uid, uid_from_content=made)


_Found = TypeVar("_Found")


def read_uids(entry: Entry, sources: Sources, first: bytes | None = None) -> CtHeader:
    """The UIDs alone of a DICOM file, whose header is read no further.

    Raises
    ------
    ReadError
        It is a DICOMDIR, or damaged before the UIDs.
    """
    return _parsed(entry, sources, first, _uids_in, lambda found: bool(found.study_instance_uid))


def _parsed(
    entry: Entry,
    sources: Sources,
    first: bytes | None,
    parse: Callable[[io.BytesIO], _Found],
    enough: Callable[[_Found], bool],
) -> _Found:
    """What a file's beginning says; where that is not enough, what more of it says.

    The bytes are read first and parsed in memory, so that no length a header claims can ask for
    more memory than the file has bytes.
    """
    if entry.size > FIRST_LOOK:
        data = first or sources.read(entry, limit=FIRST_LOOK)
        with suppress(ReadError, *PARSE_ERRORS):  # where it ends, a sound value may be cut in two
            found = parse(io.BytesIO(data))
            if enough(found):
                return found
        first = None
    data = first or sources.read(entry, limit=LIMITS.header_bytes)
    try:
        return parse(io.BytesIO(data))
    except PARSE_ERRORS as error:
        kind = type(error).__name__
        raise damaged(f"a DICOM header that cannot be parsed ({kind})") from error


def _values_in(stream: io.BytesIO) -> dict[str, Any]:
    """The fields of a `CtHeader`; without `pixels` where what is read of the file has none."""
    opened = open_dataset(stream)
    stream = opened.stream
    pixels: list[tuple[int, str | None, int, int]] = []

    def at_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
        if int(tag) in PIXEL_TAGS:
            pixels.append((int(tag), vr, stream.tell(), length))
        return int(tag) in PIXEL_TAGS

    dataset = read_dataset(
        stream, opened.implicit, opened.little, stop_when=at_pixels, specific_tags=list(WANTED)
    )
    # The File Meta's are the same by definition (PS3.10 table 7.1-1).
    said: dict[str, Any] = {"sop_class_uid": opened.meta.get("MediaStorageSOPClassUID", "")}
    said |= convert(dataset, TOP_TAGS)
    frames = frame_values(dataset)
    if said["sop_class_uid"] == CTImageStorage and not said.get("number_of_frames"):
        said.pop("number_of_frames", None)  # one image by definition (PS3.3 A.3); some write 0
    said |= {
        "media_storage_sop_instance_uid": opened.meta.get("MediaStorageSOPInstanceUID", ""),
        "overlay_bits": overlay_bits(dataset, said.get("bits_allocated")),
        "has_modality_lut": "ModalityLUTSequence" in dataset,
        "patient": patient_traits({word: raw_bytes(dataset, word) for word in PATIENT_KEYWORDS}),
        "transfer_syntax_uid": opened.syntax
        or as_uid(guessed_syntax(opened.implicit, opened.little)),
    }
    for tag, vr, offset, size in pixels:
        length = None if size == _UNDEFINED else size
        there = PixelLocation(offset, length, vr or "OW", opened.inflated, opened.start)
        said["pixels"] = there if tag == _PIXEL_DATA else None
    return {**said, "frames": tuple(CtHeader(**(said | frame)) for frame in frames)}


def _uids_in(stream: io.BytesIO) -> CtHeader:
    opened = open_dataset(stream)
    dataset = read_dataset(
        opened.stream,
        opened.implicit,
        opened.little,
        stop_when=lambda tag, _vr, _length: int(tag) > max(_UID_TAGS),
        specific_tags=list(_UID_TAGS),
    )
    return CtHeader(**convert(dataset, _UID_TAGS))


def _refuse_non_image(said: Mapping[str, Any]) -> None:
    """A reason for whatever holds no image."""
    uid = said["sop_class_uid"]
    if not uid:
        raise damaged("a data set without SOPClassUID")
    if "pixels" not in said or "rows" not in said or "columns" not in said:
        kind = named(uid, "an object")
        if "Image Storage" in kind:
            raise damaged(f"an image that ends before its pixels ({kind})")
        raise ReadError(
            f"an object without an image ({kind})",
            expected="an object with Rows, Columns and Pixel Data",
            action="Nothing to do if it is a report or a list; else export it again.",
        )


def _refuse_sizes(header: CtHeader, file_bytes: int) -> None:
    """Compare what the header asks for with the limits and with the bytes that are there."""
    rows, columns, frames = header.rows, header.columns, header.number_of_frames
    side = LIMITS.side_pixels
    if frames < 1:
        raise damaged(f"a header that states {frames} as its Number of Frames")
    if not (0 < rows <= side and 0 < columns <= side and frames <= LIMITS.frames):
        raise damaged(
            f"a header asking for {frames} frames of {rows} × {columns} pixels "
            f"(at most {LIMITS.frames} of {side} × {side} are read)"
        )
    if header.frames and len(header.frames) != frames:
        raise damaged(f"{len(header.frames)} frame descriptions for {frames} frames")
    if header.pixels is not None:
        _refuse_pixels(header, header.pixels, file_bytes)


def _refuse_pixels(header: CtHeader, pixels: PixelLocation, file_bytes: int) -> None:
    native = header.transfer_syntax_uid in NATIVE_SYNTAXES
    if pixels.length is None:
        if native:
            raise damaged(
                "pixel data in fragments, as compressed images have them, in a transfer syntax "
                "without compression"
            )
        return
    values = header.rows * header.columns * header.number_of_frames * header.samples_per_pixel
    needed = values * (header.bits_allocated or 0) // 8
    there = pixels.length if pixels.inflated else min(pixels.length, file_bytes - pixels.offset)
    if there < needed:
        raise damaged(f"pixel data of {max(there, 0)} bytes where the header needs {needed}")
    if 0 < 2 * needed <= there and native:
        raise damaged(f"pixel data of {there} bytes where the header describes {needed}")
