"""A DICOM file's header as plain values, without its pixels (PS3.10 section 7, PS3.5).

Only the attributes in the tables below are kept: what choosing, assembling and reporting ask for,
and no patient's name, number or birth date, only whether they are another's (`PatientTraits`).
Values are converted here, from their bytes, so that a damaged value becomes a reason and nothing
else.
"""

from __future__ import annotations

import hashlib
import io
import math
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar, cast

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.sequence import Sequence as Items
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
)
from pydicom.valuerep import CUSTOMIZABLE_CHARSET_VR

from groundglass.core.study import Instance
from groundglass.errors import ReadError
from groundglass.read.dicom.charsets import decode, encodings_of
from groundglass.read.dicom.patients import PATIENT_KEYWORDS, patient_traits
from groundglass.read.dicom.uids import as_uid, derived, is_valid, named
from groundglass.read.limits import LIMITS
from groundglass.read.sources import Entry, Sources

#: Bytes that hold nearly every header; more is read only where they do not.
FIRST_LOOK = 64 * 1024
_PREAMBLE = 128
#: Transfer syntaxes whose pixels need no decoding (PS3.5 annexes A.1 to A.3 and A.5).
NATIVE_SYNTAXES = frozenset((
    ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
))  # fmt: skip
PIXEL_TAGS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
_UNDEFINED = 0xFFFFFFFF
#: What a damaged header makes pydicom raise; RecursionError comes from endless nesting.
PARSE_ERRORS = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, LookupError, EOFError, OSError,
    OverflowError, NotImplementedError, RecursionError, MemoryError, AssertionError, struct.error,
)  # fmt: skip

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


def _bytes(element: RawDataElement) -> bytes:
    return element.value if isinstance(element.value, bytes) else b""


def _text(element: RawDataElement) -> str:
    """Text for people, which `_convert` has brought to UTF-8."""
    text = decode(_bytes(element), ()).strip(" \0")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " for c in text)


def _texts(element: RawDataElement) -> tuple[str, ...]:
    return tuple(part.strip(" \0") for part in _text(element).split("\\"))


def _ascii(element: RawDataElement) -> list[str]:
    return _bytes(element).decode("ascii").strip(" \0").split("\\")


def _decimals(element: RawDataElement) -> tuple[float, ...]:
    values = tuple(float(part) for part in _ascii(element))
    if not all(math.isfinite(value) for value in values):
        raise ValueError("not a finite number")
    return values


def _decimal(element: RawDataElement) -> float:
    return _decimals(element)[0]


def _integer(element: RawDataElement) -> int:
    return int(_ascii(element)[0])


def _short(element: RawDataElement) -> int:
    form = "<H" if element.is_little_endian else ">H"
    return int(struct.unpack(form, _bytes(element)[:2])[0])


def _long(element: RawDataElement) -> int:
    form = "<I" if element.is_little_endian else ">I"
    return int(struct.unpack(form, _bytes(element)[:4])[0])


def _double(element: RawDataElement) -> float:
    form = "<d" if element.is_little_endian else ">d"
    return float(struct.unpack(form, _bytes(element)[:8])[0])


