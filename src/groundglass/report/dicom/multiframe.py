"""The frames of a multi-frame result, written as bytes (PS3.3 C.7.6.16, PS3.5 section 7.5).

A study has hundreds of frames that differ in a reference, a number and a position. They are written
here a hundred times faster than as that many data sets.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from groundglass.report.dicom.codes import concept
from groundglass.report.dicom.encoding import (
    PIXEL_DATA,
    element,
    element_bytes,
    even,
    halves,
    item,
    sequence,
)
from groundglass.report.dicom.result_builder import ResultBuilder
from groundglass.report.dicom.source_images import SourceImages, decimal_string, object_reference

_UNDEFINED = 0xFFFFFFFF
_END = 0xFFFEE0DD
_PER_FRAME = 0x52009230
#: What each frame's source was used for (CID 7202).
_PURPOSE = Code("121322", "DCM", "Source image for image processing operation")
#: Dimension index pointer, functional group pointer and label (PS3.3 C.7.6.17): where a frame lies.
BY_POSITION = (0x00200032, 0x00209113, "Image Position Patient")


@dataclass(frozen=True, slots=True)
class FrameContent:
    """What the frames of an object hold."""

    indices: Sequence[int]
    """Slice of the volume that each frame shows."""
    derivation: Code
    """How a frame was made of its image (CID 7203)."""
    dimensions: tuple[tuple[tuple[int, int, str], int], ...]
    """Dimensions before the frame's own number, each as `BY_POSITION` is, and the index that all
    frames have in it (PS3.3 C.7.6.17)."""
    pixels: Sequence[bytes]
    """Uncompressed: parts of the pixel data, in order. Compressed: one stream a frame."""
    compressed: bool
    """Whether the pixels are encapsulated (PS3.5 A.4)."""


def put_frames(
    dataset: Dataset,
    shared: Dataset,
    builder: ResultBuilder,
    source: SourceImages,
    content: FrameContent,
) -> dict[int, bytes]:
    """Make an object one of many frames on the CT's grid.

    Parameters
    ----------
    dataset : pydicom Dataset
        With its bits and what is its own.
    shared : pydicom Dataset
        Functional groups of its own that all frames share.

    Returns
    -------
    dict of int to bytes
        By tag, the elements that speak of all frames or images (`encoding.file_bytes`).
    """
    dataset.FrameOfReferenceUID = source.frame_of_reference_uid(builder.identity)
    dataset.PositionReferenceIndicator = None
    dataset.NumberOfFrames = len(content.indices)
    dataset.Rows, dataset.Columns = source.geometry.shape[1:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.PixelRepresentation, dataset.LossyImageCompression = 0, "00"
    dataset.PresentationLUTShape = "IDENTITY"
    dataset.SharedFunctionalGroupsSequence = [shared]
    _orient(dataset, shared, source, content.indices)
    _index(dataset, content)
    return {
        **source.references(sorted(content.indices)),
        _PER_FRAME: _per_frame_groups(source, content),
        PIXEL_DATA: _pixel_data(dataset, content),
    }


def _orient(
    dataset: Dataset, shared: Dataset, source: SourceImages, indices: Sequence[int]
) -> None:
    """How the frames lie, all of them together (PS3.3 C.7.6.16.2.1, C.7.6.16.2.4)."""
    slice_mm, row_mm, column_mm = source.geometry.spacing_mm
    _, down, along = source.geometry.directions
    orientation, measures = Dataset(), Dataset()
    orientation.ImageOrientationPatient = [decimal_string(part) for part in (*along, *down)]
    measures.PixelSpacing = [decimal_string(row_mm), decimal_string(column_mm)]
    measures.SliceThickness = decimal_string(slice_mm)
    step = indices[1] - indices[0] if len(indices) > 1 else 0
    if abs(step) == 1 and list(indices) == list(range(indices[0], indices[-1] + step, step)):
        measures.SpacingBetweenSlices = decimal_string(slice_mm)
        dataset.DimensionOrganizationType = "3D"
    shared.PlaneOrientationSequence = [orientation]
    shared.PixelMeasuresSequence = [measures]


def _index(dataset: Dataset, content: FrameContent) -> None:
    """What the frames are sorted by; `ResultBuilder.finalize` gives it its UID."""
    dataset.DimensionOrganizationSequence = [Dataset()]
    indices = []
    for pointer, group, label in (*(way for way, _ in content.dimensions), BY_POSITION):
        index = Dataset()
        index.DimensionIndexPointer, index.FunctionalGroupPointer = pointer, group
        index.DimensionDescriptionLabel = label
        indices.append(index)
    dataset.DimensionIndexSequence = indices


def _per_frame_groups(source: SourceImages, content: FrameContent) -> bytes:
    """The Per-frame Functional Groups Sequence."""
    codes_of = Dataset()
    codes_of.DerivationCodeSequence = [concept(content.derivation)]
    codes_of.PurposeOfReferenceCodeSequence = [concept(_PURPOSE)]
    how = element_bytes(codes_of, "DerivationCodeSequence")
    why = element_bytes(codes_of, "PurposeOfReferenceCodeSequence")
    before = [value for _, value in content.dimensions]
    items = []
    for number, index in enumerate(content.indices, 1):
        image = source.images[index]
        reference = object_reference(image)
        if image.frame_number is not None:
            reference += element(0x00081160, b"IS", str(image.frame_number).encode())
        reference += element(0x0028135A, b"CS", b"YES") + why
        position = "\\".join(map(decimal_string, image.position_mm)).encode()
        place = (*before, number)
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
        head = struct.pack("<HH2sHI", *halves(PIXEL_DATA), b"OB", 0, _UNDEFINED)
        return head + item(_offsets(content.pixels)) + coded + struct.pack("<HHI", *halves(_END), 0)
    form = b"OW" if dataset.BitsAllocated > 8 else b"OB"
    return element(PIXEL_DATA, form, b"".join(content.pixels))


def _offsets(streams: Iterable[bytes]) -> bytes:
    """Basic Offset Table: where each frame's item begins after the table (PS3.5 A.4)."""
    places, at = [], 0
    for stream in streams:
        places.append(at)
        at += 8 + len(stream) + len(stream) % 2
    return struct.pack(f"<{len(places)}I", *places)
