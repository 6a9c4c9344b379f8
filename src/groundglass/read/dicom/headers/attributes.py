"""Which attributes of a header are kept, and their values from their bytes.

They are converted here, and not by pydicom, so that a damaged value becomes a reason and nothing
else.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, cast

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.tag import BaseTag
from pydicom.valuerep import CUSTOMIZABLE_CHARSET_VR

from groundglass.read.dicom.headers.charsets import decode, encodings_of
from groundglass.read.dicom.headers.ct_header import (
    Convert,
    CtHeader,
    bytes_of,
    double,
    long,
    short,
    text,
)
from groundglass.read.dicom.headers.damage import damaged
from groundglass.read.dicom.headers.patient_traits import PATIENT_KEYWORDS

#: Functional group sequence → attributes kept from it (PS3.3 C.7.6.16.2, C.8.15.3).
_GROUPS: Mapping[str, tuple[str, ...]] = {
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness"),
    "PixelValueTransformationSequence": ("RescaleIntercept", "RescaleSlope", "RescaleType"),
    "CTImageFrameTypeSequence": ("FrameType",),
    "CTReconstructionSequence": ("ConvolutionKernel",),
    "FrameContentSequence": (
        "TemporalPositionIndex", "FrameAcquisitionNumber", "FrameAcquisitionDateTime", "StackID",
    ),
    "IrradiationEventIdentificationSequence": ("IrradiationEventUID",),
    "CTExposureSequence": ("ExposureInmAs", "XRayTubeCurrentInmA", "ExposureTimeInms"),
    "CTXRayDetailsSequence": ("KVP",),
    "FrameVOILUTSequence": ("WindowCenter",),
}  # fmt: skip
#: Values for people, and values some scanners write carelessly: unreadable means absent.
_DISPENSABLE = frozenset((
    "SeriesNumber", "InstanceNumber", "AcquisitionNumber", "TemporalPositionIdentifier", "KVP",
    "XRayTubeCurrent", "Exposure", "ExposureTime", "ExposureInmAs", "XRayTubeCurrentInmA",
    "ExposureTimeInms", "WindowCenter", "SliceThickness",
))  # fmt: skip
_SEQUENCES = (
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "ModalityLUTSequence",
)


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute that is kept: by its keyword, as which field, and how its bytes are read."""

    keyword: str
    name: str
    convert: Convert


def _tag(keyword: str) -> int:
    return int(cast(int, tag_for_keyword(keyword)))


_ATTRIBUTES = {
    one.metadata["keyword"]: Attribute(one.metadata["keyword"], one.name, one.metadata["convert"])
    for one in fields(CtHeader)
    if one.metadata
}
TOP_TAGS = {
    _tag(one.metadata["keyword"]): _ATTRIBUTES[one.metadata["keyword"]]
    for one in fields(CtHeader)
    if one.metadata.get("top", bool(one.metadata))
}
#: Of the File Meta Information (PS3.10 section 7.1), by keyword.
FILE_META_TAGS = {
    _tag(keyword): Attribute(keyword, keyword, text)
    for keyword in ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID")
}
_GROUP_TAGS = {
    group: {_tag(keyword): _ATTRIBUTES[keyword] for keyword in keywords}
    for group, keywords in _GROUPS.items()
}
#: What the functional groups say of a frame.
FRAME_FIELDS = tuple(_ATTRIBUTES[keyword].name for own in _GROUPS.values() for keyword in own)
_CHARSET = BaseTag(_tag("SpecificCharacterSet"))
#: VRs whose letters Specific Character Set decides (PS3.5 6.1.2.3), and CS, which scanners fill
#: with such letters against the standard.
_WORDED = frozenset((*CUSTOMIZABLE_CHARSET_VR, "CS"))
#: Overlay Bits Allocated, Overlay Bit Position of each overlay group (PS3.3 C.9.2).
_OVERLAYS = tuple(
    (BaseTag(group << 16 | 0x0100), BaseTag(group << 16 | 0x0102))
    for group in range(0x6000, 0x6020, 2)
)
WANTED = [
    _CHARSET,
    *map(BaseTag, TOP_TAGS),
    *(BaseTag(_tag(keyword)) for keyword in (*_SEQUENCES, *PATIENT_KEYWORDS)),
    *(tag for pair in _OVERLAYS for tag in pair),
]