_Convert = Callable[[RawDataElement], object]
#: Attributes kept, with how their bytes become a value (PS3.6 gives each one's VR). The padding
#: values may be VR SS: they are kept as 16 bits and read with PixelRepresentation later.
_TOP: Mapping[str, _Convert] = {
    "SOPClassUID": _text,
    "SOPInstanceUID": _text,
    "StudyInstanceUID": _text,
    "SeriesInstanceUID": _text,
    "FrameOfReferenceUID": _text,
    "Modality": _text,
    "Manufacturer": _text,
    "ManufacturerModelName": _text,
    "StudyDescription": _text,
    "SeriesDescription": _text,
    "DerivationDescription": _text,
    "ProtocolName": _text,
    "BodyPartExamined": _text,
    "ImageType": _texts,
    "SeriesNumber": _integer,
    "InstanceNumber": _integer,
    "AcquisitionNumber": _integer,
    "AcquisitionDate": _text,
    "AcquisitionTime": _text,
    "AcquisitionDateTime": _text,
    "IrradiationEventUID": _text,
    "TemporalPositionIdentifier": _integer,
    "PatientPosition": _text,
    "ContrastBolusAgent": _text,
    "ConvolutionKernel": _texts,
    "KVP": _decimal,
    "XRayTubeCurrent": _integer,
    "Exposure": _integer,
    "ExposureTime": _integer,
    "SliceThickness": _decimal,
    "ImagePositionPatient": _decimals,
    "ImageOrientationPatient": _decimals,
    "PixelSpacing": _decimals,
    "WindowCenter": _decimals,
    "WindowWidth": _decimals,
    "RescaleIntercept": _decimal,
    "RescaleSlope": _decimal,
    "RescaleType": _text,
    "PhotometricInterpretation": _text,
    "NumberOfFrames": _integer,
    "Rows": _short,
    "Columns": _short,
    "SamplesPerPixel": _short,
    "BitsAllocated": _short,
    "BitsStored": _short,
    "HighBit": _short,
    "PixelRepresentation": _short,
    "PixelPaddingValue": _short,
    "PixelPaddingRangeLimit": _short,
}
#: Functional group sequence → attributes kept from it (PS3.3 C.7.6.16.2, C.8.15.3).
_GROUPS: Mapping[str, Mapping[str, _Convert]] = {
    "PlanePositionSequence": {"ImagePositionPatient": _decimals},
    "PlaneOrientationSequence": {"ImageOrientationPatient": _decimals},
    "PixelMeasuresSequence": {"PixelSpacing": _decimals, "SliceThickness": _decimal},
    "PixelValueTransformationSequence": {
        "RescaleIntercept": _decimal,
        "RescaleSlope": _decimal,
        "RescaleType": _text,
    },
    "CTImageFrameTypeSequence": {"FrameType": _texts},
    "CTReconstructionSequence": {"ConvolutionKernel": _texts},
    "FrameContentSequence": {
        "TemporalPositionIndex": _long,
        "FrameAcquisitionNumber": _short,
        "FrameAcquisitionDateTime": _text,
        "StackID": _text,
    },
    "IrradiationEventIdentificationSequence": {"IrradiationEventUID": _text},
    "CTExposureSequence": {
        "ExposureInmAs": _double,
        "XRayTubeCurrentInmA": _double,
        "ExposureTimeInms": _double,
    },
    "CTXRayDetailsSequence": {"KVP": _decimal},
    "FrameVOILUTSequence": {"WindowCenter": _decimals, "WindowWidth": _decimals},
}
#: Values for people, and values some scanners write carelessly: unreadable means absent.
_DISPENSABLE = frozenset((
    "SeriesNumber", "InstanceNumber", "AcquisitionNumber", "TemporalPositionIdentifier", "KVP",
    "XRayTubeCurrent", "Exposure", "ExposureTime", "ExposureInmAs", "XRayTubeCurrentInmA",
    "ExposureTimeInms", "WindowCenter", "WindowWidth", "SliceThickness",
))  # fmt: skip
_SEQUENCES = (
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "ModalityLUTSequence",
)
_FILE_META: Mapping[str, _Convert] = {
    "MediaStorageSOPClassUID": _text,
    "MediaStorageSOPInstanceUID": _text,
    "TransferSyntaxUID": _text,
}


def _by_tag(table: Mapping[str, _Convert]) -> dict[int, tuple[str, _Convert]]:
    return {_tag(keyword): (keyword, convert) for keyword, convert in table.items()}


def _tag(keyword: str) -> int:
    return int(cast(int, tag_for_keyword(keyword)))


