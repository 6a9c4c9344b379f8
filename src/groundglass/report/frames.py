"""The frames of a multi-frame result, written as bytes (PS3.3 C.7.6.16, PS3.5 section 7.5).

A study has hundreds of frames that differ in a reference, a number and a position. Of one frame the
library makes the whole object; the frames themselves are written here, a hundred times faster than
as that many data sets.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element

from groundglass.report.source_images import SourceImages, decimal_string

_UNDEFINED = 0xFFFFFFFF
_ITEM, _END = 0xFFFEE000, 0xFFFEE0DD
_PIXEL_DATA = 0x7FE00010
#: Value representations whose length has four bytes, of those used here (PS3.5 7.1.2).
_LONG = frozenset((b"SQ", b"OB", b"OW"))


@dataclass(frozen=True, slots=True)
class FrameContent:
    """What the frames of an object hold.

    Parameters
    ----------
    indices : sequence of int
        Slice of the volume that each frame shows.
    dimensions : tuple of int
        Dimension indices before the frame's own number (PS3.3 C.7.6.17).
    pixels : sequence of bytes
        Uncompressed: parts of the pixel data, in order. Compressed: one stream a frame.
    compressed : bool
        Whether the pixels are encapsulated (PS3.5 A.4).
    """

    indices: Sequence[int]
    dimensions: tuple[int, ...]
    pixels: Sequence[bytes]
    compressed: bool


def put_frames(dataset: Dataset, source: SourceImages, content: FrameContent) -> bytes:
    """Make an object of one frame an object of many.

    Parameters
    ----------
    dataset : pydicom Dataset
        As highdicom makes it of the stand-in of one slice; loses its frame and pixels.
    source : SourceImages
        The images that the frames lie on.
    content : FrameContent
        The frames.

    Returns
    -------
    bytes
        The two elements, of the highest tags, that the file ends with: explicit VR, little endian.
    """
    template = dataset.PerFrameFunctionalGroupsSequence[0]
    groups = _per_frame_groups(template, source, content)
    _describe(dataset, source, content.indices)
    source.refer_to_images(dataset, sorted(content.indices))
    del dataset.PerFrameFunctionalGroupsSequence, dataset.PixelData
    return groups + _pixel_data(dataset, content)


def _describe(dataset: Dataset, source: SourceImages, indices: Sequence[int]) -> None:
    """What the object says of all its frames together."""
    dataset.NumberOfFrames = len(indices)
    measures = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    if len(indices) == 1:
        return
    step = indices[1] - indices[0]
    if abs(step) == 1 and list(indices) == list(range(indices[0], indices[-1] + step, step)):
        measures.SpacingBetweenSlices = decimal_string(source.geometry.spacing_mm[0])
        dataset.DimensionOrganizationType = "3D"
    elif "SpacingBetweenSlices" in measures:  # highdicom's guess from one slice
        del measures.SpacingBetweenSlices


def _per_frame_groups(template: Dataset, source: SourceImages, content: FrameContent) -> bytes:
    """The Per-frame Functional Groups Sequence."""
    derivation = template.DerivationImageSequence[0]
    how = _written(derivation, "DerivationCodeSequence")
    why = _written(derivation.SourceImageSequence[0], "PurposeOfReferenceCodeSequence")
    items = []
    for number, index in enumerate(content.indices, 1):
        image = source.images[index]
        reference = _element(0x00081150, b"UI", image.sop_class_uid.encode())
        reference += _element(0x00081155, b"UI", image.sop_instance_uid.encode())
        if image.frame_number is not None:
            reference += _element(0x00081160, b"IS", str(image.frame_number).encode())
        reference += _element(0x0028135A, b"CS", b"YES") + why
        position = "\\".join(map(decimal_string, image.position_mm)).encode()
        place = (*content.dimensions, number)
        items.append(
            _sequence(0x00089124, _sequence(0x00082112, reference) + how)
            + _sequence(
                0x00209111, _element(0x00209157, b"UL", struct.pack(f"<{len(place)}I", *place))
            )
            + _sequence(0x00209113, _element(0x00200032, b"DS", position))
        )
    return _sequence(0x52009230, *items)


def _pixel_data(dataset: Dataset, content: FrameContent) -> bytes:
    if content.compressed:
        coded = b"".join(_item(_even(stream, b"\0")) for stream in content.pixels)
        head = struct.pack("<HH2sHI", *_halves(_PIXEL_DATA), b"OB", 0, _UNDEFINED)
        return (
            head + _item(_offsets(content.pixels)) + coded + struct.pack("<HHI", *_halves(_END), 0)
        )
    form = b"OW" if dataset.BitsAllocated > 8 else b"OB"
    return _element(_PIXEL_DATA, form, b"".join(content.pixels))


def _offsets(streams: Iterable[bytes]) -> bytes:
    """Basic Offset Table: where each frame's item begins after the table (PS3.5 A.4)."""
    places, at = [], 0
    for stream in streams:
        places.append(at)
        at += 8 + len(stream) + len(stream) % 2
    return struct.pack(f"<{len(places)}I", *places)


def _written(item: Dataset, keyword: str) -> bytes:
    """An element that is the same in every frame."""
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_data_element(stream, item[keyword])
    return stream.getvalue()


def _sequence(tag: int, *items: bytes) -> bytes:
    return _element(tag, b"SQ", b"".join(map(_item, items)))


def _item(content: bytes) -> bytes:
    return struct.pack("<HHI", *_halves(_ITEM), len(content)) + content


def _element(tag: int, form: bytes, value: bytes) -> bytes:
    """An element in explicit VR, little endian, of even length (PS3.5 7.1)."""
    value = _even(value, b" " if form in (b"CS", b"DS", b"IS") else b"\0")
    if form in _LONG:
        return struct.pack("<HH2sHI", *_halves(tag), form, 0, len(value)) + value
    return struct.pack("<HH2sH", *_halves(tag), form, len(value)) + value


def _even(value: bytes, padding: bytes) -> bytes:
    return value + padding if len(value) % 2 else value


def _halves(tag: int) -> tuple[int, int]:
    return tag >> 16, tag & 0xFFFF