def _encodings(dataset: Dataset, inherited: Sequence[str] = ()) -> Sequence[str]:
    """The character sets of a data set; an item without any has its parent's (PS3.5 7.5.3)."""
    element: object = dataset.get_item(_CHARSET) if _CHARSET in dataset else None
    if not isinstance(element, RawDataElement):
        return inherited
    return encodings_of(bytes_of(element).decode("latin-1").split("\\"))


def _in_utf8(element: RawDataElement, encodings: Sequence[str]) -> RawDataElement:
    """A text whose letters a character set decides, decoded before its values are split."""
    if not encodings or dictionary_VR(element.tag) not in _WORDED:
        return element
    return element._replace(value=decode(bytes_of(element), encodings).encode("utf-8"))


def overlay_bits(dataset: Dataset, allocated: object) -> int:
    """Mask of the bits of each pixel that hold an overlay (PS3.5 section 8.1.2, retired)."""
    mask = 0
    for bits, position in _OVERLAYS:
        found: list[object] = [dataset.get_item(t) for t in (bits, position) if t in dataset]
        shorts = [short(e) for e in found if isinstance(e, RawDataElement) and len(bytes_of(e)) > 1]
        if len(shorts) == 2 and shorts[0] == allocated and shorts[1] < shorts[0]:
            mask |= 1 << shorts[1]
    return mask


def convert(
    dataset: Dataset, table: Mapping[int, Attribute], inherited: Sequence[str] = ()
) -> dict[str, Any]:
    """The table's attributes found in a data set, by field; empty ones are left out.

    Raises
    ------
    ReadError
        A value cannot be what its attribute must be.
    """
    values: dict[str, Any] = {}
    encodings = _encodings(dataset, inherited)
    for tag in dataset.keys():  # noqa: SIM118  (iterating a Dataset converts its values)
        if int(tag) not in table:
            continue
        element: object = dataset.get_item(tag)
        if not isinstance(element, RawDataElement):
            continue
        attribute = table[int(tag)]
        raw = bytes_of(element)
        binary = attribute.convert in (short, long, double)
        if not raw or (not binary and not raw.strip(b" \0\\")):
            continue
        try:
            values[attribute.name] = attribute.convert(_in_utf8(element, encodings))
        except (ValueError, OverflowError, struct.error) as error:
            if attribute.keyword not in _DISPENSABLE:
                raise damaged(f"a value of {attribute.keyword} that cannot be read") from error
    return values


def raw_bytes(dataset: Dataset, keyword: str) -> bytes:
    """An element's bytes; none where it is absent."""
    element: object = dataset.get_item(keyword)
    return bytes_of(element) if isinstance(element, RawDataElement) else b""


def frame_values(dataset: Dataset) -> list[dict[str, Any]]:
    """What the functional groups of a multi-frame object say of each frame, by field."""
    shared: dict[str, Any] = {}
    encodings = _encodings(dataset)
    for item in _items(dataset, "SharedFunctionalGroupsSequence"):
        shared |= _flatten(item, encodings)
    return [
        {**shared, **_flatten(item, encodings), "frame_number": number}
        for number, item in enumerate(_items(dataset, "PerFrameFunctionalGroupsSequence"), 1)
    ]


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    if keyword not in dataset:
        return []
    value = dataset[keyword].value
    return list(value) if isinstance(value, Items) else []


def _flatten(item: Dataset, inherited: Sequence[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    encodings = _encodings(item, inherited)
    for group, table in _GROUP_TAGS.items():
        for inner in _items(item, group)[:1]:
            values |= convert(inner, table, encodings)
    return values
