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

from groundglass.report.encoding import element, element_bytes, even, halves, item, sequence
from groundglass.report.source_images import SourceImages, decimal_string, object_reference

_UNDEFINED = 0xFFFFFFFF
_END = 0xFFFEE0DD
_PER_FRAME, _PIXEL_DATA = 0x52009230, 0x7FE00010


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


def put_frames(dataset: Dataset, source: SourceImages, content: FrameContent) -> dict[int, bytes]:
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
    dict of int to bytes
        By tag, the elements that speak of all frames or images (`encoding.file_bytes`).
    """
    template = dataset.PerFrameFunctionalGroupsSequence[0]
    groups = _per_frame_groups(template, source, content)
    _describe(dataset, source, content.indices)
    pixels = _pixel_data(dataset, content)
    del dataset.PerFrameFunctionalGroupsSequence, dataset.PixelData
    references = source.references(sorted(content.indices))
    return {**references, _PER_FRAME: groups, _PIXEL_DATA: pixels}


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
    how = element_bytes(derivation, "DerivationCodeSequence")
    why = element_bytes(derivation.SourceImageSequence[0], "PurposeOfReferenceCodeSequence")
    items = []
    for number, index in enumerate(content.indices, 1):
        image = source.images[index]
        reference = object_reference(image)
        if image.frame_number is not None:
            reference += element(0x00081160, b"IS", str(image.frame_number).encode())
        reference += element(0x0028135A, b"CS", b"YES") + why
        position = "\\".join(map(decimal_string, image.position_mm)).encode()
        place = (*content.dimensions, number)
        items.append(
            sequence(0x00089124, sequence(0x00082112, reference) + how)
            + sequence(
                0x00209111, element(0x00209157, b"UL", struct.pack(f"<{len(place)}I", *place))
            )
            + sequence(0x00209113, element(0x00200032, b"DS", position))
        )
    return sequence(_PER_FRAME, *items)


def _pixel_data(dataset: Dataset, content: FrameContent) -> bytes:
    if content.compressed:
        coded = b"".join(item(even(stream, b"\0")) for stream in content.pixels)
        head = struct.pack("<HH2sHI", *halves(_PIXEL_DATA), b"OB", 0, _UNDEFINED)
        return head + item(_offsets(content.pixels)) + coded + struct.pack("<HHI", *halves(_END), 0)
    form = b"OW" if dataset.BitsAllocated > 8 else b"OB"
    return element(_PIXEL_DATA, form, b"".join(content.pixels))


def _offsets(streams: Iterable[bytes]) -> bytes:
    """Basic Offset Table: where each frame's item begins after the table (PS3.5 A.4)."""
    places, at = [], 0
    for stream in streams:
        places.append(at)
        at += 8 + len(stream) + len(stream) % 2
    return struct.pack(f"<{len(places)}I", *places)