_TOP_TAGS = _by_tag(_TOP)
_META_TAGS = _by_tag(_FILE_META)
_GROUP_TAGS = {group: _by_tag(table) for group, table in _GROUPS.items()}
_UIDS = tuple(map(_tag, ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")))
_CHARSET = BaseTag(_tag("SpecificCharacterSet"))
#: VRs whose letters Specific Character Set decides (PS3.5 6.1.2.3), and CS, which scanners fill
#: with such letters against the standard.
_WORDED = frozenset((*CUSTOMIZABLE_CHARSET_VR, "CS"))
#: Overlay Bits Allocated, Overlay Bit Position of each overlay group (PS3.3 C.9.2).
_OVERLAYS = tuple(
    (BaseTag(group << 16 | 0x0100), BaseTag(group << 16 | 0x0102))
    for group in range(0x6000, 0x6020, 2)
)
_WANTED = [
    _CHARSET,
    *(BaseTag(_tag(keyword)) for keyword in (*_TOP, *_SEQUENCES, *PATIENT_KEYWORDS)),
    *(tag for pair in _OVERLAYS for tag in pair),
]


def looks_like_dicom(head: bytes) -> bool:
    """Whether a file's first bytes are those of DICOM, with or without preamble.

    Without preamble (older archives), the first element is of group 0002 or 0008.
    """
    if head[_PREAMBLE : _PREAMBLE + 4] == b"DICM":
        return True
    if len(head) < 8:
        return False
    return head[:2] in (b"\x02\x00", b"\x08\x00", b"\x00\x08") and head[3:4] in (b"\x00", b"\x01")


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


class DamagedFile(ReadError):  # noqa: N818  (reads as what it says)
    """A DICOM file that cannot be used though it should: an image may be missing without it.

    Its `uids` say which, as far as they could be read.
    """

    uids: Uids | None = None


def _damaged(found: str) -> DamagedFile:
    return DamagedFile(
        found,
        expected="a complete DICOM image file (PS3.10)",
        action="Export it again from the archive.",
    )


def _parse(entry: Entry, sources: Sources, first: bytes | None) -> dict[str, object]:
    """The wanted elements, from the file's beginning alone where that holds the header.

    The bytes are read first and parsed in memory, so that no length a header claims can ask for
    more memory than the file has bytes.
    """
    return _parsed(entry, sources, first, _parse_stream, lambda found: "PixelData" in found)


@dataclass(frozen=True, slots=True)
class Uids:
    """Which object a file holds, and whose; each empty where the file does not say.

    Parameters
    ----------
    object_class, instance, study, series : str
        SOP Class UID, SOP Instance UID, Study Instance UID, Series Instance UID.
    """

    object_class: str
    instance: str
    study: str
    series: str


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
        raise _damaged(f"a DICOM header that cannot be parsed ({kind})") from error


@dataclass(frozen=True, slots=True)
class OpenedDataset:
    """A file's data set, ready to be parsed.

    Parameters
    ----------
    stream : BytesIO
        At the data set's first byte; a deflated one is inflated.
    syntax : UID
        Transfer syntax; empty where the file does not say.
    implicit, little : bool
        How elements are encoded.
    start : int
        First byte of the data set in the file.
    meta : mapping of str to str
        What the File Meta Information says.
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


def _parse_stream(stream: io.BytesIO) -> dict[str, object]:
    opened = open_dataset(stream)
    stream = opened.stream
    found: list[tuple[int, str | None, int, int]] = []

    def at_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
        if int(tag) in PIXEL_TAGS:
            found.append((int(tag), vr, stream.tell(), length))
        return int(tag) in PIXEL_TAGS

    dataset = read_dataset(
        stream, opened.implicit, opened.little, stop_when=at_pixels, specific_tags=list(_WANTED)
    )
    attributes = dict[str, object](opened.meta)
    if "MediaStorageSOPClassUID" in attributes:  # the same by definition (PS3.10 table 7.1-1)
        attributes["SOPClassUID"] = attributes["MediaStorageSOPClassUID"]
    attributes |= _convert(dataset, _TOP_TAGS) | _functional_groups(dataset)
    if overlays := _overlay_bits(dataset, attributes.get("BitsAllocated")):
        attributes["OverlayBits"] = overlays
    attributes["PatientTraits"] = patient_traits(
        {keyword: _raw(dataset, keyword) for keyword in PATIENT_KEYWORDS}
    )
    if "ModalityLUTSequence" in dataset:
        attributes["ModalityLUTSequence"] = "present"
    if attributes.get("SOPClassUID") == CTImageStorage and not attributes.get("NumberOfFrames"):
        attributes.pop("NumberOfFrames", None)  # one image by definition (PS3.3 A.3); some write 0
    attributes["TransferSyntaxUID"] = str(opened.syntax) or _guessed_syntax(
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
        stop_when=lambda tag, _vr, _length: int(tag) > _UIDS[-1],
        specific_tags=list(_UIDS),
    )
    found = _convert(dataset, {tag: _TOP_TAGS[tag] for tag in _UIDS})
    return Uids(*(str(found.get(_TOP_TAGS[tag][0], "")) for tag in _UIDS))


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
    return {str(keyword): str(value) for keyword, value in _convert(meta, _META_TAGS).items()}


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


def _guessed_syntax(implicit: bool, little: bool) -> str:  # noqa: FBT001  (the encoding's own pair)
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
        raise _damaged("a damaged deflate stream") from error


def _encodings(dataset: Dataset, inherited: Sequence[str] = ()) -> Sequence[str]:
    """The character sets of a data set; an item without any has its parent's (PS3.5 7.5.3)."""
    element: object = dataset.get_item(_CHARSET) if _CHARSET in dataset else None
    if not isinstance(element, RawDataElement):
        return inherited
    return encodings_of(_bytes(element).decode("latin-1").split("\\"))


def _in_utf8(element: RawDataElement, encodings: Sequence[str]) -> RawDataElement:
    """A text whose letters a character set decides, decoded before its values are split."""
    if not encodings or dictionary_VR(element.tag) not in _WORDED:
        return element
    return element._replace(value=decode(_bytes(element), encodings).encode("utf-8"))


def _overlay_bits(dataset: Dataset, allocated: object) -> int:
    """Mask of the bits of each pixel that hold an overlay (PS3.5 section 8.1.2, retired)."""
    mask = 0
    for bits, position in _OVERLAYS:
        found: list[object] = [dataset.get_item(t) for t in (bits, position) if t in dataset]
        shorts = [_short(e) for e in found if isinstance(e, RawDataElement) and len(_bytes(e)) > 1]
        if len(shorts) == 2 and shorts[0] == allocated and shorts[1] < shorts[0]:
            mask |= 1 << shorts[1]
    return mask


def _convert(
    dataset: Dataset,
    table: Mapping[int, tuple[str, _Convert]],
    inherited: Sequence[str] = (),
) -> dict[str, object]:
    """The table's attributes found in a data set; empty ones are left out.

    Raises
    ------
    ReadError
        A value cannot be what its attribute must be.
    """
    values: dict[str, object] = {}
    encodings = _encodings(dataset, inherited)
    for tag in dataset.keys():  # noqa: SIM118  (iterating a Dataset converts its values)
        if int(tag) not in table:
            continue
        element: object = dataset.get_item(tag)
        if not isinstance(element, RawDataElement):
            continue
        keyword, convert = table[int(tag)]
        raw = _bytes(element)
        binary = convert in (_short, _long, _double)
        if not raw or (not binary and not raw.strip(b" \0\\")):
            continue
        try:
            values[keyword] = convert(_in_utf8(element, encodings))
        except (ValueError, OverflowError, struct.error) as error:
            if keyword not in _DISPENSABLE:
                raise _damaged(f"a value of {keyword} that cannot be read") from error
    return values


def _raw(dataset: Dataset, keyword: str) -> bytes:
    """An element's bytes; none where it is absent."""
    element: object = dataset.get_item(keyword)
    return _bytes(element) if isinstance(element, RawDataElement) else b""


def _functional_groups(dataset: Dataset) -> dict[str, object]:
    """Shared and per-frame values of a multi-frame object, flat, one mapping per frame."""
    shared: dict[str, object] = {}
    encodings = _encodings(dataset)
    for item in _items(dataset, "SharedFunctionalGroupsSequence"):
        shared |= _flatten(item, encodings)
    frames = [
        {**shared, **_flatten(item, encodings), "FrameNumber": number}
        for number, item in enumerate(_items(dataset, "PerFrameFunctionalGroupsSequence"), 1)
    ]
    return {"PerFrameFunctionalGroupsSequence": tuple(frames)} if frames else {}


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    if keyword not in dataset:
        return []
    value = dataset[keyword].value
    return list(value) if isinstance(value, Items) else []


def _flatten(item: Dataset, inherited: Sequence[str]) -> dict[str, object]:
    values: dict[str, object] = {}
    encodings = _encodings(item, inherited)
    for group, table in _GROUP_TAGS.items():
        for inner in _items(item, group)[:1]:
            values |= _convert(inner, table, encodings)
    return values


def syntax_of(attributes: Mapping[str, object]) -> UID:
    """The transfer syntax of an instance; empty without one."""
    return as_uid(str(attributes.get("TransferSyntaxUID", "")))


def _refuse_non_image(attributes: Mapping[str, object]) -> None:
    """A reason for whatever holds no image."""
    uid = str(attributes.get("SOPClassUID", ""))
    if not uid:
        raise _damaged("a data set without SOPClassUID")
    if "PixelData" not in attributes or "Rows" not in attributes or "Columns" not in attributes:
        kind = named(uid, "an object")
        if "Image Storage" in kind:
            raise _damaged(f"an image that ends before its pixels ({kind})")
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
        raise _damaged(f"a header that states {frames} as its Number of Frames")
    if not (0 < rows <= side and 0 < columns <= side and frames <= LIMITS.frames):
        raise _damaged(
            f"a header asking for {frames} frames of {rows} × {columns} pixels "
            f"(at most {LIMITS.frames} of {side} × {side} are read)"
        )
    if groups and len(groups) != frames:
        raise _damaged(f"{len(groups)} frame descriptions for {frames} frames")
    location = attributes["PixelData"]
    if not isinstance(location, PixelLocation):
        return
    if location.length is None:
        if syntax_of(attributes) in NATIVE_SYNTAXES:
            raise _damaged(
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
        raise _damaged(f"pixel data of {max(there, 0)} bytes where the header needs {needed}")
    if 0 < 2 * needed <= there and syntax_of(attributes) in NATIVE_SYNTAXES:
        raise _damaged(f"pixel data of {there} bytes where the header describes {needed}")
