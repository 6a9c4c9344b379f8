"""Which attributes of a header are kept, and how their bytes become values (PS3.5 section 6).

Values are converted here, from their bytes, so that a damaged value becomes a reason and nothing
else.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.tag import BaseTag
from pydicom.valuerep import CUSTOMIZABLE_CHARSET_VR

from groundglass.read.dicom.charsets import decode, encodings_of
from groundglass.read.dicom.damage import damaged
from groundglass.read.dicom.patients import PATIENT_KEYWORDS


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


TOP_TAGS = _by_tag(_TOP)
META_TAGS = _by_tag(_FILE_META)
_GROUP_TAGS = {group: _by_tag(table) for group, table in _GROUPS.items()}
UIDS = tuple(map(_tag, ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")))
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
    *(BaseTag(_tag(keyword)) for keyword in (*_TOP, *_SEQUENCES, *PATIENT_KEYWORDS)),
    *(tag for pair in _OVERLAYS for tag in pair),
]


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


def overlay_bits(dataset: Dataset, allocated: object) -> int:
    """Mask of the bits of each pixel that hold an overlay (PS3.5 section 8.1.2, retired)."""
    mask = 0
    for bits, position in _OVERLAYS:
        found: list[object] = [dataset.get_item(t) for t in (bits, position) if t in dataset]
        shorts = [_short(e) for e in found if isinstance(e, RawDataElement) and len(_bytes(e)) > 1]
        if len(shorts) == 2 and shorts[0] == allocated and shorts[1] < shorts[0]:
            mask |= 1 << shorts[1]
    return mask


def convert(
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
                raise damaged(f"a value of {keyword} that cannot be read") from error
    return values


def raw_bytes(dataset: Dataset, keyword: str) -> bytes:
    """An element's bytes; none where it is absent."""
    element: object = dataset.get_item(keyword)
    return _bytes(element) if isinstance(element, RawDataElement) else b""


def functional_groups(dataset: Dataset) -> dict[str, object]:
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
            values |= convert(inner, table, encodings)
    return values
